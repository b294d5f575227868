"""A replication stream: messages in order, and the server told how far we are."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from wirekit._errors import ReadTimeout, RemoteProtocolError
from wirekit.protocols.postgres import CopyBothResponse, CopyData, CopyDone, ErrorResponse
from wirekit.protocols.postgres.replication import (
    StandbyStatusUpdate,
    XLogData,
    format_lsn,
    parse_lsn,
    read_replication_message,
)

from .exceptions import InterfaceError, QueryCanceledError, connection_error, error_from_fields

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.postgres import Event

    from ._connection import Connection
    from ._request import Request
    from ._walsender import Walsender

__all__ = ["ReplicationMessage", "ReplicationStream"]

M = TypeVar("M")

_OVERHEAD = 256  # bytes of memory for a message beside its data
_CANCEL_AFTER = 2.0  # seconds for the server to end a stream, before it is made to
_LOST_AFTER = 30.0  # the same where it cannot be made to


class ReplicationMessage(NamedTuple, Generic[M]):
    """A message of a stream, and its place in the WAL; Type and Relation of pgoutput have 0."""

    lsn: int
    message: M


class _Reader(Protocol[M]):
    """What makes messages of their bytes.

    Attributes:
        is_inside: whether what was given out last is a part of something.
    """

    is_inside: bool

    async def read(self, data: bytes) -> M:
        """Return a message; after an error or a cancellation, it can be read again."""
        ...

    def given(self, lsn: int, message: M) -> int:
        """Take note that a message is given out.

        Returns:
            what is to be confirmed when all that is complete was stored; 0 if that is no more than
            before.
        """
        ...


class ReplicationStream(Generic[M]):
    """Messages of logical replication: ``async for lsn, message in stream``.

    It starts with ``async with``, or with the first message, and ends with the block or `aclose`;
    the connection is then free for other commands.

    Whatever is not confirmed comes again when the slot is next used, so each change comes at
    least once: call `confirm` when what came up to a Commit is safely stored. The server is told
    every ``status_interval``, when it asks, and at the end; it may forget what is confirmed. While
    nothing waits to be given out or confirmed, it may also forget what it had to skip.

    The server is answered even while nobody iterates. Reading stops while there are more than
    ``max_buffered`` bytes.
    """

    def __init__(
        self,
        walsender: Walsender,
        command: str,
        reader: _Reader[M],
        *,
        status_interval: float,
        max_buffered: int,
    ) -> None:
        if not status_interval > 0:
            raise ValueError("status_interval is expected to be greater than 0")
        self._walsender = walsender
        self._command = command
        self._reader = reader
        self._interval = status_interval
        self._max_buffered = max_buffered
        self._loop = asyncio.get_running_loop()
        self._buffer: deque[XLogData] = deque()
        self._buffered = 0
        self._paused = False
        # All LSNs are those of the next byte.
        self._received = 0
        self._skipped = 0  # as of the last keepalive: what is before it was sent, or never will be
        self._given = 0
        self._confirmed = 0
        self._connection: Connection | None = None
        self._request: Request | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._starting = False
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._stopping = False
        self._refusal: ErrorResponse | None = None
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._iterating = False

    # How far

    @property
    def received_lsn(self) -> int:
        """How far the server has sent, or skipped."""
        return self._received

    @property
    def confirmed_lsn(self) -> int:
        """What the server is told to be confirmed."""
        is_idle = not self._buffer and not self._reader.is_inside and not self._stopping
        if is_idle and self._confirmed >= self._given:
            return max(self._confirmed, self._skipped)
        return self._confirmed

    @property
    def buffered(self) -> int:
        """About how many bytes wait to be iterated over."""
        return self._buffered

    def confirm(self, lsn: int | str | None = None) -> None:
        """Confirm that what comes before ``lsn`` need not come again.

        Args:
            lsn: such as a Commit's ``end_lsn``; by default all complete transactions that were
                given out so far. One that is older than what was confirmed does nothing.

        Raises:
            ValueError: the server has not come so far.
        """
        if lsn is None:
            lsn = self._given
        elif isinstance(lsn, str):
            lsn = parse_lsn(lsn)
        if lsn > self._received:
            text = f"{format_lsn(lsn)} cannot be confirmed"
            raise ValueError(f"{text}: only {format_lsn(self._received)} is received")
        self._confirmed = max(self._confirmed, lsn)

    def report(self) -> None:
        """Tell the server now how far we are, for example so that a synchronous commit returns."""
        connection = self._connection
        if connection is None or connection.error is not None or not connection.copying:
            return
        if connection.congested or self._stopping:
            return
        self._send_status(connection)

    def _send_status(self, connection: Connection) -> None:
        confirmed = self.confirmed_lsn
        update = StandbyStatusUpdate(self._received, confirmed, confirmed, datetime.now(UTC))
        connection.send(CopyData(update.encode()))

    def _tick(self) -> None:
        self.report()
        self._timer = self._loop.call_later(self._interval, self._tick)

    # Starting and stopping

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _start(self) -> None:
        if self._starting:
            raise InterfaceError("a stream can be started only once")
        self._starting = True
        try:
            timeout = await self._walsender.reply_timeout()
            if timeout:
                # While reading is paused, the server's question for a reply is not seen.
                self._interval = min(self._interval, timeout / 3)
            connection, request = await self._walsender.start_streaming(
                self._command, self, self._take
            )
        except BaseException:
            self._stopping = True
            raise
        self._connection, self._request = connection, request
        request.future.add_done_callback(self._end)
        if self._stopping:
            self._finish(connection)
        try:
            await self._begun
        except asyncio.CancelledError:
            self._stop()
            raise
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        """End the stream, and wait until the connection is free; a second time does nothing.

        What is confirmed is told to the server. If it goes on for long with a large transaction,
        it is made to stop with a CancelRequest, or the connection is given up.
        """
        self._stop()
        if self._request is not None:
            await self._ended.wait()

    @property
    def is_ending(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._stopping or self._ended.is_set()

    def _stop(self) -> None:
        if self._stopping:
            return
        self._confirmed = self.confirmed_lsn  # for the last time: what waits will be dropped
        self._stopping = True
        if self._connection is not None and not self._ended.is_set():
            self._finish(self._connection)
        self._buffer.clear()
        self._wake()

    def _finish(self, connection: Connection) -> None:
        """Have the server end the stream, if need be by force."""
        if connection.error is None and connection.copying:
            self._send_status(connection)
            connection.send(CopyDone())
        self._resume()
        if self._timer is not None:
            self._timer.cancel()
        patience = _LOST_AFTER if connection.canceller is None else _CANCEL_AFTER
        self._timer = self._loop.call_later(patience, self._make_it_stop)

    def _make_it_stop(self) -> None:
        connection, request = self._connection, self._request
        assert connection is not None
        assert request is not None
        if connection.canceller is None:
            connection.fail(ReadTimeout(f"{connection.peer} did not end a stream"))
        else:
            connection.abandon(request)

    def _end(self, answer: asyncio.Future[list[Event]]) -> None:
        """Take the end of the answer, or of the connection."""
        if self._timer is not None:
            self._timer.cancel()
        error = answer.exception()
        refusal = None
        if self._refusal is not None:
            refusal = error_from_fields(self._refusal.fields, self._command)
        if error is not None:
            error.__cause__ = error.__cause__ or refusal
        elif not (self._stopping and isinstance(refusal, QueryCanceledError)):
            error = refusal
        self._error = error if isinstance(error, Exception) else None
        self._walsender.streaming_ended()
        self._ended.set()
        if not self._begun.done():
            self._begun.set_result(None)
        self._wake()

    # Receiving

    def _take(self, event: Event) -> None:
        """Take an event of the answer; the future of the request says when it is complete."""
        connection = self._connection
        assert connection is not None
        if isinstance(event, CopyData):
            self._take_data(connection, bytes(event.data))
        elif isinstance(event, ErrorResponse):
            self._refusal = event
        elif isinstance(event, CopyBothResponse):
            if self._stopping:
                connection.send(CopyDone())
                return
            self._timer = self._loop.call_later(self._interval, self._tick)
            if not self._begun.done():
                self._begun.set_result(None)
        elif isinstance(event, CopyDone) and connection.copying:
            connection.send(CopyDone())  # the server ends it of its own accord

    def _take_data(self, connection: Connection, data: bytes) -> None:
        if self._stopping:
            return
        try:
            message = read_replication_message(data)
        except RemoteProtocolError as error:
            connection.fail(error)
            return
        if isinstance(message, XLogData):
            self._received = max(self._received, message.wal_start, message.wal_end)
            self._buffer.append(message)
            self._buffered += len(message.data) + _OVERHEAD
            if self._buffered > self._max_buffered and not self._paused:
                self._paused = True
                connection.pause_reading()
            self._wake()
            return
        self._received = max(self._received, message.wal_end)
        self._skipped = max(self._skipped, message.wal_end)
        if message.reply_requested:
            self.report()

    def _resume(self) -> None:
        if self._paused and self._connection is not None:
            self._paused = False
            self._connection.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Giving out

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReplicationMessage[M]:
        if self._iterating:
            raise InterfaceError("another task waits for the next message of this stream")
        self._iterating = True
        try:
            if not self._starting and not self._stopping:
                await self._start()
            while not self._buffer:
                if self._stopping:
                    raise StopAsyncIteration
                if self._ended.is_set():
                    if self._error is not None:
                        raise self._error
                    raise StopAsyncIteration
                self._waiter = self._loop.create_future()
                await self._waiter
            return await self._give()
        finally:
            self._iterating = False

    async def _give(self) -> ReplicationMessage[M]:
        first = self._buffer[0]
        try:
            message = await self._reader.read(first.data)
        except RemoteProtocolError as error:
            if self._connection is not None:
                self._connection.fail(error)
            raise connection_error(error) from error.__cause__
        if self._stopping:
            raise StopAsyncIteration
        self._buffer.popleft()
        self._buffered -= len(first.data) + _OVERHEAD
        if self._buffered <= self._max_buffered // 2:
            self._resume()
        self._given = max(self._given, self._reader.given(first.wal_start, message))
        return ReplicationMessage(first.wal_start, message)

    def __repr__(self) -> str:
        state = "not started"
        if self._ended.is_set() or self._stopping:
            state = "ended"
        elif self._connection is not None:
            state = f"received {format_lsn(self._received)}"
        return f"<{type(self).__name__} {state}, confirmed {format_lsn(self._confirmed)}>"
