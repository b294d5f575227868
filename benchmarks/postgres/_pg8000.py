"""pg8000, which is pure Python and blocking."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks._model import Unsupported
from benchmarks.postgres._client import PostgresParticipant, Tally
from benchmarks.postgres._data import LINES_TABLE, LINES_WHERE, SELECT_ONE, select_lines
from benchmarks.postgres._wire import DATABASE, USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks._model import Address
    from benchmarks.postgres._client import Rows
    from benchmarks.postgres._data import Selection, Table

__all__ = ["Client"]

native: Any = importlib.import_module("pg8000.native")  # which has no types


class Client(PostgresParticipant):
    """A connection, called from the loop's own thread."""

    name = "pg8000"
    distributions: ClassVar[tuple[str, ...]] = ("pg8000",)
    note = "blocking, and so spared the event loop; prepared statements"

    _connection: Any
    _one: Any

    def __init__(self) -> None:
        self._selections: dict[str, Any] = {}
        self._inserts: dict[str, Any] = {}

    async def connect(self, address: Address) -> None:
        host, port = address
        self._connection = native.Connection(USER, host=host, port=port, database=DATABASE)
        self._one = self._connection.prepare(SELECT_ONE)

    async def close(self) -> None:
        self._connection.close()

    async def sequential(self, count: int) -> list[Any]:
        run = self._one.run
        return [run()[0][0] for _ in range(count)]

    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        raise Unsupported("blocking")

    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        raise Unsupported("blocking")

    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        raise Unsupported("no pipeline")

    async def fetch(self, selection: Selection) -> Rows:
        if selection.query not in self._selections:
            self._selections[selection.query] = self._connection.prepare(selection.query)
        rows: Rows = self._selections[selection.query].run()
        return rows

    async def copy_records(
        self, table: Table, records: Sequence[tuple[Any, ...]], share: int
    ) -> None:
        raise Unsupported("COPY only of bytes")

    async def insert_many(self, table: Table, records: Sequence[tuple[Any, ...]]) -> None:
        if table.name not in self._inserts:
            self._inserts[table.name] = self._connection.prepare(table.insert(":a, :b, :c"))
        run = self._inserts[table.name].run
        self._connection.run("begin")
        for a, b, c in records:
            run(a=a, b=b, c=c)
        self._connection.run("commit")

    async def copy_in(self, chunks: Iterable[bytes]) -> int:
        statement = f"copy {LINES_TABLE} from stdin where {LINES_WHERE}"
        self._connection.run(statement, stream=chunks)
        count: int = self._connection.row_count
        return count

    async def copy_out(self, count: int, tally: Tally) -> None:
        stream = _Stream(tally)
        self._connection.run(f"copy ({select_lines(count)}) to stdout", stream=stream)


class _Stream:
    """As much of a file as pg8000 needs."""

    def __init__(self, tally: Tally) -> None:
        self.write = tally.add
