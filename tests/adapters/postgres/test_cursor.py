"""Cursors on real servers."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.adapters.postgres._login import login, opened
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres import _cursor
from wirekit.adapters.postgres import cursor as public
from wirekit.protocols.postgres import Bind, Close, Execute, Query
from wirekit.sockets import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import RunningServer

NUMBERS = "SELECT i FROM generate_series(1, $1::int) i"
PATIENCE = 20.0


# As for a pooler: each statement is parsed anew.
@pytest.fixture(params=[100, 0], ids=["cached", "anew"])
async def db(request: pytest.FixtureRequest, postgres: RunningServer) -> AsyncIterator[Any]:
    db: Any = await opened(postgres, statement_cache_size=request.param)
    yield db
    await db.close()


@pytest.fixture
async def plain(postgres15: RunningServer) -> AsyncIterator[Any]:
    db: Any = await opened(postgres15)
    yield db
    await db.close()


def sent(db: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of what is asked from now on."""
    messages: list[Any] = []
    request = db._connection.request

    def record(*asked: Any, **options: Any) -> Any:
        messages.extend(asked)
        return request(*asked, **options)

    monkeypatch.setattr(db._connection, "request", record)
    return messages


async def open_portals(db: Any) -> int:
    count: int = await db.fetchval("SELECT count(*) FROM pg_cursors WHERE name LIKE 'wirekit%'")
    return count


@pytest.mark.parametrize("count", [0, 1, 2, 49, 50, 51, 100, 120])
@pytest.mark.parametrize("prefetch", [None, 1, 7, 1000])
async def test_iteration(plain: Any, count: int, prefetch: int | None) -> None:
    async with plain.transaction():
        found = [row["i"] async for row in plain.cursor(NUMBERS, count, prefetch=prefetch)]
        assert found == [*range(1, count + 1)]
        assert await open_portals(plain) == 0


async def test_the_server_is_asked_for_no_more_than_prefetch(
    plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with plain.transaction():
        await plain.prepare(NUMBERS)
        await plain.fetch(NUMBERS, 1)
        messages = sent(plain, monkeypatch)
        numbers = aiter(plain.cursor(NUMBERS, 1000))
        for number in range(1, 51):
            assert (await anext(numbers))["i"] == number
        assert [message.max_rows for message in messages if isinstance(message, Execute)] == [50]
        assert (await anext(numbers))["i"] == 51
        assert [message.max_rows for message in messages if isinstance(message, Execute)] == [
            50,
            50,
        ]


async def test_several_at_once_and_other_queries(db: Any) -> None:
    async with db.transaction():
        first = aiter(db.cursor(NUMBERS, 30, prefetch=3))
        second = aiter(db.cursor("SELECT chr(i + 64) FROM generate_series(1, 26) i", prefetch=4))
        third = await db.cursor(NUMBERS, 100)
        for number in range(1, 27):
            assert (await anext(first))[0] == number
            assert await db.fetchval("SELECT $1::int", number) == number
            assert (await anext(second))[0] == chr(64 + number)
            assert (await third.fetchrow())["i"] == number
        with pytest.raises(StopAsyncIteration):
            await anext(second)
        with pytest.raises(StopAsyncIteration):
            await anext(second)


async def test_a_cursor(db: Any) -> None:
    async with db.transaction():
        cursor = await db.cursor(NUMBERS, 10)
        assert [row["i"] for row in await cursor.fetch(3)] == [1, 2, 3]
        assert (await cursor.fetchrow())["i"] == 4
        assert await cursor.forward(2) == 2
        assert repr(cursor).startswith("<Cursor 0x")
        assert [row["i"] for row in await cursor.fetch(100)] == [7, 8, 9, 10]
        assert repr(cursor).startswith("<Cursor exhausted 0x")
        assert await cursor.fetchrow() is None
        assert await cursor.fetch(4) == []
        assert await cursor.forward(1) == 0
        cursor = await db.cursor(NUMBERS, 10)
        assert await cursor.forward(11) == 10
        assert await cursor.fetch(1) == []


async def test_many_calls_at_once_on_one_cursor(plain: Any) -> None:
    async with plain.transaction():
        cursor = await plain.cursor(NUMBERS, 100)
        found = await asyncio.gather(*[cursor.fetch(3) for _ in range(34)])
        assert [row["i"] for rows in found for row in rows] == [*range(1, 101)]


async def test_only_one_task_waits_for_the_next_row(plain: Any) -> None:
    async with plain.transaction():
        numbers = aiter(plain.cursor(NUMBERS, 3))
        both = asyncio.gather(anext(numbers), anext(numbers), return_exceptions=True)
        first, second = cast("list[Any]", await both)
        assert first["i"] == 1
        assert isinstance(second, pg.InterfaceError)
        assert str(second) == "cannot perform operation: another operation is in progress"
        assert [row["i"] async for row in numbers] == [2, 3]


@pytest.mark.parametrize(
    "query", ["", "CREATE TEMP TABLE nothing (a int)", "SELECT 1 WHERE false", "SET DateStyle=ISO"]
)
async def test_queries_without_rows(db: Any, query: str) -> None:
    async with db.transaction():
        assert [row async for row in db.cursor(query)] == []
    async with db.transaction():
        await db.execute("DROP TABLE IF EXISTS nothing")
        cursor = await db.cursor(query)
        assert await cursor.fetch(1) == []


async def test_rows_of_a_command(db: Any) -> None:
    async with db.transaction():
        await db.execute("CREATE TEMP TABLE u (a int) ON COMMIT DROP")
        insert = "INSERT INTO u SELECT i FROM generate_series(1, 7) i RETURNING a"
        assert [row["a"] async for row in db.cursor(insert, prefetch=2)] == [1, 2, 3, 4, 5, 6, 7]


class Wide(pg.Record):
    @property
    def double(self) -> int:
        number: int = self["i"]
        return 2 * number


async def test_record_class(db: Any) -> None:
    async with db.transaction():
        found = [row.double async for row in db.cursor(NUMBERS, 2, record_class=Wide)]
        assert found == [2, 4]
        cursor = await db.cursor(NUMBERS, 2, record_class=Wide)
        assert (await cursor.fetchrow()).double == 2
    with pytest.raises(pg.InterfaceError, match="record_class"):
        db.cursor(NUMBERS, record_class=dict)


async def test_of_a_prepared_statement(db: Any) -> None:
    statement = await db.prepare(NUMBERS, record_class=Wide)
    async with db.transaction():
        assert [row.double async for row in statement.cursor(3, prefetch=2)] == [2, 4, 6]
        cursor = await statement.cursor(3)
        del statement  # the cursor keeps it
        assert len(await cursor.fetch(2)) == 2
        assert len(await cursor.fetch(2)) == 1


async def test_columns_that_changed_since_they_were_described(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15, statement_cache_size=0)
    await db.execute("CREATE TEMP TABLE u (a int, b text); INSERT INTO u VALUES (1, 'x')")
    statement = await db.prepare("SELECT * FROM u")
    await db.execute("ALTER TABLE u ADD c int DEFAULT 3; ALTER TABLE u DROP b")
    async with db.transaction():
        assert [dict(row) async for row in statement.cursor()] == [{"a": 1, "c": 3}]
        cursor = await statement.cursor()
        assert dict(await cursor.fetchrow()) == {"a": 1, "c": 3}
    await db.close()


async def test_many_cursors_and_a_small_cache(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15, statement_cache_size=1)
    async with db.transaction():
        text = "SELECT i + {} FROM generate_series(1, 10) i"
        iterators = [aiter(db.cursor(text.format(n), prefetch=2)) for n in range(5)]
        for row in range(1, 11):
            for number, iterator in enumerate(iterators):
                assert (await anext(iterator))[0] == row + number
                assert await db.fetchval(f"SELECT {number}") == number
    await db.close()


# Wrong use


async def called(call: Any) -> None:
    made = call()
    if inspect.isawaitable(made):
        await made


async def test_wrong_use_is_refused_in_the_words_of_asyncpg(postgres15: RunningServer) -> None:
    async def texts(module: Any) -> list[str]:
        db = await module.connect(**login(postgres15))
        found: list[str] = []

        async def refused(call: Any) -> None:
            with pytest.raises((module.PostgresError, module.InterfaceError)) as caught:
                await called(call)
            found.append(f"{type(caught.value).__mro__[1].__name__}: {caught.value}")

        await refused(lambda: db.cursor("SELECT 1"))
        await refused(lambda: anext(aiter(db.cursor("SELECT 1"))))
        await refused(lambda: db.cursor("no SQL"))
        async with db.transaction():
            await refused(lambda: db.cursor("SELECT 1", prefetch=3))
            await refused(lambda: aiter(db.cursor("SELECT 1", prefetch=0)))
            await refused(lambda: aiter(db.cursor("SELECT 1", prefetch=-1)))
            cursor = await db.cursor("SELECT 1")
            for count in (0, -1):
                await refused(lambda: cursor.fetch(count))  # noqa: B023 - it is called at once
                await refused(lambda: cursor.forward(count))  # noqa: B023
            iterator = aiter(db.cursor("SELECT generate_series(1, 100)"))
            await anext(iterator)
        await refused(lambda: cursor.fetch(1))
        await refused(lambda: cursor.fetchrow())
        for _ in range(49):  # they are here
            await anext(iterator)
        await refused(lambda: anext(iterator))
        factory = db.cursor("SELECT 1")
        await db.close()
        await refused(lambda: cursor.fetch(1))
        await refused(lambda: cursor.forward(1))
        await refused(lambda: anext(iterator))
        await refused(lambda: aiter(factory))
        await refused(lambda: factory)
        await refused(lambda: db.cursor("SELECT 1"))
        return found

    ours = await texts(pg)
    theirs = await texts(importlib.import_module("asyncpg"))
    # After the end it is a ClosedError, which is an InterfaceError.
    assert [text.partition(": ")[2] for text in ours] == [
        text.partition(": ")[2] for text in theirs
    ]
    assert ours[:-6] == theirs[:-6]


async def test_errors_of_a_query(db: Any) -> None:
    async with db.transaction():
        cursor = db.cursor("SELECT 10 / (3 - i) FROM generate_series(1, 5) i", prefetch=1)
        iterator = aiter(cursor)
        assert (await anext(iterator))[0] == 5
        assert (await anext(iterator))[0] == 10
        with pytest.raises(pg.DivisionByZeroError):
            await anext(iterator)
        with pytest.raises(pg.InFailedSQLTransactionError):
            await anext(iterator)
    async with db.transaction():
        with pytest.raises(pg.DataError, match=r"invalid input for query argument \$1"):
            await db.cursor(NUMBERS, "x")
        with pytest.raises(pg.InterfaceError, match="1 argument"):
            await db.cursor(NUMBERS)
        assert await db.fetchval("SELECT 1") == 1  # nothing was sent


async def test_not_for_copy_nor_inside_a_pipeline(plain: Any) -> None:
    async with plain.transaction():
        with pytest.raises(pg.InterfaceError, match="COPY"):
            await plain.cursor("COPY pg_class TO STDOUT")
        async with plain.pipeline():
            with pytest.raises(pg.InterfaceError, match="pipeline"):
                await plain.cursor("SELECT 1")


def test_the_module_has_the_name_of_asyncpgs() -> None:
    theirs = importlib.import_module("asyncpg.cursor")
    for name in _cursor.__all__:
        assert getattr(public, name) is getattr(_cursor, name)
        assert hasattr(theirs, name)
    assert pg.cursor is public


async def test_a_cursor_is_for_its_own_transaction(plain: Any) -> None:
    async with plain.transaction():
        cursor = await plain.cursor(NUMBERS, 3)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def owner() -> None:
        async with plain.transaction():
            entered.set()
            await leave.wait()

    task = asyncio.create_task(owner())
    await entered.wait()
    # Another task's transaction is none of ours: it is waited for.
    calls = [asyncio.create_task(call) for call in (cursor.fetch(1), open_cursor(plain))]
    await asyncio.wait(calls, timeout=0.02)
    leave.set()
    for call in calls:
        with pytest.raises(pg.NoActiveSQLTransactionError):
            await call
    await task


async def open_cursor(db: Any) -> Any:
    return await db.cursor(NUMBERS, 3)


# The end of a portal


async def test_a_cursor_that_is_left_alone_is_closed(
    plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = sent(plain, monkeypatch)
    async with plain.transaction():
        async for row in plain.cursor(NUMBERS, 100, prefetch=10):
            assert row["i"] == 1
            break
        cursor = await plain.cursor(NUMBERS, 100)
        await cursor.fetch(1)
        del cursor
        await asyncio.sleep(0.01)
        assert await open_portals(plain) == 0
        bound = {message.portal for message in messages if isinstance(message, Bind)}
        assert {message.name for message in messages if isinstance(message, Close)} == bound
        keep = await plain.cursor(NUMBERS, 100)
        assert await open_portals(plain) == 1
    del messages[:]
    del keep
    await asyncio.sleep(0.01)
    assert await plain.fetchval("SELECT 1") == 1


# Time and cancellation


@pytest.mark.parametrize("how", ["iterate", "fetch", "fetchrow", "forward"])
async def test_timeouts(plain: Any, how: str) -> None:
    slow = "SELECT pg_sleep(3600) FROM generate_series(1, 3)"

    async def wait() -> None:
        async with plain.transaction():
            if how == "iterate":
                await anext(aiter(plain.cursor(slow, timeout=0.05)))
                return
            cursor = await plain.cursor(slow)
            arguments = () if how == "fetchrow" else (1,)
            await getattr(cursor, how)(*arguments, timeout=0.05)

    with pytest.raises(TimeoutError):
        await wait()
    assert await asyncio.wait_for(plain.fetchval("SELECT 1"), PATIENCE) == 1
    assert not plain.is_in_transaction()


async def test_no_row_is_lost_without_notice(postgres15: RunningServer) -> None:
    # Without a second socket to cancel by, the server goes on, and its rows are dropped.
    socket = connect((postgres15.host, postgres15.port))
    slow = "SELECT i, pg_sleep(0.1) FROM generate_series(1, 3) i"
    db: Any = pg.Postgres(socket, user="trust_user", database="wirekit")
    async with db, db.transaction():
        cursor = await db.cursor(slow)
        with pytest.raises(TimeoutError):
            await cursor.fetch(1, timeout=0.01)
        with pytest.raises(pg.InterfaceError, match="fetching from it was cancelled"):
            await cursor.fetch(1)
        iterator = aiter(db.cursor(slow, prefetch=1, timeout=0.01))
        with pytest.raises(TimeoutError):
            await anext(iterator)
        with pytest.raises(pg.InterfaceError, match="fetching from it was cancelled"):
            await anext(iterator)
        assert await db.fetchval("SELECT 1") == 1
        # Nothing was sent, so nothing is lost.
        cursor = await db.cursor("SELECT generate_series(1, 3)")
        hold = await db._ownership.take(exclusive=True)
        hold.leave()
        with pytest.raises(TimeoutError):
            await cursor.fetch(1, timeout=0.01)
        db._ownership.release(hold)
        assert (await cursor.fetchrow())[0] == 1


@pytest.mark.parametrize("kind", [Execute, Query])
async def test_memory_is_bounded_by_what_is_asked_for(
    plain: Any, monkeypatch: pytest.MonkeyPatch, kind: type[Any]
) -> None:
    async with plain.transaction():
        cursor = await plain.cursor("SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
        messages = sent(plain, monkeypatch)
        if kind is Execute:
            assert len(await cursor.fetch(10)) == 10
        else:
            assert await cursor.forward(99990) == 99990
            assert len(await cursor.fetch(100)) == 10
        assert isinstance(messages[0], kind)
