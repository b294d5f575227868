"""Which codec reads and writes each built-in scalar type, in each of the formats there are."""

from __future__ import annotations

import re
from binascii import hexlify
from decimal import Decimal
from struct import Struct, error
from typing import TYPE_CHECKING, Any
from uuid import UUID

from wirekit._errors import RemoteProtocolError

from . import _bits, _extensions, _geometric, _identifiers, _network, _text_search
from ._codecs import (
    BoolCodec,
    ByteaCodec,
    Float4Codec,
    Float8Codec,
    FunctionCodec,
    Int2Codec,
    Int4Codec,
    Int8Codec,
    TextCodec,
    TypeCodec,
    UInt4Codec,
    UInt8Codec,
)
from ._numeric import NumericCodec
from ._scalars import JsonbCodec, PlainTextCodec, UUIDCodec, VoidCodec
from ._temporal import (
    DateCodec,
    IntervalCodec,
    TimeCodec,
    TimestampCodec,
    TimestamptzCodec,
    TimetzCodec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._functions import TypeFunctions

__all__ = ["EXTENSIONS", "PARAMETERS", "RESULTS", "TEXT_FORMS", "TUPLE_FORMS", "is_own_text"]

_OWN: tuple[TypeCodec, ...] = (
    BoolCodec("bool"),
    ByteaCodec("bytea"),
    ByteaCodec("char"),
    Int2Codec("int2"),
    Int4Codec("int4"),
    Int8Codec("int8"),
    *[UInt4Codec(name) for name in ("oid", "xid", "cid")],
    *[UInt8Codec(name) for name in ("xid8", "oid8")],
    Float4Codec("float4"),
    Float8Codec("float8"),
    NumericCodec("numeric"),
    *[
        TextCodec(name)
        for name in ("text", "varchar", "bpchar", "name", "xml", "json", "cstring", "unknown")
    ],
    *[JsonbCodec(name) for name in ("jsonb", "jsonpath")],
    UUIDCodec("uuid"),
    VoidCodec("void"),
    DateCodec("date"),
    TimeCodec("time"),
    TimetzCodec("timetz"),
    TimestampCodec("timestamp"),
    TimestamptzCodec("timestamptz"),
    IntervalCodec("interval"),
)

_RARE: dict[str, TypeFunctions] = {
    **_bits.TYPES,
    **_geometric.TYPES,
    **_identifiers.TYPES,
    **_network.TYPES,
    **_text_search.TYPES,
}


def _result_codec(name: str, functions: TypeFunctions) -> TypeCodec:
    """Return a codec for results, and for parameters if these travel in the same format."""
    both = functions.format == functions.parameter_format
    encode = functions.encode if both else None
    return FunctionCodec(name, functions.format, functions.decode, encode)


def _parameter_codec(name: str, functions: TypeFunctions) -> TypeCodec:
    return FunctionCodec(name, functions.parameter_format, None, functions.encode)


#: By the names of the types; those of results write too, but for the few in PARAMETERS.
RESULTS: dict[str, TypeCodec] = {
    **{name: _result_codec(name, functions) for name, functions in _RARE.items()},
    **{codec.name: codec for codec in _OWN},
}
PARAMETERS: dict[str, TypeCodec] = {
    name: _parameter_codec(name, functions)
    for name, functions in _RARE.items()
    if functions.format != functions.parameter_format
}
EXTENSIONS: dict[str, TypeCodec] = {
    name: _result_codec(name, functions) for name, functions in _extensions.TYPES.items()
}


def is_own_text(codec: TypeCodec) -> bool:
    """Whether the binary format of a type is its text, so that a user's codec may stay binary."""
    return isinstance(codec, (TextCodec, JsonbCodec))


# In text, for composites of which one attribute has no other format.


def _text_form(
    name: str, decode: Callable[[str], Any], encode: Callable[[Any], str] = str
) -> TypeCodec:
    """Return a codec for text over the checks of the type's own."""
    check = RESULTS[name]

    def read(data: bytes) -> Any:
        try:
            return decode(data.decode())
        except (ValueError, ArithmeticError, KeyError):
            raise RemoteProtocolError(f"a value of type {name} that is none") from None

    def write(value: Any) -> bytes:
        return encode(check.decode(check.encode(value))).encode()

    return FunctionCodec(name, 0, read, write, atomic=True)


def _bytea_of_text(text: str) -> bytes:
    """Read either setting of bytea_output."""
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    return _ESCAPED.sub(_unescape, text.encode())


_ESCAPED = re.compile(rb"\\(\\|[0-7]{3})")


def _unescape(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] == b"\\" else bytes([int(match[1], 8) & 0xFF])


TEXT_FORMS: dict[str, TypeCodec] = {
    **{name: PlainTextCodec(name) for name, codec in RESULTS.items() if is_own_text(codec)},
    **{name: _text_form(name, int) for name in ("int2", "int4", "int8", "oid", "xid", "xid8")},
    **{name: _text_form(name, float, repr) for name in ("float4", "float8")},
    "numeric": _text_form("numeric", Decimal),
    "uuid": _text_form("uuid", UUID),
    "bool": _text_form("bool", {"t": True, "f": False}.__getitem__, lambda value: str(value)),
    "bytea": _text_form("bytea", _bytea_of_text, lambda value: f"\\x{hexlify(value).decode()}"),
}


# As tuples, for set_type_codec.


def _tuple_form(name: str, layout: Struct, order: tuple[int, ...] = (0,)) -> TypeCodec:
    """Return a codec for tuples of integers; ``order`` is where each stands in the layout."""

    def read(data: bytes) -> tuple[int, ...]:
        if len(data) != layout.size:
            raise RemoteProtocolError(f"a value of type {name} in {len(data)} bytes")
        fields = layout.unpack(data)
        return tuple([fields[number] for number in order])

    def write(value: Any) -> bytes:
        if not _is_tuple(value):
            raise TypeError(f"{name} tuple encoder: expected a tuple, got {type(value).__name__}")
        if len(value) != len(order):
            text = f"expecting {len(order)} elements in tuple, got {len(value)}"
            raise ValueError(f"{name} tuple encoder: {text}")
        fields = [value[order.index(number)] for number in range(len(order))]
        try:
            return layout.pack(*fields)
        except error:
            raise OverflowError(f"{name} tuple encoder: not integers in range") from None

    return FunctionCodec(name, 1, read, write, atomic=True)


def _is_tuple(value: object) -> bool:
    return isinstance(value, (tuple, list))


TUPLE_FORMS: dict[str, TypeCodec] = {
    "date": _tuple_form("date", Struct("!i")),
    "time": _tuple_form("time", Struct("!q")),
    "timestamp": _tuple_form("timestamp", Struct("!q")),
    "timestamptz": _tuple_form("timestamptz", Struct("!q")),
    "timetz": _tuple_form("timetz", Struct("!qi"), (0, 1)),
    # months, days, microseconds
    "interval": _tuple_form("interval", Struct("!qii"), (2, 1, 0)),
}
