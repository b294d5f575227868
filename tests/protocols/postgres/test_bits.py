"""Bit strings on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._rare import (
    VALUES,
    check_round_trip,
    check_truncations,
    decodes_or_refuses,
)
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._bits import TYPES
from wirekit.protocols.postgres._values import BitString

VECTORS = [
    (BitString(), "00000000"),
    (BitString("1"), "0000000180"),
    (BitString("10110000"), "00000008b0"),
    (BitString("101100001"), "00000009b080"),
]


def encode(name: str, value: Any) -> bytes:
    function = TYPES[name].encode
    assert function is not None
    return function(value)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(("value", "field"), VECTORS)
def test_vectors(name: str, value: BitString, field: str) -> None:
    assert TYPES[name].decode(bytes.fromhex(field)) == value
    assert encode(name, value).hex() == field
    check_truncations(name, TYPES[name], bytes.fromhex(field))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    check_round_trip(TYPES[name], data.draw(VALUES[name]))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.binary(max_size=10))
def test_any_bytes(name: str, data: bytes) -> None:
    decodes_or_refuses(name, TYPES[name], data)


@pytest.mark.parametrize(
    "value", [b"ab", bytearray(b"ab"), memoryview(b"ab"), memoryview(b"a_b_")[::2]]
)
def test_bytes_are_all_their_bits(value: Any) -> None:
    assert encode("varbit", value).hex() == "000000106162"


@pytest.mark.parametrize("wrong", ["101", 5, None])
def test_what_is_no_bit_string(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a bytes-like object is required"):
        encode("varbit", wrong)


@pytest.mark.parametrize("field", ["ffffffff", "00000000ff", "00000008ffff", "7fffffffff"])
def test_a_lying_number_of_bits(field: str) -> None:
    with pytest.raises(RemoteProtocolError, match="type bit: the number of bits"):
        TYPES["bit"].decode(bytes.fromhex(field))
