"""Ranges and multiranges on the wire."""

from __future__ import annotations

import copy
import pickle
from struct import pack
from typing import Any

import pytest

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import Int4Codec
from wirekit.protocols.postgres._ranges import MultirangeCodec, RangeCodec
from wirekit.protocols.postgres._values import Range

RANGE = RangeCodec("int4range", Int4Codec("int4"))
MULTIRANGE = MultirangeCodec("int4multirange", RANGE)

UNBOUNDED = Range[Any]()
EMPTY = Range[Any](empty=True)
VECTORS: list[tuple[Any, bytes]] = [
    (Range(1, 5), pack("!Biiii", 0x02, 4, 1, 4, 5)),
    (Range(1, 5, upper_inc=True), pack("!Biiii", 0x06, 4, 1, 4, 5)),
    (Range(1, 5, lower_inc=False), pack("!Biiii", 0x00, 4, 1, 4, 5)),
    (Range(None, 5), pack("!Bii", 0x08, 4, 5)),
    (Range(1, None), pack("!Bii", 0x12, 4, 1)),
    (UNBOUNDED, pack("!B", 0x18)),
    (EMPTY, pack("!B", 0x01)),
]


@pytest.mark.parametrize(("value", "field"), VECTORS)
def test_vectors(value: Any, field: bytes) -> None:
    assert RANGE.encode(value) == field
    decoded = RANGE.decode(field)
    assert decoded == value
    assert (type(decoded), repr(decoded)) == (type(value), repr(value))
    assert hash(decoded) == hash(value)
    assert pickle.loads(pickle.dumps(decoded)) == copy.copy(decoded) == value
    for length in range(len(field)):
        with pytest.raises(RemoteProtocolError, match=r"type int4(range)? "):
            RANGE.decode(field[:length])
    with pytest.raises(RemoteProtocolError, match="longer than its bounds"):
        RANGE.decode(field + b"\0")


def test_flags_that_mean_nothing_to_us() -> None:
    assert RANGE.decode(pack("!B", 0xFF)) == EMPTY
    assert RANGE.decode(pack("!B", 0xFE)) == UNBOUNDED


@pytest.mark.parametrize("length", [-1, -2, 5, 2**31 - 1, -(2**31)])
def test_lying_lengths(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="shorter than its bounds"):
        RANGE.decode(pack("!Bii", 0x08, length, 1))
    with pytest.raises(RemoteProtocolError, match="shorter than one of its ranges"):
        MULTIRANGE.decode(pack("!iiB", 1, length, 0x18))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 5), Range(1, 5, upper_inc=True)),
        ([1, 5], Range(1, 5, upper_inc=True)),
        ((1,), Range(1, None)),
        ((None, 5), Range(None, 5, upper_inc=True)),
        ((None,), UNBOUNDED),
        ((), EMPTY),
    ],
)
def test_tuples_and_lists(value: Any, expected: Any) -> None:
    assert RANGE.decode(RANGE.encode(value)) == expected


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        *[(value, TypeError, "Range object expected") for value in (1, None, "secret", {1, 2})],
        ((1, 2, 3), ValueError, "expected 0, 1 or 2 elements"),
        (Range("secret", None), TypeError, "integer"),
        (Range(1, 2**31), OverflowError, "int32"),
    ],
)
def test_what_is_refused(value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        RANGE.encode(value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("count", range(4))
def test_multiranges(count: int) -> None:
    values = [value for value, _ in VECTORS[:count]]
    fields = [pack("!i", len(field)) + field for _, field in VECTORS[:count]]
    field = pack("!i", count) + b"".join(fields)
    assert MULTIRANGE.encode(values) == MULTIRANGE.encode(tuple(values)) == field
    assert MULTIRANGE.decode(field) == values
    for length in range(len(field)):
        with pytest.raises(RemoteProtocolError):
            MULTIRANGE.decode(field[:length])
    with pytest.raises(RemoteProtocolError, match="longer than its ranges"):
        MULTIRANGE.decode(field + b"\0")


@pytest.mark.parametrize("count", [-1, 2, 2**31 - 1])
def test_lying_counts(count: int) -> None:
    with pytest.raises(RemoteProtocolError, match="too short for its number of ranges"):
        MULTIRANGE.decode(pack("!iiB", count, 1, 0x18))


@pytest.mark.parametrize("value", [1, None, "x", b"x", Range(1, 2), {1}])
def test_what_is_no_multirange(value: Any) -> None:
    with pytest.raises(TypeError, match="expected a sequence"):
        MULTIRANGE.encode(value)


def test_what_is_no_range_in_a_multirange() -> None:
    with pytest.raises(TypeError, match="Range object expected"):
        MULTIRANGE.encode([1])
