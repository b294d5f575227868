"""How statements are prepared, kept, and prepared anew; and who gets which error."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client, opened
from tests.servers import RunningServer
from wirekit.adapters import postgres as pg
from wirekit.sockets import DirectConnector

NAMES = "SELECT name FROM pg_prepared_statements ORDER BY name"


async def blocked(db: Any, other: Any, table: str) -> None:
    """Lock a table in a transaction of the other connection."""
    await other.execute(f"CREATE TABLE IF NOT EXISTS {table} (a int)")
    await other.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")


# Before and after ----------------------------------------------------------------------------


async def test_it_has_to_be_open(postgres15: RunningServer) -> None:
    db: Any = pg.Postgres(
        connector=DirectConnector(),
        address=(postgres15.host, postgres15.port),
        user="trust_user",
    )
    for call in (db.fetch("SELECT 1"), db.execute("SELECT 1"), db.executemany("SELECT 1", [()])):
        with pytest.raises(pg.InterfaceError, match="not open yet"):
            await call
    await db.close()


@pytest.mark.parametrize(
    "options",
    [
        {"command_timeout": 0},
        {"command_timeout": -1},
        {"command_timeout": True},
        {"statement_cache_size": -1},
        {"statement_cache_size": True},
        {"max_cached_statement_lifetime": -1},
        {"max_cacheable_statement_size": -1},
    ],
)
async def test_options_that_make_no_sense(
    postgres15: RunningServer, options: dict[str, Any]
) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        await opened(postgres15, **options)


async def test_record_class_has_to_be_one(postgres15: RunningServer) -> None:
    with pytest.raises(pg.InterfaceError, match="record_class"):
        await opened(postgres15, record_class=dict)


# Preparing -----------------------------------------------------------------------------------


@pytest.mark.both_loops
@pytest.mark.parametrize("size", [0, 1, 7, 100])
async def test_many_different_queries_at_once(postgres: RunningServer, size: int) -> None:
    async with client(postgres, statement_cache_size=size) as db:
        for inside in (False, True):
            transaction = db.transaction()
            if inside:
                await transaction.start()
            calls = [
                db.fetchrow(f"SELECT {n % 50} AS c{n % 50}, $1::int4 AS n", n) for n in range(500)
            ]
            rows = await asyncio.gather(*calls)
            assert [list(row.keys()) for row in rows] == [[f"c{n % 50}", "n"] for n in range(500)]
            assert [tuple(row) for row in rows] == [(n % 50, n) for n in range(500)]
            if inside:
                await transaction.commit()
        await db.execute("SELECT 1")
        assert len(await db.fetch(NAMES)) <= size


async def test_a_query_is_prepared_once_for_all_who_ask(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        before = db.request_count
        await asyncio.gather(*[db.fetchval("SELECT $1::int4", n) for n in range(10)])
        assert db.request_count - before == 11
        assert len(await db.fetch(NAMES)) == 1 + 1


async def test_each_who_asks_gets_an_error_of_his_own(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        calls = [db.fetch("SELECT nothing") for _ in range(5)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, pg.UndefinedColumnError) for error in errors)
        assert len({id(error) for error in errors}) == 5
        for error in errors:
            assert isinstance(error, pg.UndefinedColumnError)
            assert error.query == "SELECT nothing"
            assert error.position == "8"


async def test_who_prepares_is_cancelled_and_others_are_not(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        tasks = [asyncio.create_task(db.fetchval("SELECT $1::int4", n)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[1:] == [1, 2]
        assert isinstance(results[0], asyncio.CancelledError)


async def test_preparing_that_waits_for_a_lock_is_cancelled_with_its_last_caller(
    postgres15: RunningServer,
) -> None:
    async with client(postgres15) as db, client(postgres15) as other:
        await blocked(db, other, "session_lock")
        pid = db.get_server_pid()
        calls = [db.fetch("SELECT * FROM session_lock", timeout=0.05 * n) for n in (1, 2)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, TimeoutError) for result in results)
        assert await db.fetchval("SELECT pg_backend_pid()", timeout=10) == pid
        assert len(await db.fetch(NAMES)) == 2
        await other.execute("ROLLBACK")
        assert await db.fetch("SELECT * FROM session_lock") == []


async def test_queries_that_are_none(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        for query in (None, 1, b"SELECT 1"):
            for method in (db.fetch, db.fetchrow, db.fetchval, db.execute):
                wrong: Any = method
                with pytest.raises(pg.InterfaceError, match="a query is a str"):
                    await wrong(query)
        for text in ("SELECT 1\0", "SELECT '\ud800'"):
            for method in (db.fetch, db.execute):
                with pytest.raises(wirekit.LocalProtocolError):
                    await method(text)
        assert await db.fetchval("SELECT 1") == 1


# Statements that are stale -------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 0])
async def test_the_table_has_changed(postgres: RunningServer, size: int) -> None:
    async with client(postgres, statement_cache_size=size) as db:
        await db.execute("CREATE TEMP TABLE stale (a int4); INSERT INTO stale VALUES (1)")
        query = "SELECT * FROM stale"
        assert await db.fetch(query) == [(1,)]
        await db.execute("ALTER TABLE stale ADD b text DEFAULT 'x'")
        calls = [db.fetch(query) for _ in range(5)]
        assert await asyncio.gather(*calls) == [[(1, "x")]] * 5
        await db.execute("ALTER TABLE stale ALTER a TYPE text USING 'was ' || a")
        assert await db.fetchrow(query) == ("was 1", "x")
        await db.execute("ALTER TABLE stale DROP b")
        assert (await db.fetchmany(query, [()]))[0] == ("was 1",)


async def test_the_server_has_forgotten_all_statements(postgres: RunningServer) -> None:
    async with client(postgres) as db:
        assert await db.fetchval("SELECT $1::int4", 1) == 1
        await db.execute("DEALLOCATE ALL")
        calls = [db.fetchval("SELECT $1::int4", n) for n in range(20)]
        assert await asyncio.gather(*calls) == list(range(20))
        await db.execute("DISCARD ALL")
        await db.execute("CREATE TEMP TABLE t (a int4)")
        await db.executemany("INSERT INTO t VALUES ($1)", [(1,)])
        await db.execute("DEALLOCATE ALL")
        assert await db.fetchval("SELECT count(*) FROM t") == 1


@pytest.mark.parametrize("how", ["ALTER TABLE stale ADD b text", "DEALLOCATE ALL"])
async def test_inside_a_transaction_nothing_is_run_again(
    postgres15: RunningServer, how: str
) -> None:
    expected = (pg.InvalidCachedStatementError, pg.InvalidSQLStatementNameError)
    async with client(postgres15) as db:
        await db.execute("CREATE TEMP TABLE stale (a int4)")
        assert await db.fetch("SELECT * FROM stale") == []
        await db.execute(how)

        async def run() -> None:
            async with db.transaction():
                await db.execute("INSERT INTO stale VALUES (1)")
                await db.fetch("SELECT * FROM stale")

        with pytest.raises(expected):
            await run()
        # But the next time it is prepared anew, in a transaction too.
        async with db.transaction():
            assert await db.fetch("SELECT * FROM stale") == []


async def test_a_statement_of_that_name_that_is_the_users(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        with pytest.raises(pg.InvalidSQLStatementNameError, match=re.escape('"nobody\'s"')):
            await db.fetch('EXECUTE "nobody\'s"')
        assert await db.fetchval("SELECT 1") == 1


# Closing at the server -----------------------------------------------------------------------


async def test_statements_are_not_closed_in_the_middle_of_something(
    postgres15: RunningServer,
) -> None:
    async with client(postgres15, statement_cache_size=2) as db:
        await db.execute("CREATE TEMP TABLE t (a int4)")
        await asyncio.gather(
            db.executemany("INSERT INTO t VALUES ($1)", [(n,) for n in range(50_000)]),
            *[db.fetchval(f"SELECT {n}") for n in range(20)],
        )
        assert await db.fetchval("SELECT count(*) FROM t") == 50_000
        assert len(await db.fetch(NAMES)) == 2


async def test_expired_statements_are_not_closed_in_the_middle_of_something(
    postgres15: RunningServer,
) -> None:
    async with client(postgres15, max_cached_statement_lifetime=0.01) as db:
        await db.execute("CREATE TEMP TABLE t (a int4)")
        await db.fetchval("SELECT 1")
        calls = [db.executemany("INSERT INTO t VALUES ($1)", [(n,) for n in range(100_000)])]
        many = [asyncio.create_task(call) for call in calls]
        for _ in range(5):
            await asyncio.sleep(0.005)
            many.append(asyncio.create_task(db.fetchval("SELECT 1")))
        assert await asyncio.gather(*many) == [None, 1, 1, 1, 1, 1]
        assert await db.fetchval("SELECT count(*) FROM t") == 100_000


# Losing the connection -----------------------------------------------------------------------


async def test_whoever_waits_for_the_connection_gets_the_error(postgres15: RunningServer) -> None:
    async with client(postgres15) as db, client(postgres15) as other:
        begun = asyncio.Event()
        done = asyncio.Event()

        async def hold() -> None:
            async with db.transaction():
                begun.set()
                await done.wait()

        holding = asyncio.create_task(hold())
        await begun.wait()
        calls = [db.fetch("SELECT 1"), db.execute("SELECT 1"), db.executemany("SELECT 1", [()])]
        waiting = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0.01)
        await other.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
        errors: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        for error in errors:
            assert isinstance(error, pg.ConnectionDoesNotExistError)
            assert "administrator" in str(error)
        done.set()
        with pytest.raises(pg.PostgresError):
            await holding
