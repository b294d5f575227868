"""Identifiers of the server's own things, and the types of its catalogs.

What names something (reg*), is spelled by a locale (money), or has no documented binary layout
stays text, as in asyncpg.

Source: PostgreSQL documentation, sections 8.19, "Object Identifier Types", 8.20, "pg_lsn Type",
9.27, "System Information Functions and Operators", and 54, "Frontend/Backend Protocol".
"""

from __future__ import annotations

from operator import index
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Any, cast

from ._functions import (
    INT32,
    TypeFunctions,
    binary,
    check_length,
    decode_utf8,
    encode_text,
    malformed,
    text,
    to_integer,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TYPES"]

_UINT32 = range(2**32)
_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)

Snapshot = tuple[int, int, tuple[int, ...]]


def _number(oid: int, name: str, code: str, values: range, kind: str) -> TypeFunctions:
    layout = Struct(f">{code}")

    def decode(data: bytes) -> int:
        return int(unpack(layout, data, name)[0])

    def encode(value: Any) -> bytes:
        return layout.pack(to_integer(value, values, kind))

    return binary(oid, decode, encode)


# tid: block, and the item's place in it (section 8.19; "System Columns", 5.5)

_TID = Struct(">IH")


def decode_tid(data: bytes) -> tuple[int, int]:
    """Read the physical place of a row version: block, place within."""
    block, offset = unpack(_TID, data, "tid")
    return block, offset


def encode_tid(value: Any) -> bytes:
    """Write a tuple or list of block and place."""
    block, offset = _items(value, 2, "tid")
    block, offset = index(block), index(offset)
    if block not in _UINT32:
        raise OverflowError("tuple id block value out of uint32 range")
    if offset not in range(2**16):
        raise OverflowError("tuple id offset value out of uint16 range")
    return _TID.pack(block, offset)


# pg_snapshot (section 9.27.8): the number of transactions in progress; xmin, xmax, and these

_SNAPSHOT = Struct(">i2Q")


def decode_snapshot(data: bytes, name: str = "pg_snapshot") -> Snapshot:
    """Read a snapshot: xmin, xmax, transactions in progress between them."""
    if len(data) < _SNAPSHOT.size:
        raise malformed(name, "truncated")
    count, xmin, xmax = _SNAPSHOT.unpack_from(data)
    if len(data) - _SNAPSHOT.size != 8 * count:
        raise malformed(name, "the number of transactions is not that of the identifiers")
    return xmin, xmax, unpack_from(f">{count}Q", data, _SNAPSHOT.size)


def decode_txid_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot of the older type."""
    return decode_snapshot(data, "txid_snapshot")


def encode_snapshot(value: Any) -> bytes:
    """Write a tuple or list of xmin, xmax and a sequence of transactions."""
    xmin, xmax, in_progress = _items(value, 3, "snapshot")
    xids = [to_integer(xid, _UINT64, "uint64") for xid in (xmin, xmax, *in_progress)]
    return INT32.pack(len(xids) - 2) + Struct(f">{len(xids)}Q").pack(*xids)


def _items(value: Any, length: int, name: str) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"list or tuple expected (got type {type(value).__name__})")
    items = tuple(cast("list[Any]", value))
    if len(items) != length:
        raise ValueError(f"invalid number of elements in {name} tuple, expecting {length}")
    return items


# int2vector and oidvector are arrays (array_send) of one dimension that begins with 0.

_VECTOR_HEADER = Struct(">5i")  # dimensions, whether there are nulls, element type, length, 0


def _vector(oid: int, name: str, element_oid: int, code: str, values: range) -> TypeFunctions:
    element = Struct(f">i{code}")  # its size goes before it
    size = element.size - INT32.size

    def decode(data: bytes) -> list[int]:
        if len(data) < _VECTOR_HEADER.size:
            raise malformed(name, "truncated")
        *header, length, lower_bound = _VECTOR_HEADER.unpack_from(data)
        if header != [1, 0, element_oid] or lower_bound != 0:
            raise malformed(name, "no array of one dimension from 0 on, without nulls")
        check_length(data, _VECTOR_HEADER.size + element.size * length, name)
        elements = list(element.iter_unpack(data[_VECTOR_HEADER.size :]))
        if any(given != size for given, _ in elements):
            raise malformed(name, "an element of the wrong size")
        return [number for _, number in elements]

    def encode(value: Iterable[Any]) -> bytes:
        if isinstance(value, (str, bytes)):
            raise TypeError(f"an iterable of integers expected (got type '{type(value).__name__}')")
        numbers = [to_integer(number, values, name) for number in value]
        header = _VECTOR_HEADER.pack(1, 0, element_oid, len(numbers), 0)
        return header + b"".join([element.pack(size, number) for number in numbers])

    return binary(oid, decode, encode)


# jsonpath: a version, and the text

_JSONPATH_VERSION = b"\1"


def decode_jsonpath(data: bytes) -> str:
    """Read a jsonpath expression."""
    if data[:1] != _JSONPATH_VERSION:
        raise malformed("jsonpath", "an unknown version")
    return decode_utf8(data[1:], "jsonpath")


def encode_jsonpath(value: object) -> bytes:
    """Write a jsonpath expression."""
    return _JSONPATH_VERSION + encode_text(value)


def decode_refcursor(data: bytes) -> str:
    """Read the name of a cursor, which is the same in both formats."""
    return decode_utf8(data, "refcursor")


def encode_bytes(value: Any) -> bytes:
    """Write a bytes-like object."""
    return memoryview(value).tobytes()


TYPES: dict[str, TypeFunctions] = {
    "int2vector": _vector(22, "int2vector", 21, "h", range(-(2**15), 2**15)),
    "tid": binary(27, decode_tid, encode_tid),
    "xid": _number(28, "xid", "I", _UINT32, "uint32"),
    "cid": _number(29, "cid", "I", _UINT32, "uint32"),
    "oidvector": _vector(30, "oidvector", 26, "I", _UINT32),
    "refcursor": binary(1790, decode_refcursor, encode_text),
    "txid_snapshot": binary(2970, decode_txid_snapshot, encode_snapshot),
    "pg_lsn": _number(3220, "pg_lsn", "q", _INT64, "int64"),  # signed, as asyncpg has it
    "jsonpath": binary(4072, decode_jsonpath, encode_jsonpath),
    "pg_snapshot": binary(5038, decode_snapshot, encode_snapshot),
    "xid8": _number(5069, "xid8", "Q", _UINT64, "uint64"),
    "oid8": _number(6437, "oid8", "Q", _UINT64, "uint64"),  # PostgreSQL 19
    # What asyncpg leaves as bytes: what the planner and BRIN store for themselves.
    "pg_brin_bloom_summary": binary(4600, bytes, None),
    "pg_brin_minmax_multi_summary": binary(4601, bytes, None),
    "pg_mcv_list": binary(5017, bytes, encode_bytes),
    # Text.
    "regproc": text(24, "regproc"),
    "pg_node_tree": text(194, "pg_node_tree", receives=False),
    "money": text(790, "money"),
    "aclitem": text(1033, "aclitem"),
    "regprocedure": text(2202, "regprocedure"),
    "regoper": text(2203, "regoper"),
    "regoperator": text(2204, "regoperator"),
    "regclass": text(2205, "regclass"),
    "regtype": text(2206, "regtype"),
    "pg_ndistinct": text(3361, "pg_ndistinct"),
    "pg_dependencies": text(3402, "pg_dependencies"),
    "anyenum": text(3500, "anyenum", receives=False),
    "regconfig": text(3734, "regconfig"),
    "regdictionary": text(3769, "regdictionary"),
    "regnamespace": text(4089, "regnamespace"),
    "regrole": text(4096, "regrole"),
    "regcollation": text(4191, "regcollation"),
    "regdatabase": text(6490, "regdatabase"),  # PostgreSQL 19
    # Of servers before PostgreSQL 12.
    "smgr": text(210, "smgr"),
    "abstime": text(702, "abstime"),
    "reltime": text(703, "reltime"),
    "tinterval": text(704, "tinterval"),
}
