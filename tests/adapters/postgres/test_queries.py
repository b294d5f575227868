"""execute, fetch and the like on real servers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client
from tests.servers import RunningServer
from wirekit.adapters import postgres as pg
from wirekit.sockets import connect


@pytest.fixture
async def db(postgres: RunningServer) -> AsyncIterator[Any]:
    async with client(postgres) as made:
        yield made


@pytest.fixture
async def db15(postgres15: RunningServer) -> AsyncIterator[Any]:
    async with client(postgres15) as made:
        yield made


async def usable(db: Any) -> None:
    """The connection works and is in no transaction."""
    assert await db.fetchval("SELECT 1 + $1::int4", 1, timeout=10) == 2
    assert not db.is_in_transaction()


# At once -------------------------------------------------------------------------------------


@pytest.mark.both_loops
async def test_a_thousand_tasks_on_one_connection(db: Any) -> None:
    pid = db.get_server_pid()

    async def call(number: int) -> Any:
        match number % 5:
            case 0:
                return await db.fetchval("SELECT $1::int4", number)
            case 1:
                return (await db.fetchrow("SELECT $1::int4 AS n, 'x' AS x", number))["n"]
            case 2:
                rows = await db.fetch("SELECT generate_series(1, $1::int4) AS n", number)
                return rows[-1]["n"]
            case 3:
                with pytest.raises(pg.DivisionByZeroError):
                    await db.fetchval("SELECT 1 / ($1::int4 - $1)", number)
                return number
            case _:
                return int((await db.execute(f"SELECT {number}")).split()[1]) - 1 + number

    results = await asyncio.gather(*[call(number) for number in range(1000)])
    assert results == list(range(1000))
    assert await db.fetchval("SELECT pg_backend_pid()") == pid


async def test_an_error_hurts_one_caller_only(db: Any) -> None:
    await db.execute("CREATE TEMP TABLE t (a int4 PRIMARY KEY)")
    calls = [db.execute("INSERT INTO t VALUES ($1)", number % 7) for number in range(100)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results.count("INSERT 0 1") == 7
    errors = [result for result in results if isinstance(result, pg.UniqueViolationError)]
    assert len(errors) == 93
    assert len({id(error) for error in errors}) == 93
    await usable(db)


# execute -------------------------------------------------------------------------------------


async def test_execute(db: Any) -> None:
    assert await db.execute("CREATE TEMP TABLE t (a int4)") == "CREATE TABLE"
    assert await db.execute("INSERT INTO t VALUES (1), (2)") == "INSERT 0 2"
    assert await db.execute("INSERT INTO t VALUES ($1)", 3) == "INSERT 0 1"
    assert await db.execute("SELECT * FROM t") == "SELECT 3"
    assert await db.execute("SELECT * FROM t WHERE a > $1", 1) == "SELECT 2"
    assert await db.execute("UPDATE t SET a = 0; DELETE FROM t; SELECT 1;") == "SELECT 1"
    assert await db.execute("SET application_name = 'me'") == "SET"
    assert db.get_settings().application_name == "me"


async def test_several_commands_are_one_transaction(db: Any) -> None:
    await db.execute("CREATE TEMP TABLE t (a int4)")
    with pytest.raises(pg.DivisionByZeroError):
        await db.execute("INSERT INTO t VALUES (1); SELECT 1 / 0; INSERT INTO t VALUES (2)")
    assert await db.fetchval("SELECT count(*) FROM t") == 0
    with pytest.raises(pg.PostgresSyntaxError, match="multiple commands"):
        await db.execute("INSERT INTO t VALUES ($1); SELECT 1", 1)
    with pytest.raises(pg.PostgresSyntaxError, match="multiple commands"):
        await db.fetch("SELECT 1; SELECT 2")
    await usable(db)


@pytest.mark.parametrize("query", ["", ";", "-- nothing", "/* nothing */ ;"])
async def test_no_command_at_all(db15: Any, query: str) -> None:
    assert await db15.execute(query) == ""
    assert await db15.fetch(query) == []
    assert await db15.fetchrow(query) is None
    assert await db15.fetchval(query) is None
    assert await db15.fetchmany(query, [(), ()]) == []
    assert await db15.executemany(query, [(), ()]) is None
    await usable(db15)


async def test_transactions_by_commands(db: Any) -> None:
    await db.execute("BEGIN")
    assert db.is_in_transaction()
    with pytest.raises(pg.DivisionByZeroError):
        await db.fetch("SELECT 1 / 0")
    assert db.is_in_transaction()
    with pytest.raises(pg.InFailedSQLTransactionError):
        await db.fetch("SELECT 1")
    await db.execute("ROLLBACK")
    assert not db.is_in_transaction()


# Rows ----------------------------------------------------------------------------------------


async def test_rows(db: Any) -> None:
    rows = await db.fetch("SELECT i, i * 2 AS double FROM generate_series(1, 3) i")
    assert [dict(row) for row in rows] == [{"i": i, "double": 2 * i} for i in (1, 2, 3)]
    assert isinstance(rows[0], pg.Record)
    row = await db.fetchrow("SELECT 1 AS a, NULL AS b")
    assert (row["a"], row["b"], row[0]) == (1, None, 1)
    assert await db.fetchrow("SELECT 1 WHERE false") is None
    assert await db.fetchval("SELECT 1 WHERE false") is None
    assert await db.fetchval("SELECT 1, 2", column=1) == 2
    assert await db.fetchval("SELECT 1 AS a, 2 AS b", column="b") == 2
    with pytest.raises(IndexError):
        await db.fetchval("SELECT 1", column=1)
    assert await db.fetch("SELECT FROM generate_series(1, 2)") == [(), ()]
    assert await db.fetch("CREATE TEMP TABLE t ()") == []


async def test_the_first_row_does_not_cut_a_command_short(db: Any) -> None:
    await db.execute("CREATE TEMP TABLE t (a int4)")
    insert = "INSERT INTO t SELECT generate_series(1, 10) RETURNING a"
    assert await db.fetchrow(insert) == (1,)
    assert await db.fetchval(insert) == 1
    with_insert = f"WITH inserted AS ({insert}) SELECT a FROM inserted"
    assert await db.fetchval(with_insert) == 1
    assert await db.fetchval("SELECT count(*) FROM t") == 30
    assert await db.fetchval("DELETE FROM t RETURNING a") == 1
    assert await db.fetchval("SELECT count(*) FROM t") == 0
    # Of others there is only the first row, however many there would be.
    assert await db.fetchval("SELECT generate_series(1, 1000000000)") == 1


async def test_record_classes(postgres15: RunningServer) -> None:
    class Mine(pg.Record):
        def double(self) -> Any:
            return 2 * self["a"]

    query = "SELECT 21 AS a"
    async with client(postgres15, record_class=Mine) as db:
        assert (await db.fetchrow(query)).double() == 42
        assert type((await db.fetch(query, record_class=pg.Record))[0]) is pg.Record
        assert type((await db.fetchmany(query, [()]))[0]) is Mine
        wrong: Any = int
        with pytest.raises(pg.InterfaceError, match="record_class"):
            await db.fetch(query, record_class=wrong)
        await usable(db)


async def test_what_a_decoder_raises_is_its_callers(db15: Any) -> None:
    calls = [
        db15.fetch("SELECT i, timestamp '20000-01-01' FROM generate_series(1, 10) i"),
        db15.fetchval("SELECT 1"),
        db15.fetchmany("SELECT timestamp '20000-01-01'", [(), ()]),
    ]
    wrong, right, many = await asyncio.gather(*calls, return_exceptions=True)
    assert right == 1
    for error in (wrong, many):
        assert isinstance(error, ValueError | OverflowError)
    await usable(db15)


# Arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 0])
async def test_arguments_that_are_wrong(postgres15: RunningServer, size: int) -> None:
    async with client(postgres15, statement_cache_size=size) as db:
        secret: Any = "hunter2"
        for call in (
            lambda: db.fetchval("SELECT $1::int4", secret),
            lambda: db.execute("SELECT $1::int4", secret),
            lambda: db.executemany("SELECT $1::int4", [(secret,)]),
            lambda: db.fetchmany("SELECT $1::int4", [(1,), (secret,)]),
        ):
            with pytest.raises(pg.DataError, match=r"query argument \$1.*: str") as caught:
                await call()
            assert secret not in f"{caught.value!r} {caught.value.__cause__!r}"
        for values in ((), (1, 2)):
            text = f"expects 1 argument for this query, {len(values)} w"
            with pytest.raises(pg.InterfaceError, match=text):
                await db.fetch("SELECT $1::int4", *values)
        for rows in ([1], None, [None]):
            wrong: Any = rows
            with pytest.raises((TypeError, pg.DataError)):
                await db.executemany("SELECT $1::int4", wrong)
        with pytest.raises(pg.CharacterNotInRepertoireError):
            await db.fetch("SELECT $1::text", "nul \0")
        await usable(db)


# Many ----------------------------------------------------------------------------------------


async def test_fetchmany_and_executemany(db: Any) -> None:
    await db.execute("CREATE TEMP TABLE t (a int4, b text)")
    rows = [(number, str(number)) for number in range(10_000)]
    assert await db.executemany("INSERT INTO t VALUES ($1, $2)", iter(rows)) is None
    assert [tuple(row) for row in await db.fetch("SELECT * FROM t ORDER BY a")] == rows
    query = "INSERT INTO t VALUES ($1, $2) RETURNING a"
    assert [row["a"] for row in await db.fetchmany(query, rows)] == list(range(10_000))
    assert await db.fetchval("SELECT count(*) FROM t") == 20_000
    assert await db.executemany("INSERT INTO t VALUES ($1, $2)", []) is None
    assert await db.fetchmany("SELECT * FROM t WHERE a = $1", []) == []
    assert await db.fetchmany("SELECT i FROM generate_series(1, $1::int4) i", [(1,), (2,)]) == [
        (1,),
        (1,),
        (2,),
    ]


def numbers(fail_at: int, error: Exception) -> Iterator[tuple[int]]:
    for number in range(fail_at):
        yield (number,)
    raise error


FAULTS: dict[str, tuple[Callable[[int], Any], type[Exception]]] = {
    "generator": (lambda at: numbers(at, RuntimeError("mine")), RuntimeError),
    "argument": (lambda at: [*[(n,) for n in range(at)], ("no",)], pg.DataError),
    "count": (lambda at: [*[(n,) for n in range(at)], (1, 2)], pg.InterfaceError),
    "server": (lambda at: [(n,) for n in [*range(at), -1, *range(at)]], pg.CheckViolationError),
}


@pytest.mark.parametrize("size", [100, 0])
@pytest.mark.parametrize("at", [0, 1, 20_000])
@pytest.mark.parametrize("fault", FAULTS)
async def test_all_or_nothing(postgres15: RunningServer, fault: str, at: int, size: int) -> None:
    make, expected = FAULTS[fault]
    async with client(postgres15, statement_cache_size=size) as db:
        await db.execute("CREATE TEMP TABLE t (a int4 CHECK (a >= 0))")
        insert = "INSERT INTO t VALUES ($1)"
        behind: list[asyncio.Task[Any]] = []

        def rows() -> Iterator[Any]:
            for row in make(at):
                if not behind:
                    behind.append(asyncio.create_task(db.fetchval("SELECT count(*) FROM t")))
                yield row

        with pytest.raises(expected):
            await db.executemany(insert, rows())
        assert await asyncio.gather(*behind) == [0] * len(behind)
        with pytest.raises(expected):
            await db.fetchmany(f"{insert} RETURNING a", make(at))
        assert await db.fetchval("SELECT count(*) FROM t") == 0
        await usable(db)
        # Inside of a transaction what was before it stays, unless the server found the fault.
        await db.execute("BEGIN")
        await db.execute(insert, 7)
        with pytest.raises(expected):
            await db.executemany(insert, make(min(at, 100)))
        assert db.is_in_transaction()
        await db.execute("ROLLBACK")
        assert await db.fetchval("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("rows", [5, 20_000])
async def test_many_cancelled_in_the_middle(db: Any, rows: int) -> None:
    await db.execute("CREATE TEMP TABLE t (a int4)")
    for turns in range(0, 40, 3):
        call = db.executemany("INSERT INTO t VALUES ($1)", ((n,) for n in range(rows)))
        task = asyncio.create_task(call)
        behind = asyncio.create_task(db.fetchval("SELECT count(*) FROM t"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        result: Any = (await asyncio.gather(task, return_exceptions=True))[0]
        assert await behind in (0, rows)
        count = await db.fetchval("SELECT count(*) FROM t")
        assert count in ((rows,) if result is None else (0, rows))
        await db.execute("TRUNCATE t")
    await usable(db)


async def test_many_that_waits_for_a_lock(postgres15: RunningServer) -> None:
    async with client(postgres15) as db, client(postgres15) as other:
        await other.execute("CREATE TABLE IF NOT EXISTS many_lock (a int4, b text)")
        await db.executemany("INSERT INTO many_lock VALUES ($1, $2)", [(1, "x")])
        await other.execute("BEGIN; TRUNCATE many_lock")
        rows = ((n, "x" * 1000) for n in range(100_000))  # more than the network holds
        with pytest.raises(TimeoutError):
            await db.executemany("INSERT INTO many_lock VALUES ($1, $2)", rows, timeout=0.1)
        await usable(db)  # and not only when the lock is gone
        await other.execute("COMMIT")
        assert await db.fetchval("SELECT count(*) FROM many_lock") == 0


async def test_others_wait_while_many_are_sent(db15: Any) -> None:
    await db15.execute("CREATE TEMP TABLE t (a int4)")
    started = asyncio.Event()

    def rows() -> Iterator[tuple[int]]:
        for number in range(50_000):
            started.set()
            yield (number,)

    many = asyncio.create_task(db15.executemany("INSERT INTO t VALUES ($1)", rows()))
    await started.wait()
    assert await db15.fetchval("SELECT count(*) FROM t") == 50_000
    await many


# Time ----------------------------------------------------------------------------------------


async def test_timeouts(db: Any) -> None:
    pid = db.get_server_pid()
    sleep = "SELECT pg_sleep(1000)"
    for call in (
        db.execute(sleep, timeout=0.02),
        db.execute("SELECT pg_sleep($1)", 1000, timeout=0.02),
        db.fetch(sleep, timeout=0.02),
        db.fetchrow(sleep, timeout=0.02),
        db.fetchval(sleep, timeout=0.02),
        db.fetchmany(sleep, [()], timeout=0.02),
        db.executemany(sleep, [()], timeout=0.02),
        db.fetch(sleep, timeout=0),
        db.fetch(sleep, timeout=-1),
    ):
        with pytest.raises(TimeoutError):
            await call
        await usable(db)
    assert await db.fetchval("SELECT pg_backend_pid()") == pid


async def test_command_timeout(postgres15: RunningServer) -> None:
    async with client(postgres15, command_timeout=0.05) as db:
        sleep = "SELECT pg_sleep(0.3)"
        for call in (db.execute(sleep), db.fetch(sleep), db.fetchval(sleep), db.fetchrow(sleep)):
            with pytest.raises(TimeoutError):
                await call
        assert await db.fetchval("SELECT 1 FROM pg_sleep(0.1)", timeout=10) == 1
        await usable(db)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [("x", ValueError), (True, ValueError), (False, ValueError), ([], (TypeError, ValueError))],
)
async def test_timeouts_that_make_no_sense(db15: Any, timeout: Any, expected: Any) -> None:
    for method in (db15.execute, db15.fetch, db15.fetchrow, db15.fetchval):
        with pytest.raises(expected):
            await method("SELECT 1", timeout=timeout)
    for method in (db15.executemany, db15.fetchmany):
        with pytest.raises(expected):
            await method("SELECT 1", [()], timeout=timeout)
    assert await db15.fetchval("SELECT 1", timeout=math.inf) == 1


# Size ----------------------------------------------------------------------------------------


async def test_huge_values_both_ways(postgres15: RunningServer) -> None:
    text = "0123456789" * 10_000_000
    async with client(postgres15) as db:
        small = [asyncio.create_task(db.fetchval("SELECT $1::int4", n)) for n in range(3)]
        assert await db.fetchval("SELECT $1::text", text) == text
        assert await asyncio.gather(*small) == [0, 1, 2]
        query = f"SELECT '{text[:20_000_000]}' AS t"
        assert await db.fetchval(query) == text[:20_000_000]
        assert await db.execute(query) == "SELECT 1"
        await usable(db)


async def test_rows_that_are_too_large(postgres15: RunningServer) -> None:
    socket = connect((postgres15.host, postgres15.port))
    db: Any = pg.Postgres(socket, user="trust_user", database="wirekit", max_message_length=65536)
    async with db:
        assert len(await db.fetchval("SELECT repeat('x', 60000)")) == 60000
        with pytest.raises(wirekit.MessageTooLarge):
            await db.fetchval("SELECT repeat('x', 70000)")
        assert db.is_closed()


async def test_cancelled_while_a_huge_query_is_sent(postgres15: RunningServer) -> None:
    text = "x" * 30_000_000
    async with client(postgres15) as db:
        for turns in (1, 2, 3, 5, 10, 30):
            tasks = [asyncio.create_task(db.fetchval("SELECT $1::text", text)) for _ in range(2)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
            await usable(db)


async def test_results_that_nobody_waits_for_are_not_kept(postgres15: RunningServer) -> None:
    # Without a connector nothing can be cancelled, so the rows are received and dropped.
    decoded = 0

    def decode(value: str) -> str:
        nonlocal decoded
        decoded += 1
        return value

    socket = connect((postgres15.host, postgres15.port))
    async with pg.Postgres(socket, user="trust_user", database="wirekit") as db:
        await db.set_type_codec(
            "text", schema="pg_catalog", encoder=str, decoder=decode, format="text"
        )
        task = asyncio.create_task(
            db.fetch("SELECT repeat('x', 100) FROM generate_series(1, 500000)")
        )
        while not decoded:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        task.cancel()
        before = decoded
        assert await db.fetchval("SELECT 1") == 1
        assert decoded < before + 100_000
