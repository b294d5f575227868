from __future__ import annotations

import importlib
import pickle
from typing import Any

import pytest

from wirekit.adapters.postgres import exceptions
from wirekit.adapters.postgres.exceptions._base import class_for_sqlstate
from wirekit.adapters.postgres.exceptions._sqlstates import __all__ as names

# asyncpg has no types.
ASYNCPG_BASE: Any = importlib.import_module("asyncpg.exceptions._base")
CLASSES: list[type[Any]] = [getattr(exceptions, name) for name in names]


def test_every_sqlstate_of_asyncpg_has_its_class() -> None:
    theirs: dict[str, type] = ASYNCPG_BASE.PostgresMessageMeta._message_map
    ours = {kind.sqlstate: kind for kind in CLASSES if "sqlstate" in vars(kind)}
    assert {code: kind.__name__ for code, kind in ours.items()} == {
        code: kind.__name__ for code, kind in theirs.items()
    }
    assert {code: class_for_sqlstate(code) for code in ours} == ours


def test_only_the_stale_plan_shares_its_sqlstate() -> None:
    without = {kind for kind in CLASSES if "sqlstate" not in vars(kind)}
    assert without == {exceptions.InvalidCachedStatementError}
    assert exceptions.InvalidCachedStatementError.sqlstate == "0A000"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_it_says_its_sqlstate_and_can_be_pickled(kind: type[Any]) -> None:
    assert f"SQLSTATE {kind.sqlstate}" in (kind.__doc__ or "")
    again = pickle.loads(pickle.dumps(kind("no")))
    assert type(again) is kind
    assert again.args == ("no",)
