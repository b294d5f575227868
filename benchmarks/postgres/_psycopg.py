"""psycopg's asyncio connection, with its C implementation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from benchmarks.postgres._client import POOL_SIZE, PostgresParticipant, Tally
from benchmarks.postgres._data import LINES_TABLE, LINES_WHERE, SELECT_ONE, select_lines
from benchmarks.postgres._wire import DATABASE, USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks._model import Address
    from benchmarks.postgres._client import Rows
    from benchmarks.postgres._data import Selection, Table

__all__ = ["Client"]

SELECT_ARGUMENT = "select %s::int4"


class Client(PostgresParticipant):
    """A connection in autocommit, and for the tasks a pool.

    Its statements are bytes where they are no literals, as its types want it.
    """

    name = "psycopg"
    distributions: ClassVar[tuple[str, ...]] = ("psycopg", "psycopg-binary", "psycopg-pool")
    note = (
        "autocommit, prepared statements, results and COPY in binary (measured: faster than text); "
        f"one query at a time on a connection, so the tasks share a pool of {POOL_SIZE}"
    )

    @classmethod
    def version(cls) -> str:
        return f"{super().version()}, {psycopg.pq.__impl__}"

    async def connect(self, address: Address) -> None:
        host, port = address
        where = make_conninfo(host=host, port=port, user=USER, dbname=DATABASE)
        self._connection = await psycopg.AsyncConnection.connect(where, autocommit=True)
        self._pool = AsyncConnectionPool(
            where,
            min_size=POOL_SIZE,
            max_size=POOL_SIZE,
            kwargs={"autocommit": True},
            open=False,
        )
        await self._pool.open(wait=True)

    async def close(self) -> None:
        await self._pool.close()
        await self._connection.close()

    async def sequential(self, count: int) -> list[Any]:
        cursor = self._connection.cursor(binary=True)
        values: list[Any] = []
        for _ in range(count):
            await cursor.execute(SELECT_ONE, prepare=True)
            values.append(_only_value(await cursor.fetchone()))
        return values

    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        async def one_task(argument: int) -> list[Any]:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                values: list[Any] = []
                for _ in range(each):
                    await cursor.execute(SELECT_ARGUMENT, (argument,), prepare=True)
                    values.append(_only_value(await cursor.fetchone()))
                return values

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        async def one_query(argument: int) -> Any:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute(SELECT_ARGUMENT, (argument,), prepare=True)
                return _only_value(await cursor.fetchone())

        async def one_task(argument: int) -> list[Any]:
            return [await one_query(argument) for _ in range(each)]

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        cursors: list[psycopg.AsyncCursor[tuple[Any, ...]]] = []
        async with self._connection.pipeline():
            for argument in arguments:
                cursor = self._connection.cursor(binary=True)
                await cursor.execute(SELECT_ARGUMENT, (argument,), prepare=True)
                cursors.append(cursor)
        return [_only_value(await cursor.fetchone()) for cursor in cursors]

    async def fetch(self, selection: Selection) -> Rows:
        async with self._connection.cursor(binary=True) as cursor:
            await cursor.execute(selection.query.encode(), prepare=True)
            return await cursor.fetchall()

    async def copy_records(
        self, table: Table, records: Sequence[tuple[Any, ...]], share: int
    ) -> None:
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(table.copy(share).encode()) as copy,
        ):
            copy.set_types(list(table.columns.values()))
            for record in records:
                await copy.write_row(record)

    async def insert_many(self, table: Table, records: Sequence[tuple[Any, ...]]) -> None:
        async with self._connection.transaction(), self._connection.cursor() as cursor:
            await cursor.executemany(table.insert("%s, %s, %s").encode(), records)

    async def copy_in(self, chunks: Iterable[bytes]) -> int:
        statement = f"copy {LINES_TABLE} from stdin where {LINES_WHERE}".encode()
        async with self._connection.cursor() as cursor:
            async with cursor.copy(statement) as copy:
                for chunk in chunks:
                    await copy.write(chunk)
            return cursor.rowcount

    async def copy_out(self, count: int, tally: Tally) -> None:
        statement = f"copy ({select_lines(count)}) to stdout".encode()
        async with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            async for data in copy:
                tally.add(data)


def _only_value(row: tuple[Any, ...] | None) -> Any:
    return row[0] if row is not None else None
