"""The data types of §1.5, read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.mqtt._pair import integer
from wirekit.protocols.mqtt import Violation
from wirekit.protocols.mqtt._reader import Reader


def test_fields_one_after_the_other() -> None:
    reader = Reader(b"\x07\x01\x02\x01\x02\x03\x04\x80\x01\0\2ab\0\3\xe2\x82\xac\0\0rest")
    assert reader.byte("b") == 7
    assert reader.two_byte_integer("n") == 0x0102
    assert reader.four_byte_integer("n") == 0x01020304
    assert reader.variable_byte_integer("n") == 128
    assert reader.binary_data("d") == b"ab"
    assert reader.text("t") == "€"
    assert reader.text("t") == ""
    assert reader.remaining() == 4
    part = reader.part(3, "p")
    assert (part.remaining(), reader.remaining()) == (3, 1)
    assert part.byte("b") == ord("r")
    with pytest.raises(Violation, match="a packet with more bytes than it has fields"):
        reader.end("a packet")
    reader.byte("b")
    reader.end("a packet")


@pytest.mark.parametrize(
    ("method", "data"),
    [
        *(("byte", b""), ("two_byte_integer", b"\1"), ("four_byte_integer", b"\1\2\3")),
        *(("variable_byte_integer", b""), ("variable_byte_integer", b"\x80\x80")),
        *(("binary_data", b"\0"), ("binary_data", b"\0\3ab"), ("text", b"\0\1")),
    ],
)
def test_what_is_too_short(method: str, data: bytes) -> None:
    with pytest.raises(Violation, match=r"^a thing that does not fit its packet$"):
        getattr(Reader(data), method)("a thing")


def test_a_part_that_is_too_long() -> None:
    with pytest.raises(Violation, match="a thing that does not fit"):
        Reader(b"ab").part(3, "a thing")
    part = Reader(b"\0\2ab").part(3, "a thing")
    with pytest.raises(Violation):
        part.text("text")


# §1.5.5, table 1-1
SIZES = {1: (0, 127), 2: (128, 16383), 3: (16384, 2097151), 4: (2097152, 268435455)}


@pytest.mark.parametrize(("size", "bounds"), SIZES.items())
def test_variable_byte_integers(size: int, bounds: tuple[int, int]) -> None:
    for number in bounds:
        data = integer(number)
        assert len(data) == size
        assert Reader(data).variable_byte_integer("n") == number


@given(st.integers(0, 268435455))
def test_all_variable_byte_integers(number: int) -> None:
    assert Reader(integer(number)).variable_byte_integer("n") == number


@pytest.mark.parametrize("data", ["8000", "808000", "80808000", "ff00", "8080808001", "ffffffff7f"])
def test_variable_byte_integers_in_too_many_bytes(data: str) -> None:
    with pytest.raises(Violation, match=r"\[MQTT-1.5.5-1\]"):
        Reader(bytes.fromhex(data)).variable_byte_integer("n")


@pytest.mark.parametrize(
    ("data", "statement"),
    [
        *((b"\xff", "MQTT-1.5.4-1"), (b"\xc0\x80", "MQTT-1.5.4-1")),
        *((b"\xed\xa0\x80", "MQTT-1.5.4-1"), (b"\xed\xbf\xbf", "MQTT-1.5.4-1")),
        *((b"\xf4\x90\x80\x80", "MQTT-1.5.4-1"), (b"\xe2\x82", "MQTT-1.5.4-1")),
        *((b"\0", "MQTT-1.5.4-2"), (b"a\0b", "MQTT-1.5.4-2")),
    ],
)
def test_texts_that_are_none(data: bytes, statement: str) -> None:
    with pytest.raises(Violation) as caught:
        Reader(len(data).to_bytes(2, "big") + data).text("a text")
    assert caught.value.statement == statement
    assert repr(data) not in str(caught.value)


@pytest.mark.parametrize("text", ["\ufeff", "\ufeffa\ufeff", "\x01\x7f", "\uffff", "\U0010ffff"])
def test_texts_that_are_kept_as_they_are(text: str) -> None:
    data = text.encode()
    assert Reader(len(data).to_bytes(2, "big") + data).text("a text") == text  # [MQTT-1.5.4-3]
