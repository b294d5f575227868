"""What servers in memory share that say whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Any, Self, cast

import wirekit
from tests.interop.waiting import eventually
from wirekit.sockets import AddressLike, Socket, memory_pair


class Cut:
    """Where a session ends: after so many bytes from the server, in order or by a reset."""

    def __init__(self, after: int, *, reset: bool) -> None:
        self.left = after
        self.reset = reset


class FakeServer(ABC):
    """A server in memory; it is the connector that leads to itself.

    Args:
        fragment: bytes that arrive at the client at a time.
        cut: ends each session early.

    Attributes:
        sockets: the server's ends.
    """

    def __init__(self, *, fragment: int | None = None, cut: Cut | None = None) -> None:
        self.sockets: list[Socket] = []
        self.cut = cut
        self._fragment = fragment
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def serve(self, socket: Socket) -> None:
        """Hold a session; the socket is closed behind it."""

    async def __call__(self, address: AddressLike) -> Socket:
        return self.socket()

    def socket(self) -> Socket:
        """Return a socket to this server."""
        ours, theirs = memory_pair(fragment=self._fragment, allow_half_open=True)
        self.sockets.append(theirs)
        task = asyncio.create_task(self._run(theirs))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return ours

    async def write(self, data: bytes) -> None:
        """Send something of the server's own accord; it arrives as one chunk."""
        await self.sockets[-1].write(data)

    async def reply(self, socket: Socket, data: bytes) -> bool:
        """Send as much as the cut leaves; return whether the session goes on."""
        if self.cut is not None:
            data = data[: self.cut.left]
            self.cut.left -= len(data)
        if data:
            await socket.write(data)
        if self.cut is None or self.cut.left:
            return True
        if self.cut.reset:
            transport = cast("Any", socket)._transport
            await eventually(lambda: not transport.get_write_buffer_size())  # a reset overtakes it
            socket.abort()
        return False

    async def aclose(self) -> None:
        for socket in self.sockets:
            socket.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def _run(self, socket: Socket) -> None:
        with contextlib.suppress(wirekit.TransportError):
            await self.serve(socket)
            await socket.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        task.result()  # a mistake in the test itself
