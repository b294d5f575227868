"""Records are sequences of values and mappings by name."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any

import pytest

from wirekit.protocols.postgres import Record, RecordKeys
from wirekit.protocols.postgres._record import make_record

KEYS = RecordKeys(["id", "name", "id"])


class Row(Record):
    """A subclass of the user's."""

    @property
    def label(self) -> str:
        """The name, spelled large."""
        return str(self["name"]).upper()


def make(*values: Any, keys: RecordKeys = KEYS) -> Record:
    return make_record(Record, keys, values)


def test_a_sequence() -> None:
    record = make(1, "x", 3)
    assert len(record) == 3
    assert list(record) == [1, "x", 3]
    assert (record[0], record[-1], record[1:]) == (1, 3, ("x", 3))
    first, *_ = record
    assert first == 1
    for number in (3, -4):
        with pytest.raises(IndexError):
            record[number]
    with pytest.raises(TypeError):
        record[None]


class Name(str):
    """A subclass of str is a name too."""

    __slots__ = ()


def test_a_mapping() -> None:
    record = make(1, "x", 3)
    assert record["name"] == record[Name("name")] == "x"
    assert record["id"] == 3  # the last of its name
    assert record.get("id") == 3
    assert record.get("other") is None
    assert record.get("other", 5) == 5
    assert list(record.keys()) == ["id", "name", "id"]
    assert list(record.values()) == [1, "x", 3]
    assert list(record.items()) == [("id", 1), ("name", "x"), ("id", 3)]
    assert dict(record) == {"id": 3, "name": "x"}
    assert "name" in record
    assert "x" not in record
    with pytest.raises(KeyError, match="other"):
        record["other"]
    with pytest.raises(KeyError):
        record[Name("other")]


def test_equality() -> None:
    record = make(1, "x", None)
    assert record == make(1, "x", None, keys=RecordKeys("abc"))
    assert record == (1, "x", None)
    values = (1, "x", None)
    assert values == record
    assert record != make(2, "x", None)
    assert (record != values) is False
    assert record != [1, "x", None]
    assert record != "x"
    assert hash(record) == hash((1, "x", None))
    assert {record, values} == {values}
    with pytest.raises(TypeError):
        hash(make([], "x", None))


@pytest.mark.parametrize("compare", [lt, le, gt, ge])
def test_order(compare: Callable[[Any, Any], bool]) -> None:
    for one in ((1, "a", 0), (1, "b", 0), (2, "a", 0)):
        for other in ((1, "a", 0), (1, "b", 0), (2, "a", 0)):
            expected = compare(one, other)
            assert compare(make(*one), make(*other)) is expected
            assert compare(make(*one), other) is expected
    with pytest.raises(TypeError):
        compare(make(1, "a", 0), [1])


def test_repr() -> None:
    assert repr(make(1, "x", None)) == "<Record id=1 name='x' id=None>"
    assert repr(make(keys=RecordKeys([]))) == "<Record>"


def test_records_are_made_by_queries() -> None:
    for kind in (Record, Row):
        with pytest.raises(TypeError, match="made by queries"):
            kind()
        with pytest.raises(TypeError):
            kind(1, a=2)


def test_subclasses() -> None:
    row = make_record(Row, RecordKeys(["name"]), ("x",))
    assert isinstance(row, Row)
    assert row.label == "X"
    assert repr(row) == "<Row name='x'>"
    assert row == make("x", keys=RecordKeys(["name"]))


@pytest.mark.parametrize("kind", [Record, Row])
def test_copies(kind: type[Record]) -> None:
    record = make_record(kind, RecordKeys(["id", "items"]), (1, [2]))
    for other in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert type(other) is kind
        assert other == record
        assert dict(other) == dict(record)
    assert copy.deepcopy(record)["items"] is not record["items"]


def test_a_record_does_not_change() -> None:
    record = make(1, "x", 3)
    with pytest.raises((TypeError, AttributeError)):
        record["id"] = 5  # type: ignore[index]
    with pytest.raises(AttributeError):
        record.other = 5  # type: ignore[attr-defined]


def test_keys() -> None:
    assert KEYS.names == ("id", "name", "id")
    assert KEYS.positions == {"id": 2, "name": 1}
