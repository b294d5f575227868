"""Identifiers, and the types of the catalogs, on the wire."""

from __future__ import annotations

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
from wirekit.protocols.postgres._identifiers import TYPES

VECTORS: list[tuple[str, Any, str]] = [
    ("tid", (1, 2), "000000010002"),
    ("tid", (2**32 - 1, 2**16 - 1), "ffffffffffff"),
    ("xid", 2**32 - 1, "ffffffff"),
    ("cid", 7, "00000007"),
    ("xid8", 2**64 - 1, "ffffffffffffffff"),
    ("oid8", 1, "0000000000000001"),
    ("pg_lsn", 0x16_B374D848, "00000016b374d848"),
    ("pg_lsn", -1, "ffffffffffffffff"),
    (
        "pg_snapshot",
        (10, 20, (10, 14)),
        "00000002" + "".join(f"{x:016x}" for x in (10, 20, 10, 14)),
    ),
    ("txid_snapshot", (1, 1, ()), "00000000" + "0000000000000001" * 2),
    ("int2vector", [1, -2], "000000010000000000000015000000020000000000000002000100000002fffe"),
    ("oidvector", [], "00000001000000000000001a0000000000000000"),
    ("oidvector", [2**32 - 1], "00000001000000000000001a000000010000000000000004ffffffff"),
]
TEXTS: list[tuple[str, Any, bytes]] = [
    ("jsonpath", "$.ä", b"\1$.\xc3\xa4"),
    ("refcursor", "ä", b"\xc3\xa4"),
    ("money", "$1.50", b"$1.50"),
    ("regclass", "pg_class", b"pg_class"),
    ("aclitem", "=r/postgres", b"=r/postgres"),
    ("pg_mcv_list", b"\0\xff", b"\0\xff"),
]
NUMBERS = ["xid", "cid", "xid8", "oid8", "pg_lsn"]
ROUND_TRIPS = [name for name in TYPES if name in VALUES]


def encode(name: str, value: Any) -> bytes:
    function = TYPES[name].encode
    assert function is not None
    return function(value)


@pytest.mark.parametrize(("name", "value", "field"), VECTORS)
def test_vectors(name: str, value: Any, field: str) -> None:
    assert TYPES[name].decode(bytes.fromhex(field)) == value
    assert encode(name, value).hex() == field
    check_truncations(name, TYPES[name], bytes.fromhex(field))


@pytest.mark.parametrize(("name", "value", "field"), TEXTS)
def test_texts(name: str, value: Any, field: bytes) -> None:
    assert TYPES[name].decode(field) == value
    assert encode(name, value) == field


@pytest.mark.parametrize("name", ROUND_TRIPS)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    check_round_trip(TYPES[name], data.draw(VALUES[name]))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.binary(max_size=40))
def test_any_bytes(name: str, data: bytes) -> None:
    decodes_or_refuses(name, TYPES[name], data)


@pytest.mark.parametrize("name", ROUND_TRIPS)
@given(data=st.data(), position=st.integers(0, 99), byte=st.integers(0, 255))
def test_damage(name: str, data: st.DataObject, position: int, byte: int) -> None:
    field = encode(name, data.draw(VALUES[name]))
    decodes_or_refuses(name, TYPES[name], damaged(field, position, byte))


def test_what_stays_text() -> None:
    stays = {name for name, entry in TYPES.items() if entry.format == 0}
    assert stays == set(
        """
        regproc regprocedure regoper regoperator regclass regtype regconfig regdictionary
        regnamespace regrole regcollation regdatabase money aclitem pg_node_tree pg_ndistinct
        pg_dependencies anyenum smgr abstime reltime tinterval
        """.split()
    )


def test_what_takes_no_input() -> None:
    silent = {name for name, entry in TYPES.items() if entry.encode is None}
    summaries = {"pg_brin_bloom_summary", "pg_brin_minmax_multi_summary"}
    assert silent == summaries | {"pg_node_tree", "anyenum"}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_taken_as_asyncpg_does(name: str) -> None:
    assert encode(name, 1.9) == encode(name, True) == encode(name, 1)
    for wrong in ("1", None):
        with pytest.raises(TypeError, match="an integer is required"):
            encode(name, wrong)
    for too_large in (-(2**63) - 1, 2**64):
        with pytest.raises(OverflowError, match=r"value out of u?int\d+ range"):
            encode(name, too_large)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (5, TypeError, r"list or tuple expected \(got type int\)"),
        ((1,), ValueError, "invalid number of elements in tid tuple, expecting 2"),
        (("1", 2), TypeError, "cannot be interpreted as an integer"),
        ((1.5, 2), TypeError, "cannot be interpreted as an integer"),
        ((-1, 2), OverflowError, "tuple id block value out of uint32 range"),
        ((1, 2**16), OverflowError, "tuple id offset value out of uint16 range"),
    ],
)
def test_what_is_no_tid(value: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        encode("tid", value)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (5, TypeError, r"list or tuple expected \(got type int\)"),
        ((1, 2), ValueError, "expecting 3"),
        (("1", 2, ()), TypeError, "an integer is required"),
        ((-1, 2, ()), OverflowError, "value out of uint64 range"),
        ((1, 2, [2**64]), OverflowError, "value out of uint64 range"),
        ((1, 2, 3), TypeError, "iterable"),
    ],
)
def test_what_is_no_snapshot(value: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        encode("pg_snapshot", value)


def test_a_list_will_do_for_a_tuple() -> None:
    assert encode("tid", [1, 2]) == encode("tid", (1, 2))
    assert encode("txid_snapshot", [1, 2, [1]]) == encode("txid_snapshot", (1, 2, (1,)))
    assert encode("oidvector", (1, 2)) == encode("oidvector", [1, 2])


@pytest.mark.parametrize(
    ("value", "error"),
    [("1 2", TypeError), (5, TypeError), (["1"], TypeError), ([2**15], OverflowError)],
)
def test_what_is_no_vector(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode("int2vector", value)


@pytest.mark.parametrize(
    "field",
    [
        "0000000000000000000000150000000000000000",  # no dimension
        "0000000100000001000000150000000000000000",  # nulls
        "00000001000000000000001a0000000000000000",  # of oids
        "0000000100000000000000150000000000000001",  # from 1 on
        "000000010000000000000015ffffffff00000000",  # less than none
        "0000000100000000000000157fffffff00000000",  # many more
        "0000000100000000000000150000000100000000ffffffff0001",  # a null
        "000000010000000000000015000000010000000000000003000001",  # an int3
    ],
)
def test_malformed_vectors(field: str) -> None:
    with pytest.raises(RemoteProtocolError, match="type int2vector:"):
        TYPES["int2vector"].decode(bytes.fromhex(field))


@pytest.mark.parametrize("count", [-1, 1, 2**31 - 1])
def test_a_lying_number_of_transactions(count: int) -> None:
    with pytest.raises(RemoteProtocolError, match="type txid_snapshot: the number"):
        TYPES["txid_snapshot"].decode(count.to_bytes(4, "big", signed=True) + bytes(16))


@pytest.mark.parametrize("field", [b"", b"\2$", b"$"])
def test_a_jsonpath_of_another_version(field: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="type jsonpath: an unknown version"):
        TYPES["jsonpath"].decode(field)


def test_what_is_no_text() -> None:
    for name in ("jsonpath", "refcursor", "money", "regclass"):
        with pytest.raises(TypeError, match="expected str, got int"):
            encode(name, 5)
    with pytest.raises(TypeError, match="bytes-like object"):
        encode("pg_mcv_list", "x")
