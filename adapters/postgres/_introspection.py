"""What the server says about types that are not built in, and about types by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.postgres import TypeInfo, TypeMap

from .exceptions import UnsupportedClientFeatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wirekit.protocols.postgres import Column, Record, TypeCodec

    from .types import ServerVersion

__all__ = [
    "asks_for_types",
    "builtin_codecs",
    "builtin_parameter_codecs",
    "required_codec",
    "type_info",
    "types_by_name",
    "types_by_oid",
]

_BUILTIN = TypeMap()  # without any codecs of users

_TYPES = """
SELECT
    t.oid,
    t.typname AS name,
    n.nspname AS schema,
    t.typtype AS kind,
    t.typbasetype AS base,
    CASE WHEN t.typcategory = 'A' OR t.typsubscript = 'array_subscript_handler'::regproc
        THEN t.typelem ELSE 0 END AS element,
    coalesce({subtype}, 0) AS subtype,
    t.typdelim AS delimiter,
    t.typsend <> 0 AND t.typreceive <> 0 AS has_binary,
    ARRAY(
        SELECT a.attname FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS field_names,
    ARRAY(
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS field_types
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_range r ON {join}
"""
_SINCE_14 = _TYPES.format(
    subtype="CASE t.typtype WHEN 'm' THEN r.rngtypid WHEN 'r' THEN r.rngsubtype END",
    join="r.rngtypid = t.oid OR r.rngmultitypid = t.oid",
)
# Before 14 there are no multiranges, and all arrays are of category A.
_BEFORE_14 = _TYPES.format(subtype="r.rngsubtype", join="r.rngtypid = t.oid").replace(
    " OR t.typsubscript = 'array_subscript_handler'::regproc", ""
)


_BY_OID = "WHERE t.oid = ANY($1::pg_catalog.oid[])"
_BY_NAME = "WHERE t.typname = $1 AND n.nspname = $2"
_QUERIES = frozenset(
    [query + where for query in (_SINCE_14, _BEFORE_14) for where in (_BY_OID, _BY_NAME)]
)


def types_by_oid(server_version: ServerVersion) -> str:
    """Return the query for types by their OIDs, ``$1::oid[]``."""
    return _query(server_version) + _BY_OID


def types_by_name(server_version: ServerVersion) -> str:
    """Return the query for one type by its name ``$1`` and schema ``$2``."""
    return _query(server_version) + _BY_NAME


def asks_for_types(query: str) -> bool:
    """Return whether a query is one of these, whose own types are all built in."""
    return query in _QUERIES


def _query(server_version: ServerVersion) -> str:
    return _SINCE_14 if server_version.major >= 14 else _BEFORE_14


def type_info(row: Record) -> TypeInfo:
    """Return what a row of the introspection's queries says."""
    return TypeInfo(
        oid=row["oid"],
        name=row["name"],
        schema=row["schema"],
        kind=_char(row["kind"]),
        base=row["base"],
        element=row["element"],
        subtype=row["subtype"],
        fields=tuple(zip(row["field_names"], row["field_types"], strict=True)),
        delimiter=_char(row["delimiter"]),
        has_binary=row["has_binary"],
    )


def _char(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else str(value)


def required_codec(find: Callable[[int], TypeCodec | None], oid: int) -> TypeCodec:
    """Return the codec of a type.

    Raises:
        UnsupportedClientFeatureError: there is none.
    """
    try:
        codec = find(oid)
    except RemoteProtocolError as error:  # types that cannot be
        raise UnsupportedClientFeatureError(
            f"no codec for the type with OID {oid}: {error}"
        ) from None
    except LocalProtocolError as error:
        raise UnsupportedClientFeatureError(str(error)) from None
    if codec is None:
        raise UnsupportedClientFeatureError(f"no codec for the type with OID {oid}")
    return codec


def builtin_parameter_codecs(oids: Sequence[int]) -> list[TypeCodec]:
    """Return the codecs of parameters, whatever the user has set."""
    return [required_codec(_BUILTIN.parameter_codec, oid) for oid in oids]


def builtin_codecs(columns: Sequence[Column]) -> list[TypeCodec]:
    """Return the codecs of columns, whatever the user has set."""
    return [required_codec(_BUILTIN.codec, column.type) for column in columns]
