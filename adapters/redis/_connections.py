"""The connections of one client: one that all callers share, and few that are lent out alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import redis.exceptions

from wirekit._errors import AddressError, BlockedError, BusyError, Error, SocketClosed, TLSError

from ._errors import ResponseError, connection_error
from ._settings import Settings, open_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.sockets import Backoff, Socket

    from ._connection import Connection

__all__ = ["Connections"]

# Trying again does not help against these.
_FINAL = (
    AddressError,
    BlockedError,
    TLSError,
    redis.exceptions.AuthenticationError,
    redis.exceptions.NoPermissionError,
)


class Connections:
    """The connections of one client.

    With ``dial`` the shared connection is opened again when it is lost, and up to ``max_dedicated``
    others are opened to be lent. Without it there is the one socket: a lease takes it alone, and
    everyone else waits until it is given back.

    Attributes:
        current: the shared connection when it can be used at once, else None.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        socket: Socket | None,
        dial: Callable[[], Awaitable[Socket]] | None,
        max_dedicated: int,
        attempts: int,
        backoff: Backoff,
        on_push: Callable[[list[Any]], None],
        on_renewed: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.current: Connection | None = None
        self._socket = socket
        self._dial = dial
        self._attempts = attempts
        self._backoff = backoff
        self._on_push = on_push
        self._on_renewed = on_renewed
        self._shared: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._slots = asyncio.Semaphore(max_dedicated)
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        self._alone = asyncio.Lock()
        self._given_back = asyncio.Event()
        self._holder: asyncio.Task[object] | None = None
        self._closed = False

    @property
    def renewable(self) -> bool:
        """Whether further connections can be made."""
        return self._dial is not None

    @property
    def shared(self) -> Connection | None:
        """The shared connection as it stands, usable or not."""
        return self._shared

    async def open(self) -> None:
        """Open the shared connection; one attempt."""
        if self._closed:
            raise self._closed_error()
        if self._shared is None:
            await self._connect()

    async def ready(self) -> Connection:
        """Return the shared connection once it can be used, opening it again if need be.

        Raises:
            BusyError: this very task has taken the only connection for itself.
            TransportError: there is no connection, and none could be made.
        """
        while True:
            if self._closed:
                raise self._closed_error()
            shared = self._shared
            if shared is None or shared.error is not None:
                await self._renew()
            elif self._holder is not None:
                self._refuse_holder()
                await self._given_back.wait()
            elif shared.congested:
                await shared.writable()
            else:
                return shared

    async def acquire(self) -> Connection:
        """Return a connection for the caller alone; it has to be released.

        Raises:
            TransportError: as for ``ready``.
        """
        if self._closed:
            raise self._closed_error()
        if self._dial is None:
            return await self._take_shared()
        await self._slots.acquire()
        try:
            connection = None
            while self._idle and connection is None:
                idle = self._idle.pop()
                connection = idle if idle.idle else None
            if connection is None:
                if self._closed:
                    raise self._closed_error()
                connection = await open_connection(await self._dialled(), self.settings)
        except BaseException:
            self._slots.release()
            raise
        self._lent.add(connection)
        return connection

    def release(self, connection: Connection, *, reusable: bool = True) -> None:
        """Give back what ``acquire`` returned; unless ``reusable``, it is closed."""
        if connection is self._shared:
            if not reusable:
                text = "the only connection was used up by a command that cannot be taken back"
                connection.fail(SocketClosed(text))
            self._holder = None
            self._alone.release()
            self._given_back.set()
            self.current = connection if connection.error is None else None
            return
        if connection not in self._lent:
            return
        self._lent.discard(connection)
        self._slots.release()
        if reusable and connection.idle and not self._closed:
            connection.set_timeout(self.settings.timeout)
            self._idle.append(connection)
        else:
            connection.fail(SocketClosed("the connection was given back and closed"))

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        self.current = None
        self._given_back.set()
        if self._connecting is not None:
            self._connecting.cancel()
        connections = [*self._idle, *self._lent]
        if self._shared is not None:
            connections.append(self._shared)
        elif self._socket is not None:
            self._socket.abort()
        self._idle.clear()
        await asyncio.gather(*(connection.aclose() for connection in connections))

    async def _take_shared(self) -> Connection:
        self._refuse_holder()
        await self._alone.acquire()
        try:
            shared = self._shared
            if shared is None or shared.error is not None:
                raise await self._lost_error()
        except BaseException:
            self._alone.release()
            raise
        self._holder = asyncio.current_task()
        self._given_back.clear()
        self.current = None
        return shared

    def _refuse_holder(self) -> None:
        if self._holder is not None and self._holder is asyncio.current_task():
            text = (
                "this task has taken the client's only connection (by WATCH, a blocking command, "
                "pub/sub or MONITOR) and would wait for itself; give the client a connector"
            )
            raise connection_error(BusyError(text), sent=False)

    async def _renew(self) -> None:
        if self._dial is None:
            raise await self._lost_error()
        if self._connecting is None:
            self._connecting = asyncio.create_task(
                self._reconnect(), name="wirekit redis reconnect"
            )
        # Shared by all who wait; one of them giving up stops it for none.
        await asyncio.shield(self._connecting)

    async def _reconnect(self) -> Connection:
        try:
            delays = self._backoff.delays()
            for attempt in range(1, self._attempts + 1):
                try:
                    return await self._connect()
                except _FINAL:
                    raise
                except (Error, redis.exceptions.RedisError):
                    if attempt == self._attempts:
                        raise
                    await asyncio.sleep(next(delays))
            raise AssertionError("attempts is at least 1")
        finally:
            self._connecting = None

    async def _connect(self) -> Connection:
        socket, self._socket = self._socket, None
        if socket is None:
            socket = await self._dialled()
        connection = await open_connection(socket, self.settings, tracking=self.settings.tracking)
        if self._closed:
            await connection.aclose()
            raise self._closed_error()
        connection.on_push = self._on_push
        connection.on_lost = self._on_lost
        self._shared = connection
        self._on_renewed()
        self.current = connection
        return connection

    def _on_lost(self) -> None:
        self.current = None
        self._on_renewed()

    async def _dialled(self) -> Socket:
        if self._dial is None:
            raise await self._lost_error()
        try:
            return await self._dial()
        except Error as error:
            if isinstance(error, ResponseError):
                raise
            raise connection_error(error, sent=False) from error.__cause__

    async def _lost_error(self) -> Error:
        if self._shared is None:
            return connection_error(
                SocketClosed("the client is not open: use async with"), sent=False
            )
        return connection_error(self._shared.error or SocketClosed("closed"), sent=False)

    def _closed_error(self) -> Error:
        return connection_error(SocketClosed("the client was closed"), sent=False)
