"""The client's connection as it comes and goes: made anew with backoff, elsewhere if told to."""

from __future__ import annotations

import asyncio
import ssl
from itertools import count
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    AddressError,
    BlockedError,
    ConnectTimeout,
    Error,
    LocalProtocolError,
    SocketClosed,
    TLSError,
)
from wirekit.protocols.mqtt import ConnectReturnCode, ReasonCode
from wirekit.sockets import TCPAddress, parse_address

from ._errors import MqttCodeError, StoreError, connection_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.sockets import AddressLike, Backoff, Connector, Socket

    from ._connection import Connection

__all__ = ["Reconnecting"]

_PORT = 1883
_PATIENCE = 5.0  # seconds for a connector to give up when it is cancelled
_MOST_REFERENCES = 4  # servers that send us on, one after the other
_ELSEWHERE = (ReasonCode.USE_ANOTHER_SERVER, ReasonCode.SERVER_MOVED)
# Trying again helps against these, and not against any other.
_PASSING = frozenset(
    {
        ReasonCode.UNSPECIFIED_ERROR,
        ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        ReasonCode.SERVER_UNAVAILABLE,
        ReasonCode.SERVER_BUSY,
        ReasonCode.SERVER_SHUTTING_DOWN,
        ReasonCode.KEEP_ALIVE_TIMEOUT,
        ReasonCode.MESSAGE_RATE_TOO_HIGH,
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.ADMINISTRATIVE_ACTION,
        ReasonCode.CONNECTION_RATE_EXCEEDED,
        ReasonCode.MAXIMUM_CONNECT_TIME,
    }
)


class Reconnecting:
    """The connection of one client.

    With a connector it is made again when it is lost, after a pause that grows until a connection
    has held for as long as the longest pause. Errors that would come back end it.

    Args:
        connect: begins the conversation on a socket; the connection may be lost again already.
        socket: the first one to use.
        connector: makes further ones; None: there are none.
        address: where the connector connects to.
        attempts: how often to try in a row; None for no limit.
        backoff: how long to wait before each attempt.
        timeout: seconds that the connector may take.
        follow_server_reference: whether the server may send us to another.
        on_end: told when there will be no other connection, and why.

    Attributes:
        current: the connection; None while there is none.
        error: why there will be no other; None as long as there may be.
        last_error: why there is none at present.
    """

    def __init__(
        self,
        connect: Callable[[Socket], Awaitable[Connection]],
        *,
        socket: Socket | None,
        connector: Connector | None,
        address: AddressLike | None,
        attempts: int | None,
        backoff: Backoff,
        timeout: float | None,
        follow_server_reference: bool,
        on_end: Callable[[Exception], None],
    ) -> None:
        self.current: Connection | None = None
        self.error: Exception | None = None
        self.last_error: Exception | None = None
        self._connect = connect
        self._socket = socket
        self._connector = connector
        self._address = address
        self._elsewhere: AddressLike | None = None  # for the next connection only
        self._attempts = attempts
        self._backoff = backoff
        self._pauses = backoff.delays()
        self._timeout = timeout
        self._follows = follow_server_reference
        self._on_end = on_end
        self._since = 0.0
        self._opening = asyncio.Lock()
        self._opened = False
        self._task: asyncio.Task[None] | None = None
        self._waiters: dict[asyncio.Future[None], None] = {}

    async def open(self) -> None:
        """Make the first connection, unless there was one; one attempt."""
        async with self._opening:
            self.check()
            if not self._opened:
                await self._renew()
                self._opened = True

    def check(self) -> None:
        """Raise the error, if there will be no other connection."""
        if self.error is not None:
            raise connection_error(self.error, sent=False)
        if not self._opened and self.current is None and not self._opening.locked():
            text = "the client is not open: use `async with`, or `await client.open()` first"
            raise connection_error(SocketClosed(text), sent=False)

    async def ready(self) -> Connection:
        """Return the connection once there is one.

        Raises:
            Error: there will be none.
        """
        while self.current is None:
            self.check()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = None
            try:
                await waiter
            finally:
                self._waiters.pop(waiter, None)
        return self.current

    def lost(self, connection: Connection) -> None:
        """Take note that a connection is over, and see to the next one."""
        if connection is not self.current:
            return
        self.current = None
        error = self.last_error = cast("Exception", connection.error)
        if self.error is not None:
            return
        if asyncio.get_running_loop().time() - self._since >= self._backoff.maximum:
            self._pauses = self._backoff.delays()
        try:
            if isinstance(error, MqttCodeError) and error.reason_code in _ELSEWHERE:
                self._elsewhere = self._reference(error)
            elif self._connector is None or _is_final(error):
                raise error
        except Error as final:
            self._end(final.with_traceback(None))  # whose frames would keep what was received
        else:
            self._task = asyncio.create_task(self._reconnect(), name="wirekit mqtt reconnect")

    async def aclose(self) -> None:
        """Make no other connection; the present one is the caller's to close."""
        if self.error is None:
            self.error = SocketClosed("the client was closed")
        self._wake()
        try:
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_PATIENCE)
        finally:
            if self._socket is not None:
                self._socket.abort()

    # Making connections.

    async def _reconnect(self) -> None:
        for attempt in count(1):
            await asyncio.sleep(next(self._pauses))
            try:
                await self._renew()
            except Exception as error:
                self.last_error = error
                if _is_final(error) or attempt == self._attempts:
                    self._end(error)
                    return
            else:
                return

    async def _renew(self) -> None:
        """Make a connection, and go where the server sends us as far as that is allowed."""
        address, self._elsewhere = self._elsewhere or self._address, None
        for references_left in reversed(range(_MOST_REFERENCES + 1)):
            try:
                await self._attempt(address)
            except MqttCodeError as error:
                if error.reason_code not in _ELSEWHERE or not references_left:
                    raise
                address = self._reference(error)
            else:
                return

    async def _attempt(self, address: AddressLike | None) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            socket = await self._dial(address)
        if self.error is not None:  # closed meanwhile, by one who did not wait for us
            socket.abort()
            raise connection_error(self.error, sent=False)
        connection = await self._connect(socket)
        if self.error is not None:
            connection.fail(self.error)
        if connection.error is not None:  # lost again already
            raise connection_error(connection.error)
        self.current = connection
        self._since = asyncio.get_running_loop().time()
        self._wake()

    async def _dial(self, address: AddressLike | None) -> Socket:
        if self._connector is None or address is None:
            text = "the only socket was used up by an attempt to open the client that failed"
            raise connection_error(SocketClosed(text), sent=False)
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                return await self._connector(address)
        except TimeoutError as error:
            if limit.expired():
                text = f"the connector made no connection to {address} within {self._timeout} s"
                raise connection_error(ConnectTimeout(text), sent=False) from None
            raise connection_error(error, sent=False) from error.__cause__
        except Error as error:
            raise connection_error(error, sent=False) from error.__cause__

    def _reference(self, error: MqttCodeError) -> AddressLike:
        """Return where the server sends us (§4.11); raise its refusal if we do not follow."""
        named = (error.server_reference or "").split()
        if not self._follows or self._connector is None or not named:
            raise error
        present = parse_address(self._address, default_port=_PORT) if self._address else None
        port = present.port if isinstance(present, TCPAddress) else _PORT
        address = parse_address(named[0], default_port=port)
        if not isinstance(address, TCPAddress):  # a Unix socket would be one of this machine
            raise error
        if error.reason_code == ReasonCode.SERVER_MOVED:
            self._address = address
        return address

    def _end(self, error: Exception) -> None:
        self.error = error
        self._wake()
        self._on_end(error)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _is_final(error: Exception) -> bool:
    """Whether trying again would end in the same way."""
    if isinstance(error, MqttCodeError):
        code = error.reason_code
        if isinstance(code, ConnectReturnCode):
            return code != ConnectReturnCode.SERVER_UNAVAILABLE
        return code not in _PASSING
    if isinstance(error, TLSError):
        return isinstance(error.__cause__, ssl.SSLCertVerificationError)
    if isinstance(error, AddressError | BlockedError | LocalProtocolError | StoreError):
        return True
    return not isinstance(error, Error | OSError)
