"""One connection: messages out in order, answers back in order, whoever is still waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    ConnectionLost,
    Error,
    LocalProtocolError,
    ProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    SocketClosed,
    TransportError,
)
from wirekit.protocols.postgres import (
    Bind,
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
    Execute,
    NoticeResponse,
    NotificationResponse,
    ParameterStatus,
    Parse,
    ReadyForQuery,
    State,
    Sync,
    Terminate,
    TransactionStatus,
)

from ._cancelling import cancel_requests
from ._outgoing import Outgoing
from ._request import Request
from .exceptions import ClosedError, connection_error, error_from_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.protocols.postgres import Event, ExtendedQuery, Message
    from wirekit.sockets import Promise, Socket

__all__ = ["Connection"]

_SMALLEST_READ = 8192
_LARGEST_READ = 131072  # a larger one costs more in fresh memory than it saves in calls
_MOST_SETTINGS = 1000  # a server reports about 15 of its settings
_MOST_SETTINGS_SIZE = 1 << 20  # characters of all together
_AT_ANY_MOMENT = frozenset({ParameterStatus, NoticeResponse, NotificationResponse, ErrorResponse})


class Connection(Outgoing, asyncio.BufferedProtocol):
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
        super().__init__()
        self.requests = 0  # how many were sent
        self.status = TransactionStatus.IDLE  # as of the last ReadyForQuery
        self.settings: dict[str, str] = {}
        self.canceller: Callable[[], Awaitable[None]] | None = None
        self.on_notification: Callable[[NotificationResponse], None] | None = None
        self.on_notice: Callable[[NoticeResponse], None] | None = None
        self.on_lost: Callable[[], None] | None = None

        self._socket = socket
        self._codec = codec
        self._view = memoryview(bytearray(_SMALLEST_READ))
        self._pending: deque[Request] = deque()
        self._live = 0  # how many of them somebody waits for
        self._several = False  # answers came together, so requests are likely to as well
        self._cancelling: asyncio.Task[None] | None = None

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
        # A lone caller's request goes at once; those of many are gathered.
        if len(pending) > 1 or self._several or not self._write_at_once(buffers):
            self._write(buffers, request)
        return request

    def send(self, *messages: Message | ExtendedQuery) -> None:
        """Send messages that belong to what is under way (COPY, authentication), or that end it.

        Raises:
            LocalProtocolError: they cannot be sent.
            ConnectionDoesNotExistError: the connection is over.
        """
        if self.error is not None:
            raise self.lost_error()
        buffers = self._codec.send_buffers(*messages)
        self._write(buffers, self._pending[-1] if self._pending else None)

    def send_sync(self, *, undo: bool) -> None:
        """Send the Sync of what is under way; ``undo`` keeps nothing of it, where that can be.

        Raises:
            ConnectionDoesNotExistError: the connection is over.
        """
        if undo and self.status is TransactionStatus.IDLE:
            # A Sync alone would commit; a ROLLBACK ends the implicit transaction.
            self.send(Parse("", "ROLLBACK"), Bind("", ""), Execute(""))
        self.send(Sync())

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
            if self.error is not None:
                return  # what was called here, such as a decoder, has ended it
            if kind is ReadyForQuery:
                ended += 1
                request = pending.popleft()
                self.status = cast("ReadyForQuery", event).status
                if not request.abandoned:
                    self._live -= 1
                request.finish(self.status)
                continue
            if kind in _AT_ANY_MOMENT and self._told(event):
                continue
            if pending:
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

    def _told(self, event: Event) -> bool:
        """Take what comes at any moment; return False if it is an answer."""
        if isinstance(event, ParameterStatus):
            settings = self.settings
            settings[event.name] = event.value
            size = sum(map(len, settings)) + sum(map(len, settings.values()))
            if len(settings) > _MOST_SETTINGS or size > _MOST_SETTINGS_SIZE:
                self.fail(RemoteProtocolError("the server reports too many settings"))
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
            if not event.fatal or self._codec.state is not State.OPEN:
                return False
            text = f"{self.peer} ended the connection: {event.fields.get('M', '')}"
            self.fail(_because(ConnectionLost(text), error_from_fields(event.fields)))
        return True

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
        if self._codec.lacks_sync:  # its own was ignored as part of the COPY
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
            self._hold_back()
            self._cancelling = self._loop.create_task(self._cancel(requests, self.canceller))

    async def _cancel(
        self, requests: list[Request], canceller: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            while requests:
                if not await cancel_requests(requests, canceller, self._unsent):
                    self.fail(ReadTimeout(f"{self.peer} did not end a cancelled query"))
                # What came meanwhile, and was given up before it could leave.
                requests = self._let_go_abandoned()
        except Exception as error:  # a connector may raise what it likes
            text = f"a cancelled query could not be ended at {self.peer}: {error}"
            self.fail(_because(ConnectionLost(text), error))
        finally:
            self._cancelling = None
            self._let_go()

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

    def _ended_error(self) -> Exception:
        """Return the error for whoever waits for an answer."""
        if isinstance(self.error, SocketClosed):
            return connection_error(
                SocketClosed("connection was closed in the middle of operation")
            )
        return self.lost_error()

    def fail(self, error: TransportError | ProtocolError) -> None:
        """Give the connection up at once; all who wait get the error."""
        if self.error is None:
            self._over(error)
            self._socket.abort(error)

    def close(self) -> None:
        """Say goodbye, and close when it is sent; all who wait get an error."""
        if self.error is None:
            self._say_goodbye()
            self._socket.close()

    def terminate(self) -> None:
        """Say goodbye, and close at once; also from where no event loop runs."""
        if self.error is None:
            self._say_goodbye()
        self._socket.abort()

    def _say_goodbye(self) -> None:
        if not self._codec.copying:
            with suppress(LocalProtocolError):  # it never was open
                self._write(self._codec.send_buffers(Terminate()), None)
                self._flush()
        self._over(SocketClosed("connection is closed"))

    async def aclose(self) -> None:
        """Close, wait until it is done, and have the server end what was under way."""
        running = self.error is None and not all(request.protected for request in self._pending)
        self.close()
        await self.closed
        if self._cancelling is not None:
            await asyncio.wait([self._cancelling])
        elif running and self.canceller is not None:
            with suppress(Error, OSError):  # it ends by itself some time
                await self.canceller()

    def _over(self, error: TransportError | ProtocolError) -> None:
        self.error = error
        self._forget()
        pending, self._pending = self._pending, deque()
        for request in pending:
            request.finish(self.status, self._ended_error())
        self._live = 0
        self._wake_writers()
        if self.on_lost is not None:
            self.on_lost()


def _because(error: ConnectionLost, cause: BaseException) -> ConnectionLost:
    error.__cause__ = cause
    return error
