"""Composites and records on the wire."""

from __future__ import annotations

import gc
from struct import pack
from types import MappingProxyType
from typing import Any

import pytest

from tests.protocols._pure import is_compiled
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import (
    Int4Codec,
    Record,
    RecordKeys,
    TextCodec,
    TypeMap,
    _composites,
)
from wirekit.protocols.postgres._composites import CompositeCodec, RecordCodec
from wirekit.protocols.postgres._faults import OutdatedType, UnknownType

KEYS = RecordKeys(["number", "text"])
PAIR = CompositeCodec("pair", KEYS, [Int4Codec("int4"), TextCodec("text")], [23, 25])
ANY = RecordCodec("record", TypeMap().codec)


def field_of(*attributes: tuple[int, bytes | None], count: int | None = None) -> bytes:
    """Return a field of attributes, each by type and bytes."""
    field = pack("!i", len(attributes) if count is None else count)
    for oid, data in attributes:
        field += pack("!Ii", oid, -1 if data is None else len(data)) + (data or b"")
    return field


FIELD = field_of((23, b"\0\0\0\5"), (25, b"five"))
NULLS = field_of((23, None), (25, None))


@pytest.mark.parametrize(("field", "values"), [(FIELD, (5, "five")), (NULLS, (None, None))])
def test_vectors(field: bytes, values: tuple[Any, ...]) -> None:
    record = PAIR.decode(field)
    assert isinstance(record, Record)
    assert dict(record) == {"number": values[0], "text": values[1]}
    assert ANY.decode(field) == values
    assert type(ANY.decode(field)) is tuple
    assert PAIR.encode(values) == PAIR.encode(record) == PAIR.encode(list(values)) == field
    for codec in (PAIR, ANY):
        for length in range(len(field)):
            with pytest.raises(RemoteProtocolError, match=f"type {codec.name}|type int4"):
                codec.decode(field[:length])
        with pytest.raises(RemoteProtocolError, match="longer than its attributes"):
            codec.decode(field + b"\0")


def test_without_attributes() -> None:
    codec = CompositeCodec("nothing", RecordKeys([]), [], [])
    assert codec.encode(()) == pack("!i", 0)
    assert len(codec.decode(pack("!i", 0))) == 0
    assert ANY.decode(pack("!i", 0)) == ()


@pytest.mark.parametrize(
    "value", [{"number": 5, "text": "five"}, MappingProxyType({"text": "five", "number": 5})]
)
def test_mappings(value: Any) -> None:
    assert PAIR.encode(value) == FIELD
    assert PAIR.encode({"text": "five"}) == field_of((23, None), (25, b"five"))
    assert PAIR.encode({}) == NULLS


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ((1,), ValueError, "pair has 2 elements, and not 1"),
        ((1, "x", 3), ValueError, "and not 3"),
        ({"other": "secret"}, ValueError, "'other' is not a valid element of composite type pair"),
        *[(value, TypeError, "expected") for value in (1, None, "12", b"12", bytearray(2))],
        (("secret", "x"), TypeError, "integer"),
    ],
)
def test_what_is_refused(value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        PAIR.encode(value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        (field_of((23, None)), "1 attributes where 2 were known"),
        (field_of((23, None), (25, None), (25, None)), "3 attributes where 2 were known"),
        (field_of(count=-1), "-1 attributes"),
        (field_of((23, None), (23, None)), "attribute 2 is of type 23, not 25"),
    ],
)
def test_changed_types(field: bytes, fault: str) -> None:
    with pytest.raises(OutdatedType, match=fault) as caught:
        PAIR.decode(field)
    assert caught.value.type_name == "pair"


@pytest.mark.parametrize("codec", [PAIR, ANY])
@pytest.mark.parametrize("length", [-2, -(2**31), 5, 2**31 - 1])
def test_lying_lengths(codec: Any, length: int) -> None:
    field = pack("!iIiIiI", 2, 23, -1, 25, length, 0)
    with pytest.raises(RemoteProtocolError, match="shorter than one of its attributes"):
        codec.decode(field)


@pytest.mark.parametrize("count", [-1, 2, 2**31 - 1])
def test_lying_counts_of_records(count: int) -> None:
    with pytest.raises(RemoteProtocolError, match="too short for its number of attributes"):
        ANY.decode(field_of((23, None), count=count))


def test_records_of_anything() -> None:
    inner = field_of((25, b"x"), (1007, pack("!iiIiiii", 1, 0, 23, 1, 1, 4, 7)))
    assert ANY.decode(field_of((2249, inner), (23, None))) == (("x", [7]), None)
    with pytest.raises(UnknownType) as caught:
        ANY.decode(field_of((4_000_000_000, b"")))
    assert caught.value.oid == 4_000_000_000
    # A null of an unknown type is no riddle.
    assert ANY.decode(field_of((4_000_000_000, None))) == (None,)
    with pytest.raises(ValueError, match="regclass, which is read as text only"):
        ANY.decode(field_of((2205, b"")))


def test_deep_records_are_refused() -> None:
    type_map = TypeMap()
    codec = type_map.codec(2249)
    assert codec is not None
    field = field_of()
    for _ in range(63):
        field = field_of((2249, field))
    value = codec.decode(field)
    for _ in range(63):
        (value,) = value
    assert value == ()
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="nested deeper than 64"):
            codec.decode(field_of((2249, field)))
    for _ in range(20000):
        field = field_of((2249, field))
    with pytest.raises(RemoteProtocolError, match="nested deeper than 64"):
        codec.decode(field)
    assert codec.decode(field_of((23, None))) == (None,)


def test_records_are_not_sent() -> None:
    with pytest.raises(TypeError, match="anonymous composite types is not supported"):
        ANY.encode((1,))


def test_the_garbage_collector_passes_over_what_holds_no_cycle() -> None:
    assert PAIR.atomic
    assert gc.is_tracked(PAIR.decode(FIELD)) != is_compiled(_composites)
    nest = CompositeCodec("nest", RecordKeys(["a"]), [ANY], [2249])
    assert not nest.atomic
    assert gc.is_tracked(nest.decode(field_of((2249, FIELD))))
