"""The work by the calls of asyncpg's API, which ours has too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.postgres._client import PostgresParticipant, Tally
from benchmarks.postgres._data import LINES_TABLE, LINES_WHERE, SELECT_ONE, select_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from benchmarks.postgres._client import Rows
    from benchmarks.postgres._data import Selection, Table

__all__ = ["AsyncpgAPI"]


class AsyncpgAPI(PostgresParticipant):
    """`connect` sets ``connection``."""

    connection: Any

    async def sequential(self, count: int) -> list[Any]:
        fetchval = self.connection.fetchval
        return [await fetchval(SELECT_ONE) for _ in range(count)]

    async def fetch(self, selection: Selection) -> Rows:
        rows: Rows = await self.connection.fetch(selection.query)
        return rows

    async def copy_records(
        self, table: Table, records: Sequence[tuple[Any, ...]], share: int
    ) -> None:
        where = table.where(share)
        await self.connection.copy_records_to_table(table.name, records=records, where=where)

    async def insert_many(self, table: Table, records: Sequence[tuple[Any, ...]]) -> None:
        await self.connection.executemany(table.insert("$1, $2, $3"), records)

    async def copy_in(self, chunks: Iterable[bytes]) -> int:
        async def source() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        tag: str = await self.connection.copy_to_table(
            LINES_TABLE, source=source(), where=LINES_WHERE
        )
        return int(tag.removeprefix("COPY "))

    async def copy_out(self, count: int, tally: Tally) -> None:
        async def output(data: bytes) -> None:
            tally.add(data)

        await self.connection.copy_from_query(select_lines(count), output=output)
