"""The pool on real servers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import wirekit
from tests.adapters.postgres._login import login, opened
from wirekit.adapters import postgres as asyncpg
from wirekit.adapters.postgres import InterfaceError, Pool, Postgres, Record, create_pool
from wirekit.adapters.postgres._listeners import LoggedQuery
from wirekit.adapters.postgres.pool import PoolAcquireContext, PoolConnectionProxy

if TYPE_CHECKING:
    from tests.servers import RunningServer


def small(server: RunningServer, **options: Any) -> Pool:
    return create_pool(**login(server, **{"min_size": 1, "max_size": 2, **options}))


# Opening, sizes, closing ---------------------------------------------------------------------


async def test_as_asyncpg_documents_it(postgres: RunningServer) -> None:
    async with asyncpg.create_pool(**login(postgres, command_timeout=60)) as pool:
        assert isinstance(pool, asyncpg.pool.Pool)
        assert (pool.get_size(), pool.get_idle_size()) == (10, 10)
        assert await pool.fetchval("SELECT 1") == 1
        async with pool.acquire() as connection:
            assert isinstance(connection, asyncpg.Connection)
            assert isinstance(connection, asyncpg.pool.PoolConnectionProxy)
            assert pool.get_idle_size() == 9
            await connection.execute("CREATE TEMP TABLE names (id serial, name text)")
            async with connection.transaction():
                await connection.execute("INSERT INTO names (name) VALUES ($1)", "a")
            assert await connection.fetchrow("SELECT * FROM names") == (1, "a")
        connection = await pool.acquire()
        try:
            assert await connection.fetchval("SELECT 2") == 2
        finally:
            await pool.release(connection)
    assert pool.is_closing()
    with pytest.raises(InterfaceError, match="pool is closed"):
        await pool.fetchval("SELECT 1")


async def test_sizes(postgres15: RunningServer) -> None:
    pool = await create_pool(**login(postgres15, min_size=1, init_size=2, max_size=3))
    assert [pool.get_min_size(), pool.get_init_size(), pool.get_max_size()] == [1, 2, 3]
    assert (pool.get_size(), pool.get_idle_size()) == (2, 2)
    assert repr(pool) == "<Pool 2 of 3>"
    assert await pool is pool
    await pool.close()
    assert repr(pool) == "<Pool closed>"
    with pytest.raises(InterfaceError, match="pool is closed"):
        pool.acquire().__await__().send(None)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_size": 0}, ValueError, "max_size is expected to be greater than zero"),
        ({"min_size": 11}, ValueError, "min_size is greater than max_size"),
        ({"connection_class": str}, TypeError, "connection_class is expected to be a subclass"),
        ({"record_class": str}, TypeError, "record_class is expected to be a subclass"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        create_pool(**options)


async def test_another_loop(postgres15: RunningServer) -> None:
    loop = asyncio.new_event_loop()
    with pytest.raises(InterfaceError, match="loop has to be the running event loop"):
        await small(postgres15, loop=loop)
    loop.close()
    async with small(postgres15, loop=asyncio.get_running_loop()) as pool:
        assert pool.get_size() == 1


async def test_no_server() -> None:
    pool = create_pool(host="127.0.0.1", port=1, user="nobody", ssl=False)
    with pytest.raises(wirekit.ConnectError):
        await pool
    with pytest.raises(InterfaceError, match="pool is closed"):
        await pool


# Acquiring and releasing ---------------------------------------------------------------------


async def test_all_queries_of_the_pool(postgres15: RunningServer) -> None:
    class Mine(Record):
        pass

    async with small(postgres15, max_size=1) as pool:
        assert await pool.execute("CREATE TEMP TABLE t (a int)") == "CREATE TABLE"
        await pool.executemany("INSERT INTO t VALUES ($1)", [(1,), (2,)])
        rows = await pool.fetch("SELECT a FROM t ORDER BY a", record_class=Mine, timeout=10)
        assert [type(row) for row in rows] == [Mine, Mine]
        assert await pool.fetchrow("SELECT a, a + 1 FROM t WHERE a = $1", 2) == (2, 3)
        assert await pool.fetchval("SELECT 1, 'x'", column=1) == "x"
        assert await pool.fetchmany("SELECT $1::int", [(3,), (4,)]) == [(3,), (4,)]
        copied = await pool.copy_records_to_table("t", records=[(5,), (6,)], columns=["a"])
        assert copied == "COPY 2"
        out = bytearray()

        async def write(data: bytes) -> None:
            out.extend(data)

        assert await pool.copy_from_table("t", output=write) == "COPY 4"
        assert await pool.copy_to_table("t", source=bytes(out)) == "COPY 4"
        query = "SELECT a FROM t WHERE a = $1"
        assert await pool.copy_from_query(query, 6, output=write) == "COPY 2"
        assert bytes(out) == b"1\n2\n5\n6\n6\n6\n"


async def test_a_context_is_good_for_one_use(postgres15: RunningServer) -> None:
    async with small(postgres15) as pool:
        context = pool.acquire()
        assert isinstance(context, PoolAcquireContext)
        async with context:
            with pytest.raises(InterfaceError, match="a connection is already acquired"):
                async with context:
                    pass
        with pytest.raises(InterfaceError, match="a connection is already acquired"):
            async with context:
                pass


async def test_acquiring_takes_too_long(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        async with pool.acquire():
            with pytest.raises(TimeoutError):
                await pool.acquire(timeout=0.01)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await pool.fetchval("SELECT 1")
        assert await pool.fetchval("SELECT 1") == 1


async def test_the_same_connection_again_and_none_of_another_pool(
    postgres15: RunningServer,
) -> None:
    async with small(postgres15, min_size=2) as pool, small(postgres15) as other:
        pids = {await pool.fetchval("SELECT pg_backend_pid()") for _ in range(5)}
        assert len(pids) == 1
        async with other.acquire() as connection:
            with pytest.raises(InterfaceError, match="is not a member of this pool"):
                await pool.release(connection)
            # Of the inner connection neither.
            with pytest.raises(InterfaceError, match="is not a member of this pool"):
                await other.release(connection.unwrap(""))


async def test_connections_are_worn_out(postgres15: RunningServer) -> None:
    async with small(postgres15, max_queries=4, max_size=1) as pool:
        pids = [await pool.fetchval("SELECT pg_backend_pid()") for _ in range(8)]
        assert 1 < len(set(pids)) < 8


async def test_connections_expire(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        first = await pool.fetchval("SELECT pg_backend_pid()")
        await pool.expire_connections()
        second = await pool.fetchval("SELECT pg_backend_pid()")
        assert second != first
        async with pool.acquire() as connection:
            await pool.expire_connections()
            assert await connection.fetchval("SELECT pg_backend_pid()") == second
        assert await pool.fetchval("SELECT pg_backend_pid()") != second


async def test_other_arguments_from_now_on(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        assert await pool.fetchval("SELECT current_user") == "trust_user"
        pool.set_connect_args(**login(postgres15, user="postgres"))
        assert await pool.fetchval("SELECT current_user") == "trust_user"
        await pool.expire_connections()
        assert await pool.fetchval("SELECT current_user") == "postgres"


# What the user's functions do ----------------------------------------------------------------


async def test_connect_init_setup_and_reset(postgres15: RunningServer) -> None:
    calls: list[str] = []
    mine: Any = None

    class Mine(Postgres):
        async def twice(self, number: int) -> int:
            result: int = await self.fetchval("SELECT 2 * $1::int", number)
            return result

    async def connect(dsn: str | None, **options: Any) -> Any:
        calls.append("connect")
        assert dsn is None
        assert options.pop("loop") is asyncio.get_running_loop()
        return await asyncpg.connect(**options)

    async def init(connection: Postgres) -> None:
        assert type(connection) is Mine
        calls.append("init")

    async def setup(connection: Postgres) -> None:
        assert type(connection) is PoolConnectionProxy
        calls.append("setup")

    async def reset(connection: Postgres) -> None:
        assert type(connection) is Mine
        assert not connection.is_in_transaction()
        await connection.execute("RESET application_name")
        calls.append("reset")

    hooks = {"connect": connect, "init": init, "setup": setup, "reset": reset}
    async with small(postgres15, max_size=1, connection_class=Mine, **hooks) as pool:
        for _ in range(2):
            async with pool.acquire() as connection:
                mine = connection
                assert await mine.twice(21) == 42
                assert isinstance(connection, Mine)
                await connection.execute("SET application_name TO x")
                await connection.execute("SET statement_timeout TO 5000")
        assert calls == ["connect", "init", "setup", "reset", "setup", "reset"]
        async with pool.acquire() as connection:
            assert await connection.fetchval("SHOW application_name") == ""
            assert await connection.fetchval("SHOW statement_timeout") == "5s"
    with pytest.raises(InterfaceError, match="connection has been released back to the pool"):
        await mine.twice(1)


async def test_connect_gives_something_else(postgres15: RunningServer) -> None:
    made = await opened(postgres15)

    async def connect(*args: Any, **options: Any) -> Any:
        return made

    class Mine(Postgres):
        pass

    pool = small(postgres15, connect=connect, connection_class=Mine)
    text = "expected pool connect callback to return an instance of '.*Mine', got '.*Postgres'"
    with pytest.raises(InterfaceError, match=text):
        await pool
    await made.close()


@pytest.mark.parametrize("hook", ["init", "setup", "reset"])
@pytest.mark.parametrize("how", ["raise", "hang", "close", "break"])
async def test_a_hook_fails(postgres15: RunningServer, hook: str, how: str) -> None:
    failing = False
    seen: list[Any] = []

    async def fail(connection: Any) -> None:
        if not failing:
            return
        seen.append(connection)
        if how == "raise":
            raise ZeroDivisionError
        if how == "hang":
            await connection.fetchval("SELECT pg_sleep(30)")
        elif how == "close":
            await connection.close()
        else:
            await connection.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")

    async with small(postgres15, min_size=0, max_size=1, **{hook: fail}) as pool:
        for _ in range(3):
            failing = True
            expected = (ZeroDivisionError, TimeoutError, InterfaceError, asyncpg.PostgresError)
            if hook == "reset":
                connection = await pool.acquire(timeout=1)
                with suppress(*expected):
                    await pool.release(connection, timeout=0.2)
            else:
                with pytest.raises(expected):
                    await pool.acquire(timeout=0.2)
            failing = False
            assert seen
            assert pool.get_size() == 0
            assert await pool.fetchval("SELECT 1") == 1
            await pool.expire_connections()
    assert pool.get_size() == 0


# What is left behind -------------------------------------------------------------------------


async def test_a_connection_comes_back_as_good_as_new(
    postgres15: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with small(postgres15, max_size=1) as pool, small(postgres15) as other:
        async with pool.acquire() as connection:
            await connection.execute("SET application_name TO left_behind")
            await connection.fetchval("SELECT pg_advisory_lock(77)")
            await connection.execute("BEGIN")
            await connection.execute("CREATE TABLE left_behind (a int)")
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await connection.execute("nonsense")
        assert "Resetting connection with an active transaction" in caplog.text
        assert await other.fetchval("SELECT pg_try_advisory_lock(77)")
        assert await pool.fetchval("SELECT to_regclass('left_behind')") is None
        assert await pool.fetchval("SHOW application_name") == ""


async def test_what_is_under_way_when_it_is_released(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        connection = await pool.acquire()
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        begun = asyncio.create_task(connection.execute("BEGIN"))
        slow = asyncio.create_task(connection.fetchval("SELECT pg_sleep(0.1)"))
        await asyncio.sleep(0)
        await pool.release(connection)
        assert await begun == "BEGIN"
        await slow
        async with pool.acquire() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT pg_backend_pid()") == pid


async def test_who_waits_for_a_transaction_of_a_released_connection(
    postgres15: RunningServer,
) -> None:
    async with small(postgres15, max_size=1) as pool:
        connection = await pool.acquire()
        go = asyncio.Event()

        async def stranger() -> Any:
            await go.wait()
            return await connection.fetchval("SELECT 1")

        waiting = asyncio.create_task(stranger())  # not by the code in the transaction
        transaction = connection.transaction()
        await transaction.start()
        statement = await connection.prepare("SELECT 1")
        go.set()
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await pool.release(connection)
        with pytest.raises(InterfaceError, match="released back to the pool"):
            await waiting
        with pytest.raises(InterfaceError, match="released back to the pool"):
            await statement.fetchval()
        with pytest.raises(InterfaceError, match="released back to the pool"):
            await transaction.commit()
        async with pool.acquire() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_cancelled_transaction_leaves_the_connection_usable(
    postgres15: RunningServer,
) -> None:
    async with small(postgres15, max_size=1) as pool:
        pid = await pool.fetchval("SELECT pg_backend_pid()")

        async def slow() -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL application_name TO slow")
                await connection.fetchval("SELECT pg_sleep(30)")

        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await slow()
            assert await pool.fetchval("SELECT pg_backend_pid()") == pid


async def test_known_types_are_shared(postgres15: RunningServer) -> None:
    queries: list[str] = []

    async def init(connection: Postgres) -> None:
        def log(record: LoggedQuery) -> None:
            queries.append(record.query)

        connection.add_query_logger(log)

    async with small(postgres15, min_size=2, init=init) as pool:
        await pool.execute("CREATE TYPE shared AS (a int, b text)")
        async with pool.acquire() as first, pool.acquire() as second:
            for connection in (first, second):
                assert await connection.fetchval("SELECT '(1,x)'::shared") == (1, "x")
        assert sum("pg_type" in query for query in queries) == 1
        await pool.execute("ALTER TYPE shared ADD ATTRIBUTE c int")
        async with pool.acquire() as connection:
            await connection.reload_schema_state()
        async with pool.acquire() as first, pool.acquire() as second:
            for connection in (first, second):
                assert await connection.fetchval("SELECT '(1,x,2)'::shared") == (1, "x", 2)
        await asyncio.sleep(0)
        assert sum("pg_type" in query for query in queries) == 2
        await pool.execute("DROP TYPE shared")
