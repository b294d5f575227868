"""Arrays on the wire."""

from __future__ import annotations

import tracemalloc
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import Int4Codec, TextCodec, TypeCodec, TypeMap
from wirekit.protocols.postgres._arrays import AnyArrayCodec, ArrayCodec, array_sizes
from wirekit.protocols.postgres._faults import OutdatedType, UnknownType
from wirekit.protocols.postgres._values import BitString

INTS = ArrayCodec("int4[]", Int4Codec("int4"), 23)
TEXTS = ArrayCodec("text[]", TextCodec("text"), 25)
ANY = AnyArrayCodec("anyarray", TypeMap().codec)


def header(*sizes: int, element: int = 23, lower: int = 1, nulls: int = 0) -> bytes:
    """Return what stands before the elements."""
    dimensions = b"".join([pack("!ii", size, lower) for size in sizes])
    return pack("!iiI", len(sizes), nulls, element) + dimensions


def ints(*values: int | None) -> bytes:
    """Return elements with their lengths."""
    return b"".join(
        [pack("!i", -1) if value is None else pack("!ii", 4, value) for value in values]
    )


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([1, None, -2], header(3) + ints(1, None, -2)),
        ([[1, 2], [3, 4]], header(2, 2) + ints(1, 2, 3, 4)),
        ([[[[[[7]]]]]], header(1, 1, 1, 1, 1, 1) + ints(7)),
        ([[1, 2, 3], [4, 5, 6]], header(2, 3) + ints(1, 2, 3, 4, 5, 6)),
        ([[[1], [2]], [[3], [4]], [[5], [None]]], header(3, 2, 1) + ints(1, 2, 3, 4, 5, None)),
    ],
)
def test_vectors(value: list[Any], field: bytes) -> None:
    assert INTS.encode(value) == field
    assert INTS.decode(field) == value
    assert ANY.decode(field) == value
    for codec in (INTS, ANY):
        for length in range(len(field)):
            with pytest.raises(RemoteProtocolError, match=f"type {codec.name.rstrip('[]')}"):
                codec.decode(field[:length])
        with pytest.raises(RemoteProtocolError, match="longer than its items"):
            codec.decode(field + b"\0")


@pytest.mark.parametrize("field", [header(), header(0), header(0, 0)])
def test_empty_arrays(field: bytes) -> None:
    assert INTS.decode(field) == []


def test_an_array_of_empty_arrays_is_sent_for_an_empty_one() -> None:
    assert INTS.encode([]) == header(0)
    assert INTS.encode([[], []]) == header(2, 0)


def test_lower_bounds_and_flags_are_passed_over() -> None:
    assert INTS.decode(header(2, lower=-5, nulls=1) + ints(1, None)) == [1, None]


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts(value: list[str | None]) -> None:
    assert TEXTS.decode(TEXTS.encode(value)) == value


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        (b"", "without its header"),
        (pack("!iiI", -1, 0, 23), "of -1 dimensions"),
        (header(*[1] * 7) + ints(1), "of 7 dimensions"),
        (pack("!iiI", 2**31 - 1, 0, 23), "of 2147483647 dimensions"),
        (pack("!iiI", 1, 0, 23), "without its dimensions"),
        (header(2**31 - 1), "too short for its dimensions"),
        (header(*[2**31 - 1] * 6), "too short for its dimensions"),
        (header(2**16, 2**16, 2**16, 2**16) + ints(1), "too short for its dimensions"),
        (header(-1), "too short for its dimensions"),
        (header(-1, -1) + ints(1), "too short for its dimensions"),
        (header(2) + ints(1), None),
        (header(1) + pack("!i", -2), "shorter than one of its items"),
        (header(1) + pack("!i", 2**31 - 1), "shorter than one of its items"),
        (header(1) + pack("!ih", 2, 5), "type int4 in 2 bytes"),
        (header(3) + ints(1, 2) + b"\0\0", None),
    ],
)
def test_malformed_fields(field: bytes, fault: str | None) -> None:
    with pytest.raises(RemoteProtocolError, match=fault):
        INTS.decode(field)


def test_lying_counts_allocate_nothing() -> None:
    fields = [header(2**31 - 1), header(2**20, 2**20), header(*[2**31 - 1] * 6) + bytes(4000)]
    tracemalloc.start()
    for field in fields:
        with pytest.raises(RemoteProtocolError):
            INTS.decode(field)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_another_element_type() -> None:
    with pytest.raises(OutdatedType, match="elements of type 25 where 23 was known") as caught:
        INTS.decode(header(1, element=25) + ints(1))
    assert caught.value.type_name == "int4[]"


def test_any_array() -> None:
    assert ANY.decode(header(1, element=25) + pack("!i1s", 1, b"x")) == ["x"]
    with pytest.raises(UnknownType) as caught:
        ANY.decode(header(1, element=4_000_000_000) + ints(1))
    assert caught.value.oid == 4_000_000_000
    with pytest.raises(ValueError, match="regclass, which is read as text only"):
        ANY.decode(header(1, element=2205) + ints(1))
    with pytest.raises(RemoteProtocolError, match="within another"):
        ANY.decode(header(1, element=2277) + ints(1))
    with pytest.raises(RemoteProtocolError, match="without its header"):
        ANY.decode(bytes(11))
    with pytest.raises(TypeError, match="cannot be sent"):
        ANY.encode([1])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        ({7}, [7]),
        (range(3), [0, 1, 2]),
        ([range(2), range(2, 4)], [[0, 1], [2, 3]]),
        ({1: 2}.keys(), [1]),
        ([], []),
        ([None, None], [None, None]),
        ([True], [1]),
    ],
)
def test_what_else_is_taken(value: Any, expected: list[Any]) -> None:
    assert INTS.decode(INTS.encode(value)) == expected


class Uneven:
    """A container that has other items than it says."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter([1, 2])


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        *[(value, TypeError, "sized iterable container") for value in (1, None, "x", b"x")],
        *[(value, TypeError, "sized iterable") for value in (bytearray(1), {1: 2}, iter([1]))],
        ([[1], 2], ValueError, "non-homogeneous"),
        ([[1, 2], [3]], ValueError, "non-homogeneous"),
        ([[[1]], [[2], [3]]], ValueError, "non-homogeneous"),
        ([1, [2]], ValueError, "array element at index 1"),
        ([None, [1]], ValueError, "array element at index 1"),
        (["secret"], ValueError, "array element at index 0"),
        ([(1, 2)], ValueError, "array element at index 0"),
        ([2**31], OverflowError, "int32"),
        ([[[[[[[1]]]]]]], ValueError, "dimensions"),
        (Uneven(), ValueError, "non-homogeneous"),
        ([Uneven(), Uneven()], ValueError, "non-homogeneous"),
    ],
)
def test_what_is_refused(value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        INTS.encode(value)
    assert "secret" not in str(caught.value)


def test_a_list_within_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="dimensions"):
        INTS.encode(endless)


def test_the_end_of_a_decoder_of_the_users() -> None:
    class Odd(Exception):
        pass

    def fail(oid: int) -> TypeCodec | None:
        raise Odd

    with pytest.raises(Odd):
        AnyArrayCodec("anyarray", fail).decode(header(1) + ints(1))


def test_sizes() -> None:
    assert array_sizes([]) == (0,)
    assert array_sizes([[1, 2]]) == (1, 2)
    assert array_sizes([(1, 2)]) == (1,)
    assert array_sizes(["ab"]) == (1,)
    assert array_sizes([BitString("101"), None]) == (2,)
