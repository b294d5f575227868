"""Columns, read by a codec as they would be from a server; pure and compiled do the same."""

from __future__ import annotations

from array import array
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._sources import load_source
from wirekit import RemoteProtocolError
from wirekit.protocols import postgres
from wirekit.protocols.postgres._builtin_types import BUILTIN_TYPES

PURE = load_source("protocols.postgres")

# The type, its kind, a value on the wire, and what is to stand in the buffer.
FIXED: list[tuple[str, str, bytes, bytes]] = [
    ("bool", "bool", b"\1", b"\1"),
    ("bool", "bool", b"\0", b"\0"),
    ("int2", "int2", pack("!h", -2), pack("=h", -2)),
    ("int4", "int4", pack("!i", -(2**31)), pack("=i", -(2**31))),
    ("int8", "int8", pack("!q", 2**63 - 1), pack("=q", 2**63 - 1)),
    ("oid", "uint4", pack("!I", 2**32 - 1), pack("=I", 2**32 - 1)),
    ("xid8", "uint8", pack("!Q", 2**64 - 1), pack("=Q", 2**64 - 1)),
    ("float4", "float4", pack("!f", 1.5), pack("=f", 1.5)),
    ("float8", "float8", pack("!d", float("-inf")), pack("=d", float("-inf"))),
    ("date", "date", pack("!i", -10957), pack("=i", 0)),
    ("date", "date", pack("!i", 2**31 - 1), pack("=i", 2932896)),
    ("date", "date", pack("!i", -(2**31)), pack("=i", -719162)),
    ("date", "date", pack("!i", 2145031948), pack("=i", 2145042905)),
    ("timestamp", "timestamp", pack("!q", 0), pack("=q", 946684800000000)),
    ("timestamp", "timestamp", pack("!q", 2**63 - 1), pack("=q", 253402300799999999)),
    ("timestamptz", "timestamptz", pack("!q", -(2**63)), pack("=q", -62135596800000000)),
    ("time", "time", pack("!q", 86399999999), pack("=q", 86399999999)),
    ("uuid", "uuid", bytes(range(16)), bytes(range(16))),
]
OIDS = {info.name: oid for oid, info in BUILTIN_TYPES.items()}
KINDS = frozenset(kind for _, kind, _, _ in FIXED) | {"text", "bytea", "numeric"}


def row(*fields: bytes | None) -> bytes:
    """Return a DataRow."""
    parts = [pack("!i", -1) if f is None else pack("!i", len(f)) + f for f in fields]
    body = pack("!H", len(fields)) + b"".join(parts)
    return b"D" + pack("!I", len(body) + 4) + body


def read(package: Any, types: list[str], *rows: bytes, kinds: Any = KINDS) -> Any:
    """Return the CommandComplete behind these rows."""
    type_map = package.TypeMap()
    codecs = [type_map.codec(OIDS[name]) for name in types]
    reader = package.ColumnReader([package.new_column(codec, kinds) for codec in codecs])
    codec = package.Codec()
    codec.send(package.StartupMessage({"user": "somebody"}))
    codec.receive_data(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
    codec.send(package.Query("SELECT", reader))
    described = b"".join(b"\0" + pack("!IHIhiH", 0, 0, 0, 0, -1, 1) for _ in types)
    description = pack("!IH", len(described) + 6, len(types)) + described
    events = codec.receive_data(b"T" + description + b"".join(rows) + b"C\0\0\0\x0dSELECT 1\0")
    return events[-1]


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
@pytest.mark.parametrize(("name", "kind", "wire", "stored"), FIXED)
def test_fixed_widths(package: Any, name: str, kind: str, wire: bytes, stored: bytes) -> None:
    (column,) = read(package, [name], row(wire), row(None), row(wire)).rows
    assert column.kind == kind == package.column_kind(package.TypeMap().codec(OIDS[name]))
    assert column.count == 3
    assert bytes(column.values) == stored + bytes(len(stored)) + stored
    assert [column.validity[0] >> number & 1 for number in range(3)] == [1, 0, 1]
    assert column.objects is None
    assert column.offsets is None


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
@pytest.mark.parametrize("name", ["text", "varchar", "bytea"])
def test_bytes(package: Any, name: str) -> None:
    fields = [b"one", None, b"", "drei €".encode()]
    (column,) = read(package, [name], *map(row, fields)).rows
    assert bytes(column.values) == "onedrei €".encode()
    assert list(array("q", bytes(column.offsets))) == [0, 3, 3, 3, 11]
    assert column.validity[0] & 0xF == 0b1101


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
def test_others_are_objects(package: Any) -> None:
    numeric = pack("!HhHH", 1, 0, 0, 0) + pack("!H", 5)
    (numbers, lists) = read(package, ["numeric", "_int4"], row(numeric, None), row(None, None)).rows
    assert (numbers.kind, lists.kind) == ("numeric", "object")
    assert numbers.objects == [5, None]
    assert lists.objects == [None, None]
    assert numbers.validity is None
    assert not numbers.values
    (unwanted,) = read(package, ["int4"], row(pack("!i", 7)), kinds=frozenset[str]()).rows
    assert unwanted.kind == "object"
    assert unwanted.objects == [7]


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
def test_no_rows(package: Any) -> None:
    number, text = read(package, ["int4", "text"]).rows
    assert (number.count, number.validity, bytes(number.values)) == (0, None, b"")
    assert bytes(text.offsets) == bytes(8)


@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))
def test_nulls(values: list[int | None]) -> None:
    rows = [row(None if value is None else pack("!i", value)) for value in values]
    (column,) = read(postgres, ["int4"], *rows).rows
    numbers = array("i", bytes(column.values))
    if column.validity is None:
        assert None not in values
        assert list(numbers) == values
        return
    assert len(column.validity) == (len(values) + 7) // 8
    valid = [column.validity[number >> 3] >> (number & 7) & 1 for number in range(len(values))]
    assert valid == [value is not None for value in values]
    assert list(numbers) == [value or 0 for value in values]


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
@pytest.mark.parametrize(
    ("name", "wire", "error"),
    [
        ("date", pack("!i", 2**31 - 2), OverflowError),
        ("timestamp", pack("!q", 9223371331199999999), OverflowError),
        ("timestamptz", pack("!q", 2**63 - 2), OverflowError),
        ("time", pack("!q", 86400000000), ValueError),
    ],
)
def test_values_without_a_place(
    package: Any, name: str, wire: bytes, error: type[Exception]
) -> None:
    complete = read(package, [name], row(wire), row(wire))
    assert type(complete.error) is error
    assert complete.rows == []


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
def test_faults_of_codecs(package: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="numeric"):
        read(package, ["numeric"], row(b"\0"))
    with pytest.raises(RemoteProtocolError, match="outside the day"):
        read(package, ["time"], row(pack("!q", -1)))


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
@pytest.mark.parametrize("name", sorted({name for name, _, _, _ in FIXED}))
@pytest.mark.parametrize("size", [0, 3, 17])
def test_wrong_lengths(package: Any, name: str, size: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type {name} in {size} bytes"):
        read(package, [name], row(bytes(size)))


@pytest.mark.parametrize("package", [postgres, PURE], ids=["installed", "pure"])
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\0", "too short for its column count"),
        (b"\0\2", "of 2 columns where 1"),
        (b"\0\1\0\0\0", "ends before its last"),
        (b"\0\1\0\0\0\5\0\0\0\0", "longer than its row"),
        (b"\0\1\xff\xff\xff\xfe", "negative length"),
        (b"\0\1\xff\xff\xff\xff\0", "longer than its columns"),
    ],
)
def test_malformed_rows(package: Any, body: bytes, fault: str) -> None:
    with pytest.raises(RemoteProtocolError, match=fault):
        read(package, ["int4"], b"D" + pack("!I", len(body) + 4) + body)


TYPES = sorted({*(name for name, _, _, _ in FIXED), "text", "bytea", "numeric", "json", "_int4"})
WIRES = st.one_of(
    st.none(), st.sampled_from([wire for _, _, wire, _ in FIXED]), st.binary(max_size=18)
)


@given(st.data())
def test_pure_and_installed_do_the_same(data: st.DataObject) -> None:
    types = data.draw(st.lists(st.sampled_from(TYPES), max_size=4))
    rows = data.draw(st.lists(st.lists(WIRES, min_size=len(types), max_size=len(types))))
    wire = [row(*fields) for fields in rows]
    assert outcome(postgres, types, wire) == outcome(PURE, types, wire)


def outcome(package: Any, types: list[str], rows: list[bytes]) -> Any:
    try:
        complete = read(package, types, *rows)
    except RemoteProtocolError as error:
        return str(error)
    if complete.error is not None:
        return repr(complete.error)
    names = ("kind", "count", "validity", "values", "offsets", "objects")
    return [repr([getattr(column, name) for name in names]) for column in complete.rows]
