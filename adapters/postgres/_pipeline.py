"""Pipelines: many queries, and one Sync for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from wirekit._errors import Error
from wirekit.protocols.postgres import (
    CommandComplete,
    EmptyQueryResponse,
    ErrorResponse,
    Flush,
    PortalSuspended,
    Record,
)

from ._results import rows_of
from ._session import Session
from .exceptions import InFailedSQLTransactionError, InterfaceError, error_from_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from contextvars import Context
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.postgres import Event, ExtendedQuery, Message

    from ._connection import Connection
    from ._ownership import Hold
    from ._request import Request
    from ._results import Results
    from ._statements import Statement

__all__ = ["Pipeline", "Pipelining"]

_EXECUTED = frozenset({CommandComplete, PortalSuspended, EmptyQueryResponse})


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineAccess:
    """What a pipeline may ask of the client that made it.

    Attributes:
        begin: waits for the connection, and takes it for the pipeline.
        end: gives it back.
        answer: waits for an answer.
        find_statement: gives the statement of a query that is prepared already.
        prepare: prepares one.
        result: gives the result of an execution, or raises what its decoders did.
        record_class: what rows are made if nothing else is said.
    """

    begin: Callable[[Pipeline], Coroutine[Any, Any, tuple[Hold, Connection]]]
    end: Callable[[Hold], None]
    answer: Callable[[Request], Coroutine[Any, Any, list[Event]]]
    find_statement: Callable[[str], Statement | None]
    prepare: Callable[[str], Coroutine[Any, Any, Statement]]
    result: Callable[[Event | None], Results]
    record_class: type[Record]


class _Part:
    """One query, or the preparing of one, and who waits for it.

    Attributes:
        future: gets the result.
        query: its text.
        ends: the events that the answer ends with.
        convert: what becomes of the last of them; None gives all events.
        events: those so far.
    """

    __slots__ = ("convert", "ends", "events", "future", "query")

    def __init__(
        self,
        future: asyncio.Future[Any],
        query: str,
        ends: frozenset[type[Event]],
        convert: Callable[[Results], Any] | None,
    ) -> None:
        self.future = future
        self.query = query
        self.ends = ends
        self.convert = convert
        self.events: list[Event] | None = [] if convert is None else None


class _Call(NamedTuple):
    """A query that is not sent yet, because one before it is being prepared."""

    part: _Part
    values: Sequence[Any]
    max_rows: int
    record_class: type[Record]
    statement: Statement | None


class Pipeline:
    """Queries that are sent together, with one Sync for all at the end.

    Outside of a transaction they are one: all happens, or nothing. After an error the rest is
    skipped, whose callers get an `InFailedSQLTransactionError`, and the block ends with the error
    even if its caller was there to take it.

    ``fetch``, ``fetchrow``, ``fetchval`` and ``execute`` of the pipeline queue a query at once and
    return what can be awaited for its result, inside the block or after it; those of the client do
    the same for the code inside the block. Queries run in the order in which they are queued.
    Other tasks wait until the block ends.
    """

    def __init__(self, access: PipelineAccess) -> None:
        self._access = access
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._hold: Hold | None = None
        self._context: Context | None = None  # of the block, which has the connection
        self._request: Request | None = None
        self._parts: deque[_Part] = deque()
        self._queued: list[Message | ExtendedQuery] = []  # in this turn of the event loop
        self._calls: deque[_Call] = deque()  # the first is being prepared
        self._sender: asyncio.Task[None] | None = None
        self._failure: Exception | None = None  # the first
        self._over = False

    @property
    def is_ours(self) -> bool:
        """Whether the code that runs now is inside the block."""
        return self._hold is not None and not self._over and self._hold.is_ours

    async def __aenter__(self) -> Self:
        if self._hold is not None:
            raise InterfaceError("a pipeline can be entered only once")
        self._hold, self._connection = await self._access.begin(self)
        self._context = copy_context()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None and self._sender is not None:
                await asyncio.wait([self._sender])
        except asyncio.CancelledError:
            self._give_up()
            raise
        if exc is not None and not isinstance(exc, Exception):
            self._give_up()
            return
        try:
            request = self._send_sync(keep=exc is None)
            if request is not None:
                await self._access.answer(request)
        except Error:
            if exc is None:
                raise
        finally:
            self._end()
        if exc is None and self._failure is not None:
            raise copy(self._failure) from self._failure.__cause__

    def _send_sync(self, *, keep: bool) -> Request | None:
        """Send the Sync, and before it what undoes everything unless it is to be kept."""
        self._flush()
        self._over = True
        if self._sender is not None:
            self._sender.cancel()
        connection, request = self._connection, self._request
        if connection is None or request is None or connection.error is not None:
            return request
        connection.send_sync(undo=not keep or self._failure is not None)
        return request

    def _give_up(self) -> None:
        request = self._send_sync(keep=False)
        if request is not None and self._connection is not None:
            self._connection.abandon(request)
        self._end()

    def _end(self) -> None:
        self._abort()
        if self._hold is not None:
            self._access.end(self._hold)

    # Queries

    def fetch(
        self, query: str, *args: Any, record_class: type[Record] | None = None
    ) -> Awaitable[list[Any]]:
        """Queue a query; gives its rows."""
        return self._queue(query, args, 0, record_class, None, rows_of)

    def fetchrow(
        self, query: str, *args: Any, record_class: type[Record] | None = None
    ) -> Awaitable[Any]:
        """Queue a query; gives its first row, None if there is none."""
        return self._queue(query, args, 1, record_class, None, _first_row)

    def fetchval(self, query: str, *args: Any) -> Awaitable[Any]:
        """Queue a query; gives the first value of its first row, None if there is none."""
        return self._queue(query, args, 1, None, None, _first_value)

    def execute(self, query: str, *args: Any) -> Awaitable[str]:
        """Queue a command; gives its status, such as ``"INSERT 0 1"``."""
        return self._queue(query, args, 0, None, None, _tag)

    # For the client's methods

    def run(
        self,
        query: str,
        values: Sequence[Any],
        max_rows: int,
        record_class: type[Record],
        statement: Statement | None,
    ) -> Awaitable[Results]:
        """Queue an execution; gives the event that ends it."""
        return self._queue(query, values, max_rows, record_class, statement, _whole)

    def run_now(self, statement: Statement, values: Sequence[Any]) -> Awaitable[Results]:
        """Send an execution before what is queued, for preparing that."""
        part = _Part(self._loop.create_future(), statement.query, _EXECUTED, _whole)
        self._start(_Call(part, values, 0, Record, None), statement)
        return part.future

    def ask(
        self, query: str, messages: Sequence[Message | ExtendedQuery], ends: frozenset[type[Event]]
    ) -> Awaitable[list[Event]]:
        """Send other messages; gives the events up to one of ``ends``."""
        part = _Part(self._loop.create_future(), query, ends, None)
        self._send(part, messages)
        return part.future

    # The exchange

    def _queue(
        self,
        query: str,
        values: Sequence[Any],
        max_rows: int,
        record_class: type[Record] | None,
        statement: Statement | None,
        convert: Callable[[Results], Any],
    ) -> asyncio.Future[Any]:
        if self._hold is None:
            raise InterfaceError("the pipeline was not entered: use `async with`")
        if self._over:
            raise InterfaceError("the pipeline is over")
        part = _Part(self._loop.create_future(), query, _EXECUTED, convert)
        call = _Call(part, values, max_rows, record_class or self._access.record_class, statement)
        if self._sender is None:
            found = statement or self._access.find_statement(query)
            if found is not None:
                self._start(call, found)
                return part.future
            self._sender = self._loop.create_task(self._send_calls(), context=self._context)
        self._calls.append(call)
        return part.future

    async def _send_calls(self) -> None:
        """Send what could not be sent at once; each is prepared when all before it is sent."""
        access = self._access
        while self._calls:
            call = self._calls[0]
            part = call.part
            try:
                statement = call.statement or access.find_statement(part.query)
                if statement is None:
                    statement = await access.prepare(part.query)
            except Exception as error:
                self._fail(part, error)
            else:
                self._start(call, statement)
            self._calls.popleft()
        self._sender = None

    def _start(self, call: _Call, statement: Statement) -> None:
        """Send an execution, unless nobody waits for it any more."""
        part, values, max_rows, record_class, _ = call
        if part.future.done():
            return
        try:
            sink = statement.reader(record_class)
            self._send(part, statement.portal(values, sink, max_rows, record_class, sync=False))
        except Exception as error:
            self._fail(part, error)

    def _send(self, part: _Part, messages: Sequence[Message | ExtendedQuery]) -> None:
        connection = self._connection
        if self._failure is not None or self._over or connection is None or connection.error:
            raise self._aborted()
        if not self._queued:
            self._loop.call_soon(self._flush)
        self._queued += messages
        self._parts.append(part)

    def _flush(self) -> None:
        """Send what one turn of the event loop has queued."""
        connection = self._connection
        queued, self._queued = self._queued, []
        if not queued or connection is None:
            return
        try:
            if self._request is None:
                self._request = connection.request(*queued, Flush(), on_event=self._take)
                self._request.future.add_done_callback(self._abort)
            elif self._parts:  # the server still takes them
                connection.send(*queued, Flush())
        except Error as error:  # the connection is over
            self._failure = self._failure or error
            self._abort()

    def _take(self, event: Event) -> None:
        """Give an event to the query it belongs to."""
        if isinstance(event, ErrorResponse):
            if self._parts:
                part = self._parts.popleft()
                self._fail(part, error_from_fields(event.fields, part.query))
            elif self._failure is None:  # of the commit
                self._failure = error_from_fields(event.fields)
            self._abort()
            return
        if not self._parts:
            return  # of the ROLLBACK
        part = self._parts[0]
        if event.__class__ not in part.ends:
            if part.events is not None:
                part.events.append(event)
            return
        self._parts.popleft()
        if part.future.done():
            return
        if part.convert is None:
            part.future.set_result([*(part.events or ()), event])
            return
        try:
            part.future.set_result(part.convert(self._access.result(event)))
        except Exception as error:  # a decoder's: it is its caller's
            _refuse(part.future, error)

    # Failure

    def _fail(self, part: _Part, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        _refuse(part.future, error)

    def _abort(self, _: object = None) -> None:
        """Let nobody wait for what is not going to come any more."""
        futures = [part.future for part in self._parts]
        self._parts.clear()
        if self._over:
            futures += [call.part.future for call in self._calls]
            self._calls.clear()
        for future in futures:
            _refuse(future, self._aborted())

    def _aborted(self) -> Exception:
        connection = self._connection
        if connection is not None and connection.error is not None:
            return connection.lost_error()
        if self._failure is not None:
            return InFailedSQLTransactionError("an earlier query of the pipeline failed")
        return InFailedSQLTransactionError("the pipeline was left before its end")


def _refuse(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever waits still gets it


def _whole(event: Results) -> Results:
    return event


def _first_row(event: Results) -> Any:
    rows = rows_of(event)
    return rows[0] if rows else None


def _first_value(event: Results) -> Any:
    rows = rows_of(event)
    return rows[0][0] if rows else None


def _tag(event: Results) -> str:
    return event.tag if isinstance(event, CommandComplete) else ""


class Pipelining(Session):
    """The part of the client that makes pipelines."""

    def pipeline(self) -> Pipeline:
        """Return a pipeline, for ``async with``."""
        self._check_open()
        access = PipelineAccess(
            begin=self._begin_pipeline,
            end=self._end_pipeline,
            answer=self._answer,
            find_statement=self._statements.get,
            prepare=self._prepare,
            result=self._result,
            record_class=self._record_class,
        )
        return Pipeline(access)

    async def _begin_pipeline(self, pipeline: Pipeline) -> tuple[Hold, Connection]:
        await self._ready()
        hold = await self._ownership.take()
        try:
            connection = self._open_connection
        except BaseException:
            self._ownership.release(hold)
            raise
        self._pipeline = pipeline
        return hold, connection

    def _end_pipeline(self, hold: Hold) -> None:
        self._pipeline = None
        self._ownership.release(hold)
