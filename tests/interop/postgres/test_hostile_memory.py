"""Whatever the server sends, memory stays bounded."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.interop.postgres.fake_server import FakeServer, Session
from tests.interop.postgres.helpers import assert_typed, outcome, turns
from tests.protocols.postgres import _server as wire
from wirekit import MessageTooLarge
from wirekit.adapters.postgres import Postgres

MEBIBYTE = 1024 * 1024


@contextmanager
def bounded(most: int = MEBIBYTE) -> Generator[None]:
    """Fail if more memory is taken at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def announced(kind: bytes, length: int, body: bytes = b"") -> bytes:
    return kind + length.to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "data",
    [
        announced(b"D", 0x3FFFFFFF),
        announced(b"D", 0x3FFFFFFF, b"\xff\xff\x3f\xff\xff\xf0"),
        announced(b"d", 0x3FFFFFFF),
        announced(b"V", 0x3FFFFFFF),
        announced(b"T", 0x1000000, b"\xff\xff"),
        announced(b"t", 0x1000000, b"\xff\xff"),
        announced(b"E", 0x1000000, b"M" * 1000),
        announced(b"A", 0x1000000),
        announced(b"S", 0x1000000),
        announced(b"?", 0x1000000),
        wire.message(b"t", b"\xff\xff"),
        wire.message(b"T", b"\xff\xff"),
        wire.message(b"v", b"\0\3\0\0\x7f\xff\xff\xff"),
        wire.copy_out_response() + announced(b"d", 0x3FFFFFFF),
        wire.message(b"D", b"\xff\xff"),
    ],
)
async def test_announcements_take_no_memory(data: bytes) -> None:
    async with FakeServer() as server:
        db = await server.connect()
        await db.fetchval("SELECT $1", 1)
        server.answer = lambda kind, body: data if kind == b"E" else None
        call = asyncio.create_task(db.fetchval("SELECT $1", 1))
        with bounded():
            await turns(20)
        db.terminate()
        assert_typed(await outcome(call))


@pytest.mark.parametrize("kind", [b"R", b"S", b"N", b"E", b"D"])
async def test_announcements_of_strangers_take_no_memory(kind: bytes) -> None:
    async def login(session: Session) -> None:
        await session.write(announced(kind, 0x3FFFFFFF))
        while await session.socket.read():
            pass

    async with FakeServer(login=login) as server:
        with bounded():
            error = await outcome(server.connect())
        assert isinstance(error, MessageTooLarge), repr(error)
        assert_typed(error)


@pytest.mark.parametrize(
    "data",
    [wire.notice_response(), wire.notification_response(), wire.parameter_status("a", "b")],
    ids=["notices", "notifications", "settings"],
)
@pytest.mark.parametrize("busy", [False, True])
async def test_what_comes_at_any_moment_is_not_kept(data: bytes, busy: bool) -> None:
    flood = data * 1000
    async with FakeServer() as server:
        db = await server.connect()
        await db.fetchval("SELECT $1", 1)
        if busy:
            server.answer = lambda kind, body: b"" if kind in (b"E", b"S") else None
        call = asyncio.create_task(db.fetchval("SELECT $1", 1))
        await turns(10)
        with bounded(2 * MEBIBYTE):
            for _ in range(100):
                await server.write(flood)
                await turns(4)
        assert not db.is_closed()
        db.terminate()
        await outcome(call)


async def test_rows_of_a_cancelled_query_are_not_kept() -> None:
    async with FakeServer() as server:
        db = await server.connect()
        await db.fetchval("SELECT $1", 1)
        server.answer = lambda kind, body: b"" if kind in (b"E", b"S") else None
        call = asyncio.create_task(db.fetch("SELECT $1", 1))
        await turns(20)
        rows = wire.data_row(1) * 1000
        await server.write(rows)
        await turns(5)
        call.cancel()
        assert isinstance(await outcome(call), asyncio.CancelledError)
        with bounded(2 * MEBIBYTE):
            for _ in range(100):
                await server.write(rows)
                await turns(4)
        assert not db.is_closed()
        await server.write(wire.command_complete() + wire.ready_for_query())
        db.terminate()


async def test_the_limit_is_the_callers_to_choose() -> None:
    rows = wire.data_row(b"x" * 65536)
    async with FakeServer(
        lambda kind, body: rows + wire.command_complete() if kind == b"E" else None
    ) as server:
        socket = await server(("server", 5432))
        async with Postgres(socket, user="somebody", max_message_length=65536) as db:
            error = await outcome(db.fetch("SELECT a, b"))
            assert isinstance(error, MessageTooLarge), repr(error)
            assert_typed(error)
