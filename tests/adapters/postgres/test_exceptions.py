"""The public face, class by class beside asyncpg's."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

import wirekit
from wirekit.adapters.postgres import exceptions
from wirekit.adapters.postgres.exceptions._base import (
    DataError,
    InterfaceMessage,
    PostgresMessage,
)

# asyncpg has no types.
ASYNCPG: Any = importlib.import_module("asyncpg.exceptions")
ASYNCPG_BASE: Any = importlib.import_module("asyncpg.exceptions._base")
NAMES: list[str] = sorted(ASYNCPG.__all__)
# wirekit's classes, and Python's own that come in with them, such as ConnectionError.
WIREKIT: set[type] = {getattr(wirekit, name) for name in wirekit.__all__}
BROUGHT = {base for error in WIREKIT for base in error.__mro__}


def lineages(ours: type, theirs: type) -> tuple[list[str], list[str]]:
    """Return the names of both classes' bases, without those that only wirekit brings in."""
    added = BROUGHT - set(theirs.__mro__)
    return (
        [base.__name__ for base in ours.__mro__ if base not in added],
        [base.__name__ for base in theirs.__mro__],
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_as_in_asyncpg(name: str) -> None:
    ours: type = getattr(exceptions, name)
    theirs: type = getattr(ASYNCPG, name)
    assert name in exceptions.__all__
    assert ours.__name__ == theirs.__name__
    assert vars(ours).get("sqlstate") == vars(theirs).get("sqlstate")
    mine, model = lineages(ours, theirs)
    assert mine == model


@pytest.mark.parametrize("ours", [DataError, InterfaceMessage, PostgresMessage])
def test_classes_that_asyncpg_does_not_list(ours: type) -> None:
    mine, model = lineages(ours, getattr(ASYNCPG_BASE, ours.__name__))
    assert mine == model


def test_what_is_ours_alone() -> None:
    assert set(exceptions.__all__) - set(NAMES) == {
        "ClosedError",
        "InterfaceMessage",
        "PostgresMessage",
        "QueryArgumentError",
        "connection_error",
        "error_from_fields",
        "log_message_from_fields",
    }


def test_every_exception_is_wirekits() -> None:
    public: list[Any] = [getattr(exceptions, name) for name in exceptions.__all__]
    kinds = [kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind for kind in kinds if not issubclass(kind, wirekit.Error | Warning)} == set()
    assert len(kinds) > len(exceptions.__all__) - 10
