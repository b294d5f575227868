"""Tables, and what is known of them, change while queries are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.adapters.postgres._login import client
from tests.interop.waiting import outcomes, turns
from tests.servers import RunningServer
from wirekit.adapters.postgres import OutdatedSchemaCacheError

ROWS = 3000  # of executemany, in several batches


@pytest.fixture(params=[100, 1, 0], ids=["cached", "one_cached", "anew"])
async def db(request: pytest.FixtureRequest, postgres: RunningServer) -> AsyncIterator[Any]:
    async with client(postgres, statement_cache_size=request.param) as made:
        await made.execute("CREATE TEMP TABLE items (n int4); INSERT INTO items VALUES (2)")
        yield made


async def with_a_change_meanwhile(db: Any, call: Any) -> Any:
    """Return what a call gives, behind which another task changes the type of the column."""
    called = asyncio.ensure_future(call)
    await turns(1)
    change = "ALTER TABLE items ALTER n TYPE text USING 'changed'"
    result, changed = await outcomes(called, db.execute(change))
    assert changed == "ALTER TABLE"
    return result


async def copied(db: Any) -> list[Any]:
    return [tuple(row) async for row in db.copy_records_from_table("items")]


async def test_copy_to_us(db: Any) -> None:
    assert await with_a_change_meanwhile(db, copied(db)) == [(2,)]
    assert await copied(db) == [("changed",)]


async def test_copy_from_us(db: Any) -> None:
    copying = db.copy_records_to_table("items", records=[(3,)])
    assert await with_a_change_meanwhile(db, copying) == "COPY 1"
    assert await db.fetchval("SELECT count(*) FROM items WHERE n = 'changed'") == 2


async def test_many_with_rows(db: Any) -> None:
    query = "SELECT n FROM items WHERE $1"
    rows = await with_a_change_meanwhile(db, db.fetchmany(query, [(True,), (True,)]))
    assert rows in ([(2,), (2,)], [("changed",), ("changed",)])
    assert await db.fetchmany(query, [(True,), (False,)]) == [("changed",)]


async def test_what_is_known_is_forgotten_between_the_batches_of_many(db: Any) -> None:
    def numbers() -> Iterator[tuple[int, str]]:
        for number in range(ROWS):
            if number == ROWS // 2:
                db.forget_schema()  # as a pool has it when another connection sees a change
            yield number, "x" * 100

    await db.execute("TRUNCATE items")
    await db.executemany("INSERT INTO items SELECT $1::int4 WHERE $2::text <> ''", numbers())
    found = await db.fetchrow("SELECT count(*), sum(n) FROM items")
    assert tuple(found) == (ROWS, sum(range(ROWS)))
    rows = await db.fetchmany("SELECT $1::int4 WHERE $2::text <> ''", numbers())
    assert rows == [(number,) for number in range(ROWS)]


async def test_what_is_known_is_forgotten_while_a_cursor_is_opened(db: Any) -> None:
    query = "SELECT i FROM generate_series(1, 100) i"
    await db.fetch(query)
    for waited in range(6):
        async with db.transaction():

            async def opened() -> Any:
                return await db.cursor(query)

            opening = asyncio.create_task(opened())
            await turns(waited)
            db.forget_schema()
            cursor = await opening
            assert await cursor.fetch(2) == [(1,), (2,)]
            assert await cursor.forward(5) == 5
            assert tuple(await cursor.fetchrow()) == (8,)


async def by_cursor(db: Any, query: str) -> list[Any]:
    async with db.transaction():
        return [row[0] async for row in db.cursor(query)]


async def by_awaited_cursor(db: Any, query: str) -> list[Any]:
    async with db.transaction():
        cursor = await db.cursor(query)
        return [row[0] for row in await cursor.fetch(10)]


async def by_pipeline(db: Any, query: str) -> list[Any]:
    async with db.pipeline() as pipeline:
        fetched = pipeline.fetch(query)
    return [row[0] for row in await fetched]


async def by_copy(db: Any, query: str) -> list[Any]:
    return [row[0] async for row in db.copy_records_from_query(query)]


async def by_columns(db: Any, query: str) -> list[Any]:
    return list((await db.fetch_columns(query, format="python"))["pair"])


async def by_many(db: Any, query: str) -> list[Any]:
    return [row[0] for row in await db.fetchmany(query, [()])]


@pytest.mark.parametrize(
    "run", [by_cursor, by_awaited_cursor, by_pipeline, by_copy, by_columns, by_many]
)
async def test_a_changed_composite_type_is_looked_up_again(db: Any, run: Any) -> None:
    await db.execute("CREATE TYPE pg_temp.pair AS (a int4, b text)")
    await db.execute("CREATE TEMP TABLE pairs (pair pair); INSERT INTO pairs VALUES ((1, 'x'))")
    query = "SELECT pair FROM pairs"
    assert await run(db, query) == [(1, "x")]
    await db.execute("ALTER TYPE pair ADD ATTRIBUTE c int4 CASCADE")
    with pytest.raises(OutdatedSchemaCacheError, match="2 were known"):
        await run(db, query)
    assert await run(db, query) == [(1, "x", None)]
    assert await db.fetchval(query) == (1, "x", None)
