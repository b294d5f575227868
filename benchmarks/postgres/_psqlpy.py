"""psqlpy, over Rust's tokio-postgres."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import psqlpy

from benchmarks._model import Unsupported
from benchmarks.postgres._client import POOL_SIZE, PostgresParticipant
from benchmarks.postgres._data import MIXED, SELECT_ARGUMENT, SELECT_ONE
from benchmarks.postgres._wire import DATABASE, USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address
    from benchmarks.postgres._client import Rows
    from benchmarks.postgres._data import Selection, Table

__all__ = ["Client"]


def _uuid(field: bytes) -> UUID:
    return UUID(bytes=field)


class Client(PostgresParticipant):
    """A connection, and for the tasks a pool."""

    name = "psqlpy"
    distributions: ClassVar[tuple[str, ...]] = ("psqlpy",)
    no_stream = "COPY only of values, or of bytes held whole in memory"
    note = (
        "rows as its records (measured: faster than its dicts), with uuid as tuples and a decoder, "
        f"since it gives str else; the tasks share a pool of {POOL_SIZE}"
    )

    # Of columns by name; it is given the field's bytes.
    _decoders: ClassVar[dict[str, dict[str, Any]]] = {
        MIXED.name: {name: _uuid for name, kind in MIXED.columns.items() if kind == "uuid"}
    }

    async def connect(self, address: Address) -> None:
        host, port = address
        self._connection = await psqlpy.connect(
            host=host, port=port, username=USER, db_name=DATABASE
        )
        self._pool = psqlpy.ConnectionPool(
            host=host, port=port, username=USER, db_name=DATABASE, max_db_pool_size=POOL_SIZE
        )

    async def close(self) -> None:
        self._pool.close()
        self._connection.close()

    async def sequential(self, count: int) -> list[Any]:
        fetch_val = self._connection.fetch_val
        return [await fetch_val(SELECT_ONE) for _ in range(count)]

    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        async def one_task(argument: int) -> list[Any]:
            async with self._pool.acquire() as connection:
                fetch_val = connection.fetch_val
                return [await fetch_val(SELECT_ARGUMENT, [argument]) for _ in range(each)]

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        async def one_query(argument: int) -> Any:
            async with self._pool.acquire() as connection:
                return await connection.fetch_val(SELECT_ARGUMENT, [argument])

        async def one_task(argument: int) -> list[Any]:
            return [await one_query(argument) for _ in range(each)]

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        async with self._connection.transaction() as transaction:
            results = await transaction.pipeline(
                [(SELECT_ARGUMENT, [argument]) for argument in arguments]
            )
        return [result.result(as_tuple=True)[0][0] for result in results]

    async def fetch(self, selection: Selection) -> Rows:
        result = await self._connection.fetch(selection.query)
        decoders = self._decoders.get(selection.table.name)
        return (
            result.result(as_tuple=True, custom_decoders=decoders) if decoders else result.records()
        )

    async def copy_records(
        self, table: Table, records: Sequence[tuple[Any, ...]], share: int
    ) -> None:
        # Two threads wait for each other and for the interpreter's lock (0.13.1, within a few
        # calls of 100 000 records), and with them the whole run would.
        raise Unsupported("copy_records_to_table deadlocks the process now and then")

    async def insert_many(self, table: Table, records: Sequence[tuple[Any, ...]]) -> None:
        rows: Any = records  # typed as lists, but tuples will do and need not be made anew
        await self._connection.execute_many(table.insert("$1, $2, $3"), rows)
