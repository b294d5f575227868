"""Cancelling callers at any moment harms nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import wirekit
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters import postgres as pg
from wirekit.sockets import DirectConnector, Socket, connect

GROUPS = 60  # of tasks, one after the other
PATIENCE = 20.0  # seconds after which something that was to happen never will
Call = Callable[[Any, int], Awaitable[Any]]


async def turns(count: int) -> None:
    """Let the event loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


# How the server is reached. ------------------------------------------------------------------


@asynccontextmanager
async def reached(
    server: RunningServer, authority: CertificateAuthority, how: str, **options: Any
) -> AsyncGenerator[Any]:
    """Have a client; all but ``"socket"`` can cancel at the server."""
    address = (server.host, server.port)
    login: dict[str, Any] = {"user": "trust_user", "database": "wirekit", **options}

    async def dial(_: object) -> Socket:
        return connect(address)

    if how == "socket":
        client = pg.Postgres(connect(address), **login)
    elif how == "plain":
        client = pg.Postgres(connector=DirectConnector(), address=address, **login)
    elif how == "unix":
        path = f"unix://{server.unix_path}"
        client = pg.Postgres(connector=DirectConnector(), address=path, **login)
    elif how == "connector":
        client = pg.Postgres(connector=dial, address="wherever:1", **login)
    else:
        context = authority.client_context()
        connector = DirectConnector(secure_transport="starttls", ssl_context=context)
        client = pg.Postgres(connector=connector, address=address, **login)
    async with client as db:
        await db.execute("CREATE TEMP TABLE pairs (a int4, b int4)")
        yield db


# Callers: each checks that the answer is its own, whatever happens to the others. ------------


async def fetchval(db: Any, number: int) -> None:
    assert await db.fetchval("SELECT $1::int4", number) == number


async def fetch(db: Any, number: int) -> None:
    rows = await db.fetch("SELECT $1::int4 + i AS n FROM generate_series(1, 50) i", number)
    assert [row["n"] for row in rows] == list(range(number + 1, number + 51))


async def slow(db: Any, number: int) -> None:
    row = await db.fetchrow("SELECT $1::int4 AS n FROM pg_sleep(0.001)", number)
    assert row["n"] == number


async def unprepared(db: Any, number: int) -> None:
    more = number // 1000 % 200
    assert await db.fetchval(f"SELECT $1::int4 + {more}", number) == number + more


async def simple(db: Any, number: int) -> None:
    rows = number % 7
    tag = await db.execute(f"SELECT 1; SELECT {number} FROM generate_series(1, {rows})")
    assert tag == f"SELECT {rows}"


async def fail(db: Any, number: int) -> None:
    with pytest.raises(pg.InvalidTextRepresentationError, match=f"mine {number}"):
        await db.fetch("SELECT $1::text::int4", f"mine {number}")


async def large(db: Any, number: int) -> None:
    text = f"{number:010}" * 20_000
    assert await db.fetchval("SELECT $1::text", text) == text


async def fetchmany(db: Any, number: int) -> None:
    rows = await db.fetchmany("SELECT $1::int4 AS n", [(number + i,) for i in range(20)])
    assert [row["n"] for row in rows] == list(range(number, number + 20))


async def executemany(db: Any, number: int) -> None:
    pairs = [(number, i) for i in range(100)]
    await db.executemany("INSERT INTO pairs VALUES ($1, $2)", pairs)


async def transaction(db: Any, number: int) -> None:
    async with db.transaction():
        await db.execute("INSERT INTO pairs VALUES ($1, 1)", number)
        async with db.transaction():
            await db.execute(
                "INSERT INTO pairs SELECT $1, i FROM generate_series(2, 100) i", number
            )
        assert await db.fetchval("SELECT count(*) FROM pairs WHERE a = $1", number) == 100


async def pipeline(db: Any, number: int) -> None:
    async with db.pipeline() as pipe:
        pipe.execute("INSERT INTO pairs SELECT $1, i FROM generate_series(1, 60) i", number)
        values = [pipe.fetchval("SELECT $1::int4", number + i) for i in range(5)]
        assert await db.fetchval("SELECT $1::int4", number) == number
        pipe.execute("INSERT INTO pairs SELECT $1, i FROM generate_series(61, 100) i", number)
    assert [await value for value in values] == list(range(number, number + 5))


async def copy(db: Any, number: int) -> None:
    pairs = [(number, i) for i in range(100)]
    assert await db.copy_records_to_table("pairs", records=pairs) == "COPY 100"


async def cursor(db: Any, number: int) -> None:
    async with db.transaction():
        rows = db.cursor("SELECT $1::int4 + i FROM generate_series(1, 30) i", number, prefetch=7)
        assert [row[0] async for row in rows] == list(range(number + 1, number + 31))


async def prepare(db: Any, number: int) -> None:
    statement = await db.prepare("SELECT $1::int4")
    assert await statement.fetchval(number) == number


CALLERS: tuple[Call, ...] = (
    fetchval,
    fetch,
    slow,
    unprepared,
    simple,
    fail,
    large,
    fetchmany,
    executemany,
    transaction,
    pipeline,
    copy,
    cursor,
    prepare,
)
OFTEN: tuple[Call, ...] = (fetchval,) * 12 + (unprepared, fetch, slow) * 2 + CALLERS


class Storm:
    """Groups of concurrent callers, many of which are cancelled."""

    def __init__(self, db: Any, seed: int) -> None:
        self.db = db
        self.random = random.Random(seed)
        self.number = 0
        self.cancelled = 0
        self.completed = 0

    async def run(self, groups: int) -> None:
        for _ in range(groups):
            await self._run_group()

    async def _run_group(self) -> None:
        rng = self.random
        tasks: list[asyncio.Task[None]] = []
        for _ in range(rng.randrange(1, 60)):
            self.number += 1
            tasks.append(asyncio.create_task(self._call(rng.choice(OFTEN), 1000 * self.number)))
        for _ in range(rng.randrange(6)):
            await turns(rng.randrange(4))
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() * 0.003)
            for task in rng.sample(tasks, rng.randrange(len(tasks) + 1)):
                if rng.random() < 0.3:
                    task.cancel()
        if rng.random() < 0.2:
            for task in tasks:
                task.cancel()
        async with asyncio.timeout(PATIENCE):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, asyncio.CancelledError):
                assert task.cancelling()
                self.cancelled += 1
            elif not isinstance(result, TimeoutError):
                assert result is None, result
                self.completed += 1

    async def _call(self, call: Call, number: int) -> None:
        limit = self.random.random() * 0.003 if self.random.random() < 0.1 else None
        async with asyncio.timeout(limit):
            await call(self.db, number)


async def assert_sound(db: Any, pid: int) -> None:
    """The connection is the same, in no transaction, and nothing was done by halves."""
    async with asyncio.timeout(PATIENCE):
        assert await db.fetchval("SELECT pg_backend_pid()") == pid
        assert not db.is_in_transaction()
        assert not db._ownership.held
        halves = (
            "SELECT a FROM pairs GROUP BY a HAVING count(*) <> 100 OR sum(b) NOT IN (4950, 5050)"
        )
        assert await db.fetch(halves) == []


@pytest.mark.both_loops
@pytest.mark.parametrize("how", ["plain", "tls", "connector", "unix", "socket"])
async def test_cancelled_callers_disturb_no_other(
    postgres15: RunningServer, certificate_authority: CertificateAuthority, how: str
) -> None:
    async with reached(postgres15, certificate_authority, how) as db:
        pid = db.get_server_pid()
        storm = Storm(db, seed=len(how))
        await storm.run(GROUPS)
        assert storm.cancelled > 100
        assert storm.completed > 100
        await assert_sound(db, pid)


@pytest.mark.parametrize("size", [0, 3])
async def test_with_a_small_cache_of_statements(
    postgres18: RunningServer, certificate_authority: CertificateAuthority, size: int
) -> None:
    async with reached(postgres18, certificate_authority, "plain", statement_cache_size=size) as db:
        pid = db.get_server_pid()
        storm = Storm(db, seed=size)
        await storm.run(GROUPS)
        await assert_sound(db, pid)
        del storm
        await db.execute("SELECT 1")
        names = await db.fetch("SELECT name FROM pg_prepared_statements")
        assert len(names) <= size + 1


# One by one ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLERS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("how", ["plain", "socket"])
async def test_cancelled_after_any_turn(
    postgres15: RunningServer, certificate_authority: CertificateAuthority, how: str, call: Call
) -> None:
    async with reached(postgres15, certificate_authority, how) as db:
        pid = db.get_server_pid()
        cancelled = 0
        for count in [*range(40), 45, 50, 60]:
            task = asyncio.create_task(call_it(call, db, 1000 * count))
            bystander = asyncio.create_task(fetchval(db, count)) if count % 2 else None
            await turns(count)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert result is None or isinstance(result, asyncio.CancelledError)
            cancelled += result is not None
            await fetchval(db, count)
            if bystander is not None:
                await bystander
            assert not db.is_in_transaction()
        assert cancelled > 2
        await assert_sound(db, pid)


async def call_it(call: Call, db: Any, number: int) -> None:
    async with asyncio.timeout(PATIENCE):
        await call(db, number)


@pytest.mark.both_loops
@pytest.mark.parametrize("how", ["plain", "tls", "connector", "unix"])
async def test_a_long_query_is_ended_at_the_server(
    postgres15: RunningServer, certificate_authority: CertificateAuthority, how: str
) -> None:
    queries = ["SELECT pg_sleep(1000)", "SELECT count(*) FROM generate_series(1, 1000000000000)"]
    async with reached(postgres15, certificate_authority, how) as db:
        pid = db.get_server_pid()
        for query in queries:
            for method, arguments in (
                (db.execute, ()),
                (db.fetch, ()),
                (db.fetchmany, ([(), ()],)),
            ):
                tasks = [asyncio.create_task(method(query, *arguments)) for _ in range(3)]
                await asyncio.sleep(0.01)
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(result, asyncio.CancelledError) for result in results)
                async with asyncio.timeout(PATIENCE):
                    await fetchval(db, 1)
        await assert_sound(db, pid)


async def test_what_is_given_up_while_another_is_cancelled(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with reached(postgres15, certificate_authority, "plain") as db:
        pid = db.get_server_pid()
        for _ in range(5):
            tasks: list[asyncio.Task[Any]] = []
            for delay in (0.02, 0, 0, 0):
                tasks.append(asyncio.create_task(db.execute("SELECT pg_sleep(1000)")))
                await asyncio.sleep(delay)
                tasks[-1].cancel()
                await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
        await assert_sound(db, pid)


async def test_many_sleepers(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with reached(postgres15, certificate_authority, "plain") as db:
        pid = db.get_server_pid()
        tasks = [asyncio.create_task(db.fetch("SELECT pg_sleep(1000)")) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await assert_sound(db, pid)


async def test_without_a_connector_it_is_waited_for(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with reached(postgres15, certificate_authority, "socket") as db:
        pid = db.get_server_pid()
        with pytest.raises(TimeoutError):
            await db.fetch("SELECT i FROM generate_series(1, 300000) i", timeout=0.01)
        with pytest.raises(TimeoutError):
            await db.execute("INSERT INTO pairs SELECT 1, 50 FROM pg_sleep(0.1)", timeout=0.01)
        assert await db.fetchval("SELECT b FROM pairs") == 50
        await db.execute("TRUNCATE pairs")
        await assert_sound(db, pid)


async def test_a_large_query_that_waits_for_a_lock(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with (
        reached(postgres15, certificate_authority, "plain") as db,
        reached(postgres15, certificate_authority, "plain") as other,
    ):
        await other.execute("CREATE TABLE IF NOT EXISTS large_lock (t text)")
        await db.execute("INSERT INTO large_lock VALUES ($1)", "x")
        await other.execute("BEGIN; TRUNCATE large_lock")
        text = "x" * 5_000_000
        calls = [db.execute("INSERT INTO large_lock VALUES ($1)", text) for _ in range(4)]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        await assert_sound(db, db.get_server_pid())  # and not only when the lock is gone
        await other.execute("COMMIT")
        assert await db.fetchval("SELECT count(*) FROM large_lock") == 0


async def test_the_server_is_gone(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    refuse = False

    async def dial(_: object) -> Socket:
        if refuse:
            raise wirekit.ConnectRefused("nobody there")
        return connect((postgres15.host, postgres15.port))

    async with pg.Postgres(
        connector=dial, address="wherever:1", user="trust_user", database="wirekit"
    ) as db:
        refuse = True
        tasks = [asyncio.create_task(db.fetch("SELECT pg_sleep(0.3)")) for _ in range(3)]
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        with pytest.raises(pg.ConnectionDoesNotExistError, match="nobody there"):
            await db.fetchval("SELECT 1", timeout=PATIENCE)
        assert db.is_closed()
