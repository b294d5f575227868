"""One connection: messages out in order, answers back in order, whoever is still waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    ConnectionLost,
    LocalProtocolError,
    ProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    SocketClosed,
    TransportError,
)
from wirekit.protocols.postgres import (
    Codec,
    CommandComplete,
    CopyBothResponse,
    CopyData,
    CopyDone,
    CopyFail,
    CopyOutResponse,
    CopyProgress,
    CopyResponse,
    ErrorResponse,
    NoticeResponse,
    NotificationResponse,
    ParameterStatus,
    ReadyForQuery,
    State,
    Sync,
    Terminate,
    TransactionStatus,
)

from ._cancelling import cancel_requests
from ._request import Request
from .exceptions import ClosedError, connection_error, error_from_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.postgres import Event, ExtendedQuery, Message
    from wirekit.sockets import Promise, Socket

__all__ = ["Connection", "Request"]

_SLICE = 262144  # bytes of a large piece handed to the transport at a time
_LARGE = 16384  # pieces from this size on are not joined with others
_SMALLEST_READ = 8192
_LARGEST_READ = 524288
_AT_ANY_MOMENT = frozenset({ParameterStatus, NoticeResponse, NotificationResponse})


class Connection(asyncio.BufferedProtocol):
    """One connection: the codec on a socket, with the order of answers as its only state.

    Messages of one turn of the event loop leave in one write. Every request has its place in the
    queue; an answer goes to the first, and is dropped if nobody waits for it any more, so a
    cancelled call never disturbs the others.

    When all that is under way was cancelled, the server is asked to cancel it, by ``canceller``;
    what comes meanwhile waits, so that the cancellation cannot hit it.

    Args:
        socket: an open socket; it belongs to the connection from here on.
        codec: a fresh codec, or one that negotiated encryption.
    """

    def __init__(self, socket: Socket, codec: Codec) -> None:
        self.congested = False  # the server takes bytes more slowly than they are written
        self.error: TransportError | ProtocolError | None = None
        self.requests = 0  # how many were sent
        self.status = TransactionStatus.IDLE  # as of the last ReadyForQuery
        self.settings: dict[str, str] = {}
        self.canceller: Callable[[], Awaitable[None]] | None = None
        self.on_notification: Callable[[NotificationResponse], None] | None = None
        self.on_notice: Callable[[NoticeResponse], None] | None = None
        self.on_lost: Callable[[], None] | None = None

        self._socket = socket
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._view = memoryview(bytearray(_SMALLEST_READ))
        self._pending: deque[Request] = deque()
        self._live = 0  # how many of them somebody waits for
        self._several = False  # answers came together, so requests are likely to as well
        self._out: list[Buffer] = []
        self._later: list[Buffer] = []  # what came while something is being cancelled
        self._flush_scheduled = False
        self._cancelling: asyncio.Task[None] | None = None

        self._writable_waiters: deque[asyncio.Future[None]] = deque()
        self._transport = socket.attach(self)

    @property
    def peer(self) -> str:
        """The address of the server, as asked for."""
        return self._socket.remote_address

    @property
    def socket(self) -> Socket:
        """What carries the bytes."""
        return self._socket

    @property
    def closed(self) -> Promise[None]:
        """Settles when the socket is closed."""
        return self._socket.closed

    @property
    def copying(self) -> bool:
        """Whether the server waits for CopyData."""
        return self._codec.copying

    @property
    def attended(self) -> bool:
        """Whether somebody waits for what is under way, or for some of it."""
        return self._live > 0

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and the connection stands."""
        return not self._pending and self.error is None

    # Sending

    def request(
        self,
        *messages: Message | ExtendedQuery,
        on_event: Callable[[Event], None] | None = None,
        on_end: Callable[[object], None] | None = None,
        protected: bool = False,
    ) -> Request:
        """Send messages that one ReadyForQuery answers: they end with a Sync, or are a Query.

        Raises:
            LocalProtocolError: they cannot be sent.
            ConnectionDoesNotExistError: the connection is over; nothing was sent.
        """
        if self.error is not None:
            raise self.lost_error()
        buffers = self._codec.send_buffers(*messages)
        self.requests += 1
        request = Request(self._loop.create_future())
        request.on_event = on_event
        request.on_end = on_end
        request.protected = protected
        pending = self._pending
        pending.append(request)
        self._live += 1
        if len(pending) == 1 and not self._several and self._may_write_at_once(buffers):
            # A lone caller's request goes at once; those of many are gathered.
            self._transport.write(buffers[0])
            return request
        self._write(buffers)
        return request

    def send(self, *messages: Message | ExtendedQuery) -> None:
        """Send messages that belong to what is under way (COPY, authentication), or that end it.

        Raises:
            LocalProtocolError: they cannot be sent.
            ConnectionDoesNotExistError: the connection is over.
        """
        if self.error is not None:
            raise self.lost_error()
        self._write(self._codec.send_buffers(*messages))

    def _may_write_at_once(self, buffers: list[Buffer]) -> bool:
        if self._out or self.congested or self._cancelling is not None:
            return False
        return len(buffers) == 1 and len(buffers[0]) < _LARGE

    def _write(self, buffers: list[Buffer]) -> None:
        if self._cancelling is not None:
            self._later += buffers
            return
        self._out += buffers
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what was gathered: small pieces as one, large ones in slices as there is room."""
        self._flush_scheduled = False
        if self.congested or self.error is not None or not self._out:
            return
        out, self._out = self._out, []
        small: list[Buffer] = []
        for index, piece in enumerate(out):
            if len(piece) < _LARGE:
                small.append(piece)
                continue
            if small:
                self._transport.write(b"".join(small))
                small.clear()
            view = memoryview(piece)
            while view and not self.congested:
                self._transport.write(view[:_SLICE])
                view = view[_SLICE:]
            if self.congested:
                self._out = [view, *out[index + 1 :]] if view else out[index + 1 :]
                return
        if small:
            self._transport.write(small[0] if len(small) == 1 else b"".join(small))

    async def writable(self) -> None:
        """Wait while the server takes bytes more slowly than they are written.

        Raises:
            ConnectionDoesNotExistError: the connection is over.
        """
        while (self.congested or self._out or self._later) and self.error is None:
            if not self.congested and self._cancelling is None:
                await asyncio.sleep(0)  # gathered, and about to be written
                continue
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._writable_waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._writable_waiters:
                    self._writable_waiters.remove(waiter)
                raise
        if self.error is not None:
            raise self.lost_error()

    async def written(self) -> None:
        """Write what is gathered, let others have a turn, and wait as `writable` does."""
        self._flush()
        await asyncio.sleep(0)
        if self.congested or self._later or self.error is not None:
            await self.writable()

    def pause_writing(self) -> None:
        """Follow the transport's flow control."""
        self.congested = True

    def resume_writing(self) -> None:
        """Follow the transport's flow control."""
        self.congested = False
        self._flush()
        if not self.congested:
            self._wake_writers()

    def _wake_writers(self) -> None:
        while self._writable_waiters:
            waiter = self._writable_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def pause_reading(self) -> None:
        """Leave what the server sends with it, for COPY."""
        if self.error is None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again what the server sends."""
        if self.error is None:
            self._transport.resume_reading()

    # Receiving

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the event loop room to receive into."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes: find the events in them and give each to its request."""
        if self.error is not None:
            return
        view = self._view
        if nbytes == len(view) < _LARGEST_READ:
            self._view = memoryview(bytearray(4 * nbytes))
        try:
            events = self._codec.receive_data(view[:nbytes])
        except RemoteProtocolError as error:
            self._dispatch(cast("list[Event]", error.events))
            error.events = []  # they belong to their callers, not to all who get the error
            self.fail(error)
        else:
            self._dispatch(events)

    def _dispatch(self, events: list[Event]) -> None:
        # The hot loop: two turns for an ordinary query.
        pending = self._pending
        ended = 0
        for event in events:
            kind = event.__class__
            if kind is ReadyForQuery:
                ended += 1
                request = pending.popleft()
                request.status = self.status = cast("ReadyForQuery", event).status
                if not request.abandoned:
                    self._live -= 1
                else:
                    request.wake()
                if request.on_end is not None:
                    request.on_end(request)
                if not request.future.done():
                    request.future.set_result(request.events)
            elif kind in _AT_ANY_MOMENT or (kind is ErrorResponse and self._is_farewell(event)):
                self._told(event)
                if self.error is not None:
                    return
            elif pending:
                request = pending[0]
                if request.on_event is not None:
                    request.on_event(event)
                elif kind is not CommandComplete and isinstance(event, CopyResponse):
                    self.take_unasked(request, event)
                elif not request.abandoned:
                    request.events.append(event)
        self._several = ended > 1
        if pending and pending[0].abandoned:
            self._codec.drop_rows()

    def _is_farewell(self, event: Event) -> bool:
        """Whether the server ends the open connection with this error."""
        return cast("ErrorResponse", event).fatal and self._codec.state is State.OPEN

    def _told(self, event: Event) -> None:
        """Take what comes at any moment."""
        if isinstance(event, ParameterStatus):
            self.settings[event.name] = event.value
            if event.name == "client_encoding" and event.value.upper() not in ("UTF8", "UTF-8"):
                text = f"client_encoding was set to {event.value}; only UTF8 is spoken here"
                self.fail(LocalProtocolError(text))
        elif isinstance(event, NoticeResponse):
            if self.on_notice is not None:
                self.on_notice(event)
        elif isinstance(event, NotificationResponse):
            if self.on_notification is not None:
                self.on_notification(event)
        elif isinstance(event, ErrorResponse):
            text = f"{self.peer} ended the connection: {event.fields.get('M', '')}"
            self.fail(_because(ConnectionLost(text), error_from_fields(event.fields)))

    def take_unasked(self, request: Request, event: Event) -> None:
        """Take an event for a request that asked for no COPY, or does not want it any more.

        A COPY from us is refused, and what comes of one to us is dropped.
        """
        request.on_event = partial(self.take_unasked, request)
        if not request.abandoned and not isinstance(event, CopyData | CopyProgress):
            request.events.append(event)
        if not isinstance(event, CopyResponse) or isinstance(event, CopyOutResponse):
            return
        messages: list[Message] = []
        if self._codec.copying:
            is_both = isinstance(event, CopyBothResponse)
            messages.append(CopyDone() if is_both else CopyFail("nothing is to be copied"))
        if not self._codec.ready_is_due:  # its Sync was ignored as part of the COPY
            messages.append(Sync())
        # Even while something is being cancelled, as that cannot end without it.
        self._out += self._codec.send_buffers(*messages)
        self._flush()

    def eof_received(self) -> None:
        """Take the end of the server's stream."""
        if self.error is not None:
            return
        try:
            self._codec.receive_eof()
        except RemoteProtocolError:  # so does a server end that crashes
            self.fail(
                ConnectionLost(f"{self.peer} closed the connection in the middle of an answer")
            )
        else:
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        if self.error is None:
            lost = ConnectionLost(f"{self.peer} closed the connection")
            if exc is not None:
                text = f"the connection to {self.peer} was lost: {exc}"
                lost = _because(ConnectionLost(text), exc)
            self._over(lost)

    # Cancelling

    def abandon(self, request: Request) -> None:
        """Take note that nobody waits for a request any more."""
        if request.abandoned or request.ended:
            return
        request.abandoned = True
        request.events.clear()
        self._live -= 1
        if not self._live:
            if request is self._pending[0]:
                self._codec.drop_rows()
            self._cancel_abandoned()

    def _cancel_abandoned(self) -> None:
        """Have the server cancel all that is under way, if nobody waits for any of it."""
        if self._live or self._cancelling or self.canceller is None or self.error is not None:
            return
        requests = list(self._pending)
        while requests and requests[-1].protected:
            requests.pop()
        if requests:
            self._flush()  # what is under way has to get there before it can be cancelled
            self._cancelling = self._loop.create_task(self._cancel(requests, self.canceller))

    async def _cancel(
        self, requests: list[Request], canceller: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            if not await cancel_requests(requests, canceller, self._unsent):
                self.fail(ReadTimeout(f"{self.peer} did not end a cancelled query"))
        except Exception as error:  # a connector may raise what it likes
            text = f"a cancelled query could not be ended at {self.peer}: {error}"
            self.fail(_because(ConnectionLost(text), error))
        finally:
            self._cancelling = None
            self._out += self._later
            self._later.clear()
            self._flush()
            if not self.congested:
                self._wake_writers()
        self._cancel_abandoned()  # what came meanwhile, and was given up at once

    def _unsent(self) -> int:
        return sum(map(len, self._out))

    # The end

    def lost_error(self) -> Exception:
        """Return the error for whoever needs the connection now."""
        if isinstance(self.error, SocketClosed):
            return ClosedError("connection is closed")
        assert self.error is not None
        error = self.error
        if isinstance(error, LocalProtocolError):  # such as another client_encoding
            return connection_error(_because(ConnectionLost(str(error)), error))
        return connection_error(cast("TransportError | RemoteProtocolError", error))

    def fail(self, error: TransportError | ProtocolError) -> None:
        """Give the connection up at once; all who wait get the error."""
        if self.error is None:
            self._over(error)
            self._socket.abort(error)

    def close(self) -> None:
        """Say goodbye, and close when it is sent; all who wait get an error."""
        if self.error is not None:
            return
        if not self._codec.copying:
            with suppress(LocalProtocolError):  # it never was open
                self._write(self._codec.send_buffers(Terminate()))
                self._flush()
        self._over(SocketClosed("connection is closed"))
        self._socket.close()

    def _over(self, error: TransportError | ProtocolError) -> None:
        self.error = error
        self._out.clear()
        self._later.clear()
        pending, self._pending = self._pending, deque()
        for request in pending:
            request.status = self.status
            request.wake()
            if request.on_end is not None:
                request.on_end(request)
            if not request.future.done():
                request.future.set_exception(self.lost_error())
                request.future.exception()  # whoever waits still gets it
        self._live = 0
        self._wake_writers()
        if self.on_lost is not None:
            self.on_lost()


def _because(error: ConnectionLost, cause: BaseException) -> ConnectionLost:
    error.__cause__ = cause
    return error
