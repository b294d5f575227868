from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from wirekit.protocols.postgres._pgoutput_messages import (
    UNCHANGED,
    Delete,
    Insert,
    Message,
    PgOutputMessage,
    Relation,
    RelationColumn,
    StreamStop,
    Unchanged,
    Update,
)

COLUMN = RelationColumn(is_key=True, name="id", type_oid=25, type_modifier=-1)
RELATION = Relation(None, 16389, "public", "item", "d", (COLUMN,))
ROW = {"id": "a secret"}


@pytest.mark.parametrize(
    "message",
    [
        Insert(None, RELATION, ROW),
        Update(None, RELATION, ROW, ROW),
        Delete(None, RELATION, ROW),
        Message(None, True, 0, "audit", b"a secret"),
    ],
)
def test_values_are_not_shown(message: PgOutputMessage) -> None:
    assert "secret" not in repr(message)
    assert repr(message).startswith(type(message).__name__)


def test_messages_are_compared_by_what_they_say() -> None:
    assert Insert(None, RELATION, ROW) == Insert(None, RELATION, {**ROW})
    assert Insert(None, RELATION, ROW) != Insert(7, RELATION, ROW)
    assert StreamStop() == StreamStop()


def test_messages_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        RELATION.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(RELATION, "__dict__")


def test_unchanged_is_one_value() -> None:
    assert UNCHANGED is Unchanged.UNCHANGED
    assert [*Unchanged] == [UNCHANGED]
