"""Pipelines on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client
from tests.servers import RunningServer
from wirekit.adapters import postgres as pg

INSERT = "INSERT INTO t VALUES ($1)"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture(params=[100, 1, 0])
async def db(request: pytest.FixtureRequest, postgres15: RunningServer) -> AsyncIterator[Any]:
    async with client(postgres15, statement_cache_size=request.param) as made:
        await made.execute("CREATE TEMP TABLE t (a int4 CHECK (a >= 0))")
        yield made


async def usable(db: Any, rows: int | None = None) -> None:
    async with asyncio.timeout(10):
        if rows is not None:
            assert await db.fetchval(COUNT) == rows
        assert await db.fetchval("SELECT 1") == 1
        assert not db.is_in_transaction()


# Results -------------------------------------------------------------------------------------


@pytest.mark.both_loops
async def test_results_inside_and_after(postgres: RunningServer) -> None:
    async with client(postgres) as db:
        async with db.pipeline() as pipeline:
            created = pipeline.execute("CREATE TEMP TABLE t (a int4)")
            inserted = [pipeline.execute(INSERT, number) for number in range(5)]
            rows = pipeline.fetch("SELECT a FROM t ORDER BY a")
            assert await pipeline.fetchval(COUNT) == 5
            row = pipeline.fetchrow("SELECT min(a), max(a) FROM t")
            none = pipeline.fetchrow("SELECT 1 WHERE false")
            nothing = pipeline.fetchval("SELECT 1 WHERE false")
        assert await created == "CREATE TABLE"
        assert [await one for one in inserted] == ["INSERT 0 1"] * 5
        assert await rows == [(number,) for number in range(5)]
        assert await row == (0, 4)
        assert await none is None
        assert await nothing is None
        await usable(db, 5)


async def test_the_clients_own_methods(db: Any) -> None:
    async with db.pipeline() as pipeline:
        queued = pipeline.execute(INSERT, 1)
        assert await db.execute(INSERT, 2) == "INSERT 0 1"
        assert await db.execute("INSERT INTO t VALUES (3)") == "INSERT 0 1"
        assert await db.fetch("SELECT a FROM t") == [(1,), (2,), (3,)]
        assert await db.fetchrow("SELECT count(*) FROM t") == (3,)
        assert await db.fetchval(COUNT) == 3
        assert await queued == "INSERT 0 1"
    await usable(db, 3)


async def test_queries_run_in_the_order_in_which_they_are_queued(db: Any) -> None:
    await db.fetchval("SELECT 1")
    async with db.pipeline() as pipeline:
        got: list[Any] = []
        for number in range(30):
            pipeline.execute(f"INSERT INTO t VALUES ({number})")
            got.append(pipeline.fetchval(COUNT))
            got.append(pipeline.fetchval(f"SELECT count(*) + 0 * {number % 3} FROM t"))
    assert [await one for one in got] == [n for n in range(1, 31) for _ in range(2)]


async def test_what_the_pipeline_itself_makes_can_be_used(db: Any) -> None:
    async with db.pipeline() as pipeline:
        pipeline.execute("CREATE TYPE pg_temp.pair AS (a int4, b text)")
        pipeline.execute("CREATE TEMP TABLE pairs (pair pg_temp.pair)")
        pipeline.execute("INSERT INTO pairs VALUES ($1)", (1, "x"))
        pair = pipeline.fetchval("SELECT pair FROM pairs")
    assert tuple(await pair) == (1, "x")


async def test_many_at_once(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        await db.fetchval("SELECT $1::int4", 1)
        before = db.request_count
        async with db.pipeline() as pipeline:
            values = [pipeline.fetchval("SELECT $1::int4", number) for number in range(5000)]
        assert await asyncio.gather(*values) == list(range(5000))
        assert db.request_count == before + 1


async def test_record_classes(db: Any) -> None:
    class Mine(pg.Record):
        pass

    async with db.pipeline() as pipeline:
        rows = pipeline.fetch("SELECT 1", record_class=Mine)
        row = pipeline.fetchrow("SELECT 1", record_class=Mine)
    assert type((await rows)[0]) is type(await row) is Mine


async def test_nothing_at_all(db: Any) -> None:
    before = db.request_count
    async with db.pipeline():
        pass
    assert db.request_count == before
    async with db.pipeline() as pipeline:
        assert await pipeline.fetch("") == []
        assert await pipeline.execute("-- nothing") == ""
    await usable(db)


async def test_statements_are_closed_at_the_end(postgres15: RunningServer) -> None:
    async with client(postgres15, statement_cache_size=2) as db:
        async with db.pipeline() as pipeline:
            values = [pipeline.fetchval(f"SELECT {number}") for number in range(20)]
        assert [await value for value in values] == list(range(20))
        assert await db.fetchval("SELECT count(*) FROM pg_prepared_statements") == 2


# All or nothing ------------------------------------------------------------------------------


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("value", [-1, "no"])
async def test_an_error_undoes_all(db: Any, value: Any, prepared: bool) -> None:
    error = pg.CheckViolationError if value == -1 else pg.DataError
    if prepared:
        await db.execute(f"{INSERT} RETURNING 1", 0)
        await db.execute("DELETE FROM t")
    results: list[Any] = []

    async def run() -> None:
        async with db.pipeline() as pipeline:
            query = f"{INSERT} RETURNING 1"
            results.extend([pipeline.execute(query, argument) for argument in (1, value, 2)])

    with pytest.raises(error):  # though nobody asked for any result
        await run()
    before, wrong, after = results
    assert await before == "INSERT 0 1"
    with pytest.raises(error):
        await wrong
    with pytest.raises(pg.InFailedSQLTransactionError):
        await after
    await usable(db, 0)


@pytest.mark.parametrize(
    ("query", "error"),
    [("SELECT * FROM nothing", pg.UndefinedTableError), (None, pg.InterfaceError)],
)
async def test_errors_of_preparing(db: Any, query: Any, error: type[Exception]) -> None:
    async def run() -> None:
        async with db.pipeline() as pipeline:
            pipeline.execute(INSERT, 1)
            pipeline.fetch(query)
            pipeline.execute(INSERT, 2)

    with pytest.raises(error):
        await run()
    await usable(db, 0)


async def test_an_error_that_was_caught_undoes_all_the_same(db: Any) -> None:
    errors: list[Exception] = []

    async def run() -> None:
        async with db.pipeline() as pipeline:
            pipeline.execute(INSERT, 1)
            with pytest.raises(pg.CheckViolationError) as inner:
                await pipeline.execute(INSERT, -1)
            errors.append(inner.value)
            with pytest.raises(pg.InFailedSQLTransactionError):
                await pipeline.execute(INSERT, 2)

    with pytest.raises(pg.CheckViolationError) as caught:
        await run()
    assert caught.value is not errors[0]
    assert caught.value.query == INSERT
    await usable(db, 0)


async def test_an_exception_of_the_block_undoes_all(db: Any) -> None:
    queued: list[Any] = []

    async def run() -> None:
        async with db.pipeline() as pipeline:
            await pipeline.execute(INSERT, 1)
            queued.append(pipeline.execute(f"{INSERT} RETURNING a", 2))
            queued.append(pipeline.execute(INSERT, 2))
            raise KeyError

    with pytest.raises(KeyError):
        await run()
    results: list[Any] = await asyncio.gather(*queued, return_exceptions=True)
    for result in results:
        assert result == "INSERT 0 1" or isinstance(result, pg.InFailedSQLTransactionError)
    await usable(db, 0)


async def test_a_constraint_that_is_checked_at_the_end(db: Any) -> None:
    await db.execute("CREATE TEMP TABLE u (a int4 UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    results: list[Any] = []

    async def run() -> None:
        async with db.pipeline() as pipeline:
            results.extend(pipeline.execute("INSERT INTO u VALUES ($1)", 1) for _ in range(2))

    with pytest.raises(pg.UniqueViolationError):
        await run()
    assert [await result for result in results] == ["INSERT 0 1"] * 2
    assert await db.fetchval("SELECT count(*) FROM u") == 0
    await usable(db)


async def test_what_a_decoder_raises_is_its_callers(db: Any) -> None:
    async with db.pipeline() as pipeline:
        pipeline.execute(INSERT, 1)
        wrong = pipeline.fetchval("SELECT timestamp '20000-01-01'")
        right = pipeline.fetchval(COUNT)
    with pytest.raises((ValueError, OverflowError)):
        await wrong
    assert await right == 1
    await usable(db, 1)


# Inside of a transaction ---------------------------------------------------------------------


async def test_inside_of_a_transaction(db: Any) -> None:
    async with db.transaction():
        await db.execute(INSERT, 1)
        async with db.pipeline() as pipeline:
            pipeline.execute(INSERT, 2)
            assert await pipeline.fetchval(COUNT) == 2
        assert db.is_in_transaction()
        await db.execute(INSERT, 3)
    await usable(db, 3)


async def test_an_error_inside_of_a_transaction(db: Any) -> None:
    async def insert(*values: int, fault: Exception | None = None) -> None:
        async with db.transaction():
            await db.execute(INSERT, 1)
            async with db.pipeline() as pipeline:
                for value in values:
                    pipeline.execute(INSERT, value)
                if fault is not None:
                    raise fault

    with pytest.raises(pg.CheckViolationError):
        await insert(2, -1)
    await usable(db, 0)
    with pytest.raises(KeyError):
        await insert(2, fault=KeyError())
    await usable(db, 0)
    async with db.transaction():
        await db.execute(INSERT, 1)
        with pytest.raises(pg.CheckViolationError):
            await insert(-1)  # in a savepoint
        assert await db.fetchval(COUNT) == 1
    await usable(db, 1)


async def test_an_exception_inside_of_a_transaction_leaves_it_open(db: Any) -> None:
    async def run() -> None:
        async with db.pipeline() as pipeline:
            await pipeline.execute(INSERT, 2)
            raise KeyError

    async with db.transaction():
        with pytest.raises(KeyError):
            await run()
        assert await db.fetchval(COUNT) == 1  # the rest is the transaction's affair
    await usable(db, 1)


# Wrong use -----------------------------------------------------------------------------------


async def test_only_queries(db: Any) -> None:
    async with db.pipeline() as pipeline:
        pipeline.execute(INSERT, 1)
        calls: list[Callable[[], Any]] = [
            lambda: db.executemany(INSERT, [(2,)]),
            lambda: db.fetchmany(COUNT, [()]),
            lambda: db.transaction().start(),
            lambda: db.pipeline().__aenter__(),
            lambda: db.copy_to_table("t", source=b""),
            lambda: db.reset(),
        ]
        for call in calls:
            with pytest.raises(pg.InterfaceError, match="pipeline"):
                await call()
        assert await pipeline.fetchval(COUNT) == 1
    await usable(db, 1)


@pytest.mark.parametrize("query", ["COPY t FROM STDIN", "COPY t TO STDOUT"])
async def test_copy_is_refused(db: Any, query: str) -> None:
    async def run() -> None:
        async with db.pipeline() as pipeline:
            pipeline.execute(INSERT, 1)
            pipeline.execute(query)

    with pytest.raises(pg.InterfaceError, match="copy_"):
        await run()
    await usable(db, 0)


async def test_before_and_after(db: Any) -> None:
    pipeline = db.pipeline()
    with pytest.raises(pg.InterfaceError, match="not entered"):
        pipeline.fetch("SELECT 1")
    async with pipeline:
        await pipeline.fetch("SELECT 1")
    with pytest.raises(pg.InterfaceError, match="over"):
        pipeline.fetch("SELECT 1")
    with pytest.raises(pg.InterfaceError, match="only once"):
        await pipeline.__aenter__()
    await usable(db)
    await db.close()
    with pytest.raises(pg.InterfaceError, match="closed"):
        db.pipeline()


# Others --------------------------------------------------------------------------------------


async def test_others_wait_and_tasks_of_the_block_do_not(db: Any) -> None:
    begun = asyncio.Event()

    async def bystander() -> Any:
        await begun.wait()
        return await db.fetchval(COUNT)

    waiting = asyncio.create_task(bystander())
    async with db.pipeline() as pipeline:
        begun.set()
        await pipeline.execute(INSERT, 1)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(db.execute(INSERT, number)) for number in range(10)]
        assert [task.result() for task in tasks] == ["INSERT 0 1"] * 10
        assert not waiting.done()
    assert await waiting == 11


async def test_another_task_may_be_given_the_pipeline(db: Any) -> None:
    pipelines: asyncio.Queue[Any] = asyncio.Queue()

    async def helper() -> Any:
        pipeline = await pipelines.get()
        return await pipeline.fetchval(f"{INSERT} RETURNING a", 7)

    helping = asyncio.create_task(helper())
    async with db.pipeline() as pipeline:
        pipelines.put_nowait(pipeline)
        async with asyncio.timeout(10):
            while not (pipeline._calls or pipeline._parts):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
    assert await helping == 7
    await usable(db, 1)


async def test_pipelines_one_after_the_other(db: Any) -> None:
    async def one(number: int) -> Any:
        async with db.pipeline() as pipeline:
            pipeline.execute(INSERT, number)
            pipeline.execute("DELETE FROM t WHERE a = $1", number)
            return await pipeline.fetchval(COUNT)

    assert await asyncio.gather(*[one(number) for number in range(50)]) == [0] * 50
    await usable(db, 0)


# Giving up -----------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["SELECT pg_sleep(1000)", "SELECT pg_sleep($1)"])
async def test_cancelled_in_the_block(db: Any, query: str) -> None:
    async def run() -> None:
        async with asyncio.timeout(0.05), db.pipeline() as pipeline:
            pipeline.execute(INSERT, 1)
            await pipeline.fetch(query, *[1000] * ("$1" in query))

    with pytest.raises(TimeoutError):
        await run()
    await usable(db, 0)


@pytest.mark.parametrize("queries", [1, 3])
async def test_cancelled_at_the_end_of_the_block(db: Any, queries: int) -> None:
    queued: list[Any] = []

    async def run() -> None:
        async with asyncio.timeout(0.05), db.pipeline() as pipeline:
            pipeline.execute(INSERT, 1)
            texts = [f"SELECT {number} FROM pg_sleep($1)" for number in range(queries)]
            queued.extend([pipeline.fetch(text, 1000) for text in texts])

    with pytest.raises(TimeoutError):
        await run()
    errors: list[Any] = await asyncio.gather(*queued, return_exceptions=True)
    assert all(isinstance(error, pg.PostgresError) for error in errors)
    await usable(db, 0)


async def test_one_result_is_given_up(db: Any) -> None:
    async with db.pipeline() as pipeline:
        pipeline.execute(INSERT, 1)
        with pytest.raises(TimeoutError):
            await db.fetch("SELECT pg_sleep(0.1)", timeout=0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await pipeline.execute("INSERT INTO t SELECT 2 FROM pg_sleep(0.05)")
        assert await pipeline.fetchval("SELECT 5") == 5
    assert await db.fetchval(COUNT) in (1, 2)
    await usable(db)


async def test_cancelled_after_any_turn(db: Any) -> None:
    async def run() -> None:
        async with db.pipeline() as pipeline:
            pipeline.execute(INSERT, 1)
            await pipeline.fetchval("SELECT $1::int4", 2)
            pipeline.execute("INSERT INTO t VALUES ($1::int4 + 0)", 1)

    for turns in range(60):
        task = asyncio.create_task(run())
        behind = asyncio.create_task(db.fetchval(COUNT))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert await behind in (0, 2)
        assert await db.fetchval(COUNT) in ((2,) if result is None else (0, 2))
        await db.execute("TRUNCATE t")
    await usable(db, 0)


# Losing the connection -----------------------------------------------------------------------


@pytest.mark.parametrize("waits", [True, False])
async def test_the_connection_is_lost(postgres15: RunningServer, waits: bool) -> None:
    queued: list[Any] = []

    async def run(db: Any, other: Any) -> None:
        async with db.pipeline() as pipeline:
            queued.append(pipeline.fetch("SELECT 1 FROM pg_sleep(1000)"))
            queued.append(pipeline.fetchval("SELECT 1"))
            queued.append(pipeline.fetchval("SELECT 2"))
            await asyncio.sleep(0.05)
            await other.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
            if waits:
                await queued[1]

    async with client(postgres15) as db, client(postgres15) as other:
        await db.fetchval("SELECT 1")
        with pytest.raises(pg.ConnectionDoesNotExistError, match="administrator"):
            await run(db, other)
        errors: list[Any] = await asyncio.gather(*queued, return_exceptions=True)
        assert all(isinstance(error, pg.ConnectionDoesNotExistError) for error in errors)
        assert len({id(error) for error in errors}) == 3


async def test_the_connection_is_lost_while_idle(postgres15: RunningServer) -> None:
    async def run(db: Any, other: Any) -> None:
        async with db.pipeline() as pipeline:
            await pipeline.fetchval("SELECT 1")
            await other.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
            await asyncio.sleep(0.05)

    async with client(postgres15) as db, client(postgres15) as other:
        with pytest.raises(pg.ConnectionDoesNotExistError):
            await run(db, other)
        with pytest.raises(pg.ConnectionDoesNotExistError):
            await run(db, other)


async def test_the_blocks_own_exception_says_more(postgres15: RunningServer) -> None:
    async def run(db: Any) -> None:
        async with db.pipeline() as pipeline:
            pipeline.fetch("SELECT pg_sleep(1000)")
            await asyncio.sleep(0.01)
            db.terminate()
            raise KeyError

    async with client(postgres15) as db, client(postgres15) as other:
        pid = db.get_server_pid()
        with pytest.raises(KeyError):
            await run(db)
        await other.execute("SELECT pg_terminate_backend($1)", pid)


async def test_closed_inside_of_the_block(postgres15: RunningServer) -> None:
    queued: list[Any] = []

    async def run(db: Any) -> None:
        async with db.pipeline() as pipeline:
            queued.append(pipeline.fetchval("SELECT 1"))
            queued.append(pipeline.fetchval("SELECT 2"))
            await db.close()

    async with client(postgres15) as db:
        await db.fetchval("SELECT 1")
        with pytest.raises(wirekit.SocketClosed, match="closed"):
            await run(db)
        errors: list[Any] = await asyncio.gather(*queued, return_exceptions=True)
        assert all(isinstance(error, wirekit.SocketClosed) for error in errors)
