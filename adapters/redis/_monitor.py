"""MONITOR: every command that the server runs, as it runs it.

Source: https://redis.io/docs/latest/commands/monitor/
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from wirekit._errors import BusyError, RemoteProtocolError, SocketClosed

from ._connection import Guest
from ._errors import ResponseError, connection_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.resp import Reply

    from ._connection import Connection
    from ._connections import Connections

__all__ = ["Monitor"]

# 1339518083.107412 [0 127.0.0.1:60866] "keys" "*"
_LINE = re.compile(
    r"(?P<time>[0-9]+(?:\.[0-9]+)?) \[(?P<db>[0-9]+) (?P<client>.*?)\] (?P<command>.*)", re.DOTALL
)
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Monitor:
    """A stream of what the server runs; made by ``client.monitor()``, used with ``async with``.

    It has a connection for itself, which is closed at the end; on a client without connector that
    is the client's only one. Lines that nobody fetches are kept up to ``max_commands`` and
    ``max_bytes``, then the oldest are dropped; ``dropped`` counts.
    """

    def __init__(self, connections: Connections, *, max_commands: int, max_bytes: int) -> None:
        self.dropped = 0
        self._connections = connections
        self._max_commands = max_commands
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        if self._connection is not None:
            raise connection_error(BusyError("the monitor is open already"), sent=False)
        connection = await self._connections.acquire()
        connection.receive_guest(
            Guest(pushed=self._pushed, lost=self._arrived.set, unasked=self._line)
        )
        try:
            await connection.send(["MONITOR"])
        except ResponseError:
            self._connections.release(connection)
            raise
        except BaseException:
            self._connections.release(connection, reusable=False)
            raise
        self._connection = connection
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._connections.release(connection, reusable=False)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self.listen()

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        """Yield commands as the server runs them."""
        while True:
            yield await self.next_command()

    async def next_command(self) -> dict[str, Any]:
        """Return the next command: ``time``, ``db``, ``client_address``, ``client_port``, ….

        Raises:
            ConnectionLost: the connection ended.
        """
        while not self._lines:
            connection = self._connection
            if connection is None or connection.error is not None:
                error = connection.error if connection is not None else None
                raise connection_error(error or SocketClosed("the monitor is not open"))
            self._arrived.clear()
            await self._arrived.wait()
        return _parse(self._popped().decode("utf-8", "replace"))

    def _line(self, reply: Reply) -> None:
        if isinstance(reply, bytes):
            self._lines.append(reply)
            self._bytes += len(reply)
            while len(self._lines) > self._max_commands or (
                self._bytes > self._max_bytes and len(self._lines) > 1
            ):
                self._popped()
                self.dropped += 1
            self._arrived.set()

    def _popped(self) -> bytes:
        line = self._lines.popleft()
        self._bytes -= len(line)
        return line

    def _pushed(self, push: list[Any]) -> None:
        """No command: the client gets the push as well."""


def _parse(line: str) -> dict[str, Any]:
    match = _LINE.fullmatch(line)
    if match is None:
        error = RemoteProtocolError("the server sent something that is no command to a monitor")
        raise connection_error(error)
    client = match["client"]
    if client == "lua":
        address, port, kind = "lua", "", "lua"
    elif client.startswith("unix"):
        address, port, kind = "unix", client[5:], "unix"
    else:
        address, _, port = client.rpartition(":")
        kind = "tcp"
    return {
        "time": float(match["time"]),
        "db": int(match["db"]),
        "client_address": address,
        "client_port": port,
        "client_type": kind,
        "command": " ".join(_WORD.findall(match["command"])).replace('\\"', '"'),
    }
