"""The connection of one client: opened once, and anew when it is over and there is a connector."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from wirekit._errors import Error, SocketClosed
from wirekit.protocols.smtp import Quit

from ._errors import SMTPException, connection_error
from ._settings import Settings, open_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.sockets import Socket

    from ._queue import Queue

__all__ = ["Sessions"]


class Sessions:
    """The one connection that a client has at a time.

    Args:
        settings: what it is told.
        socket: the first; None to dial that too.
        dial: makes further sockets; None if there are none.

    Attributes:
        current: the connection that was opened last, usable or not.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        socket: Socket | None,
        dial: Callable[[], Awaitable[Socket]] | None,
    ) -> None:
        self.settings = settings
        self.current: Queue | None = None
        self._socket = socket
        self._dial = dial
        self._connecting: asyncio.Task[Queue] | None = None
        self._closed = False

    @property
    def is_renewable(self) -> bool:
        """Whether a connection that is over is made anew."""
        return self._dial is not None and not self._closed

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that stands."""
        return self.current is not None and self.current.connection.error is None

    def opened(self) -> Queue:
        """Return the connection that was opened last.

        Raises:
            SMTPServerDisconnected: there was none.
        """
        if self.current is None:
            text = "the client is not open: use `async with`, or `await client.open()` first"
            raise connection_error(SocketClosed(text), sent=False)
        return self.current

    async def open(self) -> Queue:
        """Open the connection, unless it is.

        Raises:
            SMTPException: it cannot be.
        """
        if self._closed:
            raise self._closed_error()
        if self.current is not None:
            return await self.ready()
        return await self._connected()

    async def ready(self) -> Queue:
        """Return a connection that can be used, made anew if need be.

        Raises:
            SMTPException: there is none.
        """
        if self._closed:
            raise self._closed_error()
        current = self.opened()
        if current.connection.error is None and not current.is_spent:
            return current
        if self._dial is None:
            error = current.connection.error
            text = "no more mails are to be sent on this connection, and there is no connector"
            raise connection_error(error or SocketClosed(text), sent=False)
        return await self._connected()

    async def _connected(self) -> Queue:
        """Connect; all who want that at the same time share one attempt."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="wirekit smtp connect")
            self._connecting.add_done_callback(self._connect_done)
        connecting = self._connecting
        await asyncio.wait([connecting])
        if connecting.cancelled():
            raise self._closed_error()
        return connecting.result()

    def _connect_done(self, connecting: asyncio.Task[Queue]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # in case that nobody waits for it any more

    async def _connect(self) -> Queue:
        if self.current is not None and self.current.connection.error is None:
            # First, so that there are never two. What is on its way has limits of its own.
            await self._say_goodbye(self.current, None)
        socket, self._socket = self._socket, None
        if socket is None:
            if self._dial is None:
                text = "the only socket was used up by an attempt to open the client that failed"
                raise connection_error(SocketClosed(text), sent=False)
            try:
                socket = await self._dial()
            except Error as error:
                raise connection_error(error, sent=False) from error.__cause__
        self.current = await open_connection(socket, self.settings)
        return self.current

    async def _say_goodbye(self, queue: Queue, limit: float | None) -> None:
        """Let what was submitted be done, for so many seconds at most, say QUIT, and close."""
        connection = queue.connection
        try:
            with suppress(TimeoutError, SMTPException):
                async with asyncio.timeout(limit), queue.alone():
                    await connection.ask(Quit())
        finally:
            closing = connection.close()
        await closing

    async def aclose(self) -> None:
        """Let what was submitted be done, say QUIT, and close; for ``timeout`` seconds at most."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
        if self.current is not None:
            await self._say_goodbye(self.current, self.settings.timeout)

    def _closed_error(self) -> SMTPException:
        return connection_error(SocketClosed("the client was closed"), sent=False)
