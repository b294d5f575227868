"""The values of types that Python has none for; asyncpg's own are the oracle."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.protocols.postgres._values import (
    BitString,
    Box,
    Circle,
    Line,
    LineSegment,
    Path,
    Point,
    Polygon,
    Range,
)

oracle: Any = importlib.import_module("asyncpg.types")

# Range

BOUNDS = st.none() | st.integers(-3, 3)
RANGES = st.fixed_dictionaries(
    {"lower": BOUNDS, "upper": BOUNDS},
    optional={"lower_inc": st.booleans(), "upper_inc": st.booleans(), "empty": st.booleans()},
)
ATTRIBUTES = "lower upper lower_inc upper_inc lower_inf upper_inf isempty".split()


@given(RANGES)
def test_a_range_is_asyncpgs(arguments: dict[str, Any]) -> None:
    ours, theirs = Range[int](**arguments), oracle.Range(**arguments)
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(theirs, name)
    assert repr(ours) == str(ours) == repr(theirs)
    assert bool(ours) == bool(theirs)


@given(RANGES, RANGES)
def test_ranges_compare_as_asyncpgs(first: dict[str, Any], second: dict[str, Any]) -> None:
    ours, theirs = Range[int](**first), oracle.Range(**first)
    our_other, their_other = Range[int](**second), oracle.Range(**second)
    assert (ours == our_other) == (theirs == their_other)
    assert ours.issubset(our_other) == theirs.issubset(their_other)
    assert ours.issuperset(our_other) == theirs.issuperset(their_other)
    if ours == our_other:
        assert hash(ours) == hash(our_other)


def test_a_range_is_not_equal_to_other_things() -> None:
    assert Range(1, 2) != (1, 2)


def test_a_range_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Range(1, 2).lower = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


# BitString

BITS = st.text("01", max_size=40)
ORDERS = st.sampled_from(["big", "little"])


@given(st.text("01 ", max_size=40))
def test_a_bit_string_is_asyncpgs(text: str) -> None:
    ours, theirs = BitString(text), oracle.BitString(text)
    assert ours.bytes == theirs.bytes
    assert len(ours) == len(theirs)
    assert list(ours) == list(theirs)
    assert repr(ours) == str(ours) == repr(theirs)
    assert ours.as_string() == theirs.as_string()
    for order in ("big", "little"):
        for signed in (False, True):
            assert ours.to_int(order, signed=signed) == theirs.to_int(order, signed=signed)


@given(BITS, BITS)
def test_bit_strings_compare(first: str, second: str) -> None:
    assert (BitString(first) == BitString(second)) == (first == second)
    assert hash(BitString(first)) == hash(BitString(first))
    assert BitString(first) != first


@given(BITS)
def test_bits_by_index(text: str) -> None:
    bits = BitString([int(bit) for bit in text])
    assert bits == BitString(text)
    for position in range(-len(text), len(text)):
        assert bits[position] == int(text[position])
    for position in (len(text), -len(text) - 1):
        with pytest.raises(IndexError):
            bits[position]


def test_bits_have_no_slices() -> None:
    bits: Any = BitString("01")
    with pytest.raises(NotImplementedError):
        bits[:1]


@pytest.mark.parametrize("wrong", ["012", "0b1", [2], b"01", "ß"])
def test_what_is_no_bit(wrong: Any) -> None:
    with pytest.raises(ValueError, match="invalid bit value at position"):
        BitString(wrong)


@given(st.binary(max_size=5), st.integers(0, 7))
def test_bits_from_bytes(data: bytes, unused: int) -> None:
    assert BitString.frombytes(data).bytes == data
    assert len(BitString.frombytes(data)) == len(data) * 8
    if data:
        length = len(data) * 8 - unused
        bits = BitString.frombytes(data, length)
        assert len(bits) == length
        assert list(bits) == list(oracle.BitString.frombytes(data, length))


def test_bits_without_bytes_are_zeros() -> None:
    assert BitString.frombytes() == BitString()
    assert BitString.frombytes(None, 8) == BitString("00000000")
    assert BitString.frombytes(None, 9) == BitString("000000000")


@pytest.mark.parametrize(
    ("data", "length"), [(b"", 1), (b"a", 0), (b"ab", 8), (b"a", 9), (b"", -1)]
)
def test_a_wrong_bit_length(data: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="invalid bit length specified"):
        BitString.frombytes(data, length)


@given(st.integers(-300, 300), st.integers(0, 9), ORDERS, st.booleans())
def test_bits_from_a_number(number: int, length: int, order: Any, signed: bool) -> None:
    too_small = number < -(1 << length - 1 if length else 0)
    if number >= 1 << length or (too_small if signed else number < 0):
        with pytest.raises(OverflowError):
            BitString.from_int(number, length, order, signed=signed)
        return
    bits = BitString.from_int(number, length, order, signed=signed)
    theirs = oracle.BitString.from_int(number, length, order, signed=signed)
    assert (bits.bytes, len(bits)) == (theirs.bytes, len(theirs))
    assert bits.to_int(order) == number % (1 << length)


def test_what_from_int_and_to_int_refuse() -> None:
    wrong: Any = "middle"
    with pytest.raises(ValueError, match="bitorder"):
        BitString.from_int(1, 4, wrong)
    with pytest.raises(ValueError, match="bitorder"):
        BitString("1").to_int(wrong)
    with pytest.raises(ValueError, match="non-negative"):
        BitString.from_int(1, -1)


def test_long_bit_strings_take_no_square_time() -> None:
    bits = BitString("01" * 500_000)
    assert len(bits.as_string()) == 1_000_000 + 249_999
    assert BitString.from_int(bits.to_int(), 1_000_000) == bits


# Figures

A, B = Point(1, 2), Point(3, 4.5)
MODULE = Point.__module__


def test_a_point() -> None:
    assert (A.x, A.y) == A == (1.0, 2.0)
    assert Point("1", 2) == A
    assert hash(A) == hash((1.0, 2.0))
    assert repr(A) == f"{MODULE}.Point((1.0, 2.0))"


@pytest.mark.parametrize("figure", [Box, LineSegment])
def test_figures_of_two_points(figure: Any) -> None:
    value = figure((1, 2), [3, 4.5])
    assert value == (A, B)
    assert all(type(point) is Point for point in value)
    assert repr(value) == f"{MODULE}.{figure.__name__}(({A!r}, {B!r}))"


def test_names_of_points() -> None:
    box, segment = Box(B, A), LineSegment(A, B)
    assert (box.high, box.low) == (B, A)
    assert (segment.p1, segment.p2) == (A, B)


def test_a_line() -> None:
    line = Line(1.0, 2.0, 3.0)
    assert (line.A, line.B, line.C) == line == (1.0, 2.0, 3.0)
    assert repr(line) == "(1.0, 2.0, 3.0)"


def test_a_circle() -> None:
    circle = Circle((1, 2), 3.0)
    assert (circle.center, circle.radius) == circle == ((1.0, 2.0), 3.0)
    assert type(circle.center) is Point


def test_a_path() -> None:
    path = Path((1, 2), [3, 4.5])
    assert path.points == tuple(path) == (A, B)
    assert not path.is_closed
    assert len(path) == 2
    assert path[1] == B
    assert path[:1] == (A,)
    assert A in path
    assert (5, 6) not in path
    assert path == Path(A, B)
    assert hash(path) == hash(Path(A, B))
    assert path != Path(A, B, is_closed=True)
    assert path != (A, B)
    assert repr(path) == f"<Path open ({A!r}, {B!r})>"


def test_a_polygon() -> None:
    polygon = Polygon((1, 2), B)
    assert polygon.is_closed
    assert polygon == Path(A, B, is_closed=True)
    assert repr(polygon) == f"<Polygon closed ({A!r}, {B!r})>"


VALUES = [
    *(A, Box(A, B), LineSegment(A, B), Line(1, 2, 3), Circle(A, 3), Path(A, B), Polygon(A, B)),
    *(BitString("0101"), Range(1, 5), Range[int](empty=True)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_can_be_copied_and_pickled(value: Any) -> None:
    for again in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert again == value
        assert type(again) is type(value)
