"""What was received and nobody has taken yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from wirekit._errors import BusyError
from wirekit.protocols.ssh import (
    Debug,
    Packet,
    Pong,
    ServiceAccept,
    ServiceRequest,
    Unimplemented,
)

from ._errors import connection_error

if TYPE_CHECKING:
    import asyncio

__all__ = ["Inbox", "Received"]

Received: TypeAlias = Packet | ServiceAccept | ServiceRequest | Unimplemented | Debug | Pong
"""What a peer can send to us, beside what is for the connection itself."""

_PACKET = 128  # bytes that a packet costs beside its payload


class Inbox:
    """A queue of packets that one at a time waits for.

    ``size`` is the bytes of memory that they take, about.
    """

    __slots__ = ("_loop", "_queue", "_reader", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[Received] = deque()
        self._reader: asyncio.Future[None] | None = None
        self.size = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._queue

    def put(self, received: Received) -> None:
        """Add one, behind the others."""
        self._queue.append(received)
        self.size += _size(received)
        self.wake()

    def take(self) -> Received:
        """Return the first."""
        received = self._queue.popleft()
        self.size -= _size(received)
        return received

    async def wait(self) -> None:
        """Wait until `put` or `wake` is called.

        Raises:
            BusyError: somebody else does.
        """
        if self._reader is not None:
            raise connection_error(BusyError("somebody else waits for packets of this connection"))
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _size(received: Received) -> int:
    match received:
        case Packet():
            return len(received.payload) + _PACKET
        case Debug():
            return len(received.message) + _PACKET
        case Pong():
            return len(received.data) + _PACKET
        case _:
            return _PACKET
