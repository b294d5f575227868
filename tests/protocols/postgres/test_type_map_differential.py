"""The compiled codecs of types against their own source."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols._pure import is_compiled
from tests.protocols.postgres._sources import load_source
from tests.protocols.postgres._types import VALUES, plain, with_ranges
from wirekit.protocols.postgres import Record, RecordKeys, TypeInfo, TypeMap, _temporal
from wirekit.protocols.postgres._builtin_types import BUILTIN_TYPES
from wirekit.protocols.postgres._record import make_record
from wirekit.protocols.postgres._values import Range

SOURCE = load_source("protocols.postgres._type_map")
OWN = [
    TypeInfo(90001, "mood", "public", "e"),
    TypeInfo(90002, "small", "public", "d", base=23),
    TypeInfo(90003, "pair", "public", "c", fields=(("a", 23), ("b", 25))),
    TypeInfo(90004, "_pair", "public", "b", element=90003),
    TypeInfo(90005, "nest", "public", "c", fields=(("x", 90004), ("y", 90001), ("z", 3904))),
    TypeInfo(90006, "rights", "public", "c", fields=(("a", 1033), ("b", 1007), ("c", 17))),
]
OIDS = [*BUILTIN_TYPES, *[info.oid for info in OWN]]
NAMES = {info.name: info.oid for info in BUILTIN_TYPES.values()}


def outcome(function: Any, *arguments: Any) -> tuple[str, Any]:
    """Return the value; or the exception's type, and its text where it is ours."""
    try:
        return "value", plain(function(*arguments))
    except (ValueError, TypeError, OverflowError) as exc:
        return type(exc).__name__, None
    except Exception as exc:
        return type(exc).__name__, str(exc)


@pytest.fixture(scope="module")
def maps() -> tuple[TypeMap, Any]:
    """Both forms of a type map."""
    compiled, source = TypeMap(), SOURCE.TypeMap()
    compiled.add(OWN)
    source.add(OWN)
    return compiled, source


def codecs(maps: tuple[TypeMap, Any], method: str, oid: int) -> list[Any]:
    """Return a type's codec in both forms."""
    return [getattr(one, method)(oid) for one in maps]


def test_the_source_is_another_module() -> None:
    source = load_source("protocols.postgres._temporal")
    assert not is_compiled(source)
    assert source.DateCodec is not _temporal.DateCodec
    # A .pxd that Cython does not find is not reported: the module compiles all the same, untyped.
    assert hasattr(source, "_MAX_INT64")
    assert hasattr(_temporal, "_MAX_INT64") != is_compiled(_temporal)


@settings(max_examples=1000)
@given(oid=st.sampled_from(OIDS), data=st.data())
def test_both_read_the_same(maps: tuple[TypeMap, Any], oid: int, data: st.DataObject) -> None:
    info = BUILTIN_TYPES.get(oid)
    fields = st.binary(max_size=40)
    if info is not None and info.name in VALUES:
        writer: Any = maps[0].parameter_codec(oid)
        fields |= st.builds(_damaged, VALUES[info.name].map(writer.encode), st.data())
    field = data.draw(fields)
    compiled, source = codecs(maps, "codec", oid)
    assert (compiled.format, compiled.atomic) == (source.format, source.atomic)
    assert outcome(compiled.decode, field) == outcome(source.decode, field)


def _damaged(field: bytes, data: st.DataObject) -> bytes:
    """Return a field with a byte changed, or cut, or made longer."""
    position = data.draw(st.integers(0, len(field)))
    end = data.draw(st.sampled_from([position, position + 1, len(field)]))
    return field[:position] + data.draw(st.binary(max_size=2)) + field[end:]


ODDITIES: list[Any] = [
    *(True, None, 1.5, 2**70, -1, 0, "x", "", "\ud800", b"", b"x", bytearray(b"x"), [], [b"x"]),
    *((), (1, "x"), (1, None), {"a": 1}, {b"x"}, memoryview(b"xyz"), object(), 1j, [[]], [None]),
    *(date.min, date.max, date(1999, 12, 31), datetime.min, datetime.max, datetime.now(UTC)),
    *(datetime(2000, 2, 29, 1, 2, 3, 4, timezone(timedelta(minutes=-90))), time(1), time.max),
    *(time(1, tzinfo=UTC), timedelta.max, timedelta.min, timedelta(-1, 1, 1), timedelta()),
    *(Decimal("NaN"), Decimal("sNaN12"), Decimal("-Infinity"), Decimal("1E+140000"), Decimal(0)),
    *(Decimal("-0.000"), Decimal("1E-16383"), Decimal("1E-16384"), Decimal("9" * 50), float("inf")),
    *(uuid.UUID(int=0), str(uuid.UUID(int=2**128 - 1)), "{" + "0" * 32 + "}", "g" * 32, "٣" * 32),
    *(Range(1, 2), Range(None, None), Range(empty=True), [Range(1)], (1,), (1, 2, 3), (None, None)),
    *([1, 2], [[1], [2]], [[1], 2], [[1], [2, 3]], [(1, "x")], range(3), {1: 2}, [[[[[[[1]]]]]]]),
    *(make_record(Record, RecordKeys(["a", "b"]), (1, "x")), "nonsense", [1, "x"]),
]


def sources(value: Any) -> Any:
    """Return a value with the ranges of the source's class."""
    return with_ranges(value, load_source("protocols.postgres._values").Range)


@pytest.mark.parametrize("oid", OIDS)
def test_both_write_the_same(maps: tuple[TypeMap, Any], oid: int) -> None:
    compiled, source = codecs(maps, "parameter_codec", oid)
    assert compiled.format == source.format
    for value in ODDITIES:
        assert outcome(compiled.encode, value) == outcome(source.encode, sources(value)), value


@settings(max_examples=500)
@given(name=st.sampled_from(sorted(set(VALUES) & set(NAMES))), data=st.data())
def test_both_write_values_the_same(
    maps: tuple[TypeMap, Any], name: str, data: st.DataObject
) -> None:
    value = data.draw(VALUES[name])
    compiled, source = codecs(maps, "parameter_codec", NAMES[name])
    assert compiled.encode(value) == source.encode(sources(value))
