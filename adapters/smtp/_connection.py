"""One connection: commands out in order, replies back in order, whoever is still waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    ConnectionLost,
    LocalProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    SocketClosed,
    WriteTimeout,
)
from wirekit.adapters._writing import write_pieces
from wirekit.protocols.smtp import Command, Reply, State

from ._errors import SMTPArgumentError, SMTPDataError, SMTPServiceClosed, connection_error, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.smtp import Capabilities, Codec
    from wirekit.sockets import Promise, Socket, TLSOptions

__all__ = ["Connection"]

_READ = 16384
_MUCH = 262144


class Exchange:
    """Commands that were sent together, and what is to be done with their replies.

    Attributes:
        count: how many replies are due.
        answered: called with them, when all are there.
        future: gets them as well, or the error that ended the connection.
        limit: seconds that the server may take for each of them; None for any number.
    """

    __slots__ = ("answered", "count", "future", "limit", "replies")

    def __init__(
        self,
        count: int,
        answered: Callable[[list[Reply]], None] | None,
        future: asyncio.Future[list[Reply]] | None,
        limit: float | None,
    ) -> None:
        self.count = count
        self.answered = answered
        self.future = future
        self.limit = limit
        self.replies: list[Reply] = []

    def complete(self) -> None:
        """Hand over the replies."""
        if self.answered is not None:
            self.answered(self.replies)
        if self.future is not None and not self.future.done():
            self.future.set_result(self.replies)


class Connection(asyncio.BufferedProtocol):
    """One connection: the codec on a socket; knows replies, and nothing of mails.

    Commands of one turn of the event loop leave in one write; so do those that replies give rise
    to. A reply that nobody waits for any more is consumed all the same.

    Args:
        socket: an open socket; it belongs to the connection from here on.
        codec: a fresh codec.
        timeout: seconds for each reply, from when it is due to its last line, and without progress
            while bytes are to be written; then the connection is given up. None for no limit.
        data_timeout: the same for the reply to a message.

    Attributes:
        codec: the codec.
        congested: whether the server takes bytes more slowly than they are written.
        error: why the connection is over; None as long as it is not.
        on_progress: called when replies have come, or bytes can be written again.
        on_lost: called once, when the connection is over.
    """

    def __init__(
        self,
        socket: Socket,
        codec: Codec,
        *,
        timeout: float | None = None,
        data_timeout: float | None = None,
    ) -> None:
        self.codec = codec
        self.congested = False
        self.error: Exception | None = None
        self.on_progress: Callable[[], None] | None = None
        self.on_lost: Callable[[Exception], None] | None = None
        self._socket = socket
        self._timeout = timeout
        self._data_timeout = data_timeout
        # What is due next may have the shorter limit.
        self._tick = min(
            (limit for limit in (timeout, data_timeout) if limit is not None), default=None
        )
        self._loop = asyncio.get_running_loop()
        self._view = memoryview(bytearray(_READ))
        # The greeting is due from the start.
        self._greeting: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._exchanges = deque([Exchange(1, None, self._greeting, timeout)])
        self._out: list[Buffer] = []
        self._enqueued = 0  # bytes that ever were in it, and did not fall out at the end
        self._flush_scheduled = False
        self._dispatching = False
        self._writers: deque[asyncio.Future[None]] = deque()
        self._watchdog: asyncio.TimerHandle | None = None
        self._last_progress = self._loop.time()
        self._transport = socket.attach(self)
        self._watch()

    @property
    def peer(self) -> str:
        """The address of the server, as asked for."""
        return self._socket.remote_address

    @property
    def socket(self) -> Socket:
        """The socket that carries it; another one after `upgrade`."""
        return self._socket

    @property
    def secure(self) -> bool:
        """Whether it is TLS."""
        return self._socket.secure_transport == "on"

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers.

        Raises:
            LocalProtocolError: it was not asked yet.
        """
        found = self.codec.capabilities
        if found is None:
            raise LocalProtocolError("EHLO comes first")
        return found

    @property
    def idle(self) -> bool:
        """Whether no reply is due."""
        return not self._exchanges

    # Sending

    def request(
        self,
        answered: Callable[[list[Reply]], None],
        *commands: Command,
        count: int | None = None,
        final: bool = False,
    ) -> None:
        """Send commands together; ``answered`` gets their replies, in order, all at once.

        Nothing is called when the connection is lost before that; see ``on_lost``.

        Args:
            answered: called from within the event loop's read.
            *commands: they may be such that follow those whose replies are still due.
            count: how many replies are due, if not one for each.
            final: whether they are the reply to a message, which may take longer.

        Raises:
            SMTPArgumentError: a command cannot be sent like this; nothing was.
            TransportError: the connection is over.
        """
        limit = self._data_timeout if final else self._timeout
        self._send(commands, Exchange(count or len(commands), answered, None, limit))

    def ask(self, *commands: Command, final: bool = False) -> asyncio.Future[list[Reply]]:
        """Send commands at once; the future gets their replies, or why there are none.

        Args:
            *commands: as for `request`.
            final: whether it is the reply to a message, which may take longer.

        Raises:
            SMTPArgumentError: a command cannot be sent like this; nothing was.
            TransportError: the connection is over.
        """
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        limit = self._data_timeout if final else self._timeout
        count = 1 if final else len(commands)
        self._send(commands, Exchange(count, None, future, limit))
        if not self._dispatching:
            self._flush()  # nobody else sends while a command that is no mail has its turn
        return future

    def greeting(self) -> asyncio.Future[list[Reply]]:
        """Return what gets the reply that is due before any command."""
        return self._greeting

    def write(self, *commands: Command) -> None:
        """Send what no reply is due to: mail data.

        Raises:
            TransportError: the connection is over.
        """
        self._send(commands, None)

    def _send(self, commands: tuple[Command, ...], exchange: Exchange | None) -> None:
        if self.error is not None:
            raise connection_error(self.error, sent=False)
        try:
            buffers = self.codec.send_buffers(*commands)
        except LocalProtocolError as error:
            raise SMTPArgumentError(str(error)) from None
        if exchange is not None:
            if not self._exchanges:
                self._last_progress = self._loop.time()
            self._exchanges.append(exchange)
        self._out += buffers
        self._enqueued += sum(map(len, buffers))
        self._watch()
        if not self._dispatching and not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def mark(self) -> int:
        """Return where what was sent until now ends, for `has_written`."""
        return self._enqueued

    def has_written(self, mark: int) -> bool:
        """Whether the transport has got everything up to a mark."""
        return self._enqueued - sum(map(len, self._out)) >= mark

    async def drained(self) -> None:
        """Write what is gathered, and wait while the server takes it more slowly than it comes.

        Returns as well when the connection is over.
        """
        self._flush()
        while (self.congested or self._out) and self.error is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._writers.append(waiter)
            await waiter

    @property
    def full(self) -> bool:
        """Whether so much waits to be written that nothing should be added to it."""
        return self.congested or sum(map(len, self._out)) > _MUCH

    def _flush(self) -> None:
        """Write what was gathered: small pieces as one, large ones in slices as there is room."""
        self._flush_scheduled = False
        if self.congested or self.error is not None or not self._out:
            return
        out, self._out = self._out, []
        self._out[:0] = write_pieces(self._transport, out, self._is_congested)

    def _is_congested(self) -> bool:
        return self.congested

    def pause_writing(self) -> None:
        """Follow the transport's flow control."""
        self.congested = True
        self._last_progress = self._loop.time()
        self._watch()

    def resume_writing(self) -> None:
        """Follow the transport's flow control."""
        self.congested = False
        self._last_progress = self._loop.time()
        self._flush()
        if not self.congested:
            self._wake_writers()
            if self.on_progress is not None and self.error is None:
                self.on_progress()

    def _wake_writers(self) -> None:
        while self._writers:
            waiter = self._writers.popleft()
            if not waiter.done():
                waiter.set_result(None)

    # Receiving

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the event loop room to receive into."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes: find the replies in them, and send what they give rise to."""
        if self.error is not None:
            return
        self._dispatching = True
        try:
            try:
                replies = self.codec.receive_data(self._view[:nbytes])
            except RemoteProtocolError as error:
                self._dispatch(cast("list[Reply]", error.events))
                error.events = []  # they belong to their callers, not to all who get the error
                self.fail(error)
            else:
                self._dispatch(replies)
                if self.codec.state is State.CLOSED and self.error is None:
                    self.close()  # the reply to QUIT
                if self.on_progress is not None and self.error is None:
                    self.on_progress()
        except Exception as error:
            if self.error is not None:
                raise
            self.fail(error)
        finally:
            self._dispatching = False
        self._flush()

    def _dispatch(self, replies: list[Reply]) -> None:
        exchanges = self._exchanges
        if replies:
            # A reply in pieces is none: whoever lets it drip would keep us for ever.
            self._last_progress = self._loop.time()
        for reply in replies:
            if reply.code == 421:
                self._over(refusal(SMTPServiceClosed, reply))
                self._socket.close()
                return
            if not exchanges:  # before the end of the mail data
                self._over(refusal(SMTPDataError, reply))
                self._socket.close()
                return
            exchange = exchanges[0]
            exchange.replies.append(reply)
            if len(exchange.replies) == exchange.count:
                exchanges.popleft()
                exchange.complete()
                if self.error is not None:
                    return
        if self.codec.state is State.TLS:
            self._transport.pause_reading()  # what comes now is not for us

    def eof_received(self) -> None:
        """Take the end of the server's stream."""
        try:
            self.codec.receive_eof()
        except RemoteProtocolError:  # so does a server end that crashes
            self.fail(ConnectionLost(f"{self.peer} closed the connection when an answer was due"))
        else:
            self.connection_lost(None)  # no reply can come any more; the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        if self.error is None:
            lost = ConnectionLost(f"{self.peer} closed the connection")
            if exc is not None:
                lost = ConnectionLost(f"the connection to {self.peer} was lost: {exc}")
                lost.__cause__ = exc
            self._over(lost)

    # TLS

    async def upgrade(self, options: TLSOptions) -> None:
        """Begin with TLS after the 220 to STARTTLS; what the server said before is forgotten.

        Args:
            options: besides those that the socket was made with.

        Raises:
            TLSError: plaintext stood behind the 220, or the handshake failed.
            TransportError: the connection is over.
        """
        if self.error is not None:
            raise self.error
        trailing_data = self.codec.trailing_data
        self._socket = self._socket.start_tls(trailing_data=trailing_data, **options)
        await self._socket.opened
        self.codec.tls_started()
        self._transport = self._socket.attach(self)

    # Time

    def _watch(self) -> None:
        """Start the clock, unless it runs or there is no limit at all."""
        if self._watchdog is None and self._tick is not None:
            self._watchdog = self._loop.call_later(self._tick, self._watched, self._tick)

    def _watched(self, tick: float) -> None:
        self._watchdog = None
        if not self._exchanges and not self.congested:
            return
        limit = self._exchanges[0].limit if self._exchanges else self._timeout
        left = tick
        if limit is not None:
            left = min(tick, self._last_progress + limit - self._loop.time())
        if left > 0:
            self._watchdog = self._loop.call_later(left, self._watched, tick)
        elif self.congested:
            self.fail(WriteTimeout(f"{self.peer} took nothing for {limit} s"))
        else:
            self.fail(ReadTimeout(f"{self.peer} did not answer within {limit} s"))

    # Ending

    def fail(self, error: Exception) -> None:
        """Give the connection up: everyone who waits gets the error."""
        if self.error is None:
            self._over(error)
        while self._socket.successor is not None:
            self._socket = self._socket.successor
        self._socket.abort(error)

    def close(self) -> Promise[None]:
        """Send what is written and close; whoever still waits gets `SocketClosed`."""
        if self.error is None:
            self._flush()
            self._over(SocketClosed(f"the connection to {self.peer} was closed"))
        return self._socket.close()

    def _over(self, error: Exception) -> None:
        self.error = error
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        exchanges = list(self._exchanges)
        self._exchanges.clear()
        self._enqueued -= sum(map(len, self._out))  # has_written() still tells what was
        self._out.clear()
        if self.on_lost is not None:
            self.on_lost(error)
        for exchange in exchanges:
            if exchange.future is not None and not exchange.future.done():
                exchange.future.set_exception(connection_error(error))
        self._wake_writers()
