"""Queries, as asyncpg's users write them."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import (
    CommandComplete,
    ErrorResponse,
    TransactionStatus,
)

from ._arguments import check_query
from ._results import raise_error, rows_of
from ._session import Session
from .exceptions import PostgresError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wirekit.protocols.postgres import Record, RowSink

    from ._connection import Connection
    from ._request import Request
    from ._statements import Statement

__all__ = ["Queries"]

_BATCH = 65536  # bytes of executions written at a time


class Queries(Session):
    """The part of the client that runs queries."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Run commands and return the status of the last, such as ``"INSERT 0 1"``.

        Without arguments there may be several, separated by semicolons.
        """
        check_query(query)
        async with self._limited(timeout):
            if not args and (self._pipeline is None or not self._pipeline.is_ours):
                return await self._query(query)
            event = await self._execute(query, args)
        return event.tag if isinstance(event, CommandComplete) else ""

    async def fetch(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> list[Any]:
        """Run a query and return its rows as a list of `Record`."""
        if timeout is None and self._command_timeout is None:
            return rows_of(await self._execute(query, args, 0, record_class))
        async with self._limited(timeout):
            return rows_of(await self._execute(query, args, 0, record_class))

    async def fetchrow(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> Any:
        """Run a query and return its first row, None if there is none."""
        if timeout is None and self._command_timeout is None:
            rows = rows_of(await self._execute(query, args, 1, record_class))
        else:
            async with self._limited(timeout):
                rows = rows_of(await self._execute(query, args, 1, record_class))
        return rows[0] if rows else None

    async def fetchval(
        self, query: str, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any:
        """Run a query and return a value of its first row, None if there is none."""
        if timeout is None and self._command_timeout is None:
            rows = rows_of(await self._execute(query, args, 1))
        else:
            async with self._limited(timeout):
                rows = rows_of(await self._execute(query, args, 1))
        return rows[0][column] if rows else None

    async def fetchmany(
        self,
        query: str,
        args: Iterable[Sequence[Any]],
        *,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> list[Any]:
        """Run a query for each sequence of arguments, all or none, and return all rows."""
        async with self._limited(timeout):
            return await self._many(query, args, record_class or self._record_class)

    async def executemany(
        self, command: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> None:
        """Run a command for each sequence of arguments, all or none."""
        async with self._limited(timeout):
            await self._many(command, args, None)

    async def _many(
        self, query: str, args: Iterable[Sequence[Any]], record_class: type[Record] | None
    ) -> list[Any]:
        await self._ready()
        if self._statements.keeps(query) and self._statements.get(query) is None:
            await self._prepare(query)  # while others use the connection as well
        # Nobody is to change a table between the description of its columns and their rows.
        async with self._ownership.holding():
            statement = self._statements.get(query) or await self._prepare(query)
            try:
                return await self._run_many(statement, args, record_class)
            except PostgresError as error:
                stale = self._drop_stale(statement, error)
                again = stale and self._open_connection.status is TransactionStatus.IDLE
                if not again or iter(args) is args:  # some of the arguments would be lacking
                    raise
            return await self._run_many(await self._prepare(query), args, record_class)

    async def _run_many(
        self,
        statement: Statement,
        args: Iterable[Sequence[Any]],
        record_class: type[Record] | None,
    ) -> list[Any]:
        """Run a statement for each sequence of arguments, with one Sync for all."""
        self._refuse_in_pipeline()
        rows = iter(args)
        sink = None if record_class is None else statement.reader(record_class)
        # Until the Sync all is one transaction, which nobody else must come into.
        hold = await self._ownership.take(exclusive=True)
        try:
            connection = await self._writable()
            # It may leave the cache before the last batch; the server has it until the Sync.
            statement = copy(statement)
            first = statement.many(rows, sink, _BATCH)
            if not first.count:
                return []
            anew = () if statement.name else (statement.parse(),)
            request = connection.request(*anew, first)
            try:
                await self._send_rest(connection, request, statement, rows, sink, first.count)
            except BaseException as error:
                if connection.error is None:
                    connection.send_sync(undo=True)
                if isinstance(error, Exception) and connection.error is None:
                    await self._answer(request)
                connection.abandon(request)
                raise
            connection.send_sync(undo=False)
            events = await self._answer(request)
        finally:
            self._ownership.release(hold)
        raise_error(events, statement.query)
        results: list[Any] = []
        for event in events:
            if isinstance(event, CommandComplete):
                results += rows_of(self._result(event))
        return results

    async def _send_rest(
        self,
        connection: Connection,
        request: Request,
        statement: Statement,
        rows: Iterator[Any],
        sink: RowSink | None,
        sent: int,
    ) -> None:
        failed = False
        while not failed:
            await connection.written()
            batch = statement.many(rows, sink, _BATCH, start=sent)
            if not batch.count:
                return
            sent += batch.count
            failed = any(isinstance(event, ErrorResponse) for event in request.events)
            if not failed:
                connection.send(batch)
