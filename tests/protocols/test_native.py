"""The Python form of the primitives; the compiled codecs use the C form of the same.

The two are compared where they are used: see the differential tests.
"""

from __future__ import annotations

import re
import struct
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.protocols import _native

NUMBERS = (
    *(("int16", "h"), ("int32", "i"), ("int64", "q"), ("uint16", "H"), ("uint32", "I")),
    *(("uint64", "Q"), ("float4", "f"), ("float8", "d")),
)


def test_every_primitive_has_a_c_form() -> None:
    text = Path(_native.__file__).with_suffix(".pxd").read_text()
    functions = re.findall(r"^cdef inline \D+?\b([a-z]\w*)\(", text, re.MULTILINE)
    functions += re.findall(r"^cdef inline \w+ \*?([a-z]\w*)\(", text, re.MULTILINE)
    assert set(_native.__all__) == set(functions)


@pytest.mark.parametrize(("name", "code"), NUMBERS)
@given(data=st.binary(min_size=12, max_size=12), position=st.integers(0, 4))
def test_numbers_are_read(name: str, code: str, data: bytes, position: int) -> None:
    read = getattr(_native, f"read_{name}")
    assert repr(read(data, position)) == repr(struct.unpack_from(f"!{code}", data, position)[0])


@pytest.mark.parametrize(("name", "code"), [pair for pair in NUMBERS if pair[0] != "uint64"])
@given(data=st.binary(min_size=8, max_size=8))
def test_numbers_are_appended(name: str, code: str, data: bytes) -> None:
    number = struct.unpack_from(f"!{code}", data)[0]
    out = bytearray(b"before")
    getattr(_native, f"append_{name}")(out, number)
    assert out == b"before" + struct.pack(f"!{code}", number)


@given(st.uuids())
def test_128_bits(value: uuid.UUID) -> None:
    assert _native.read_uuid_int(b"x" + value.bytes, 1) == value.int


def test_text_and_bytes() -> None:
    assert _native.read_text("xäöx".encode(), 1, 5) == "äö"
    with pytest.raises(UnicodeDecodeError):
        _native.read_text(b"\xff", 0, 1)
    out = bytearray(b"ab")
    _native.append_bytes(out, b"cd")
    _native.append_int32(out, 0)
    _native.put_int32(out, 4, -2)
    assert out == b"abcd\xff\xff\xff\xfe"


def test_the_end_of_a_field() -> None:
    out = bytearray(b"..\0\0\0\0abc")
    _native.end_field(out, 2)
    assert out == b"..\0\0\0\3abc"
    _native.end_field(out, 5)
    assert out[5:] == b"\0\0\0\0"


class Huge(bytearray):
    """Says that it is larger than it is."""

    def __len__(self) -> int:
        return 2**31 + 4


def test_a_field_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="value too large"):
        _native.end_field(Huge(), 0)


class Five:
    def __index__(self) -> int:
        return 5


@pytest.mark.parametrize("value", [0, -(2**63), 2**63 - 1, True, Five()])
def test_integers(value: Any) -> None:
    assert _native.as_int64(value) == value.__index__()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (2**63, OverflowError),
        (-(2**63) - 1, OverflowError),
        *[(value, TypeError) for value in (1.0, "1", None, Decimal(1))],
    ],
)
def test_what_is_no_integer(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        _native.as_int64(value)


@pytest.mark.parametrize("value", [0, -0.0, 1.5, float("inf"), 2**70, True, Decimal("0.5"), Five()])
def test_real_numbers(value: Any) -> None:
    number = _native.as_float8(value)
    assert type(number) is float
    assert repr(number) == repr(struct.unpack("d", struct.pack("d", value))[0])


@pytest.mark.parametrize(
    ("value", "error"),
    [
        *[(value, TypeError) for value in ("1", b"1", bytearray(b"1"), memoryview(b"1"), None, 1j)],
        (2**1024, OverflowError),
    ],
)
def test_what_is_no_real_number(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        _native.as_float8(value)


def test_what_is_filled_in_place() -> None:
    items = _native.new_items(2)
    _native.set_item(items, 1, "b")
    _native.set_item(items, 0, "a")
    assert _native.to_tuple(items) == ("a", "b")
    values = _native.new_list(2)
    _native.set_list_item(values, 1, "b")
    _native.set_list_item(values, 0, "a")
    assert values == ["a", "b"]
    room = _native.new_ascii(2)
    characters = _native.ascii_bytes(room)
    characters[0] = 65
    characters[1] = 66
    assert _native.to_text(room) == "AB"


class Slotted:
    __slots__ = ("value",)

    value: int

    def __init__(self) -> None:
        raise AssertionError("not to be called")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def test_objects_without_their_constructor() -> None:
    slotted = _native.new_object(Slotted)
    assert type(slotted) is Slotted
    _native.set_slot(Slotted.__dict__["value"], slotted, 5)
    assert slotted.value == 5
    _native.untrack(slotted)
    _native.track(slotted)


@given(st.dates())
def test_dates(value: date) -> None:
    _native.prepare_datetime()
    days = _native.days_of_date(value)
    assert days == (value - date.min).days
    assert _native.date_of_days(days) == value


@given(st.datetimes(), st.sampled_from([None, UTC]))
def test_datetimes(value: datetime, tzinfo: Any) -> None:
    microseconds = _native.microseconds_of_datetime(value.replace(tzinfo=tzinfo))
    assert microseconds == (value - datetime.min) // timedelta(microseconds=1)
    again = _native.datetime_of_microseconds(microseconds, tzinfo)
    assert again == value.replace(tzinfo=tzinfo)
    assert again.tzinfo is tzinfo


@given(st.times(), st.sampled_from([None, UTC]))
def test_times(value: time, tzinfo: Any) -> None:
    microseconds = _native.microseconds_of_time(value)
    assert _native.time_of_microseconds(microseconds, tzinfo) == value.replace(tzinfo=tzinfo)


@given(st.integers(-(10**8), 10**8), st.integers(-(2**60), 2**60))
def test_timedeltas(days: int, microseconds: int) -> None:
    expected = timedelta(days=days) + timedelta(microseconds=microseconds)
    assert _native.timedelta_of(days, microseconds) == expected
