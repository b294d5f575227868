"""COPY by methods that are not for it, in whatever company."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from tests.servers import RunningServer
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres import Postgres
from wirekit.protocols.postgres import (
    Bind,
    CopyInResponse,
    ErrorResponse,
    Execute,
    Parse,
    Sync,
)
from wirekit.sockets import connect

from ._login import client

Method = Callable[[Postgres, str], Awaitable[Any]]

COPIES = [
    "COPY t FROM STDIN",
    "COPY t TO STDOUT",
    "COPY (SELECT generate_series(1, 3000)) TO STDOUT",
    "SELECT 1; COPY t FROM STDIN; SELECT 2",
    "COPY t TO STDOUT; COPY t TO STDOUT; COPY t FROM STDIN; COPY t FROM STDIN",
]
EXTENDED: dict[str, Method] = {
    "fetch": lambda db, query: db.fetch(query),
    "fetchrow": lambda db, query: db.fetchrow(query),
    "executemany": lambda db, query: db.executemany(query, [()]),
    "prepare": lambda db, query: db.prepare(query),
    "fetch_columns": lambda db, query: db.fetch_columns(query),
}


def bare(server: RunningServer) -> Postgres:
    """Return a client that has no way to cancel."""
    return Postgres(connect((server.host, server.port)), user="trust_user", database="wirekit")


@pytest.fixture(params=[client, bare])
async def db(postgres15: RunningServer, request: pytest.FixtureRequest) -> AsyncGenerator[Postgres]:
    async with request.param(postgres15) as opened:
        await opened.execute("CREATE TEMP TABLE t (a int4)")
        await opened.execute("INSERT INTO t VALUES (1)")
        yield opened


@pytest.mark.parametrize("query", COPIES)
async def test_copy_by_execute(db: Postgres, query: str) -> None:
    with pytest.raises(pg.InterfaceError, match="use the copy_"):
        await db.execute(query)
    assert await db.fetchval("SELECT count(*) FROM t") == 1
    async with db.transaction():
        with pytest.raises(pg.InterfaceError, match="use the copy_"):
            async with db.transaction():
                await db.execute(query)
        assert await db.fetchval("SELECT count(*) FROM t") == 1


@pytest.mark.parametrize("name", EXTENDED)
@pytest.mark.parametrize("query", COPIES[:3])
async def test_copy_by_the_extended_protocol(db: Postgres, query: str, name: str) -> None:
    with pytest.raises(pg.InterfaceError, match="use the copy_"):
        await EXTENDED[name](db, query)
    assert await db.fetchval("SELECT count(*) FROM t") == 1


async def test_copy_inside_a_pipeline(db: Postgres) -> None:
    async def run() -> None:
        async with db.pipeline():
            await db.execute("COPY t FROM STDIN")

    with pytest.raises(pg.InterfaceError, match="use the copy_"):
        await run()
    assert await db.fetchval("SELECT count(*) FROM t") == 1


async def test_a_copy_that_was_not_recognized(db: Postgres) -> None:
    # As if the text had not given it away: by the extended protocol its Sync is ignored.
    connection = db._open_connection  # pyright: ignore[reportPrivateUsage]
    for query, kind in (("COPY t FROM STDIN", CopyInResponse), ("COPY t TO STDOUT", None)):
        messages = (Parse("", query), Bind("", ""), Execute(""), Sync())
        events = await connection.request(*messages).future
        if kind is not None:
            assert any(isinstance(event, kind) for event in events)
            assert isinstance(events[-1], ErrorResponse)
            assert events[-1].fields["C"] == "57014"
        assert await db.fetchval("SELECT count(*) FROM t") == 1


async def test_in_company(db: Postgres) -> None:
    async def read(number: int) -> int:
        value: int = await db.fetchval("SELECT $1::int4 + count(*)::int4 FROM t", number)
        return value

    async def copy(query: str) -> None:
        with pytest.raises(pg.InterfaceError, match="use the copy_"):
            await db.execute(query)

    calls = [read(number) if number % 5 else copy(COPIES[number % 3]) for number in range(100)]
    results = await asyncio.gather(*calls)
    assert [result for result in results if result is not None] == [
        number + 1 for number in range(100) if number % 5
    ]


@pytest.mark.parametrize("query", [COPIES[0], COPIES[2], COPIES[4]])
async def test_cancelled_at_any_time(db: Postgres, query: str) -> None:
    for turns in range(25):
        task = asyncio.create_task(db.execute(query))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        others = [db.fetchval("SELECT $1::int4", number) for number in range(3)]
        assert await asyncio.gather(*others) == [0, 1, 2]
        with pytest.raises((asyncio.CancelledError, pg.InterfaceError)):
            await task


async def test_a_copy_on_the_server(postgres15: RunningServer) -> None:
    async with client(postgres15, user="postgres") as db:
        await db.execute("CREATE TEMP TABLE t (a int4)")
        assert await db.execute("COPY t FROM PROGRAM 'echo 5; true stdin'") == "COPY 1"
        assert await db.fetch("COPY t TO PROGRAM 'cat > /dev/null; true stdout'") == []


async def test_words_that_look_like_a_copy(db: Postgres) -> None:
    text = "copy from stdin to stdout"
    assert await db.fetchval(f"SELECT '{text}'") == text
    assert await db.execute(f"SELECT '{text}'; SELECT 2") == "SELECT 1"
