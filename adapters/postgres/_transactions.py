"""The part of the client that begins transactions, opens cursors and prepares statements."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, cast

from wirekit.protocols.postgres import Record

from ._cursor import CursorFactory
from ._prepared import PreparedStatement
from ._queries import Queries
from ._resource import Access
from ._transaction import Transaction
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._settings import Opened
    from ._statements import Statement
    from ._transaction import Isolation

__all__ = ["Transactions"]


class Transactions(Queries):
    """The part of the client that makes what lives on it: transactions, cursors, statements."""

    _access: Access
    _loop: asyncio.AbstractEventLoop

    def _use(self, opened: Opened) -> None:
        super()._use(opened)
        self._loop = asyncio.get_running_loop()
        self._access = Access(
            connection=opened.connection,
            ownership=self._ownership,
            types=self._types,
            record_class=self._record_class,
            releases=lambda: self._releases,
            refuse_in_pipeline=self._refuse_in_pipeline,
            ready=self._ready,
            answer=self._answer,
            # Looked up each time, as a query logger takes the places of these.
            limited=lambda timeout: self._limited(timeout),
            command=self._command,
            find_statement=self._find_statement,
            execute=lambda query, values, max_rows, record_class, statement: self._execute(
                query, values, max_rows, record_class, statement
            ),
            result=self._result,
            run_many=lambda statement, args, record_class: self._run_many(
                statement, args, record_class
            ),
            close_later=self._close_later,
            close_anyhow=self._close_anyhow,
        )

    def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
    ) -> Transaction:
        """Return a transaction, for ``async with``; inside of another one it is a savepoint.

        Args:
            isolation: ``"serializable"``, ``"repeatable_read"``, ``"read_committed"`` or
                ``"read_uncommitted"``; by default the session's.
            readonly: nothing may be written.
            deferrable: with ``"serializable"`` and ``readonly``: wait at first rather than fail
                later.
        """
        self._check_open()
        return Transaction(self._access, isolation, readonly, deferrable)

    def cursor(
        self,
        query: str,
        *args: Any,
        prefetch: int | None = None,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> CursorFactory:
        """Return what can be iterated over for a query's rows, or awaited for a `Cursor`.

        Both need a transaction.

        Args:
            query: the query.
            args: its arguments.
            prefetch: how many rows the iteration asks for at a time, by default 50.
            timeout: seconds for each time that the server is asked.
            record_class: what rows are made.
        """
        self._check_open()
        _check_record_class(record_class)
        return CursorFactory(self._access, query, args, prefetch, timeout, record_class)

    async def prepare(
        self,
        query: str,
        *,
        name: str | None = None,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> PreparedStatement:
        """Have the server parse a query, to be run many times.

        Without a ``statement_cache_size`` and a ``name`` it is parsed anew each time, because a
        pooler may choose another server.

        Args:
            query: the query.
            name: its name at the server; by default one is chosen.
            timeout: seconds.
            record_class: what rows are made.
        """
        self._check_open()
        _check_record_class(record_class)
        async with self._limited(timeout):
            statement = await self._prepare(query, name=name, keep=False)
        return PreparedStatement(self._access, statement, record_class or self._record_class)

    # For what lives on the client

    async def _command(self, command: str, answered: Callable[[object], None]) -> str:
        return await self._query(command, protected=True, answered=answered)

    async def _find_statement(self, query: str) -> Statement:
        return self._statements.get(query) or await self._prepare(query)

    def _close_anyhow(self, kind: Literal["S", "P"], name: str) -> None:
        """Close a statement or portal that is garbage; the collector runs in any thread."""
        if not self._loop.is_closed():
            with suppress(RuntimeError):  # it was closed just now
                self._loop.call_soon_threadsafe(self._close_later, kind, name)


def _check_record_class(record_class: type[Record] | None) -> None:
    if record_class is not None and not issubclass(cast("type", record_class), Record):
        raise InterfaceError("record_class is expected to be a subclass of Record")
