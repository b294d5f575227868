"""The floor of an asyncio library: the floor's bytes through the loop's own transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from benchmarks._model import Role, WrongReply
from benchmarks.postgres import _floor
from benchmarks.postgres._wire import connect

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from benchmarks._model import Address
    from benchmarks.postgres._floor import Exchange

__all__ = ["Client"]


class Client(_floor.Client):
    """Not a library: one protocol on the loop, woken once for each exchange."""

    name = "loop floor"
    role: ClassVar[Role] = "floor"
    note = "the floor's bytes on the event loop, which wakes a task for every answer"
    no_stream = "the floor does it"

    async def connect(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        connection = connect(address)
        connection.setblocking(False)
        _, self._protocol = await loop.create_connection(_Protocol, sock=connection)

    async def close(self) -> None:
        self._protocol.transport.abort()

    def _run(self, exchange: Exchange) -> Awaitable[None]:
        return self._protocol.run(exchange)


class _Protocol(asyncio.BufferedProtocol):
    """Receives straight into the room of the exchange under way."""

    transport: asyncio.Transport
    _exchange: Exchange
    _received: int
    _done: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is not one by its class

    def run(self, exchange: Exchange) -> asyncio.Future[None]:
        """Send the request; the future is done when the whole reply is there and right."""
        if self.transport.is_closing():
            raise WrongReply("the server closed the connection, or said more than it was asked")
        self._exchange = exchange
        self._received = 0
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(exchange.request)
        return self._done

    def get_buffer(self, sizehint: int) -> memoryview:
        # uvloop asks for room even when there is nothing to come.
        return memoryview(self._exchange.room)[self._received :] or memoryview(bytearray(1))

    def buffer_updated(self, nbytes: int) -> None:
        if self._done.done():
            self.transport.abort()
            return
        self._received += nbytes
        try:
            self._exchange.check_start()
            if self._received < len(self._exchange.room):
                return
            self._exchange.check()
        except WrongReply as error:
            self._done.set_exception(error)
        else:
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_done") and not self._done.done():
            self._done.set_exception(exc or WrongReply("the server closed the connection"))
