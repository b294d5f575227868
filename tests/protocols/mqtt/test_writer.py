"""PUBLISH and plain acknowledgements, written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.mqtt._pair import block, integer, packet
from wirekit.protocols.mqtt import Publish
from wirekit.protocols.mqtt._writer import (
    integer_size,
    publish_length,
    write_acknowledgement,
    write_publish,
)


@given(st.integers(0, 268435455) | st.sampled_from([127, 128, 16383, 16384, 2097151, 2097152]))
def test_the_size_of_an_integer(number: int) -> None:
    assert integer_size(number) == len(integer(number))


@pytest.mark.parametrize("size", [0, 100, 121, 122, 16000, 16376, 16377, 2097144])
@pytest.mark.parametrize("whole", [True, False])
def test_any_size(size: int, whole: bool) -> None:
    message = Publish("a", bytes(size))
    length = publish_length(message, 5, 0, b"")
    wire = write_publish(message, 5, 0, b"", 0, length, True)
    assert wire == packet(0x30, "a", 0, bytes(size))
    head = write_publish(message, 5, 0, b"", 0, length, False)
    assert head == wire[: len(wire) - size]


@pytest.mark.parametrize("properties", [b"", b"\x01\x01", b"\x03\0\x80" + b"x" * 128])
@pytest.mark.parametrize(
    ("alias", "given", "topic"), [(0, b"", "ä/b"), (7, b"#\0\7", ""), (-300, b"#\1\x2c", "ä/b")]
)
def test_aliases_and_properties(properties: bytes, alias: int, given: bytes, topic: str) -> None:
    message = Publish("ä/b", b"xyz", 1, True, True)
    length = publish_length(message, 5, alias, properties)
    wire = write_publish(message, 5, alias, properties, 258, length, True)
    assert wire == packet(0x3B, topic, b"\1\2", block(given, properties), b"xyz")


def test_3_1_1_has_no_properties() -> None:
    message = Publish("a", b"x", 2)
    length = publish_length(message, 4, 0, b"")
    assert write_publish(message, 4, 0, b"", 1, length, True) == packet(0x34, "a", b"\0\1", b"x")


def test_acknowledgements() -> None:
    assert write_acknowledgement(0x62, 0xABCD) == b"\x62\x02\xab\xcd"
