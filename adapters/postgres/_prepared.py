"""Prepared statements, as asyncpg's users hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import CommandComplete

from ._cursor import CursorFactory
from ._resource import Resource
from ._results import rows_of
from ._transaction import Transaction
from .exceptions import InterfaceError, InternalClientError, OutdatedSchemaCacheError
from .types import Attribute, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wirekit.protocols.postgres import Record, TypeMap

    from ._resource import Access
    from ._results import Results
    from ._statements import Statement

__all__ = ["PreparedStatement"]

_VECTORS = ("int2vector", "oidvector")  # arrays that do not say so
_KINDS = {"c": "composite", "r": "range", "m": "multirange"}


class PreparedStatement(Resource):
    """A statement that the server has parsed; any number of tasks may use it at once.

    The server forgets it when this object goes.
    """

    __slots__ = ("_attributes", "_parameters", "_record_class", "_statement", "_status")

    def __init__(self, access: Access, statement: Statement, record_class: type[Record]) -> None:
        super().__init__(access)
        self._statement = statement
        self._record_class = record_class
        self._status: str | None = None
        types = access.types
        self._parameters = tuple([_type(types, oid) for oid in statement.parameter_types])
        self._attributes = tuple(
            [Attribute(column.name, _type(types, column.type)) for column in statement.columns]
        )

    # What it is

    def get_name(self) -> str:
        """Return its name at the server; empty for one that is parsed anew each time."""
        self._check("get_name")
        return self._statement.name

    def get_query(self) -> str:
        """Return its text."""
        self._check("get_query")
        return self._statement.query

    def get_statusmsg(self) -> str | None:
        """Return the status of the last command that was run, such as ``"SELECT 1"``.

        It is None before, and after one that was not run to its end.
        """
        self._check("get_statusmsg")
        return self._status

    def get_parameters(self) -> tuple[Type, ...]:
        """Return the types of its parameters."""
        self._check("get_parameters")
        return self._parameters

    def get_attributes(self) -> tuple[Attribute, ...]:
        """Return the columns of its rows."""
        self._check("get_attributes")
        return self._attributes

    # What it does

    async def fetch(self, *args: Any, timeout: float | None = None) -> list[Any]:
        """Run it and return its rows as a list of `Record`."""
        self._check("fetch")
        return await self._run(args, 0, timeout)

    async def fetchrow(self, *args: Any, timeout: float | None = None) -> Any:
        """Run it and return its first row, None if there is none."""
        self._check("fetchrow")
        rows = await self._run(args, 1, timeout)
        return rows[0] if rows else None

    async def fetchval(self, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        """Run it and return a value of its first row, None if there is none."""
        self._check("fetchval")
        rows = await self._run(args, 1, timeout)
        return rows[0][column] if rows else None

    async def fetchmany(
        self, args: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> list[Any]:
        """Run it for each sequence of arguments, all or none, and return all rows."""
        self._check("fetchmany")
        return await self._run_many(args, self._record_class, timeout)

    async def executemany(
        self, args: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> None:
        """Run it for each sequence of arguments, all or none."""
        self._check("executemany")
        await self._run_many(args, None, timeout)

    def cursor(
        self, *args: Any, prefetch: int | None = None, timeout: float | None = None
    ) -> CursorFactory:
        """Return what can be iterated over for its rows, or awaited for a `Cursor`.

        Args:
            args: its arguments.
            prefetch: how many rows the iteration asks for at a time, by default 50.
            timeout: seconds for each time that the server is asked.
        """
        self._check("cursor")
        return CursorFactory(
            self._access,
            self._statement.query,
            args,
            prefetch,
            timeout,
            self._record_class,
            statement=self._statement,
            keeper=self,
        )

    async def explain(self, *args: Any, analyze: bool = False) -> Any:
        """Return the plan by which the server runs it, as EXPLAIN gives it in JSON.

        Args:
            args: its arguments.
            analyze: run it, in a transaction that is rolled back, to have times as well.
        """
        self._check("explain")
        access = self._access
        options = "FORMAT JSON, VERBOSE, ANALYZE" if analyze else "FORMAT JSON, VERBOSE"
        query = f"EXPLAIN ({options}) {self._statement.query}"
        if analyze:
            transaction = Transaction(access, None, readonly=False, deferrable=False)
            await transaction.start()
            try:
                found = await access.execute(query, args, 1, None, None)
            finally:
                await transaction.rollback()
        else:
            found = await access.execute(query, args, 1, None, None)
        plan = rows_of(found)[0][0]
        return json.loads(plan) if isinstance(plan, str) else plan

    async def _run(self, args: Sequence[Any], max_rows: int, timeout: float | None) -> list[Any]:
        access, statement = self._access, self._statement
        async with access.limited(timeout):
            try:
                found = await access.execute(
                    statement.query, args, max_rows, self._record_class, statement
                )
            except OutdatedSchemaCacheError:
                statement.closed = True
                raise
        self._status = _status(found)
        return rows_of(found)

    async def _run_many(
        self,
        args: Iterable[Sequence[Any]],
        record_class: type[Record] | None,
        timeout: float | None,
    ) -> list[Any]:
        async with self._access.limited(timeout):
            return await self._access.run_many(self._statement, args, record_class)

    def _check(self, method: str) -> None:
        if self._statement.closed:
            text = f"cannot call PreparedStmt.{method}(): the prepared statement is closed"
            raise InterfaceError(text)
        super()._check(method)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._statement.name!r}>"

    def __del__(self) -> None:
        # From any thread, and as late as when the interpreter ends.
        if self._statement.name:
            self._access.close_anyhow("S", self._statement.name)


def _status(found: Results) -> str | None:
    return found.tag if isinstance(found, CommandComplete) else None


def _type(types: TypeMap, oid: int) -> Type:
    """Return what asyncpg says of a type: of a domain, what its base is."""
    info = types.info(oid)
    base = info
    while base is not None and base.kind == "d":
        base = types.info(base.base)
    if base is None:
        raise InternalClientError(f"missing codec information for OID {oid}")
    if base.element:
        element = types.info(base.element)
        name = base.name if element is None else f"{element.name}[]"
        return Type(oid, name, "array", base.schema)
    if base.name in _VECTORS and base.schema == "pg_catalog":
        return Type(oid, f"{base.name}[]", "array", base.schema)
    return Type(oid, base.name, _KINDS.get(base.kind, "scalar"), base.schema)
