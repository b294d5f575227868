"""Big-endian numbers in and out of buffers: what Python needs `struct` for and C a few loads.

The codecs call these as ``_native.read_int32(data, position)``. Compiled, the inline functions of
_native.pxd stand in their place; ``data`` is then a bare pointer, so whoever calls has checked the
length. Both do the same.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from math import ldexp
from operator import index
from struct import Struct
from typing import Any

__all__ = [
    "append_bytes",
    "append_field32",
    "append_field64",
    "append_float4",
    "append_float8",
    "append_int16",
    "append_int32",
    "append_int64",
    "append_native16",
    "append_native32",
    "append_native64",
    "append_span",
    "append_text_field",
    "append_uint16",
    "append_uint32",
    "as_float8",
    "as_int64",
    "ascii_bytes",
    "date_of_days",
    "datetime_of_microseconds",
    "days_of_date",
    "end_field",
    "microseconds_of_datetime",
    "microseconds_of_time",
    "new_ascii",
    "new_items",
    "new_list",
    "new_object",
    "prepare_datetime",
    "put_int32",
    "put_span",
    "read_float4",
    "read_float8",
    "read_int16",
    "read_int32",
    "read_int64",
    "read_text",
    "read_uint16",
    "read_uint32",
    "read_uint64",
    "read_uuid_int",
    "set_item",
    "set_list_item",
    "set_slot",
    "time_of_microseconds",
    "timedelta_of",
    "to_text",
    "to_tuple",
    "track",
    "untrack",
]

_INT16 = Struct("!h")
_UINT16 = Struct("!H")
_INT32 = Struct("!i")
_UINT32 = Struct("!I")
_INT64 = Struct("!q")
_FIELD32 = Struct("!ii")
_FIELD64 = Struct("!iq")
_UINT64 = Struct("!Q")
_FLOAT4 = Struct("!f")
_FLOAT8 = Struct("!d")
_NATIVE16 = Struct("=h")
_NATIVE32 = Struct("=i")
_NATIVE64 = Struct("=q")


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


def read_uuid_int(data: bytes, position: int) -> int:
    """Return the unsigned integer of a UUID's 16 bytes."""
    return int.from_bytes(data[position : position + 16], "big")


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


def append_field32(out: bytearray, number: int) -> None:
    """Append a field of 4 bytes: its length, and a signed integer that is known to fit."""
    out += _FIELD32.pack(4, number)


def append_field64(out: bytearray, number: int) -> None:
    """Append a field of 8 bytes: its length, and a signed integer that is known to fit."""
    out += _FIELD64.pack(8, number)


def append_text_field(out: bytearray, text: str) -> None:
    """Append a field of a string in UTF-8: its length, and the bytes."""
    data = text.encode()
    if len(data) > 0x7FFFFFFF:
        raise OverflowError("text of 2 GiB or more")
    out += _INT32.pack(len(data))
    out += data


def append_uint16(out: bytearray, number: int) -> None:
    """Append 2 bytes of an unsigned integer that is known to fit."""
    out += _UINT16.pack(number)


def append_uint32(out: bytearray, number: int) -> None:
    """Append 4 bytes of an unsigned integer that is known to fit."""
    out += _UINT32.pack(number)


def append_float4(out: bytearray, number: float) -> None:
    """Append 4 bytes of an IEEE 754 number that is known to fit."""
    out += _FLOAT4.pack(number)


def append_float8(out: bytearray, number: float) -> None:
    """Append 8 bytes of an IEEE 754 number."""
    out += _FLOAT8.pack(number)


def append_bytes(out: bytearray, data: bytes) -> None:
    """Append bytes."""
    out += data


def append_span(out: bytearray, data: bytes, start: int, end: int) -> None:
    """Append ``data[start:end]``."""
    out += data[start:end]


def append_native16(out: bytearray, number: int) -> None:
    """Append 2 bytes, in the order of this machine, of a signed integer that is known to fit."""
    out += _NATIVE16.pack(number)


def append_native32(out: bytearray, number: int) -> None:
    """Append 4 bytes, in the order of this machine, of a signed integer that is known to fit."""
    out += _NATIVE32.pack(number)


def append_native64(out: bytearray, number: int) -> None:
    """Append 8 bytes, in the order of this machine, of a signed integer that is known to fit."""
    out += _NATIVE64.pack(number)


def put_span(out: bytearray, position: int, data: bytes, start: int, end: int) -> None:
    """Overwrite bytes, which are there, by ``data[start:end]``."""
    out[position : position + end - start] = data[start:end]


def put_int32(out: bytearray, position: int, number: int) -> None:
    """Overwrite the 4 bytes at ``position``."""
    _INT32.pack_into(out, position, number)


def end_field(out: bytearray, position: int) -> None:
    """Put into the 4 bytes at ``position`` how many bytes come after them.

    Raises:
        ValueError: they are too many for an int32.
    """
    length = len(out) - position - 4
    if length > 0x7FFFFFFF:
        raise ValueError("value too large")
    put_int32(out, position, length)


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
    return ldexp(value, 0)  # float() takes text as well


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
    """Tell the garbage collector to leave ``value`` alone, for good if it is made of atoms."""


def track(value: Any) -> None:
    """Tell the garbage collector to look after ``value`` again."""


def new_list(count: int) -> list[Any]:
    """Return a list with room for ``count`` items, all of which are to be put in."""
    return [None] * count


def set_list_item(items: list[Any], number: int, value: Any) -> None:
    """Put an item in its place in a new list, once."""
    items[number] = value


# ASCII text that is filled in place; in Python a bytearray has to do until it is full.


def new_ascii(size: int) -> bytearray:
    """Return room for ``size`` characters."""
    return bytearray(size)


def ascii_bytes(room: bytearray) -> bytearray:
    """Return the characters, each of which is to be set to its code."""
    return room


def to_text(room: bytearray) -> str:
    """Return the filled text."""
    return room.decode("ascii")


# Objects whose constructors do more than is needed.


def new_object(of: type[Any]) -> Any:
    """Return an object of a class with slots, without ``__init__``; not for its subclasses."""
    return object.__new__(of)


def set_slot(slot: Any, owner: Any, value: Any) -> None:
    """Set what ``__slots__`` made the descriptor ``slot`` for, whatever ``__setattr__`` says."""
    slot.__set__(owner, value)


# Dates and times; days and microseconds are counted from 0001-01-01 on.

_FIRST = datetime.min


def prepare_datetime() -> None:
    """Make ready for what follows; to be called when a module is imported."""


def date_of_days(days: int) -> date:
    """Return the date so many days after 0001-01-01, up to 9999-12-31."""
    return date.fromordinal(days + 1)


def days_of_date(value: date) -> int:
    """Return how many days after 0001-01-01 it is."""
    return value.toordinal() - 1


def datetime_of_microseconds(microseconds: int, tzinfo: Any) -> datetime:
    """Return the datetime so long after 0001-01-01, up to the end of 9999, with this tzinfo."""
    return (_FIRST + timedelta(microseconds=microseconds)).replace(tzinfo=tzinfo)


def microseconds_of_datetime(value: datetime) -> int:
    """Return how long after 0001-01-01 it is by its own clock, whatever its tzinfo."""
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return ((value.toordinal() - 1) * 86400 + seconds) * 1000000 + value.microsecond


def time_of_microseconds(microseconds: int, tzinfo: Any) -> time:
    """Return the time so long after midnight, less than a day, with this tzinfo."""
    seconds, microsecond = divmod(microseconds, 1000000)
    minutes, second = divmod(seconds, 60)
    return time(minutes // 60, minutes % 60, second, microsecond, tzinfo)


def microseconds_of_time(value: time) -> int:
    """Return how long after midnight it is."""
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return seconds * 1000000 + value.microsecond


def timedelta_of(days: int, microseconds: int) -> timedelta:
    """Return the sum of the two, which is less than 1 000 000 000 days either way."""
    return timedelta(days, 0, microseconds)
