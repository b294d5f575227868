"""PgBouncer in transaction mode: what works behind it, and what it says if the cache is on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.adapters.postgres._login import client, login
from tests.servers import RunningServer, pgbouncer_server
from wirekit.adapters.postgres import (
    DivisionByZeroError,
    DuplicatePreparedStatementError,
    InvalidSQLStatementNameError,
    Postgres,
    create_pool,
)

TASKS = 40


@pytest.fixture(scope="module")
def bouncer(postgres15: RunningServer) -> Iterator[RunningServer]:
    """One that has three connections for all who come."""
    with pgbouncer_server(postgres15, config={"default_pool_size": "3"}) as server:
        yield server


@pytest_asyncio.fixture
async def types(postgres15: RunningServer) -> AsyncGenerator[None]:
    """Types of the user's, which are introspected."""
    async with client(postgres15, user="postgres") as db:
        await db.execute(
            """
            CREATE SCHEMA bounced;
            GRANT ALL ON SCHEMA bounced TO PUBLIC;
            CREATE TYPE bounced.mood AS ENUM ('sad', 'ok');
            CREATE TYPE bounced.pair AS (m bounced.mood, n int);
            CREATE TABLE bounced.numbers (n int);
            GRANT ALL ON bounced.numbers TO PUBLIC
            """
        )
        yield
        await db.execute("DROP SCHEMA bounced CASCADE")


async def test_without_the_cache(bouncer: RunningServer, types: None) -> None:
    """A bit of everything, by tasks on connections of their own, which share three servers'."""

    async def work(number: int) -> None:
        async with client(bouncer, statement_cache_size=0) as db:
            assert await db.fetchval("SELECT $1::int", number) == number
            pair = ("ok", number)
            assert await db.fetchval("SELECT $1::bounced.pair", pair) == pair
            rows = await db.fetch("SELECT $1::bounced.pair[] AS pairs", [pair, None])
            assert rows[0]["pairs"] == [pair, None]
            insert = "INSERT INTO bounced.numbers VALUES ($1)"
            await db.executemany(insert, [(number,)] * 3)
            with pytest.raises(DivisionByZeroError):
                await db.fetch("SELECT 1 / $1::int", 0)
            async with db.transaction():
                await db.execute(insert, number)
                statement = await db.prepare("SELECT count(*) FROM bounced.numbers WHERE n = $1")
                assert await statement.fetchval(number) == 4
                assert [row[0] async for row in db.cursor("SELECT generate_series(1, 9)")][-1] == 9
            calls = (db.fetchval("SELECT $1::int + 1", n) for n in range(10))
            assert await asyncio.gather(*calls) == list(range(1, 11))
            async with db.pipeline() as pipeline:
                promised = [pipeline.fetchval("SELECT $1::int + 2", n) for n in range(5)]
            assert [await call for call in promised] == list(range(2, 7))

    await asyncio.gather(*(work(number) for number in range(TASKS)))
    async with client(bouncer, statement_cache_size=0) as db:
        assert await db.fetchval("SELECT count(*) FROM bounced.numbers") == 4 * TASKS
        assert await db.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0


async def test_many_tasks_on_one_connection(bouncer: RunningServer, types: None) -> None:
    async with client(bouncer, statement_cache_size=0) as db:

        async def work(number: int) -> None:
            assert await db.fetchval("SELECT $1::bounced.pair", ("sad", number)) == ("sad", number)
            async with db.transaction():
                await db.execute("INSERT INTO bounced.numbers VALUES ($1)", number)
                assert await db.fetchval("SELECT $1::text", str(number)) == str(number)

        await asyncio.gather(*(work(number) for number in range(TASKS)))
        assert await db.fetchval("SELECT count(*) FROM bounced.numbers") == TASKS


async def test_a_pool_in_front_of_it(bouncer: RunningServer) -> None:
    options = login(bouncer, statement_cache_size=0, min_size=2, max_size=8)
    async with create_pool(**options) as pool:
        query = "SELECT $1::int * 2"
        found = await asyncio.gather(*(pool.fetchval(query, n) for n in range(TASKS)))
        assert found == [2 * n for n in range(TASKS)]


async def test_cancelled_queries(bouncer: RunningServer) -> None:
    """The CancelRequest goes to PgBouncer, which knows whose it is."""
    async with client(bouncer, statement_cache_size=0) as db:
        for number in range(5):
            with pytest.raises(TimeoutError):
                await db.fetchval("SELECT pg_sleep(30)", timeout=0.01)
            assert await db.fetchval("SELECT $1::int", number) == number


async def test_with_the_cache(bouncer: RunningServer, postgres15: RunningServer) -> None:
    """Another server's connection does not know the statement; the error says what to do."""
    async with client(bouncer) as db, client(bouncer) as other:
        assert await db.fetchval("SELECT $1::int", 1) == 1
        async with other.transaction():  # holds the connection that has been prepared on
            await other.fetchval("SELECT 1")
            # Outside of a transaction it is prepared once more where it is missing.
            assert await db.fetchval("SELECT $1::int", 2) == 2
        hint = await hint_of_a_stranger(db, other)
        assert "statement_cache_size=0" in hint


async def hint_of_a_stranger(db: Postgres, other: Postgres) -> str:
    """Return the hint of the error for a statement that another server connection has."""
    query = "SELECT 'once', $1::int"
    for number in range(10):
        await db.fetchrow(query, number)
        async with other.transaction():
            await other.fetchval("SELECT 1")
            try:
                async with db.transaction():
                    await db.fetchrow(query, number)
            except InvalidSQLStatementNameError as error:
                return error.hint or ""
    raise AssertionError("PgBouncer gave it the same connection each time")


async def test_a_name_of_ones_own_that_is_taken(bouncer: RunningServer) -> None:
    seen: list[Any] = []
    async with client(bouncer, statement_cache_size=0) as db:
        for _ in range(5):
            async with client(bouncer, statement_cache_size=0) as another:
                try:
                    await another.prepare("SELECT 1", name="mine")
                    await db.prepare("SELECT 2", name="mine")
                except DuplicatePreparedStatementError as error:
                    seen.append(error.hint)
                    break
    assert len(seen) == 1
    assert "statement_cache_size=0" in seen[0]


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "password"])
async def test_logins(postgres15: RunningServer, auth_type: str) -> None:
    with pgbouncer_server(postgres15, auth_type=auth_type) as server:
        async with client(
            server, user="scram_user", password="scram secret", statement_cache_size=0
        ) as db:
            assert await db.fetchval("SELECT current_user::text") == "scram_user"
