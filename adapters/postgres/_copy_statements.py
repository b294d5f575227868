"""The text of COPY commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from ._lexing import quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CopyOptions", "CopyOutOptions", "copy_from", "copy_to", "described", "table"]


class CopyOutOptions(TypedDict, total=False):
    """COPY's options for either direction; None leaves one out."""

    format: str | None
    oids: bool | None
    delimiter: str | None
    null: str | None
    header: bool | str | None
    quote: str | None
    escape: str | None
    force_quote: bool | Iterable[str] | None
    encoding: str | None


class CopyOptions(CopyOutOptions, total=False):
    """COPY's options."""

    freeze: bool | None
    force_not_null: bool | Iterable[str] | None
    force_null: bool | Iterable[str] | None


def table(table_name: str, schema_name: str | None) -> str:
    """Return the name of a table."""
    name = quote_identifier(table_name)
    return f"{quote_identifier(schema_name)}.{name}" if schema_name else name


def described(name: str, columns: Iterable[str] | None) -> str:
    """Return a query that has the columns of a COPY of a table."""
    return f"SELECT {_names(columns) if columns else '*'} FROM {name}"


def copy_to(what: str, columns: Iterable[str] | None, options: CopyOutOptions) -> str:
    """Return a COPY to us, of a table or of a query in parentheses."""
    return f"COPY {what}{_column_list(columns)} TO STDOUT{_options(options)}"


def copy_from(
    name: str, columns: Iterable[str] | None, options: CopyOptions, where: str | None
) -> str:
    """Return a COPY from us."""
    command = f"COPY {name}{_column_list(columns)} FROM STDIN{_options(options)}"
    return f"{command} WHERE {where}" if where else command


def _names(columns: Iterable[str]) -> str:
    return ", ".join([quote_identifier(column) for column in columns])


def _column_list(columns: Iterable[str] | None) -> str:
    return f" ({_names(columns)})" if columns else ""


def _options(options: CopyOutOptions) -> str:
    spelled = [
        f"{name.upper()} {_option(name, value)}"
        for name, value in options.items()
        # These are lists, of none if False.
        if value is not None and (value is not False or not name.startswith("force"))
    ]
    return f" ({', '.join(spelled)})" if spelled else ""


def _option(name: str, value: object) -> str:
    if not name.startswith("force"):
        return quote_literal(str(value))
    return "*" if value is True else f"({_names(cast('Iterable[str]', value))})"
