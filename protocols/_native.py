"""Big-endian numbers in and out of buffers: what Python needs `struct` for and C a few loads.

The codecs call these as ``_native.read_int32(data, position)``. Compiled, the inline functions of
_native.pxd stand in their place; ``data`` is then a bare pointer, so whoever calls has checked the
length. Both do the same.
"""

from __future__ import annotations

from operator import index
from struct import Struct
from typing import Any

__all__ = [
    "append_bytes",
    "append_float4",
    "append_float8",
    "append_int16",
    "append_int32",
    "append_int64",
    "as_float8",
    "as_int64",
    "new_items",
    "put_int32",
    "read_float4",
    "read_float8",
    "read_int16",
    "read_int32",
    "read_int64",
    "read_text",
    "read_uint16",
    "read_uint32",
    "read_uint64",
    "set_item",
    "to_tuple",
    "untrack",
]

_INT16 = Struct("!h")
_UINT16 = Struct("!H")
_INT32 = Struct("!i")
_UINT32 = Struct("!I")
_INT64 = Struct("!q")
_UINT64 = Struct("!Q")
_FLOAT4 = Struct("!f")
_FLOAT8 = Struct("!d")


def read_int16(data: bytes, position: int) -> int:
    """Return the signed integer of 2 bytes."""
    number: int = _INT16.unpack_from(data, position)[0]
    return number


def read_uint16(data: bytes, position: int) -> int:
    """Return the unsigned integer of 2 bytes."""
    number: int = _UINT16.unpack_from(data, position)[0]
    return number


def read_int32(data: bytes, position: int) -> int:
    """Return the signed integer of 4 bytes."""
    number: int = _INT32.unpack_from(data, position)[0]
    return number


def read_uint32(data: bytes, position: int) -> int:
    """Return the unsigned integer of 4 bytes."""
    number: int = _UINT32.unpack_from(data, position)[0]
    return number


def read_int64(data: bytes, position: int) -> int:
    """Return the signed integer of 8 bytes."""
    number: int = _INT64.unpack_from(data, position)[0]
    return number


def read_uint64(data: bytes, position: int) -> int:
    """Return the unsigned integer of 8 bytes."""
    number: int = _UINT64.unpack_from(data, position)[0]
    return number


def read_float4(data: bytes, position: int) -> float:
    """Return the IEEE 754 number of 4 bytes."""
    number: float = _FLOAT4.unpack_from(data, position)[0]
    return number


def read_float8(data: bytes, position: int) -> float:
    """Return the IEEE 754 number of 8 bytes."""
    number: float = _FLOAT8.unpack_from(data, position)[0]
    return number


def read_text(data: bytes, start: int, end: int) -> str:
    """Return UTF-8 as text.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return data[start:end].decode()


def append_int16(out: bytearray, number: int) -> None:
    """Append 2 bytes of a signed integer that is known to fit."""
    out += _INT16.pack(number)


def append_int32(out: bytearray, number: int) -> None:
    """Append 4 bytes of a signed integer that is known to fit."""
    out += _INT32.pack(number)


def append_int64(out: bytearray, number: int) -> None:
    """Append 8 bytes of a signed integer that is known to fit."""
    out += _INT64.pack(number)


def append_float4(out: bytearray, number: float) -> None:
    """Append 4 bytes of an IEEE 754 number that is known to fit."""
    out += _FLOAT4.pack(number)


def append_float8(out: bytearray, number: float) -> None:
    """Append 8 bytes of an IEEE 754 number."""
    out += _FLOAT8.pack(number)


def append_bytes(out: bytearray, data: bytes) -> None:
    """Append bytes."""
    out += data


def put_int32(out: bytearray, position: int, number: int) -> None:
    """Overwrite the 4 bytes at ``position``."""
    _INT32.pack_into(out, position, number)


def as_int64(value: Any) -> int:
    """Return an integer, or what has ``__index__``, that fits 64 bits.

    Raises:
        TypeError: it is none.
        OverflowError: it does not fit.
    """
    number = index(value)
    if not -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        raise OverflowError("value out of int64 range")
    return number


def as_float8(value: Any) -> float:
    """Return a number as a float.

    Raises:
        TypeError: it is none.
    """
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    return float(value)


# A tuple that is filled in place; in Python a list has to do until it is full.


def new_items(count: int) -> list[Any]:
    """Return room for ``count`` items."""
    return [None] * count


def set_item(items: list[Any], number: int, value: Any) -> None:
    """Put an item in its place, once."""
    items[number] = value


def to_tuple(items: list[Any]) -> tuple[Any, ...]:
    """Return the filled items."""
    return tuple(items)


def untrack(value: Any) -> None:
    """Tell the garbage collector that ``value`` is in no cycle; it is made of atoms."""
