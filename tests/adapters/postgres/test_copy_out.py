"""COPY to us when something goes wrong on the way, and how much memory it takes."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from struct import pack, unpack
from typing import Any

import pytest

from tests import servers
from tests.servers import RunningServer
from wirekit import ConnectionLost, RemoteProtocolError, SocketClosed
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres import Postgres
from wirekit.protocols.postgres import COPY_HEADER, COPY_TRAILER
from wirekit.sockets import Socket, connect, memory_pair

from ._login import client

ENDLESS = "SELECT generate_series(1, 1000000000), repeat('x', 1000)"


def bare(server: RunningServer) -> Postgres:
    """Return a client that has no way to cancel."""
    return Postgres(connect((server.host, server.port)), user="trust_user", database="wirekit")


@pytest.fixture(params=[client, bare])
async def db(postgres15: RunningServer, request: pytest.FixtureRequest) -> AsyncGenerator[Postgres]:
    async with request.param(postgres15) as opened:
        yield opened


@pytest.fixture
def own_server() -> Iterator[RunningServer]:
    with servers.postgres_server(major=15) as server:
        yield server


async def forget(chunk: bytes) -> None:
    await asyncio.sleep(0)


async def iterate(db: Postgres, query: str) -> int:
    return len([None async for _ in db.copy_records_from_query(query)])


KINDS: dict[str, Callable[[Postgres, str], Awaitable[Any]]] = {
    "chunks": lambda db, query: db.copy_from_query(query, output=forget),
    "records": iterate,
}


# Cancelled, and lost -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelled_after_any_turn(db: Postgres, kind: str) -> None:
    query = "SELECT generate_series(1, 3000), repeat('x', 1000)"
    for turns in [*range(40), 60, 100]:
        task = asyncio.ensure_future(KINDS[kind](db, query))
        waiting = asyncio.create_task(db.fetchval("SELECT 5"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            assert await task in ("COPY 3000", 3000)
        assert await waiting == 5
        assert await db.fetchval("SELECT 6") == 6


async def test_cancelled_inside_a_transaction(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        transaction = db.transaction()
        await transaction.start()
        with pytest.raises(TimeoutError):
            await db.copy_from_query(ENDLESS, output=forget, timeout=0.1)
        with pytest.raises(pg.InFailedSQLTransactionError):
            await db.fetchval("SELECT 5")
        await transaction.rollback()
        assert await db.fetchval("SELECT 5") == 5


async def test_cancelled_while_the_server_waits_for_us(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        rows = db.copy_records_from_query(ENDLESS)
        await anext(rows)
        await asyncio.sleep(0.2)  # long enough for all buffers to be full
        await rows.aclose()
        assert await db.fetchval("SELECT 5") == 5


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_is_killed(own_server: RunningServer, kind: str) -> None:
    async with client(own_server) as db:
        copy = asyncio.ensure_future(KINDS[kind](db, ENDLESS))
        waiting = asyncio.create_task(db.fetchval("SELECT 5"))
        await asyncio.sleep(0.1)
        assert not copy.done()
        own_server.kill()
        for task in (copy, waiting, asyncio.create_task(db.fetchval("SELECT 5"))):
            with pytest.raises(pg.ConnectionDoesNotExistError):
                await task


@pytest.mark.parametrize("kind", KINDS)
async def test_closed_in_the_middle(db: Postgres, kind: str) -> None:
    copy = asyncio.ensure_future(KINDS[kind](db, ENDLESS))
    await asyncio.sleep(0.05)
    db.terminate()
    with pytest.raises(SocketClosed, match="closed"):
        await copy


async def test_an_iterator_that_is_dropped_in_another_thread(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        holder = [db.copy_records_from_query(ENDLESS)]
        await anext(holder[0])
        thread = threading.Thread(target=holder.clear)
        thread.start()
        thread.join()
        # The COPY is this task's, so another has to see that it ends.
        assert await asyncio.create_task(db.fetchval("SELECT 5")) == 5


def test_an_iterator_that_outlives_its_loop(postgres15: RunningServer) -> None:
    async def begin() -> Any:
        async with client(postgres15) as db:
            rows = db.copy_records_from_query(ENDLESS)
            await anext(rows)
            return rows

    rows = asyncio.run(begin())
    del rows
    gc.collect()


# Memory --------------------------------------------------------------------------------------


async def test_the_server_waits_for_a_slow_consumer(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        sizes: list[int] = []

        async def slow(chunk: bytes) -> None:
            sizes.append(len(chunk))
            await asyncio.sleep(0.1)
            if len(sizes) == 4:
                raise KeyError

        with pytest.raises(KeyError):
            await db.copy_from_query(ENDLESS, output=slow)
        assert 1024 * 1024 <= max(sizes) <= 2 * 1024 * 1024
        assert await db.fetchval("SELECT 5") == 5


@pytest.mark.parametrize("kind", KINDS)
async def test_64_mib_take_little_memory(db: Postgres, kind: str) -> None:
    query = "SELECT generate_series(1, 65536), repeat('x', 1000)"
    gc.collect()
    tracemalloc.start()
    try:
        assert await KINDS[kind](db, query) in ("COPY 65536", 65536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


# Peers that break the protocol ---------------------------------------------------------------


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")
DESCRIBED = (
    message(b"1")
    + message(b"t", pack("!h", 0))
    + message(b"T", pack("!h", 1) + b"a\0" + pack("!ihihih", 0, 0, 23, 4, -1, 0))
    + READY
)
BEGIN = message(b"H", pack("!bhh", 1, 1, 1))
ROW = pack("!hii", 1, 4, 7)
END = message(b"c") + message(b"C", b"COPY 1\0") + READY


def data(*bodies: bytes) -> bytes:
    return b"".join([message(b"d", body) for body in bodies])


async def serve(socket: Socket, copy: bytes, *, then_closes: bool) -> None:
    """Let anyone in, describe one column of int4, and answer a COPY with these bytes."""
    (length,) = unpack("!i", await socket.read_exactly(4))
    await socket.read_exactly(length - 4)
    await socket.write(message(b"R", pack("!i", 0)) + READY)
    while True:
        kind, length = unpack("!ci", await socket.read_exactly(5))
        await socket.read_exactly(length - 4)
        if kind == b"S":
            await socket.write(DESCRIBED)
        elif kind == b"Q":
            await socket.write(copy)
            if then_closes:
                await socket.close()


@asynccontextmanager
async def peer(copy: bytes, *, then_closes: bool = False) -> AsyncGenerator[Postgres]:
    ours, theirs = memory_pair()
    serving = asyncio.create_task(serve(theirs, copy, then_closes=then_closes))
    try:
        async with Postgres(ours, user="x") as db:
            yield db
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_peer_that_keeps_to_the_protocol() -> None:
    async with peer(BEGIN + data(COPY_HEADER + ROW, COPY_TRAILER) + END) as db:
        for _ in range(2):
            assert [row async for row in db.copy_records_from_table("t")] == [(7,)]


@pytest.mark.parametrize(
    "copy",
    [
        BEGIN + data(b"no header"),
        BEGIN + data(COPY_HEADER[:11] + b"\xff" * 8),
        BEGIN + data(COPY_HEADER + pack("!h", 2) + ROW[2:]),
        BEGIN + data(COPY_HEADER + ROW[:-1]),
        BEGIN + data(COPY_HEADER + ROW + COPY_TRAILER, ROW),
        BEGIN + data(COPY_HEADER + ROW) + END,
        BEGIN + BEGIN,
        data(COPY_HEADER),
        BEGIN + READY,
        BEGIN + message(b"C", b"COPY 1\0"),
        message(b"c"),
    ],
)
async def test_bytes_that_are_no_binary_copy(copy: bytes) -> None:
    async with peer(copy) as db:
        with pytest.raises(RemoteProtocolError) as caught:
            await iterate(db, "SELECT 7")
        assert isinstance(caught.value, pg.ConnectionDoesNotExistError)
        assert db.is_closed()
        with pytest.raises(pg.ConnectionDoesNotExistError):
            await db.fetchval("SELECT 5")


@pytest.mark.parametrize("copy", [b"", BEGIN, BEGIN + data(COPY_HEADER + ROW), BEGIN + b"d"])
async def test_a_peer_that_closes_in_the_middle(copy: bytes) -> None:
    async with peer(copy, then_closes=True) as db:
        with pytest.raises(ConnectionLost) as caught:
            await iterate(db, "SELECT 7")
        assert isinstance(caught.value, pg.ConnectionDoesNotExistError)


@pytest.mark.parametrize("kind", ["chunks", "records"])
async def test_a_peer_that_wants_data_where_it_has_to_give_some(kind: str) -> None:
    failed = message(b"E", b"SERROR\0C57014\0Mstopped\0\0") + READY
    async with peer(message(b"G", pack("!bhh", 1, 1, 1)) + failed) as db:
        with pytest.raises(pg.InterfaceError, match="use the copy_"):
            await KINDS[kind](db, "SELECT 7")


async def test_a_peer_that_gives_data_where_it_was_to_take_some() -> None:
    async with peer(BEGIN + data(b"a", b"b") + END) as db:
        with pytest.raises(pg.InterfaceError, match="use the copy_"):
            await db.copy_to_table("t", source=b"x")
