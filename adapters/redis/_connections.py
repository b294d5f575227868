"""The connections of one client: one that all callers share, and few that are lent out alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import redis.exceptions

from wirekit._errors import AddressError, BlockedError, BusyError, Error, SocketClosed, TLSError

from ._errors import ResponseError, connection_error
from ._settings import Settings, open_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

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
        self._socket_taken = socket is None
        self._dial = dial
        self._attempts = attempts
        self._backoff = backoff
        self._on_push = on_push
        self._on_renewed = on_renewed
        self._shared: Connection | None = None
        self._opening = asyncio.Lock()
        self._opened = False
        self._connecting: asyncio.Task[Connection] | None = None
        # How many may hold a lease: of connections of their own, or of the only one.
        self._slots = asyncio.Semaphore(max_dedicated if dial is not None else 1)
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        self._passing = 0  # how many wait for it to be given back, to send one command
        self._given_back = asyncio.Event()
        self._holder: asyncio.Task[object] | None = None
        self._closed = asyncio.Event()

    @property
    def renewable(self) -> bool:
        """Whether further connections can be made."""
        return self._dial is not None

    @property
    def shared(self) -> Connection | None:
        """The shared connection as it stands, usable or not."""
        return self._shared

    async def open(self) -> None:
        """Open the shared connection, unless it is; one attempt."""
        async with self._opening:
            if self._closed.is_set():
                raise self._closed_error()
            if self._shared is None:
                await self._connect()
                self._opened = True

    async def ready(self) -> Connection:
        """Return the shared connection once it can be used, opening it again if need be.

        Raises:
            BusyError: this very task has taken the only connection for itself.
            TransportError: there is no connection, and none could be made.
        """
        while True:
            self._refuse_unless_open()
            shared = self._shared
            if shared is None or shared.error is not None:
                await self._renew()
            elif self._holder is not None:
                self._refuse_holder()
                await self._until_given_back()
            elif shared.congested:
                await shared.writable()
            else:
                return shared

    async def acquire(self) -> Connection:
        """Return a connection for the caller alone; it has to be released.

        Raises:
            TransportError: as for ``ready``.
        """
        self._refuse_unless_open()
        self._refuse_holder()
        await self._slot()
        try:
            if self._passing and self._dial is None:
                await asyncio.sleep(0)  # whose commands only pass through goes first
            self._refuse_unless_open()
            if self._dial is None:
                return self._take_shared()
            while self._idle:
                connection = self._idle.pop()
                if connection.error is None:
                    break
            else:
                connection = await self._persistently(self._connect_dedicated)
        except BaseException:
            self._slots.release()  # after closing, this wakes the next one who waits in vain
            raise
        self._lent.add(connection)
        return connection

    def hand_over(self, connection: Connection, task: asyncio.Task[object]) -> None:
        """Let a task release in our place what ``acquire`` returned; we wait like anyone else."""
        if connection is self._shared:
            self._holder = task

    def release(self, connection: Connection, *, reusable: bool = True) -> None:
        """Give back what ``acquire`` returned; unless ``reusable``, it is closed.

        Replies may still be due to it if they come without waiting: what is sent next is answered
        behind them.
        """
        if connection not in self._lent:
            return
        self._lent.discard(connection)
        self._slots.release()
        connection.receive_guest(None)
        if connection is self._shared:
            if not reusable:
                text = "the only connection was used up by a command that cannot be taken back"
                connection.fail(SocketClosed(text))
            self._holder = None
            self._given_back.set()
            self.current = connection if connection.error is None else None
        elif reusable and connection.error is None and not self._closed.is_set():
            self._idle.append(connection)
        else:
            connection.fail(SocketClosed("the connection was given back and closed"))
        if connection.error is None:
            connection.set_timeout(self.settings.timeout)

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed.set()
        self.current = None
        self._wake_all()
        connecting = self._connecting
        if connecting is not None:
            connecting.cancel()
        connections = {*self._idle, *self._lent}
        self._idle.clear()
        if self._shared is not None:
            connections.add(self._shared)
        elif self._socket is not None:
            self._socket.abort()
        # All of them begin to close before the first is waited for.
        for closing in [connection.close() for connection in connections]:
            await closing
        if connecting is not None:
            await asyncio.wait([connecting])

    async def _slot(self) -> None:
        """Wait for a place among the connections that are lent."""
        try:
            # Those who share one connection take it in turns; nobody knows how many wait.
            async with asyncio.timeout(None if self._dial is None else self.settings.timeout):
                await self._slots.acquire()
        except TimeoutError:
            text = (
                f"all connections beside the shared one are in use, and were for "
                f"{self.settings.timeout} s: raise max_dedicated"
            )
            raise connection_error(BusyError(text), sent=False) from None

    async def _until_given_back(self) -> None:
        self._passing += 1
        try:
            async with asyncio.timeout(self.settings.timeout):
                await self._given_back.wait()
        except TimeoutError:
            text = (
                f"another task has had the client's only connection for {self.settings.timeout} s "
                "(by WATCH, a blocking command, pub/sub or MONITOR); give the client a connector"
            )
            raise connection_error(BusyError(text), sent=False) from None
        finally:
            self._passing -= 1

    def _take_shared(self) -> Connection:
        shared = self._shared
        if shared is None or shared.error is not None:
            raise self._lost_error()
        self._lent.add(shared)
        self._holder = asyncio.current_task()
        self._given_back.clear()
        self.current = None
        return shared

    def _refuse_unless_open(self) -> None:
        if self._closed.is_set():
            raise self._closed_error()
        if not self._opened:
            text = "the client is not open: use `async with`, or `await client.open()` first"
            raise connection_error(SocketClosed(text), sent=False)

    def _refuse_holder(self) -> None:
        holder = self._holder
        if holder is not None and (holder is asyncio.current_task() or holder.done()):
            who = "a task that has ended" if holder.done() else "this task"
            text = (
                f"{who} has taken the client's only connection (by WATCH, a blocking command, "
                "pub/sub or MONITOR), so this would wait for ever; give the client a connector"
            )
            raise connection_error(BusyError(text), sent=False)

    def _wake_all(self) -> None:
        """Let everyone who waits for a connection find out that none will come."""
        self._given_back.set()
        self._slots.release()

    async def _renew(self) -> None:
        if self._dial is None:
            raise self._lost_error()
        if self._connecting is None:
            self._connecting = asyncio.create_task(
                self._reconnect(), name="wirekit redis reconnect"
            )
            self._connecting.add_done_callback(_retrieved)
        # Shared by all who wait; one of them giving up stops it for none.
        connecting = self._connecting
        await asyncio.wait([connecting])
        if not self._closed.is_set():
            connecting.result()

    async def _reconnect(self) -> Connection:
        try:
            return await self._persistently(self._connect)
        finally:
            self._connecting = None

    def pauses(self) -> Iterator[float]:
        """Yield the seconds to wait before each attempt but the first."""
        return islice(self._backoff.delays(), self._attempts - 1)

    async def _persistently(self, connect: Callable[[], Awaitable[Connection]]) -> Connection:
        """Connect, and again after a pause if that fails, as often as the settings say."""
        for pause in self.pauses():
            self._refuse_unless_open()
            try:
                return await connect()
            except _FINAL:
                raise
            except (Error, redis.exceptions.RedisError):
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._closed.wait()
        self._refuse_unless_open()
        return await connect()

    async def _connect(self) -> Connection:
        """Open the shared connection."""
        if self._socket is not None and not self._socket_taken:
            self._socket_taken = True
            socket = self._socket
        else:
            socket = await self._dialled()
        connection = await self._introduced(socket, tracking=self.settings.tracking)
        connection.on_push = self._on_push
        connection.on_lost = self._on_lost
        self._shared = connection
        self._on_renewed()
        self.current = connection
        return connection

    async def _connect_dedicated(self) -> Connection:
        return await self._introduced(await self._dialled(), tracking=False)

    async def _introduced(self, socket: Socket, *, tracking: bool) -> Connection:
        connection = await open_connection(socket, self.settings, tracking=tracking)
        if self._closed.is_set():
            error = self._closed_error()
            connection.fail(error)
            raise error
        return connection

    def _on_lost(self) -> None:
        self.current = None
        self._on_renewed()
        if self._dial is None:
            self._wake_all()

    async def _dialled(self) -> Socket:
        if self._dial is None:
            raise self._lost_error()
        try:
            return await self._dial()
        except Error as error:
            if isinstance(error, ResponseError):
                raise
            raise connection_error(error, sent=False) from error.__cause__

    def _lost_error(self) -> Error:
        if self._shared is None:
            text = "the only socket was used up by an attempt to open the client that failed"
            return connection_error(SocketClosed(text), sent=False)
        return connection_error(self._shared.error or SocketClosed("closed"), sent=False)

    def _closed_error(self) -> Error:
        return connection_error(SocketClosed("the client was closed"), sent=False)


def _retrieved(connecting: asyncio.Task[Connection]) -> None:
    """Take the error, in case that nobody waits for it any more."""
    if not connecting.cancelled():
        connecting.exception()
