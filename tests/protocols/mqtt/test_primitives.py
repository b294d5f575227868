"""The Python form of the primitives; the compiled codec uses the C form of the same.

The two are compared where they are used: see the differential tests.
"""

from __future__ import annotations

import re
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.protocols.mqtt import _primitives


def test_every_primitive_has_a_c_form() -> None:
    text = Path(_primitives.__file__).with_suffix(".pxd").read_text()
    functions = re.findall(r"^cdef inline [\w ]+? \*?([a-z]\w*)\(", text, re.MULTILINE)
    assert set(_primitives.__all__) == set(functions)


@pytest.mark.parametrize(
    "data",
    [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"xabcx")[1:4], array("b", b"abc")],
)
def test_buffers(data: Any) -> None:
    buffer = _primitives.open_buffer(data)
    assert _primitives.buffer_data(buffer) == b"abc"
    assert _primitives.buffer_size(buffer) == 3
    _primitives.close_buffer(buffer)


def test_what_is_no_buffer() -> None:
    with pytest.raises(TypeError):
        _primitives.open_buffer("abc")
    with pytest.raises(BufferError):
        _primitives.open_buffer(memoryview(b"abcd")[::2])


@given(st.binary(min_size=8, max_size=8), st.integers(0, 4))
def test_numbers(data: bytes, position: int) -> None:
    assert _primitives.read_uint16(data, position) == int.from_bytes(data[position : position + 2])
    assert _primitives.read_uint32(data, position) == int.from_bytes(data[position : position + 4])


def test_spans() -> None:
    assert _primitives.read_bytes(b"abcd", 1, 3) == b"bc"
    assert _primitives.read_text("aäb".encode(), 1, 3) == "ä"
    with pytest.raises(UnicodeDecodeError):
        _primitives.read_text(b"a\xff", 1, 2)
    assert _primitives.has_null(b"\0a\0", 0, 1)
    assert not _primitives.has_null(b"\0a\0", 1, 2)
    assert _primitives.same_span(b"bc", b"abcd", 1, 3)
    assert not _primitives.same_span(b"bc", b"abcd", 1, 4)


@given(st.binary(max_size=40), st.binary(max_size=3))
def test_the_same_bytes_have_the_same_hash(data: bytes, before: bytes) -> None:
    number = _primitives.hash_span(data, 0, len(data))
    assert 0 <= number < 2**31
    shifted = before + data + b"behind"
    assert _primitives.hash_span(shifted, len(before), len(before) + len(data)) == number


def test_new_bytes_are_filled() -> None:
    room = _primitives.new_bytes(9)
    place = _primitives.place_of(room)
    place[0] = 0xFF
    position = _primitives.put_bytes(place, 1, b"ab")
    position = _primitives.put_span(place, position, b"xcdx", 1, 3)
    position = _primitives.put_text(place, position, "ä")
    assert position == 7
    assert _primitives.put_bytes(place, position, b"ef") == 9
    assert _primitives.to_bytes(room) == b"\xffabcd\xc3\xa4ef"
    assert _primitives.text_size("ä€😀") == 9
    with pytest.raises(UnicodeEncodeError):
        _primitives.text_size("\ud800")
