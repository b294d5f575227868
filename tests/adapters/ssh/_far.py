"""The far ends of channels, as a server's own sessions, and clients of such a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, cast

import asyncssh

from tests.interop.ssh.sessions import joined
from tests.servers import asyncssh_server
from wirekit.adapters.ssh import SSH
from wirekit.sockets import Socket

# What a server says instead of opening a channel.
PROHIBITED = asyncssh.ChannelOpenError(1, "no such way out")


class Far(asyncssh.SSHTCPSession[bytes], asyncssh.SSHUNIXSession[bytes]):
    """A session that records what it is told."""

    channel: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = asyncio.Event()
        self.lost = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, chan: Any) -> None:
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.ended.set()
        return True

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@dataclass
class Ways(asyncssh.SSHServer):
    """A server that ends every channel in a `Far`.

    Attributes:
        asked: where to the clients wanted to go, in their order.
        answer: what to do first; it may wait, or raise.
        window: how much each channel may be sent at once, in bytes.
    """

    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    ends: asyncio.Queue[Far] = field(default_factory=asyncio.Queue[Far])
    answer: Any = None
    window: int = 2 << 20
    connection: Any = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        return False

    async def _open(self, *asked: Any) -> Any:
        self.asked.append(asked)
        if self.answer is not None:
            await self.answer()
        far = Far()
        self.ends.put_nowait(far)
        return far

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Any:
        channel = self.connection.create_tcp_channel(window=self.window)
        return channel, self._open(dest_host, dest_port)

    def unix_connection_requested(self, dest_path: str) -> Any:
        return self._open(dest_path, 0)


@dataclass
class Road:
    """A client, and its server."""

    ssh: SSH
    ways: Ways
    server_transport: asyncio.Transport

    async def open(self, **options: Any) -> tuple[Socket, Far]:
        """Return both ends of a new channel."""
        socket = await self.ssh.connector(**options)("db.internal:5432")
        return socket, await self.ways.ends.get()

    @property
    def channels(self) -> int:
        """How many channels there are, on the client's side."""
        return len(cast("Any", self.ssh.connection)._channels)


@contextlib.asynccontextmanager
async def road(**options: Any) -> AsyncGenerator[Road]:
    """Give a client in memory."""
    ways = Ways()
    async with (
        asyncssh_server(server_factory=lambda: ways, **options) as server,
        joined(server) as (ssh, transport),
    ):
        yield Road(ssh, ways, transport)
