"""One connection: commands out in order, replies back in order, whoever is still waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import (
    ConnectionLost,
    LocalProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    SocketClosed,
)
from wirekit.adapters._writing import write_pieces
from wirekit.protocols.resp import BulkError, Codec, Push, SimpleError

from ._errors import DataError, connection_error, error_from_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.resp import Argument, ErrorReply, Reply
    from wirekit.sockets import Promise, Socket

__all__ = ["PUBSUB_KINDS", "Connection", "Guest"]

_MANY = 16  # replies at once from which it pays to look for a pipeline first
_SMALLEST_READ = 4096
_LARGEST_READ = 1048576
_CONFIRMATIONS = frozenset(
    kind + word for kind in (b"", b"p", b"s") for word in (b"subscribe", b"unsubscribe")
)
PUBSUB_KINDS = _CONFIRMATIONS | {b"message", b"pmessage", b"smessage"}


class Batch:
    """The replies to several commands that were sent together; waited for once."""

    __slots__ = ("count", "future", "replies")

    def __init__(self, future: asyncio.Future[list[Reply]], count: int) -> None:
        self.future = future
        self.count = count
        self.replies: list[Reply] = []


class Confirmation:
    """What a (un)subscribing command waits for: so many pushes, or one error reply."""

    __slots__ = ("future", "remaining")

    def __init__(self, future: asyncio.Future[None], count: int) -> None:
        self.future = future
        self.remaining = count


@dataclass(frozen=True, slots=True)
class Guest:
    """What is told to whoever has a connection for itself, beside the replies it waits for.

    Attributes:
        pushed: called with each push.
        lost: called when the connection is over.
        unasked: called with replies that nobody waits for (MONITOR's); None: they are a fault.
        resp2_pushes: whether arrays that are messages by their first word are pushes (RESP2).
    """

    pushed: Callable[[list[Any]], None]
    lost: Callable[[], None]
    unasked: Callable[[Reply], None] | None = None
    resp2_pushes: bool = False


class Connection(asyncio.BufferedProtocol):
    """One connection: the codec on a socket, with the order of replies as its only state.

    Commands of one turn of the event loop leave in one write. Every command has its waiter in
    the queue; a reply goes to the first, and is dropped if nobody waits for it any more, so a
    cancelled call never disturbs the others.

    Args:
        socket: an open socket; it belongs to the connection from here on.
        codec: a fresh codec.
        timeout: seconds without a byte while a reply is due, after which the connection is given
            up; None for no limit.
    """

    def __init__(self, socket: Socket, codec: Codec, *, timeout: float | None = None) -> None:
        self.congested = False  # the server takes bytes more slowly than they are written
        self._socket = socket
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._view = memoryview(bytearray(_SMALLEST_READ))
        self._pending: deque[asyncio.Future[Reply] | Batch | Confirmation] = deque()
        self._batch: Batch | None = None
        self._unsent = 0
        self._out: list[Buffer] = []
        self._flush_scheduled = False
        self._writable_waiters: deque[asyncio.Future[None]] = deque()
        self._timeout = timeout
        self._watchdog: asyncio.TimerHandle | None = None
        self._last_heard = 0.0
        self.error: Exception | None = None
        self.client_id: int | None = None
        self.protocol = 2
        self.on_push: Callable[[list[Any]], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self._guest: Guest | None = None
        self._resp2_pushes = False
        self._transport = socket.attach(self)

    @property
    def peer(self) -> str:
        """The address of the server, as asked for."""
        return self._socket.remote_address

    @property
    def idle(self) -> bool:
        """Whether no reply is due and the connection stands."""
        return not self._pending and self._batch is None and self.error is None

    def receive_guest(self, guest: Guest | None) -> None:
        """Tell ``guest`` from now on what is no reply to a command; None: nobody any more."""
        self._guest = guest
        self._resp2_pushes = guest is not None and guest.resp2_pushes

    def set_timeout(self, timeout: float | None) -> None:
        """Change how long a reply may take from now on."""
        self._timeout = timeout
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._pending or self._batch:
            self._watch()

    # Sending.

    def send(self, command: Sequence[Argument]) -> asyncio.Future[Reply]:
        """Send one command; the future gets its reply, or its error as an exception.

        Raises:
            DataError: an argument cannot be sent.
            TransportError: the connection is over; nothing was sent.
        """
        buffers = self._packed(command)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._enqueue(future, buffers)
        return future

    def send_batch(self, commands: Sequence[Sequence[Argument]]) -> asyncio.Future[list[Reply]]:
        """Send commands together; the future gets all replies, errors among them as values."""
        buffers = self._packed(*commands)
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._enqueue(Batch(future, len(commands)), buffers)
        return future

    def send_subscribe(self, command: Sequence[Argument], count: int) -> asyncio.Future[None]:
        """Send a command that is answered by ``count`` confirming pushes instead of a reply."""
        buffers = self._packed(command)
        future: asyncio.Future[None] = self._loop.create_future()
        self._enqueue(Confirmation(future, count), buffers)
        return future

    def _packed(self, *commands: Sequence[Argument]) -> list[Buffer]:
        if self.error is not None:
            raise connection_error(self.error, sent=False)
        try:
            buffers = self._codec.send_buffers(*commands)
        except LocalProtocolError as error:
            raise DataError(str(error)) from None
        if len(buffers) > 1:
            # A caller who is cancelled goes on to change his buffer, which is not written yet.
            return [piece if _is_fixed(piece) else bytes(piece) for piece in buffers]
        return buffers

    async def writable(self) -> None:
        """Wait while the server takes bytes more slowly than they are written."""
        while self.congested and self.error is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._writable_waiters.append(waiter)
            await waiter
        if self.error is not None:
            raise connection_error(self.error, sent=False)

    def _enqueue(
        self, waiter: asyncio.Future[Reply] | Batch | Confirmation, buffers: list[Buffer]
    ) -> None:
        if not self._pending:
            self._watch()
        self._pending.append(waiter)
        self._unsent += 1
        self._out += buffers
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what was gathered: small pieces as one, large ones in slices as there is room."""
        self._flush_scheduled = False
        if self.congested or self.error is not None or not self._out:
            return
        self._unsent = 0
        out, self._out = self._out, []
        self._out[:0] = write_pieces(self._transport, out, self._is_congested)

    def _is_congested(self) -> bool:
        return self.congested

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

    # Receiving.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the event loop room to receive into."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes: find the replies in them and give each to its waiter."""
        view = self._view
        if nbytes == len(view) < _LARGEST_READ:
            self._view = memoryview(bytearray(4 * nbytes))
        self._last_heard = self._loop.time()
        try:
            replies = self._codec.receive_data(view[:nbytes])
        except RemoteProtocolError as error:
            self._dispatch(cast("list[Reply]", error.events))
            error.events = []  # they belong to their callers, not to all who get the error
            self.fail(error)
        else:
            self._dispatch(replies)

    def _dispatch(self, replies: list[Reply]) -> None:  # noqa: C901 - hot, so it is one piece
        # The hot loop: one turn a reply, but for the many of a pipeline.
        if len(replies) >= _MANY and not self._resp2_pushes:
            replies = self._fill_batch(replies)
        pending = self._pending
        batch = self._batch
        for reply in replies:
            kind = reply.__class__
            if kind is Push or (self._resp2_pushes and _is_message(reply)):
                self._pushed(cast("list[Any]", reply))
                continue
            if batch is None:
                if not pending:
                    if self._guest is None or self._guest.unasked is None:
                        self.fail(RemoteProtocolError("the server sent a reply nobody asked for"))
                        return
                    self._guest.unasked(reply)
                    continue
                waiter = pending.popleft()
                if not isinstance(waiter, Batch):
                    if isinstance(waiter, Confirmation):
                        if kind is not SimpleError and kind is not BulkError:
                            pending.appendleft(waiter)
                            self.fail(RemoteProtocolError("a reply in place of a confirmation"))
                            return
                        waiter = cast("asyncio.Future[Reply]", waiter.future)
                    if not waiter.done():
                        if kind is SimpleError or kind is BulkError:
                            waiter.set_exception(error_from_reply(cast("ErrorReply", reply)))
                        else:
                            waiter.set_result(reply)
                    continue
                batch = self._batch = waiter
            batch.replies.append(reply)
            if len(batch.replies) == batch.count:
                if not batch.future.done():
                    batch.future.set_result(batch.replies)
                batch = self._batch = None

    def _fill_batch(self, replies: list[Reply]) -> list[Reply]:
        """Give replies to the pipeline they belong to, all at once; return the rest."""
        if self._batch is None and self._pending and isinstance(self._pending[0], Batch):
            self._batch = cast("Batch", self._pending.popleft())
        batch = self._batch
        if batch is None or Push in set(map(type, replies)):
            return replies
        room = batch.count - len(batch.replies)
        batch.replies += replies[:room]
        if len(batch.replies) == batch.count:
            self._batch = None
            if not batch.future.done():
                batch.future.set_result(batch.replies)
        return replies[room:]

    def _pushed(self, push: list[Any]) -> None:
        if not push or not isinstance(push[0], bytes):
            self.fail(RemoteProtocolError("a push does not begin with its kind"))
            return
        waiter = self._pending[0] if self._pending else None
        if isinstance(waiter, Confirmation) and push[0] in _CONFIRMATIONS:
            waiter.remaining -= 1
            if waiter.remaining == 0:
                self._pending.popleft()
                if not waiter.future.done():
                    waiter.future.set_result(None)
        if self.on_push is not None:
            self.on_push(push)
        if self._guest is not None:
            self._guest.pushed(push)

    def eof_received(self) -> None:
        """Take the end of the server's stream."""
        try:
            self._codec.receive_eof()
        except RemoteProtocolError:  # so does a server end that crashes
            text = f"{self.peer} closed the connection in the middle of a reply"
            self.fail(ConnectionLost(text))
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

    def _watch(self) -> None:
        """Start the clock: a reply is due from now on."""
        self._last_heard = self._loop.time()
        if self._timeout is not None and self._watchdog is None:
            self._watchdog = self._loop.call_later(self._timeout, self._watched)

    def _watched(self) -> None:
        self._watchdog = None
        if self._timeout is None or not (self._pending or self._batch):
            return
        due = self._last_heard + self._timeout
        if self._loop.time() >= due:
            self.fail(ReadTimeout(f"{self.peer} sent nothing for {self._timeout} s"))
        else:
            self._watchdog = self._loop.call_at(due, self._watched)

    # Ending.

    def fail(self, error: Exception) -> None:
        """Give the connection up: everyone who waits gets the error."""
        if self.error is None:
            self._over(error)
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
        self._timeout = None
        self._out.clear()
        if self._batch is not None:
            self._pending.appendleft(self._batch)
            self._batch = None
        sent = len(self._pending) - self._unsent
        for index, waiter in enumerate(self._pending):
            future = waiter.future if isinstance(waiter, Batch | Confirmation) else waiter
            if not future.done():
                future.set_exception(connection_error(error, sent=index < sent))
        self._pending.clear()
        self._wake_writers()
        if self.on_lost is not None:
            self.on_lost()
        if self._guest is not None:
            self._guest.lost()


def _is_message(reply: Reply) -> bool:
    """Whether a RESP2 array is what RESP3 would have sent as a push."""
    return (
        isinstance(reply, list)
        and len(reply) > 0
        and isinstance(reply[0], bytes)
        and reply[0] in PUBSUB_KINDS
    )


def _is_fixed(piece: Buffer) -> bool:
    """Whether nobody can change these bytes any more."""
    return isinstance(piece, bytes) or (
        isinstance(piece, memoryview) and isinstance(piece.obj, bytes)
    )
