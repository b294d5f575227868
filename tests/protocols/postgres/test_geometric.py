"""Points and figures on the wire."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._rare import (
    VALUES,
    check_round_trip,
    check_truncations,
    damaged,
    decodes_or_refuses,
)
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._geometric import TYPES
from wirekit.protocols.postgres._values import (
    Box,
    Circle,
    Line,
    LineSegment,
    Path,
    Point,
    Polygon,
)

TWO_POINTS = b"\0\0\0\2" + pack(">4d", 1, 2, 3, 4.5)
VECTORS: list[tuple[str, Any, bytes]] = [
    ("point", Point(1, -2.5), bytes.fromhex("3ff0000000000000c004000000000000")),
    ("line", Line(1.0, 2.0, 3.0), pack(">3d", 1, 2, 3)),
    ("lseg", LineSegment((1, 2), (3, 4.5)), pack(">4d", 1, 2, 3, 4.5)),
    ("box", Box((3, 4.5), (1, 2)), pack(">4d", 3, 4.5, 1, 2)),
    ("circle", Circle(Point(1, 2), 3.0), pack(">3d", 1, 2, 3)),
    ("path", Path((1, 2), (3, 4.5)), b"\0" + TWO_POINTS),
    ("path", Path((1, 2), (3, 4.5), is_closed=True), b"\1" + TWO_POINTS),
    ("polygon", Polygon((1, 2), (3, 4.5)), TWO_POINTS),
]


def encode(name: str, value: Any) -> bytes:
    function = TYPES[name].encode
    assert function is not None
    return function(value)


@pytest.mark.parametrize(("name", "value", "data"), VECTORS)
def test_vectors(name: str, value: Any, data: bytes) -> None:
    decoded = TYPES[name].decode(data)
    assert decoded == value
    assert type(decoded) is type(value)
    assert encode(name, value) == data
    check_truncations(name, TYPES[name], data)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    check_round_trip(TYPES[name], data.draw(VALUES[name]))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.binary(max_size=60))
def test_any_bytes(name: str, data: bytes) -> None:
    decodes_or_refuses(name, TYPES[name], data)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data(), position=st.integers(0, 99), byte=st.integers(0, 255))
def test_damage(name: str, data: st.DataObject, position: int, byte: int) -> None:
    field = encode(name, data.draw(VALUES[name]))
    decodes_or_refuses(name, TYPES[name], damaged(field, position, byte))


@pytest.mark.parametrize(
    ("name", "value", "like"),
    [
        ("point", (1, 2), Point(1, 2)),
        ("point", [1, True, "more"], Point(1, 1)),
        ("line", [1, 2, 3], Line(1, 2, 3)),
        ("lseg", [(1, 2), [3, 4]], LineSegment((1, 2), (3, 4))),
        ("box", ([1, 2], (3, 4)), Box((1, 2), (3, 4))),
        ("circle", [(1, 2), 3], Circle((1, 2), 3)),
        ("path", [(1, 2), [3, 4]], Path((1, 2), (3, 4))),
        ("path", ((1, 2), [3, 4]), Path((1, 2), (3, 4), is_closed=True)),
        ("path", Polygon((1, 2)), Path((1, 2), is_closed=True)),
        ("polygon", [(1, 2), (3, 4)], Polygon((1, 2), (3, 4))),
        ("polygon", Path((1, 2)), Polygon((1, 2))),
    ],
)
def test_other_sequences(name: str, value: Any, like: Any) -> None:
    assert encode(name, value) == encode(name, like)


@pytest.mark.parametrize(
    ("name", "value", "error", "match"),
    [
        ("point", 5, TypeError, "not subscriptable"),
        ("point", ("1", "2"), TypeError, "must be real number, not str"),
        ("point", (1,), IndexError, "index out of range"),
        ("point", (10**400, 1), OverflowError, "too large"),
        ("line", (1, 2), IndexError, "index out of range"),
        ("lseg", (1, 2), TypeError, "not subscriptable"),
        ("circle", ((1, 2), None), TypeError, "must be real number, not NoneType"),
        ("path", 5, TypeError, "not iterable"),
        ("polygon", [5], TypeError, "not subscriptable"),
    ],
)
def test_what_is_no_figure(name: str, value: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        encode(name, value)


@pytest.mark.parametrize("count", [-1, 0, 1, 3, 2**31 - 1])
def test_a_lying_number_of_points(count: int) -> None:
    field = pack(">i4d", count, 1, 2, 3, 4)
    with pytest.raises(RemoteProtocolError, match="type polygon: the number of points"):
        TYPES["polygon"].decode(field)
    with pytest.raises(RemoteProtocolError, match="type path: the number of points"):
        TYPES["path"].decode(b"\0" + field)


def test_a_path_is_open_or_closed() -> None:
    with pytest.raises(RemoteProtocolError, match="type path: neither open nor closed"):
        TYPES["path"].decode(b"\2" + TWO_POINTS)
