from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers import RunningServer


class Proxy:
    """A TCP relay to a real server, which cuts each connection after so many bytes.

    Args:
        server: where to.
        lifetime: says of each connection how many bytes it may carry, both ways together; None
            for any number.
        port: of the server, if not its usual one.
    """

    def __init__(
        self,
        server: RunningServer,
        lifetime: Callable[[], int | None] = lambda: None,
        *,
        port: int | None = None,
    ) -> None:
        self.lifetime = lifetime
        self.connections = 0
        self.cuts = 0
        self._target = (server.host, port or server.port)
        self._listener: asyncio.Server | None = None
        self._relays: set[Relay] = set()

    @property
    def address(self) -> tuple[str, int]:
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()
        return host, port

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        relays = list(self._relays)
        for relay in relays:
            relay.cut()
        await asyncio.gather(*(relay.ended.wait() for relay in relays))

    def cut_all(self) -> None:
        """End every connection now."""
        for relay in list(self._relays):
            relay.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        relay = Relay(writer, self.lifetime())
        self._relays.add(relay)
        try:
            await relay.run(reader, *self._target)
        finally:
            self.cuts += relay.was_cut
            self._relays.discard(relay)
            relay.ended.set()


class Relay:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, left: int | None) -> None:
        self.was_cut = False
        self.ended = asyncio.Event()
        self._left = left
        self._writers = [client]

    async def run(self, from_client: asyncio.StreamReader, host: str, port: int) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(host, port)
        except OSError:
            self.cut()
            return
        to_client = self._writers[0]
        self._writers.append(to_server)
        await asyncio.gather(
            self._carry(from_client, to_server), self._carry(from_server, to_client)
        )

    def cut(self) -> None:
        self.was_cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                writer.write(data)
                await writer.drain()
                if self._left == 0:
                    break
        if self._left == 0:
            self.cut()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
