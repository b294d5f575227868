"""The pool on real servers that close its connections, while its users are cancelled."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import wirekit
from tests.adapters.postgres._login import login, opened
from tests.adapters.postgres.test_pool import small
from tests.adapters.postgres.test_pool_core import until
from wirekit.adapters import postgres as asyncpg
from wirekit.adapters.postgres import Pool, Postgres, create_pool
from wirekit.adapters.postgres.pool import PoolConnectionProxy

if TYPE_CHECKING:
    from tests.servers import RunningServer


async def kill(server: RunningServer, *pids: int) -> None:
    superuser = await opened(server, user="postgres")
    for pid in pids:
        await superuser.fetchval("SELECT pg_terminate_backend($1)", pid)
    await superuser.close()


async def test_lost_while_idle(postgres15: RunningServer) -> None:
    async with small(postgres15, min_size=2) as pool:
        async with pool.acquire() as first, pool.acquire() as second:
            pids = {first.get_server_pid(), second.get_server_pid()}
        await kill(postgres15, *pids)
        async with pool.acquire() as first, pool.acquire() as second:
            # They may have been acquired before their end was noticed.
            for connection in (first, second):
                with suppress(asyncpg.PostgresConnectionError):
                    await connection.fetchval("SELECT 1")
        await until(lambda: pool.get_size() == 2)
        assert [await pool.fetchval("SELECT 1") for _ in range(4)] == [1] * 4


async def test_lost_while_in_use(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        connection = await pool.acquire()
        slow = asyncio.create_task(connection.fetchval("SELECT pg_sleep(30)"))
        await asyncio.sleep(0)
        await kill(postgres15, connection.get_server_pid())
        with pytest.raises(asyncpg.PostgresError):
            await slow
        await until(connection.is_closed)
        # Its place is free although it has not been released, and it says what happened.
        assert await pool.fetchval("SELECT 1") == 1
        with pytest.raises(asyncpg.PostgresConnectionError):
            await connection.fetchval("SELECT 1")
        await pool.release(connection)
        await pool.release(connection)
        assert await pool.fetchval("SELECT 1") == 1
        assert pool.get_size() == 1


async def test_closed_by_the_user(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        for how in ("close", "terminate"):
            async with pool.acquire() as connection:
                if how == "close":
                    await connection.close()
                else:
                    connection.terminate()
                assert connection.is_closed()
                assert await pool.fetchval("SELECT 1") == 1
        assert await pool.fetchval("SELECT 1") == 1


async def test_cancelled_releases_do_not_matter(postgres15: RunningServer) -> None:
    async with small(postgres15, max_size=1) as pool:
        pid = await pool.fetchval("SELECT pg_backend_pid()")
        for turns in range(1, 9):  # before its first it has not begun
            connection = await pool.acquire()
            release = asyncio.create_task(pool.release(connection))
            for _ in range(turns):
                await asyncio.sleep(0)
            release.cancel()
            await asyncio.wait([release])
            assert await pool.fetchval("SELECT pg_backend_pid()") == pid


class Stress:
    """Tasks that use a pool of five, while they are cancelled at random and connections killed."""

    def __init__(self, pool: Pool, superuser: Postgres, seed: int) -> None:
        self.pool = pool
        self.superuser = superuser
        self.chance = random.Random(seed)
        self.users: dict[int, int] = {}
        self.answers = 0

    async def use(self, number: int) -> None:
        async with self.pool.acquire(timeout=self.chance.choice([None, 5.0])) as connection:
            pid = connection.get_server_pid()
            assert pid not in self.users  # nobody else has it
            self.users[pid] = number
            try:
                await self.ask(connection, number)
                self.answers += 1
            finally:
                del self.users[pid]

    async def ask(self, connection: Postgres, number: int) -> None:
        if self.chance.random() < 0.3:
            async with connection.transaction():
                assert await connection.fetchval("SELECT $1::int", number) == number
            assert not connection.is_in_transaction()
        elif self.chance.random() < 0.2:
            await connection.execute("BEGIN")
            await connection.execute(f"SET LOCAL work_mem TO {number + 64}")
            await connection.execute("COMMIT")
        else:
            await connection.fetchval("SELECT pg_sleep($1)", self.chance.random() / 100)
            assert await connection.fetchval("SELECT $1::int", number) == number

    async def kill(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            await self.superuser.fetchval(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'stress' ORDER BY random() LIMIT 1"
            )

    async def run(self, count: int) -> list[BaseException]:
        """Return what no task is to fail with."""
        killing = asyncio.create_task(self.kill())
        tasks: list[asyncio.Task[None]] = []
        for number in range(count):
            tasks.append(asyncio.create_task(self.use(number)))
            if self.chance.random() < 0.5:
                self.chance.choice(tasks[-20:]).cancel()
            if self.chance.random() < 0.5:
                await asyncio.sleep(self.chance.random() / 500)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        killing.cancel()
        await asyncio.wait([killing])
        expected = (asyncio.CancelledError, wirekit.Error, OSError)
        return [error for error in results if error and not isinstance(error, expected)]

    async def slots(self) -> list[PoolConnectionProxy]:
        """Acquire five connections that stand."""
        held: list[PoolConnectionProxy] = []
        while len(held) < 5:
            connection = await self.pool.acquire()
            try:
                await connection.fetchval("SELECT 1")
            except asyncpg.PostgresError:
                await self.pool.release(connection)  # killed at last
            else:
                held.append(connection)
        return held


@pytest.mark.both_loops
async def test_no_slot_is_lost_and_no_connection_is_anothers(postgres: RunningServer) -> None:
    superuser = await opened(postgres, user="postgres")
    settings = {"application_name": "stress"}
    pool = await create_pool(**login(postgres, min_size=2, max_size=5, server_settings=settings))
    stress = Stress(pool, superuser, 7)
    async with asyncio.timeout(60):
        assert await stress.run(2000) == []
    assert stress.answers > 500
    async with asyncio.timeout(30):
        held = await stress.slots()
        assert len({connection.get_server_pid() for connection in held}) == 5
        assert (pool.get_size(), pool.get_idle_size()) == (5, 0)
        with pytest.raises(TimeoutError):
            await pool.acquire(timeout=0.01)  # there are no more
        for connection in held:
            await pool.release(connection)
        await pool.close()
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stress'"
    async with asyncio.timeout(30):
        while await superuser.fetchval(query):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
    await superuser.close()
