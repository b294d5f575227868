"""Pipelines: many queries, and one Sync for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import (
    Bind,
    CommandComplete,
    EmptyQueryResponse,
    ErrorResponse,
    Execute,
    Flush,
    Parse,
    PortalSuspended,
    Sync,
    TransactionStatus,
)

from ._session import Session, checked_result, raise_error, rows_of
from .exceptions import InFailedSQLTransactionError, InterfaceError, error_from_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.postgres import Event, ExtendedQuery, Message, Record

    from ._connection import Connection, Request
    from ._ownership import Hold
    from ._session import Results
    from ._statements import Statement

__all__ = ["Pipeline", "Pipelining"]

_EXECUTED = frozenset({CommandComplete, PortalSuspended, EmptyQueryResponse})


class _Part:
    """One query of a pipeline, or the preparing of one, and who waits for it."""

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
        self.ends = ends  # the events that it ends with
        self.convert = convert  # what becomes of the last of them; None gives all events
        self.events: list[Event] = []


class Pipeline:
    """Queries that are sent together, with one Sync for all at the end.

    Outside of a transaction they are one: all happens, or nothing. After an error the server skips
    the rest, whose callers get an `InFailedSQLTransactionError`.

    ``fetch``, ``fetchrow``, ``fetchval`` and ``execute`` of the pipeline queue a query at once and
    return what can be awaited for its result, inside the block or after it; those of the client do
    the same for the code inside the block. Other tasks wait until the block ends.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._hold: Hold | None = None
        self._request: Request | None = None
        self._parts: deque[_Part] = deque()
        self._queued: list[Message | ExtendedQuery] = []
        self._known: dict[str, Statement] = {}
        self._failed = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_ours(self) -> bool:
        """Whether the code that runs now is inside the block."""
        return self._hold is not None and self._hold.is_ours

    async def __aenter__(self) -> Self:
        if self._hold is not None:
            raise InterfaceError("a pipeline can be entered only once")
        self._hold, self._connection = await self._session._begin_pipeline(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        hold = self._hold
        assert hold is not None
        rollback = True
        try:
            if exc is None and self._tasks:
                await asyncio.wait(self._tasks)
            rollback = exc is not None
        finally:
            for task in self._tasks:
                task.cancel()
            request = self._end(rollback=rollback)
            self._session._end_pipeline(hold)
        if request is not None:
            events = await self._session._answer(request)
            if exc is None:
                raise_error(events)

    def _end(self, *, rollback: bool) -> Request | None:
        """Send what is left, and the Sync."""
        connection = self._connection
        assert connection is not None
        if connection.error is not None:
            self._abort_parts()
            return None
        self._flush()
        request = self._request
        if request is not None:
            if rollback and not self._failed and connection.status is TransactionStatus.IDLE:
                # A Sync alone would commit; a ROLLBACK ends the implicit transaction.
                connection.send(Parse("", "ROLLBACK"), Bind("", ""), Execute(""))
            connection.send(Sync())
            request.protected = True
        return request

    # Queries

    def fetch(
        self, query: str, *args: Any, record_class: type[Record] | None = None
    ) -> Awaitable[list[Any]]:
        """Queue a query; gives its rows."""
        return self._queue(query, args, 0, record_class, rows_of)

    def fetchrow(
        self, query: str, *args: Any, record_class: type[Record] | None = None
    ) -> Awaitable[Any]:
        """Queue a query; gives its first row, None if there is none."""
        return self._queue(query, args, 1, record_class, _first_row)

    def fetchval(self, query: str, *args: Any) -> Awaitable[Any]:
        """Queue a query; gives the first value of its first row, None if there is none."""
        return self._queue(query, args, 1, None, _first_value)

    def execute(self, query: str, *args: Any) -> Awaitable[str]:
        """Queue a command; gives its status, such as ``"INSERT 0 1"``."""
        return self._queue(query, args, 0, None, _tag)

    def _queue(
        self,
        query: str,
        values: Sequence[Any],
        max_rows: int,
        record_class: type[Record] | None,
        convert: Callable[[Results], Any],
    ) -> Awaitable[Any]:
        if self._connection is None:
            raise InterfaceError("the pipeline was not entered: use `async with`")
        statement = self._known.get(query) or self._session._statements.get(query)
        if statement is None:
            task = self._loop.create_task(
                self._prepare_and_run(query, values, max_rows, record_class, convert)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return task
        self._known[query] = statement
        return self._run(statement, values, max_rows, record_class, convert)

    async def _prepare_and_run(
        self,
        query: str,
        values: Sequence[Any],
        max_rows: int,
        record_class: type[Record] | None,
        convert: Callable[[Results], Any],
    ) -> Any:
        statement = await self._session._prepare(query)
        return await self._run(statement, values, max_rows, record_class, convert)

    def _run(
        self,
        statement: Statement,
        values: Sequence[Any],
        max_rows: int,
        record_class: type[Record] | None,
        convert: Callable[[Results], Any],
    ) -> asyncio.Future[Any]:
        record_class = record_class or self._session._record_class
        messages = statement.portal(
            values, statement.reader(record_class), max_rows, record_class, sync=False
        )
        return self._send(statement.query, messages, _EXECUTED, convert)

    def run(
        self, statement: Statement, values: Sequence[Any], record_class: type[Record], max_rows: int
    ) -> asyncio.Future[Results]:
        """Queue an execution; gives the event that ends it."""
        return self._run(statement, values, max_rows, record_class, checked_result)

    def ask(
        self, query: str, messages: Sequence[Message | ExtendedQuery], ends: frozenset[type[Event]]
    ) -> asyncio.Future[list[Event]]:
        """Queue other messages; gives the events up to one of ``ends``."""
        return self._send(query, messages, ends, None)

    # The exchange

    def _send(
        self,
        query: str,
        messages: Sequence[Message | ExtendedQuery],
        ends: frozenset[type[Event]],
        convert: Callable[[Results], Any] | None,
    ) -> asyncio.Future[Any]:
        connection = self._connection
        if connection is None or self._hold is None:
            raise InterfaceError("the pipeline was not entered: use `async with`")
        if self._failed:
            raise _aborted()
        if connection.error is not None:
            raise connection.lost_error()
        if not self._queued:
            self._loop.call_soon(self._flush)
        self._queued += messages
        future: asyncio.Future[Any] = self._loop.create_future()
        self._parts.append(_Part(future, query, ends, convert))
        return future

    def _flush(self) -> None:
        """Send what one turn of the event loop has queued."""
        connection = self._connection
        queued, self._queued = self._queued, []
        if not queued or connection is None:
            return
        if connection.error is not None:
            self._abort_parts()
        elif self._request is None:
            self._request = connection.request(*queued, Flush(), on_event=self._take)
            self._request.future.add_done_callback(self._ended)
        elif not self._failed:
            connection.send(*queued, Flush())

    def _ended(self, _: asyncio.Future[list[Event]]) -> None:
        self._abort_parts()  # of a lost connection

    def _take(self, event: Event) -> None:
        """Give an event to the query it belongs to."""
        if isinstance(event, ErrorResponse):
            self._failed = True
            if self._parts:
                part = self._parts.popleft()
                _fail(part, error_from_fields(event.fields, part.query))
            elif self._request is not None:
                self._request.events.append(event)  # the commit's, for who ends the block
            self._abort_parts()
            return
        if not self._parts:
            return  # of the ROLLBACK
        part = self._parts[0]
        if event.__class__ not in part.ends:
            if part.convert is None:
                part.events.append(event)
            return
        self._parts.popleft()
        if part.future.done():
            return
        if part.convert is None:
            part.future.set_result([*part.events, event])
            return
        try:
            part.future.set_result(part.convert(checked_result(event)))
        except Exception as error:  # a decoder's: it is its caller's
            _fail(part, error)

    def _abort_parts(self) -> None:
        connection = self._connection
        while self._parts:
            lost = connection is not None and connection.error is not None
            error = connection.lost_error() if connection is not None and lost else _aborted()
            _fail(self._parts.popleft(), error)


def _fail(part: _Part, error: Exception) -> None:
    if not part.future.done():
        part.future.set_exception(error)
        part.future.exception()  # whoever waits still gets it


def _aborted() -> Exception:
    return InFailedSQLTransactionError("an earlier query of the pipeline failed")


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
        return Pipeline(self)
