"""Codecs of the user's own, for types by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from wirekit._errors import LocalProtocolError
from wirekit.protocols.postgres import builtin_type

from ._introspection import types_by_name
from ._session import Session
from .exceptions import InterfaceError, UnsupportedClientFeatureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.postgres import TypeInfo

__all__ = ["TypeCodecs"]


class TypeCodecs(Session):
    """The part of the client that has types go through functions of the user's."""

    async def set_type_codec(
        self,
        typename: str,
        *,
        schema: str = "public",
        encoder: Callable[[Any], Any] | None = None,
        decoder: Callable[[Any], Any] | None = None,
        format: Literal["text", "binary", "tuple"] = "text",  # noqa: A002 - asyncpg's name
    ) -> None:
        """Have the values of a type go through functions, also inside arrays and so on.

        With one function alone, values the other way go as they always do.

        Args:
            typename: its name, such as ``"json"``.
            schema: where it is; that of the built-in types is ``"pg_catalog"``.
            encoder: makes from a value what ``format`` says.
            decoder: makes a value from that.
            format: ``"text"`` exchanges `str`, ``"binary"`` `bytes`, in PostgreSQL's own formats.
                ``"tuple"`` exchanges a tuple: of a composite its values; of an interval months,
                days and microseconds; of a date the days, and of a time or timestamp the
                microseconds, since 2000-01-01; of a time with time zone its offset in seconds too.

        Raises:
            ValueError: there is no such type.
            InterfaceError: it cannot have such a codec.
        """
        self._check_open()
        if format not in ("text", "binary", "tuple"):
            raise _wrong_format("'text', 'binary' or 'tuple'", format)
        if encoder is None and decoder is None:
            raise InterfaceError("set_type_codec needs an encoder, a decoder, or both")
        info = await self._type_named(typename, schema)
        _check_customisable(info, format)
        await self._introspect(info.parts)
        try:
            self._types.set_custom(info, format, encoder, decoder)
        except LocalProtocolError as error:
            if format == "tuple":
                text = f"{typename} type does not support the 'tuple' exchange format"
                raise InterfaceError(text) from error
            raise InterfaceError(str(error)) from error
        self._statements.clear()

    async def reset_type_codec(self, typename: str, *, schema: str = "public") -> None:
        """Undo `set_type_codec` and `set_builtin_type_codec`.

        Raises:
            ValueError: there is no such type.
        """
        self._check_open()
        self._types.reset_custom(await self._type_named(typename, schema))
        self._statements.clear()

    async def set_builtin_type_codec(
        self,
        typename: str,
        *,
        schema: str = "public",
        codec_name: str | int,
        format: Literal["text", "binary"] | None = None,  # noqa: A002 - asyncpg's name
    ) -> None:
        """Have the values of a type travel as those of a built-in one do.

        Args:
            typename: its name, such as ``"hstore"``.
            schema: where it is.
            codec_name: the name of the built-in type, or ``"pg_contrib.hstore"``.
            format: the only one that the type has, if it has not both.

        Raises:
            ValueError: there is no such type.
            InterfaceError: it is not scalar, or there is no such codec.
        """
        self._check_open()
        if format not in (None, "text", "binary"):
            raise _wrong_format("'text' or 'binary'", format)
        info = await self._type_named(typename, schema)
        if info.kind not in "bde" or info.element:
            raise InterfaceError(f"cannot alias non-scalar type {schema}.{typename}")
        await self._introspect(info.parts)
        try:
            self._types.set_builtin(info, codec_name, format)
        except LocalProtocolError as error:
            raise InterfaceError(str(error)) from error
        self._statements.clear()

    async def _type_named(self, typename: str, schema: str) -> TypeInfo:
        if schema == "pg_catalog" and (known := builtin_type(typename.lower())) is not None:
            return known
        query = types_by_name(self._server_version)
        found = await self._catalogue(query, (typename, schema))
        if not found:
            raise ValueError(f"unknown type: {schema}.{typename}")
        return found[0]


def _check_customisable(info: TypeInfo, format: str) -> None:  # noqa: A002 - asyncpg's name
    if info.kind == "c":
        if format != "tuple":
            raise UnsupportedClientFeatureError(
                "only tuple-format codecs can be used on composite types",
                hint="Use `set_type_codec(..., format='tuple')` and pass/interpret data as a "
                "Python tuple.",
            )
    elif info.kind not in "bde" or info.element:
        raise InterfaceError(
            f"cannot use custom codec on type {info.schema}.{info.name}: "
            "it is neither a scalar type nor a composite type"
        )
    elif info.kind == "d":
        raise UnsupportedClientFeatureError(
            "custom codecs on domain types are not supported",
            hint="Set the codec on the base type.",
            detail="PostgreSQL does not distinguish domains from their base types in query "
            "results at the protocol level.",
        )


def _wrong_format(wanted: str, given: object) -> InterfaceError:
    return InterfaceError(f"invalid `format` argument, expected {wanted}, got {given!r}")
