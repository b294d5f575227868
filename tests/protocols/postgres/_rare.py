"""The rarer types: values of each for Hypothesis, and what must hold of every pair of functions."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._extensions import SparseVector
from wirekit.protocols.postgres._values import (
    BitString,
    Box,
    Circle,
    Line,
    LineSegment,
    Path,
    Point,
    Polygon,
)

if TYPE_CHECKING:
    from wirekit.protocols.postgres._functions import TypeFunctions

NUMBERS = st.floats(allow_nan=False)
POINTS = st.builds(Point, NUMBERS, NUMBERS)
POINT_LISTS = st.lists(POINTS, min_size=1, max_size=5)
INTERFACES = st.one_of(
    st.builds(lambda *key: IPv4Interface(key), st.integers(0, 2**32 - 1), st.integers(0, 32)),
    st.builds(lambda *key: IPv6Interface(key), st.integers(0, 2**128 - 1), st.integers(0, 128)),
)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
# What the server takes in any text: no zeros, no surrogates.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
FLOAT4 = st.floats(width=32, allow_nan=False, allow_infinity=False)
HALF = st.floats(width=16, allow_nan=False, allow_infinity=False)


def _without_full_prefix(interface: IPv4Interface | IPv6Interface) -> Any:
    """Return what decode gives: an address if no part of it is the host's."""
    if interface.network.prefixlen == interface.max_prefixlen:
        return interface.ip
    return interface


def _path(points: list[Point], is_closed: bool) -> Path:
    return Path(*points, is_closed=is_closed)


def _sparse(elements: dict[int, float]) -> SparseVector:
    return SparseVector(elements, max(elements, default=0) + 1)


# Values as decode gives them, so that encode and decode lead back to them.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "point": POINTS,
    "lseg": st.builds(LineSegment, POINTS, POINTS),
    "box": st.builds(Box, POINTS, POINTS),
    "line": st.builds(Line, NUMBERS, NUMBERS, NUMBERS),
    "circle": st.builds(Circle, POINTS, NUMBERS),
    "path": st.builds(_path, POINT_LISTS, st.booleans()),
    "polygon": POINT_LISTS.map(lambda points: Polygon(*points)),
    "inet": INTERFACES.map(_without_full_prefix),
    "cidr": INTERFACES.map(lambda interface: ip_network(interface.network)),
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":")),
    "macaddr8": st.binary(min_size=8, max_size=8).map(lambda octets: octets.hex(":")),
    "bit": st.text("01", min_size=1, max_size=40).map(BitString),
    "varbit": st.text("01", max_size=40).map(BitString),
    "int2vector": st.lists(st.integers(-(2**15), 2**15 - 1), max_size=5),
    "oidvector": st.lists(UINT32, max_size=5),
    "tid": st.tuples(UINT32, st.integers(0, 2**16 - 1)),
    "xid": UINT32,
    "cid": UINT32,
    "xid8": UINT64,
    "oid8": UINT64,
    "pg_lsn": st.integers(0, 2**63 - 1),
    "refcursor": TEXT,
    "jsonpath": TEXT,
    "pg_snapshot": st.tuples(UINT64, UINT64, st.lists(UINT64, max_size=5).map(tuple)),
    "txid_snapshot": st.tuples(UINT64, UINT64, st.lists(UINT64, max_size=5).map(tuple)),
    "pg_mcv_list": st.binary(max_size=20),
    "hstore": st.dictionaries(TEXT, st.none() | TEXT, max_size=5),
    "vector": st.lists(FLOAT4, min_size=1, max_size=5),
    "halfvec": st.lists(HALF, min_size=1, max_size=5),
    "sparsevec": st.dictionaries(st.integers(0, 2**31 - 2), FLOAT4, max_size=5).map(_sparse),
}


def check_round_trip(entry: TypeFunctions, value: Any) -> None:
    """What was encoded is decoded to the same value of the same type."""
    assert entry.encode is not None
    decoded = entry.decode(entry.encode(value))
    assert decoded == value
    assert type(decoded) is type(value)


def check_truncations(name: str, entry: TypeFunctions, data: bytes) -> None:
    """Every beginning of a value, and the value with a byte more, is refused by name."""
    damaged = [data[:length] for length in range(len(data))]
    for field in [*damaged, data + b"\0"]:
        with pytest.raises(RemoteProtocolError, match=rf"\b{name}\b"):
            entry.decode(field)


def decodes_or_refuses(name: str, entry: TypeFunctions, data: bytes) -> bool:
    """Say whether the bytes are a value; all that may be raised otherwise is the one error."""
    try:
        entry.decode(data)
    except RemoteProtocolError as exc:
        message = str(exc)
    else:
        return True
    assert f"type {name}:" in message
    return False


def damaged(data: bytes, position: int, byte: int) -> bytes:
    """Return the bytes with one of them changed."""
    position %= max(len(data), 1)
    return data[:position] + bytes([byte]) + data[position + 1 :]
