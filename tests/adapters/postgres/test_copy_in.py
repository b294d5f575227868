"""COPY from us when something goes wrong on the way, and how much memory it takes."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from tests import servers
from tests.servers import RunningServer
from wirekit import LocalProtocolError, SocketClosed
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres import Postgres
from wirekit.adapters.postgres._copy_in import pieces_of, record_pieces
from wirekit.protocols.postgres import COPY_HEADER, COPY_TRAILER, RowWriter, TextCodec
from wirekit.sockets import connect

from ._login import client

CHUNK = b"".join([b"%d\tsome text\n" % number for number in range(1000)])


def bare(server: RunningServer) -> Postgres:
    """Return a client that has no way to cancel."""
    return Postgres(connect((server.host, server.port)), user="trust_user", database="wirekit")


@pytest.fixture(params=[client, bare])
async def db(postgres15: RunningServer, request: pytest.FixtureRequest) -> AsyncGenerator[Postgres]:
    async with request.param(postgres15) as opened:
        await opened.execute("CREATE TEMP TABLE t (id int4, name text)")
        yield opened


@pytest.fixture
def own_server() -> Iterator[RunningServer]:
    with servers.postgres_server(major=15) as server:
        yield server


async def count(db: Postgres) -> int:
    number: int = await db.fetchval("SELECT count(*) FROM t")
    return number


async def chunks(number: int, *, fault: Exception | None = None) -> AsyncIterator[bytes]:
    for _ in range(number):
        await asyncio.sleep(0)
        yield CHUNK
    if fault is not None:
        raise fault


async def endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield CHUNK


async def records(number: int, *, fault: Exception | None = None) -> AsyncIterator[Any]:
    for one in range(number):
        yield one, "some text"
    if fault is not None:
        raise fault


def plain_records(number: int, *, fault: Exception | None = None) -> Iterator[Any]:
    for one in range(number):
        yield one, "some text"
    if fault is not None:
        raise fault


# Faults of the source ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 50])
async def test_a_source_that_raises(db: Postgres, number: int) -> None:
    fault = KeyError("ours")
    with pytest.raises(KeyError) as caught:
        await db.copy_to_table("t", source=chunks(number, fault=fault))
    assert caught.value is fault
    assert await count(db) == 0


@pytest.mark.parametrize("make", [records, plain_records])
@pytest.mark.parametrize("number", [0, 1, 20000])
async def test_records_that_raise(db: Postgres, number: int, make: Callable[..., Any]) -> None:
    fault = LocalProtocolError("ours")
    with pytest.raises(LocalProtocolError) as caught:
        await db.copy_records_to_table("t", records=make(number, fault=fault))
    assert caught.value is fault
    assert await count(db) == 0


async def test_a_source_that_raises_inside_a_transaction(db: Postgres) -> None:
    transaction = db.transaction()
    await transaction.start()
    with pytest.raises(KeyError):
        await db.copy_to_table("t", source=chunks(1, fault=KeyError()))
    with pytest.raises(pg.InFailedSQLTransactionError):
        await count(db)
    await transaction.rollback()
    assert await count(db) == 0


async def test_sources_of_the_wrong_type(db: Postgres) -> None:
    async def texts() -> AsyncIterator[Any]:
        yield "1\tx\n"

    class TextFile:
        def read(self, size: int) -> str:
            return "1\tx\n"

    for source in (texts(), TextFile()):
        with pytest.raises(TypeError, match="COPY takes bytes-like objects, not str"):
            await db.copy_to_table("t", source=source)
    assert await count(db) == 0


async def test_a_file_that_raises(db: Postgres) -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        await db.copy_to_table("t", source=Broken())
    assert await count(db) == 0


async def test_an_asynchronous_file(db: Postgres) -> None:
    class File:
        left = 3

        async def read(self, size: int) -> bytes:
            self.left -= 1
            return CHUNK if self.left >= 0 else b""

    assert await db.copy_to_table("t", source=File()) == "COPY 3000"


async def test_a_source_that_uses_its_memory_again(db: Postgres) -> None:
    async def source() -> AsyncIterator[bytearray]:
        memory = bytearray(8)
        for number in range(10000):
            memory[:] = b"%04d\tab\n" % number
            yield memory

    assert await db.copy_to_table("t", source=source()) == "COPY 10000"
    assert await db.fetchval("SELECT count(DISTINCT id) FROM t") == 10000


# Faults of the server ------------------------------------------------------------------------


@pytest.mark.parametrize("is_binary", [False, True])
async def test_an_error_of_the_server_stops_the_sending(db: Postgres, is_binary: bool) -> None:
    await db.execute("ALTER TABLE t ADD CHECK (id < 900)")
    sent = 0

    async def source() -> AsyncIterator[Any]:
        nonlocal sent
        while True:
            sent += len(CHUNK)
            if is_binary:
                for number in range(1000):
                    yield number, "some text"
            else:
                yield CHUNK

    copy = (
        db.copy_records_to_table("t", records=source())
        if is_binary
        else db.copy_to_table("t", source=source())
    )
    with pytest.raises(pg.CheckViolationError) as caught:
        await copy
    assert caught.value.query is not None
    assert caught.value.query.startswith('COPY "t" FROM STDIN')
    assert sent < 64 * 1024 * 1024
    assert await count(db) == 0


async def test_an_error_at_the_end(db: Postgres) -> None:
    with pytest.raises(pg.BadCopyFileFormatError):
        await db.copy_to_table("t", source=b"1")
    assert await count(db) == 0


@pytest.mark.parametrize("is_binary", [False, True])
async def test_a_server_that_is_killed(own_server: RunningServer, is_binary: bool) -> None:
    async with client(own_server) as db:
        await db.execute("CREATE TABLE t (id int4, name text)")
        if is_binary:
            copy = asyncio.create_task(db.copy_records_to_table("t", records=records(10**9)))
        else:
            copy = asyncio.create_task(db.copy_to_table("t", source=endless()))
        waiting = asyncio.create_task(count(db))
        await asyncio.sleep(0.1)
        assert not copy.done()
        own_server.kill()
        for task in (copy, waiting, asyncio.create_task(count(db))):
            with pytest.raises(pg.ConnectionDoesNotExistError):
                await task


async def test_closed_in_the_middle(db: Postgres) -> None:
    copy = asyncio.create_task(db.copy_to_table("t", source=endless()))
    await asyncio.sleep(0.05)
    await db.close()
    with pytest.raises(SocketClosed, match="closed"):
        await copy


# Cancelled -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chunks", "records", "async records"])
async def test_cancelled_after_any_turn(db: Postgres, kind: str) -> None:
    for turns in [*range(40), 60, 100]:
        await db.execute("TRUNCATE t")
        if kind == "chunks":
            call = db.copy_to_table("t", source=chunks(20))
        else:
            make: Any = plain_records if kind == "records" else records
            call = db.copy_records_to_table("t", records=make(20000))
        task = asyncio.create_task(call)
        waiting = asyncio.create_task(count(db))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        done = result == "COPY 20000"
        assert done or isinstance(result, asyncio.CancelledError)
        # All or nothing; the server may have been done before we knew.
        assert await waiting in (0, 20000)
        assert await count(db) in ([20000] if done else (0, 20000))


async def test_cancelled_twice_inside_a_transaction(db: Postgres) -> None:
    async def run() -> None:
        async with db.transaction():
            await db.copy_to_table("t", source=chunks(20))

    for turns in range(30):
        task = asyncio.create_task(run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        others = [asyncio.create_task(count(db)) for _ in range(3)]
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert set(await asyncio.gather(*others)) == {0}


async def test_cancelled_while_the_server_waits_for_a_lock(postgres15: RunningServer) -> None:
    async with client(postgres15) as db, client(postgres15) as other:
        await db.execute("CREATE TABLE locked (id int4 PRIMARY KEY, name text)")
        try:
            async with other.transaction():
                await other.execute("INSERT INTO locked VALUES (999)")
                with pytest.raises(TimeoutError):
                    await db.copy_to_table("locked", source=endless(), timeout=0.3)
                assert await db.fetchval("SELECT 5") == 5
                async with db.transaction():
                    await db.execute("SAVEPOINT a")
                    with pytest.raises(TimeoutError):
                        await db.copy_to_table("locked", source=endless(), timeout=0.3)
                    await db.execute("ROLLBACK TO a")
        finally:
            await db.execute("DROP TABLE locked")


async def test_cancelled_while_the_table_is_locked(postgres15: RunningServer) -> None:
    async with client(postgres15) as db, client(postgres15) as other:
        await db.execute("CREATE TABLE locked (id int4, name text)")
        try:
            async with other.transaction():
                await other.execute("LOCK TABLE locked")
                copy = asyncio.create_task(db.copy_to_table("locked", source=endless()))
                await asyncio.sleep(0.1)
                copy.cancel()
                waiting = asyncio.create_task(db.fetchval("SELECT 5"))
                with pytest.raises(asyncio.CancelledError):
                    await copy
                assert await waiting == 5
        finally:
            await db.execute("DROP TABLE locked")


async def test_cancelled_while_it_waits_for_its_turn(db: Postgres) -> None:
    first = asyncio.create_task(db.copy_to_table("t", source=endless()))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(db.copy_to_table("t", source=chunks(1)))
    await asyncio.sleep(0.01)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    first.cancel()
    assert await count(db) == 0


# Memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes", "chunks", "records"])
async def test_64_mib_take_little_memory(db: Postgres, kind: str) -> None:
    size = 64 * 1024 * 1024
    await db.execute("TRUNCATE t; ALTER TABLE t DROP COLUMN id")
    line = b"x" * 1023 + b"\n"
    big = line * 1024

    async def source() -> AsyncIterator[bytes]:
        for _ in range(size // len(big)):
            yield bytes(big)

    whole = line * (size // len(line)) if kind == "bytes" else b""
    gc.collect()
    tracemalloc.start()
    try:
        if kind == "bytes":
            status = await db.copy_to_table("t", source=memoryview(whole), where="name IS NULL")
        elif kind == "chunks":
            status = await db.copy_to_table("t", source=source(), where="name IS NULL")
        else:
            rows = (("x" * 1000,) for _ in range(size // 1000))
            status = await db.copy_records_to_table("t", records=rows, where="name IS NULL")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == "COPY 0"
    assert peak < 8 * 1024 * 1024


# Pieces --------------------------------------------------------------------------------------


async def gathered(pieces: AsyncGenerator[Any]) -> list[bytes]:
    async with aclosing(pieces):
        return [bytes(piece) async for piece in pieces]


async def test_large_data_goes_in_pieces() -> None:
    data = bytes(range(256)) * 4096

    async def once() -> AsyncIterator[bytes]:
        yield data

    for source in (data, once()):
        found = await gathered(pieces_of(source))
        assert b"".join(found) == data
        assert {len(piece) for piece in found} == {131072}


async def test_records_go_in_pieces_of_whole_rows() -> None:
    writer = RowWriter([TextCodec("text")])
    rows = [("x" * 1000,)] * 1000
    found = await gathered(record_pieces(writer, ["a"], rows))
    assert len(found) == 8
    row = bytearray()
    writer.write_row(row, rows[0])
    assert b"".join(found) == COPY_HEADER + bytes(row) * 1000 + COPY_TRAILER
    assert {len(piece) % len(row) for piece in found[1:-1]} == {0}
