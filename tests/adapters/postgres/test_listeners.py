from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import client, login, opened
from wirekit.adapters.postgres import (
    ClosedError,
    DivisionByZeroError,
    InterfaceError,
    PostgresLogMessage,
    create_pool,
)
from wirekit.adapters.postgres._listeners import LoggedQuery, quoted_identifier

if TYPE_CHECKING:
    from tests.servers import RunningServer


class Heard:
    """What a callback was called with."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def plain(self, *args: Any) -> None:
        self.calls.put_nowait(args)

    async def coroutine(self, *args: Any) -> None:
        await asyncio.sleep(0)
        self.calls.put_nowait(args)

    async def next(self) -> tuple[Any, ...]:
        async with asyncio.timeout(10):
            return await self.calls.get()


# Notifications -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_notifications(postgres: RunningServer, kind: str) -> None:
    heard = Heard()
    callback = getattr(heard, kind)
    async with client(postgres) as db, client(postgres) as other:
        pid = other.get_server_pid()
        await db.add_listener("news", callback)
        await other.execute("NOTIFY news, 'while idle'")
        assert await heard.next() == (db, pid, "news", "while idle")
        slow = asyncio.create_task(db.fetchval("SELECT pg_sleep(0.1)"))
        await asyncio.sleep(0)
        await other.execute("NOTIFY news, 'while busy'")
        await slow
        assert await heard.next() == (db, pid, "news", "while busy")
        await db.execute("NOTIFY news; NOTIFY other")
        assert await heard.next() == (db, db.get_server_pid(), "news", "")
        await db.remove_listener("news", callback)
        await db.remove_listener("news", callback)
        await db.remove_listener("unheard of", callback)
        await other.execute("NOTIFY news")
        await db.execute("SELECT 1")
        assert heard.calls.empty()
    await db.remove_listener("news", callback)
    with pytest.raises(ClosedError, match="connection is closed"):
        await db.add_listener("news", callback)


async def channels(db: Any) -> list[str]:
    rows = await db.fetch("SELECT pg_listening_channels() ORDER BY 1")
    return [row[0] for row in rows]


async def test_listen_and_unlisten_for_the_first_and_last(postgres15: RunningServer) -> None:
    first, second = Heard(), Heard()
    async with client(postgres15) as db:
        queries: list[str] = []

        def log(record: LoggedQuery) -> None:
            queries.append(record.query)

        with db.query_logger(log):
            await db.add_listener("a", first.plain)
            await db.add_listener("a", second.plain)
            await db.add_listener("a", first.plain)
            await db.execute("NOTIFY a")
            assert (await first.next())[2] == (await second.next())[2] == "a"
            await db.remove_listener("a", first.plain)
            assert await channels(db) == ["a"]
            await db.execute("NOTIFY a")
            await second.next()
            assert first.calls.empty()
            await db.remove_listener("a", second.plain)
            assert await channels(db) == []
            await asyncio.sleep(0)
        assert [query for query in queries if "LISTEN" in query] == ['LISTEN "a"', 'UNLISTEN "a"']


async def test_many_add_and_remove_at_once(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        heard = [Heard() for _ in range(10)]
        await asyncio.gather(*[db.add_listener("a", one.plain) for one in heard])
        await db.execute("NOTIFY a")
        assert [(await one.next())[2] for one in heard] == ["a"] * 10
        # One goes while another comes.
        only, new = heard[0], Heard()
        await asyncio.gather(*[db.remove_listener("a", one.plain) for one in heard[1:]])
        for _ in range(5):
            await asyncio.gather(
                db.remove_listener("a", only.plain), db.add_listener("a", new.plain)
            )
            await db.execute("NOTIFY a")
            await new.next()
            only, new = new, only
        await asyncio.gather(db.add_listener("b", new.plain), db.add_listener("b", only.plain))
        await asyncio.gather(db.remove_listener("b", new.plain), db.add_listener("b", new.plain))
        await db.execute("NOTIFY b")
        await only.next()
        await new.next()


async def test_listening_again_while_the_last_one_waits_to_go(postgres15: RunningServer) -> None:
    heard, gone = Heard(), Heard()
    async with client(postgres15) as db:
        await db.add_listener("news", gone.plain)
        remove = asyncio.Event()

        async def remove_later() -> None:
            await remove.wait()
            await db.remove_listener("news", gone.plain)

        removing = asyncio.create_task(remove_later())  # before the transaction: not a part of it
        async with db.transaction():
            remove.set()
            await asyncio.sleep(0)
            await db.add_listener("news", heard.plain)
        await removing
        assert await channels(db) == ["news"]
        await db.execute("NOTIFY news, 'still'")
        assert (await heard.next())[3] == "still"
        assert gone.calls.empty()


async def test_who_is_cancelled_does_not_listen(postgres15: RunningServer) -> None:
    heard, other = Heard(), Heard()
    async with client(postgres15) as db:
        adding = asyncio.create_task(db.add_listener("a", heard.plain))
        staying = asyncio.create_task(db.add_listener("a", other.plain))
        await asyncio.sleep(0)
        adding.cancel()
        await asyncio.wait([adding, staying])
        assert adding.cancelled()
        await db.execute("NOTIFY a")
        await other.next()
        assert heard.calls.empty()


@pytest.mark.parametrize("name", ["MixedCase", 'a"b', "späti", "with space", "x; DROP TABLE y"])
async def test_names_are_quoted(postgres15: RunningServer, name: str) -> None:
    heard = Heard()
    async with client(postgres15) as db:
        await db.add_listener(name, heard.plain)
        assert await channels(db) == [name]
        await db.execute(f"NOTIFY {quoted_identifier(name)}")
        assert (await heard.next())[2] == name
        await db.fetch("SELECT pg_notify($1, 'x')", name)
        assert (await heard.next())[2:] == (name, "x")


async def test_a_listen_that_fails(postgres15: RunningServer) -> None:
    heard = Heard()
    async with client(postgres15) as db:
        await db.execute("BEGIN")
        with pytest.raises(DivisionByZeroError):
            await db.execute("SELECT 1/0")
        with pytest.raises(Exception, match="current transaction is aborted"):
            await db.add_listener("a", heard.plain)
        await db.execute("ROLLBACK")
        await db.add_listener("a", heard.plain)
        await db.execute("NOTIFY a")
        assert (await heard.next())[2] == "a"


async def test_what_callbacks_raise_goes_to_the_loop(postgres15: RunningServer) -> None:
    contexts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(lambda _, found: contexts.put_nowait(found))

    def plain(*args: Any) -> None:
        raise ZeroDivisionError

    async def coroutine(*args: Any) -> None:
        raise KeyError

    async with client(postgres15) as db:
        for callback, error in ((plain, ZeroDivisionError), (coroutine, KeyError)):
            await db.add_listener("a", callback)
            await db.execute("NOTIFY a")
            async with asyncio.timeout(10):
                assert type((await contexts.get())["exception"]) is error
            await db.remove_listener("a", callback)
        assert await db.fetchval("SELECT 1") == 1
    for add in (db.add_query_logger, db.add_termination_listener):
        with pytest.raises(InterfaceError, match="expected a callable or an `async def` function"):
            add("no function")  # type: ignore[arg-type]  # that is the point


async def test_a_pool_gives_its_proxy(postgres15: RunningServer) -> None:
    heard = Heard()
    async with create_pool(**login(postgres15, min_size=1, max_size=1)) as pool:
        async with pool.acquire() as connection:
            await connection.add_listener("a", heard.plain)
            await connection.execute("NOTIFY a")
            assert (await heard.next())[0] is connection
            await connection.remove_listener("a", heard.plain)
        with pytest.warns(UserWarning, match="has 1 active notification listener$"):
            async with pool.acquire() as connection:
                await connection.add_listener("a", heard.plain)
        await pool.execute("NOTIFY a")
        assert heard.calls.empty()


# Log messages --------------------------------------------------------------------------------


async def test_log_messages(postgres: RunningServer) -> None:
    heard = Heard()
    raising = "DO $$BEGIN RAISE WARNING 'careful' USING HINT = 'a hint', ERRCODE = '12345'; END$$"
    async with client(postgres) as db:
        db.add_log_listener(heard.plain)
        db.add_log_listener(heard.coroutine)
        await db.execute(raising)
        for _ in range(2):
            connection, message = await heard.next()
            assert connection is db
            assert isinstance(message, PostgresLogMessage)
            assert (message.severity_en, message.message) == ("WARNING", "careful")
            assert (message.hint, message.sqlstate) == ("a hint", "12345")
        db.remove_log_listener(heard.plain)
        db.remove_log_listener(heard.coroutine)
        await db.execute(raising)
        await asyncio.sleep(0)
        assert heard.calls.empty()
    with pytest.raises(ClosedError, match="connection is closed"):
        db.add_log_listener(heard.plain)


# The end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "terminate", "kill"])
async def test_termination(postgres15: RunningServer, how: str) -> None:
    heard, removed = Heard(), Heard()
    db = await opened(postgres15)
    db.add_termination_listener(heard.plain)
    db.add_termination_listener(heard.coroutine)
    db.add_termination_listener(removed.plain)
    db.remove_termination_listener(removed.plain)
    if how == "close":
        await db.close()
    elif how == "terminate":
        db.terminate()
    else:
        async with client(postgres15, user="postgres") as superuser:
            await superuser.fetchval("SELECT pg_terminate_backend($1)", db.get_server_pid())
    assert await heard.next() == (db,)
    assert await heard.next() == (db,)
    db.terminate()
    await asyncio.sleep(0)
    assert heard.calls.empty()
    assert removed.calls.empty()


# Query loggers -------------------------------------------------------------------------------


async def test_logged_queries(postgres15: RunningServer) -> None:
    heard = Heard()
    async with client(postgres15, command_timeout=50) as db:

        async def logged() -> LoggedQuery:
            (record,) = await heard.next()
            assert isinstance(record, LoggedQuery)
            assert record.conn_addr == (postgres15.host, postgres15.port)
            assert record.conn_params.user == "trust_user"
            assert record.elapsed >= 0
            return record

        with db.query_logger(heard.plain):
            await db.fetchval("SELECT $1::int", 5, timeout=20)
            assert (await logged())[:3] == ("SELECT $1::int", (5,), 20)
            await db.execute("SET work_mem TO 64")
            record = await logged()
            assert (record[:3], record.exception) == (("SET work_mem TO 64", (), 50), None)
            with pytest.raises(DivisionByZeroError) as caught:
                await db.fetch("SELECT 1/0")
            assert (await logged()).exception is caught.value
            await db.execute("CREATE TEMP TABLE t (a int)")
            await logged()
            rows = [(1,), (2,)]
            await db.executemany("INSERT INTO t VALUES ($1)", rows)
            assert (await logged())[:2] == ("INSERT INTO t VALUES ($1)", rows)
            async with db.transaction():
                statement = await db.prepare("SELECT a FROM t")
                await statement.fetch(timeout=10)
            queries = [(await logged()).query for _ in range(3)]
            assert queries == ["BEGIN", "SELECT a FROM t", "COMMIT"]
            with pytest.raises(TimeoutError):
                await db.fetchval("SELECT pg_sleep(30)", timeout=0.05)
            assert isinstance((await logged()).exception, TimeoutError)
            slow = asyncio.create_task(db.fetchval("SELECT pg_sleep(30)"))
            await asyncio.sleep(0.05)
            slow.cancel()
            await asyncio.wait([slow])
            assert isinstance((await logged()).exception, asyncio.CancelledError)
            # What is prepared anew because the schema changed is one query all the same.
            await db.fetch("SELECT * FROM t")
            await logged()
            await db.execute("ALTER TABLE t ADD b int")
            await logged()
            assert len((await db.fetch("SELECT * FROM t"))[0]) == 2
            await logged()
        await db.fetchval("SELECT 1")
        await asyncio.sleep(0)
        assert heard.calls.empty()


async def test_loggers_come_and_go(postgres15: RunningServer) -> None:
    first, second = Heard(), Heard()
    async with client(postgres15) as db:
        own = set(vars(db))
        db.add_query_logger(first.coroutine)
        db.add_query_logger(second.plain)
        await db.fetchval("SELECT 1")
        assert (await first.next())[0].query == (await second.next())[0].query == "SELECT 1"
        db.remove_query_logger(first.coroutine)
        await db.fetchval("SELECT 1")
        await second.next()
        db.remove_query_logger(second.plain)
        db.remove_query_logger(second.plain)
        # Without loggers there is nothing between a query and its method.
        assert set(vars(db)) - own <= {"_unlogged"}


async def test_secrets_are_not_shown(postgres15: RunningServer) -> None:
    heard = Heard()
    async with client(postgres15, user="scram_user", password="scram secret") as db:
        with db.query_logger(heard.plain):
            await db.fetchval("SELECT 1")
        (record,) = await heard.next()
        assert "scram secret" not in repr(record)


async def test_the_address_of_a_unix_socket(postgres15: RunningServer) -> None:
    heard = Heard()
    path = postgres15.unix_path
    assert path is not None
    async with client(postgres15, host=str(path.parent)) as db:
        with db.query_logger(heard.plain):
            await db.fetchval("SELECT 1")
        (record,) = await heard.next()
        assert record.conn_addr == str(path)
