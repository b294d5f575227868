"""What the rarer types share: the shape of their tables, checked layouts, text and numbers.

A value travels in the format that gives asyncpg's Python value. Malformed bytes raise
``RemoteProtocolError`` naming the type; a value that is none of the type raises ``TypeError``,
``ValueError`` or ``OverflowError``.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from struct import Struct, pack
from typing import Any, NamedTuple

from wirekit._errors import RemoteProtocolError

__all__ = [
    "BINARY",
    "INT32",
    "TEXT",
    "TypeFunctions",
    "binary",
    "check_length",
    "decode_utf8",
    "encode_text",
    "malformed",
    "pack_doubles",
    "text",
    "to_integer",
    "unpack",
]

TEXT = 0
BINARY = 1
INT32 = Struct(">i")

Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]


class TypeFunctions(NamedTuple):
    """How the values of one type travel.

    Attributes:
        oid: of the type in every server; 0 for a type of an extension, which has no fixed one.
        format: of results, 0 for text or 1 for binary: what ``decode`` reads.
        decode: makes the value from the bytes of a field that is not null.
        encode: makes the bytes of a field from a value; None where the server takes no input.
        parameter_format: what ``encode`` gives; the same as ``format`` but for text search types.
    """

    oid: int
    format: int
    decode: Decode
    encode: Encode | None
    parameter_format: int


def binary(oid: int, decode: Decode, encode: Encode | None) -> TypeFunctions:
    """Return the entry of a type that travels in the binary format, both ways."""
    return TypeFunctions(oid, BINARY, decode, encode, BINARY)


def text(oid: int, name: str, *, receives: bool = True) -> TypeFunctions:
    """Return the entry of a type that stays text; ``receives`` says if the server takes input."""

    def decode(data: bytes) -> str:
        return decode_utf8(data, name)

    return TypeFunctions(oid, TEXT, decode, encode_text if receives else None, TEXT)


def malformed(name: str, fault: str) -> RemoteProtocolError:
    """Return the error for bytes that are no value of the type called ``name``."""
    return RemoteProtocolError(f"malformed value of type {name}: {fault}")


def check_length(data: bytes, length: int, name: str) -> None:
    """Raise ``RemoteProtocolError`` unless the field has ``length`` bytes."""
    if len(data) != length:
        raise malformed(name, f"{len(data)} bytes where {length} belong")


def unpack(layout: Struct, data: bytes, name: str) -> tuple[Any, ...]:
    """Unpack a field that consists of ``layout`` and nothing else."""
    check_length(data, layout.size, name)
    return layout.unpack(data)


def decode_utf8(data: bytes, name: str) -> str:
    """Decode text; the client encoding is always UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise malformed(name, "text that is not UTF-8") from None


def encode_text(value: object) -> bytes:
    """Return a ``str`` as UTF-8; any other value is a ``TypeError``."""
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    return value.encode()


def pack_doubles(*values: Any) -> bytes:
    """Return real numbers as float8; strings are none, though ``float()`` takes them."""
    return pack(f">{len(values)}d", *array("d", values))


def to_integer(value: Any, values: range, kind: str) -> int:
    """Return a number as ``int``, cut towards zero as asyncpg does; ``kind`` names the range."""
    if not hasattr(value, "__int__"):
        raise TypeError(f"an integer is required (got type '{type(value).__name__}')")
    number = int(value)
    if number not in values:
        raise OverflowError(f"value out of {kind} range")
    return number
