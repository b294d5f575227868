"""Cursors: the rows of a query, some at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import (
    CommandComplete,
    Describe,
    DescribedRowReader,
    EmptyQueryResponse,
    Execute,
    Query,
    RowDescription,
    Sync,
    TransactionStatus,
)

from ._resource import Resource
from ._results import last_tag, raise_error, rows_of
from .exceptions import InterfaceError, NoActiveSQLTransactionError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from wirekit.protocols.postgres import Event, Message, Record, RowSink

    from ._connection import Connection
    from ._resource import Access
    from ._statements import Statement

__all__ = ["Cursor", "CursorFactory", "CursorIterator"]

_PREFETCH = 50  # rows


class CursorFactory(Resource):
    """What ``cursor`` returns: iterate over it for the rows, or await it for a `Cursor`.

    Args:
        access: to the client.
        query: the query.
        statement: of a `PreparedStatement`, which ``keeper`` is.
        args: of the query.
        prefetch: how many rows the iteration asks for at a time.
        timeout: seconds for each time that the server is asked.
        record_class: what rows are made.
        keeper: is not to be closed while the cursor is used.
    """

    __slots__ = (
        "_args",
        "_keeper",
        "_prefetch",
        "_query",
        "_record_class",
        "_statement",
        "_timeout",
    )

    def __init__(
        self,
        access: Access,
        query: str,
        args: Sequence[Any],
        prefetch: int | None,
        timeout: float | None,
        record_class: type[Record] | None,
        *,
        statement: Statement | None = None,
        keeper: object = None,
    ) -> None:
        super().__init__(access)
        self._query = query
        self._args = args
        self._prefetch = prefetch
        self._timeout = timeout
        self._record_class = record_class
        self._statement = statement
        self._keeper = keeper

    def __aiter__(self) -> CursorIterator:
        self._check("__aiter__")
        prefetch = _PREFETCH if self._prefetch is None else self._prefetch
        return CursorIterator(self._access, self._portal(), prefetch, self._timeout)

    def __await__(self) -> Generator[Any, None, Cursor]:
        self._check("__await__")
        if self._prefetch is not None:
            text = "prefetch argument can only be specified for iterable cursor"
            raise InterfaceError(text)
        return self._open().__await__()

    async def _open(self) -> Cursor:
        portal = self._portal()
        async with self._access.limited(self._timeout):
            await portal.open(0)
        return Cursor(self._access, portal)

    def _portal(self) -> Portal:
        record_class = self._record_class or self._access.record_class
        return Portal(
            self._access, self._query, self._args, record_class, self._statement, self._keeper
        )


class Portal:
    """A query that the server holds ready for its rows to be fetched.

    Attributes:
        exhausted: there are no more rows.
    """

    __slots__ = (
        "_access",
        "_args",
        "_keeper",
        "_lost",
        "_name",
        "_query",
        "_record_class",
        "_sink",
        "_statement",
        "exhausted",
    )

    def __init__(
        self,
        access: Access,
        query: str,
        args: Sequence[Any],
        record_class: type[Record],
        statement: Statement | None,
        keeper: object,
    ) -> None:
        self._access = access
        self._query = query
        self._args = args
        self._record_class = record_class
        self._statement = statement
        self._keeper = keeper
        self._name = ""  # while it is open
        self._sink: RowSink | None = None  # takes the rows
        self._lost = False  # nobody knows how many rows were fetched
        self.exhausted = False

    @property
    def is_open(self) -> bool:
        """Whether the server has it."""
        return bool(self._name)

    async def open(self, max_rows: int) -> list[Any]:
        """Have the server make it, and unless ``max_rows`` is 0 fetch the first rows at once."""
        connection, statement = await self._find_statement()
        record_class = self._record_class
        name = f"wirekit_portal_{next(self._access.numbers)}"
        messages: list[Message] = statement.bind(name, self._args)
        sink: RowSink | None = statement.reader(record_class)
        parsed_anew = not statement.name  # now: it may leave the cache while we wait
        if parsed_anew:
            # Its columns may have changed since they were described.
            messages.append(Describe("P", name))
            sink = DescribedRowReader(statement.described(record_class))
        if max_rows:
            messages.append(Execute(name, max_rows, sink))
        self._name = name
        try:
            events = await self._ask(connection, *messages, Sync())
        except BaseException:
            self.close()
            raise
        self._sink = sink
        if parsed_anew:
            self._sink = None
            for event in events:
                if isinstance(event, RowDescription):
                    self._sink = statement.described(record_class)(event)
        return self._rows(events[-1]) if max_rows else []

    async def fetch(self, max_rows: int) -> list[Any]:
        """Return the next rows."""
        connection = await self._ready()
        events = await self._ask(connection, Execute(self._name, max_rows, self._sink), Sync())
        return self._rows(events[-1])

    async def move(self, count: int) -> int:
        """Skip rows, and return how many there were."""
        connection = await self._ready()
        events = await self._ask(connection, Query(f"MOVE FORWARD {count:d} {self._name}"))
        return int(last_tag(events).split()[1])

    def close(self) -> None:
        """Have the server forget it, which nobody needs to wait for."""
        name, self._name = self._name, ""
        if name and self._access.connection.status is not TransactionStatus.IDLE:
            self._access.close_later("P", name)

    async def _find_statement(self) -> tuple[Connection, Statement]:
        """Return the connection when it is this caller's turn, and a statement that is there."""
        while True:
            statement = self._statement or await self._access.find_statement(self._query)
            connection = await self._ready()
            if not statement.closed:
                return connection, statement
            if statement is self._statement:
                raise InterfaceError("cursor: the prepared statement is closed")

    async def _ready(self) -> Connection:
        if self._lost:
            text = "the cursor is of no use: fetching from it was cancelled, and rows are lost"
            raise InterfaceError(text)
        connection = await self._access.ready()
        if connection.status is TransactionStatus.IDLE:
            text = "cursor cannot be created outside of a transaction"
            raise NoActiveSQLTransactionError(text)
        return connection

    async def _ask(self, connection: Connection, *messages: Message) -> list[Event]:
        request = connection.request(*messages)
        try:
            events = await self._access.answer(request)
        except asyncio.CancelledError:
            self._lost = True
            raise
        raise_error(events, self._query)
        return events

    def _rows(self, event: Event) -> list[Any]:
        self.exhausted = isinstance(event, CommandComplete | EmptyQueryResponse)
        return rows_of(self._access.result(event))

    def __del__(self) -> None:
        if self._name:
            self._access.close_anyhow("P", self._name)


class CursorIterator(Resource):
    """The rows of a query one by one, while the server is asked for more of them at a time."""

    __slots__ = ("_busy", "_portal", "_prefetch", "_rows", "_timeout")

    def __init__(
        self, access: Access, portal: Portal, prefetch: int, timeout: float | None
    ) -> None:
        super().__init__(access)
        if prefetch <= 0:
            raise InterfaceError("prefetch argument must be greater than zero")
        self._portal = portal
        self._prefetch = prefetch
        self._timeout = timeout
        self._rows: deque[Any] = deque()
        self._busy = False

    def __aiter__(self) -> CursorIterator:
        return self

    async def __anext__(self) -> Any:
        """Return the next row.

        Raises:
            InterfaceError: another task waits for it; or the connection is of no use any more.
            NoActiveSQLTransactionError: there is no transaction, or it is over.
        """
        portal = self._portal
        self._check("__anext__")
        if not self._rows and not portal.exhausted:
            if self._busy:
                text = "cannot perform operation: another operation is in progress"
                raise InterfaceError(text)
            self._busy = True
            try:
                await self._fetch()
            finally:
                self._busy = False
        if not self._rows:
            raise StopAsyncIteration
        return self._rows.popleft()

    async def _fetch(self) -> None:
        portal = self._portal
        async with self._access.limited(self._timeout):
            fetch = portal.fetch if portal.is_open else portal.open
            self._rows.extend(await fetch(self._prefetch))
        if portal.exhausted:
            portal.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'exhausted ' * self._portal.exhausted}{id(self):#x}>"


class Cursor(Resource):
    """An open portal: the rows of a query, as many at a time as are asked for."""

    __slots__ = ("_portal",)

    def __init__(self, access: Access, portal: Portal) -> None:
        super().__init__(access)
        self._portal = portal

    async def fetch(self, n: int, *, timeout: float | None = None) -> list[Any]:
        """Return the next ``n`` rows as a list of `Record`; fewer at the end.

        Raises:
            NoActiveSQLTransactionError: the transaction is over.
        """
        portal = self._portal
        self._check("fetch")
        _check_count(n)
        if portal.exhausted:
            return []
        async with self._access.limited(timeout):
            rows = await portal.fetch(n)
        portal.exhausted = len(rows) < n
        return rows

    async def fetchrow(self, *, timeout: float | None = None) -> Any:
        """Return the next row as a `Record`, None if there is none."""
        rows = await self.fetch(1, timeout=timeout)
        return rows[0] if rows else None

    async def forward(self, n: int, *, timeout: float | None = None) -> int:
        """Skip the next ``n`` rows, and return how many there were."""
        portal = self._portal
        self._check("forward")
        _check_count(n)
        async with self._access.limited(timeout):
            skipped = await portal.move(n)
        if skipped < n:
            portal.exhausted = True
        return skipped

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'exhausted ' * self._portal.exhausted}{id(self):#x}>"


def _check_count(n: int) -> None:
    if n <= 0:
        raise InterfaceError("n must be greater than zero")
