"""The client's methods that make transactions, cursors and statements."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import opened
from wirekit.adapters import postgres as pg

if TYPE_CHECKING:
    from tests.servers import RunningServer


@pytest.mark.parametrize("method", ["transaction", "cursor", "prepare"])
def test_signatures_are_asyncpgs(method: str) -> None:
    theirs = inspect.signature(getattr(importlib.import_module("asyncpg").Connection, method))
    ours = inspect.signature(getattr(pg.Postgres, method))
    assert {name: (p.kind, p.default) for name, p in ours.parameters.items()} == {
        name: (p.kind, p.default) for name, p in theirs.parameters.items()
    }


@pytest.mark.parametrize("name", ["transaction", "cursor", "prepared_stmt"])
def test_methods_are_asyncpgs(name: str) -> None:
    theirs = importlib.import_module(f"asyncpg.{name}")
    for class_name in getattr(pg, name).__all__:
        for method, function in vars(getattr(theirs, class_name, type)).items():
            if method.startswith("_") or not inspect.isfunction(function):
                continue
            ours = inspect.signature(getattr(getattr(getattr(pg, name), class_name), method))
            model = inspect.signature(function)
            assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
                (p.name, p.kind, p.default) for p in model.parameters.values()
            ]


async def test_what_is_void_is_refused(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15)
    for wrong in (dict, 3):
        with pytest.raises((pg.InterfaceError, TypeError)):
            db.cursor("SELECT 1", record_class=wrong)
        with pytest.raises((pg.InterfaceError, TypeError)):
            await db.prepare("SELECT 1", record_class=wrong)
    await db.close()
    for call in (db.transaction, lambda: db.cursor("SELECT 1")):
        with pytest.raises(pg.InterfaceError, match="connection is closed"):
            call()
    with pytest.raises(pg.InterfaceError, match="connection is closed"):
        await db.prepare("SELECT 1")


async def test_query_loggers_are_told_of_transactions(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15)
    logged: list[str] = []

    def log(record: Any) -> None:
        logged.append(record.query)

    with db.query_logger(log):
        async with db.transaction():
            statement = await db.prepare("SELECT 1")
            await statement.fetchval()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert logged == ["BEGIN", "SELECT 1", "COMMIT"]
    await db.close()
