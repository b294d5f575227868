"""A database to replicate from, and a server that replicates as it is told to."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from struct import pack
from typing import TYPE_CHECKING, Any

from tests.servers import RunningServer
from wirekit import sockets
from wirekit.adapters import postgres as pg
from wirekit.protocols.postgres.replication import (
    Commit,
    Insert,
    StreamCommit,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


NUMBERS = itertools.count()


class Source:
    """A database of its own, with a publication of all tables and the slot ``slot``."""

    def __init__(self, server: RunningServer, database: str) -> None:
        self.server = server
        self.database = database
        self.slot = f"{database}_slot"

    async def connect(self) -> pg.Postgres:
        client: pg.Postgres = await pg.connect(
            **self.parameters(), server_settings={"synchronous_commit": "on"}
        )
        return client

    def parameters(self, database: str | None = None) -> dict[str, Any]:
        where = {"host": self.server.host, "port": self.server.port, "ssl": False}
        return {**where, "user": "postgres", "database": database or self.database}

    @asynccontextmanager
    async def replication(self, **settings: str) -> AsyncGenerator[pg.Replication]:
        async with await pg.connect_replication(
            **self.parameters(), server_settings=settings
        ) as replication:
            yield replication

    def address(self) -> str:
        return f"tcp://{self.server.host}:{self.server.port}"

    @property
    def is_new(self) -> bool:
        return self.server.name != "postgres15"


@asynccontextmanager
async def source_on(server: RunningServer) -> AsyncGenerator[Source]:
    source = Source(server, f"replication{next(NUMBERS)}")
    async with administration(source) as admin:
        await admin.execute(f"CREATE DATABASE {source.database}")
    db = await source.connect()
    await db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    await db.execute("CREATE TABLE item (id int PRIMARY KEY, body text)")
    await db.execute(f"SELECT pg_create_logical_replication_slot('{source.slot}', 'pgoutput')")
    await db.close()
    try:
        yield source
    finally:
        async with administration(source) as admin:
            own = f"pg_replication_slots WHERE database = '{source.database}'"
            await admin.execute(f"SELECT pg_terminate_backend(active_pid) FROM {own} AND active")

            async def is_left() -> bool:
                return not await admin.fetchval(f"SELECT count(*) FROM {own} AND active")

            await eventually(is_left)
            await admin.execute(f"SELECT pg_drop_replication_slot(slot_name) FROM {own}")
            await admin.execute(f"DROP DATABASE {source.database} WITH (FORCE)")


@asynccontextmanager
async def administration(source: Source) -> AsyncGenerator[pg.Postgres]:
    client: pg.Postgres = await pg.connect(**source.parameters("postgres"))
    try:
        yield client
    finally:
        await client.close()


async def take(stream: pg.ReplicationStream[Any], count: int) -> list[Any]:
    """Return the messages up to the end of so many transactions, without their LSNs."""
    messages: list[Any] = []
    while count:
        messages.append((await anext(stream)).message)
        count -= isinstance(messages[-1], Commit | StreamCommit)
    return messages


def kinds(messages: list[Any]) -> list[type]:
    return [type(message) for message in messages]


async def insert_large_rows(db: pg.Postgres, count: int) -> None:
    await db.execute(
        "INSERT INTO item SELECT i, repeat('x', 1000) FROM generate_series(1, $1::int) i", count
    )


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    while not await condition():  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.01)


def inserted(messages: list[Any]) -> list[int]:
    return [message.new["id"] for message in messages if isinstance(message, Insert)]


ROW = b"T\0\0\0\6\0\0D\0\0\0\x0b\0\1\0\0\0\0010C\0\0\0\x0dSELECT 1\0"


class Fake:
    """A server that says what it is told to when a stream begins."""

    def __init__(self, answer: bytes, ends: bool = True) -> None:
        self.answer = answer
        self.ends = ends
        self.received = b""
        self.status = asyncio.Event()  # a status update came

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            ready = b"Z\0\0\0\5I"
            version = b"server_version\0" + b"18.0\0"
            writer.write(b"R\0\0\0\x08\0\0\0\0S" + pack("!I", len(version) + 4) + version + ready)
            while kind := await reader.read(1):
                length = int.from_bytes(await reader.readexactly(4), "big")
                body = await reader.readexactly(length - 4)
                self.received += kind
                if kind == b"Q" and body.startswith(b"START"):
                    writer.write(self.answer)
                elif kind == b"Q":
                    writer.write(ROW + ready)
                elif kind == b"d":
                    self.status.set()
                elif kind == b"c" and self.ends:
                    writer.write(b"c\0\0\0\4C\0\0\0\x0bCOPY 0\0" + ready)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake(answer: bytes, *, ends: bool = True) -> AsyncGenerator[tuple[Fake, pg.Replication]]:
    server = Fake(answer, ends)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    try:
        socket = sockets.connect(f"tcp://{host}:{port}")
        async with pg.Replication(socket, user="somebody") as replication:
            yield server, replication
    finally:
        listening.close()


def copy_data(data: bytes) -> bytes:
    return b"d" + pack("!I", len(data) + 4) + data


COPY_BOTH = b"W\0\0\0\7\0\0\0"
KEEPALIVE = pack("!cQqB", b"k", 500, 0, 1)
XLOG_DATA = pack("!cQQq", b"w", 100, 100, 0)
