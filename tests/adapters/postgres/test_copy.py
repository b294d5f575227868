"""COPY with real servers: asyncpg's methods, and binary COPY to us as records."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import inspect
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.servers import RunningServer
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres import Postgres, Record

from ._login import client, login

ASYNCPG: Any = importlib.import_module("asyncpg")

ROWS = [(1, "a\tb", Decimal("1.50")), (2, None, None), (3, "", Decimal(0))]
TEXT = b"1\ta\\tb\t1.50\n2\t\\N\t\\N\n3\t\t0\n"


@pytest.fixture
async def db(postgres: RunningServer) -> AsyncGenerator[Postgres]:
    async with client(postgres) as opened:
        await opened.execute("CREATE TEMP TABLE t (id int4, name text, price numeric)")
        yield opened


async def count(db: Postgres, table: str = "t") -> int:
    number: int = await db.fetchval(f"SELECT count(*) FROM {table}")
    return number


async def fill(db: Postgres) -> None:
    assert await db.copy_records_to_table("t", records=ROWS) == "COPY 3"


def gives(*chunks: bytes) -> AsyncIterator[bytes]:
    async def generate() -> AsyncIterator[bytes]:
        for chunk in chunks:
            await asyncio.sleep(0)
            yield chunk

    return generate()


# Asyncpg's methods ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["copy_from_table", "copy_from_query", "copy_to_table", "copy_records_to_table"]
)
def test_signatures_are_asyncpgs(name: str) -> None:
    ours = inspect.signature(getattr(Postgres, name)).parameters
    theirs = inspect.signature(getattr(ASYNCPG.Connection, name)).parameters
    assert [(one.name, one.kind, one.default) for one in ours.values()] == [
        (one.name, one.kind, one.default) for one in theirs.values()
    ]


async def test_to_a_file_and_back(db: Postgres) -> None:
    await fill(db)
    file = io.BytesIO()
    assert await db.copy_from_table("t", output=file) == "COPY 3"
    assert file.getvalue() == TEXT
    file.seek(0)
    assert await db.copy_to_table("t", source=file) == "COPY 3"
    assert [tuple(row) for row in await db.fetch("SELECT * FROM t")] == ROWS * 2


async def test_to_a_path_and_back(db: Postgres, tmp_path: Path) -> None:
    await fill(db)
    for path in (tmp_path / "as a path", str(tmp_path / "as text")):
        assert await db.copy_from_table("t", output=path, format="binary") == "COPY 3"
        assert Path(path).stat().st_size > 19  # noqa: ASYNC240 - a small file
        assert await db.copy_to_table("t", source=path, format="binary") == "COPY 3"
        await db.execute("DELETE FROM t WHERE ctid NOT IN (SELECT ctid FROM t LIMIT 3)")


async def test_to_a_coroutine_function(db: Postgres) -> None:
    await fill(db)
    chunks: list[bytes] = []

    async def take(chunk: bytes) -> None:
        assert type(chunk) is bytes
        chunks.append(chunk)

    assert await db.copy_from_table("t", output=take, columns=["name", "id"]) == "COPY 3"
    assert b"".join(chunks) == b"a\\tb\t1\n\\N\t2\n\t3\n"


@pytest.mark.parametrize(
    "source",
    [
        lambda: gives(TEXT),
        lambda: gives(*[TEXT[place : place + 1] for place in range(len(TEXT))]),
        lambda: gives(b"", TEXT[:5], b"", TEXT[5:], b""),
        lambda: TEXT,
        lambda: bytearray(TEXT),
        lambda: memoryview(TEXT),
    ],
)
async def test_sources(db: Postgres, source: Callable[[], Any]) -> None:
    assert await db.copy_to_table("t", source=source()) == "COPY 3"
    assert [tuple(row) for row in await db.fetch("SELECT * FROM t")] == ROWS


async def test_options(db: Postgres) -> None:
    await db.copy_to_table(
        "t",
        source=b"ID;NAME\n7;'x''y'\n8;~\n",
        columns=["id", "name"],
        format="csv",
        delimiter=";",
        null="~",
        header=True,
        quote="'",
        escape="'",
        force_not_null=["id"],
        force_null=["name"],
        encoding="latin1",
        where="id > 1",
    )
    file = io.BytesIO()
    await db.copy_from_query(
        "SELECT id, name FROM t WHERE id >= $1 -- all",
        7,
        output=file,
        format="csv",
        delimiter="|",
        null="\\",
        header=True,
        quote='"',
        escape="\\",
        force_quote=("id",),
    )
    assert file.getvalue() == b'id|name\n"7"|x\'y\n"8"|\\\n'
    file = io.BytesIO()
    await db.copy_from_table("t", output=file, format="csv", columns=["id"], force_quote=True)
    assert file.getvalue() == b'"7"\n"8"\n'


async def test_a_header_that_has_to_match(db: Postgres) -> None:
    names: dict[str, Any] = {"columns": ["id", "name"], "format": "csv", "header": "match"}
    assert await db.copy_to_table("t", source=b"id,name\n1,x\n", **names) == "COPY 1"
    with pytest.raises(pg.BadCopyFileFormatError, match="column name mismatch"):
        await db.copy_to_table("t", source=b"id,other\n1,x\n", **names)


async def test_frozen_rows(db: Postgres) -> None:
    async with db.transaction():
        await db.execute("TRUNCATE t")
        assert await db.copy_to_table("t", source=TEXT, freeze=True) == "COPY 3"


async def test_names_that_need_quotes(db: Postgres) -> None:
    await db.execute('CREATE TEMP TABLE "a ""b""" ("from" int4, "É;" text)')
    copied: dict[str, Any] = {"columns": ["É;", "from"], "schema_name": "pg_temp"}
    assert await db.copy_records_to_table('a "b"', records=[("x", 1)], **copied) == "COPY 1"
    rows = [row async for row in db.copy_records_from_table('a "b"', **copied)]
    assert rows == [("x", 1)]
    assert list(rows[0].keys()) == ["É;", "from"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("int8", 5), ("text", None), ("text", "it's \\ $1"), ("text", "E'"), ("bool", True)),
        *(("bytea", b"\x00\\'"), ("float8", 1.5), ("numeric", Decimal("NaN"))),
        *(("int4[]", [1, None, 2]), ("text[]", ["a'b", None])),
        *(("date", datetime.date(2020, 2, 29)), ("interval", datetime.timedelta(3, 4, 5))),
        ("timestamptz", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)),
    ],
)
async def test_arguments_are_spelled_by_the_server(db: Postgres, name: str, value: Any) -> None:
    query = f"SELECT $1::{name} AS value, pg_typeof($1)::text AS type, '$1' AS dollar"
    expected = await db.fetchrow(query, value)
    (row,) = [row async for row in db.copy_records_from_query(query, value)]
    assert tuple(row)[1:] == tuple(expected)[1:]
    assert repr(row["value"]) == repr(expected["value"])


async def test_wrong_arguments(db: Postgres) -> None:
    with pytest.raises(pg.InterfaceError, match="expects 1 argument"):
        await db.copy_from_query("SELECT $1::int4", 1, 2, output=io.BytesIO())
    with pytest.raises(pg.DataError, match=r"argument \$1"):
        await db.copy_from_query("SELECT $1::int4", "x", output=io.BytesIO())
    assert await count(db) == 0


async def test_errors_before_anything_is_copied(db: Postgres) -> None:
    with pytest.raises(pg.UndefinedTableError) as caught:
        await db.copy_from_table("missing", output=io.BytesIO())
    assert caught.value.query == 'COPY "missing" TO STDOUT'
    with pytest.raises(pg.UndefinedTableError):
        await db.copy_to_table("missing", source=b"")
    with pytest.raises(pg.UndefinedTableError):
        await db.copy_records_to_table("missing", records=[])
    with pytest.raises(TypeError, match="output is expected to be"):
        await db.copy_from_table("t", output=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="source is expected to be"):
        await db.copy_to_table("t", source=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(FileNotFoundError):
        await db.copy_to_table("t", source="/missing/file")
    assert await count(db) == 0


# Records to a table --------------------------------------------------------------------------


async def test_records_from_all_kinds_of_iterables(db: Postgres) -> None:
    async def rows() -> AsyncIterator[list[Any]]:
        for row in ROWS:
            await asyncio.sleep(0)
            yield list(row)

    assert await db.copy_records_to_table("t", records=ROWS) == "COPY 3"
    assert await db.copy_records_to_table("t", records=iter(ROWS)) == "COPY 3"
    assert await db.copy_records_to_table("t", records=rows()) == "COPY 3"
    assert (
        await db.copy_records_to_table("t", records=await db.fetch("SELECT * FROM t")) == "COPY 9"
    )
    assert await db.copy_records_to_table("t", records=[]) == "COPY 0"
    assert [tuple(row) for row in await db.fetch("SELECT * FROM t")] == ROWS * 6


async def test_records_of_some_columns_under_a_condition(db: Postgres) -> None:
    columns = (name for name in ("name", "id"))
    status = await db.copy_records_to_table(
        "t",
        records=[("x", 1), ("y", 2)],
        columns=columns,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        where="id = 2",
    )
    assert status == "COPY 1"
    assert tuple(await db.fetchrow("SELECT * FROM t")) == (2, "y", None)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_value_that_is_none_of_its_column(db: Postgres, is_async: bool) -> None:
    def records(*rows: Any) -> Any:
        async def generate() -> AsyncIterator[Any]:
            for row in rows:
                yield row

        return generate() if is_async else rows

    with pytest.raises(TypeError) as wrong:
        await db.copy_records_to_table("t", records=records(ROWS[0], (1, 2, None)))
    assert wrong.value.__notes__ == ["records[1], column 'name'"]
    with pytest.raises(OverflowError):
        await db.copy_records_to_table("t", records=records((1 << 40, "x", None)))
    with pytest.raises(pg.InterfaceError, match=r"records\[1\]: 3 values are wanted, and 1"):
        await db.copy_records_to_table("t", records=records(ROWS[0], (1,)))
    with pytest.raises(pg.InterfaceError, match="got dict"):
        await db.copy_records_to_table("t", records=records({1: 2, 3: 4, 5: 6}))
    with pytest.raises(pg.InterfaceError, match="got int"):
        await db.copy_records_to_table("t", records=records(5))
    assert await count(db) == 0


async def test_a_type_without_a_binary_format(db: Postgres) -> None:
    await db.execute("CREATE TEMP TABLE acls (acl aclitem)")
    with pytest.raises(pg.InternalClientError, match="no binary format encoder for type aclitem"):
        await db.copy_records_to_table("acls", records=[("=r/postgres",)])
    with pytest.raises(pg.InternalClientError, match="no binary format decoder for type aclitem"):
        await anext(db.copy_records_from_table("acls"))
    assert await count(db, "acls") == 0


async def test_generated_columns_have_to_be_left_out(db: Postgres) -> None:
    await db.execute("CREATE TEMP TABLE g (a int4, b int4 GENERATED ALWAYS AS (a + 1) STORED)")
    with pytest.raises(
        pg.InterfaceError, match="COPY is of 1 columns, and the table has 2"
    ) as caught:
        await db.copy_records_to_table("g", records=[(1, 2)])
    assert "Name the columns" in str(caught.value)
    assert await db.copy_records_to_table("g", records=[(1,)], columns=["a"]) == "COPY 1"
    with pytest.raises(pg.InterfaceError, match="COPY is of 1 columns, and the table has 2"):
        await anext(db.copy_records_from_table("g"))
    rows = [row async for row in db.copy_records_from_query("SELECT * FROM g")]
    assert rows == [(1, 2)]


async def test_a_table_that_another_session_changed(db: Postgres, postgres: RunningServer) -> None:
    async with client(postgres) as other:
        await db.execute("CREATE TABLE changing (a int4)")
        try:
            await db.copy_records_to_table("changing", records=[(1,)])
            await other.execute("ALTER TABLE changing ALTER a TYPE float4")
            await db.copy_records_to_table("changing", records=[(2.5,)])
            rows = [row async for row in db.copy_records_from_table("changing")]
            assert rows == [(1.0,), (2.5,)]
        finally:
            await db.execute("DROP TABLE changing")


# To records ----------------------------------------------------------------------------------


async def test_tables_and_queries_become_records(db: Postgres) -> None:
    await fill(db)
    rows = [row async for row in db.copy_records_from_table("t")]
    assert rows == ROWS
    assert type(rows[0]) is Record
    assert rows[0]["price"] == Decimal("1.50")
    rows = [row async for row in db.copy_records_from_table("t", columns=["price", "id"])]
    assert rows == [(price, number) for number, _, price in ROWS]
    query = "SELECT ROW(id, name) AS pair, ARRAY[id, $1] AS pairs FROM t WHERE id = $2"
    (row,) = [row async for row in db.copy_records_from_query(query, 9, 1)]
    assert row == ((1, "a\tb"), [1, 9])
    assert [row async for row in db.copy_records_from_query("SELECT 1 WHERE false")] == []


async def test_records_of_a_class(db: Postgres) -> None:
    class Row(Record):
        pass

    await fill(db)
    async for row in db.copy_records_from_table("t", record_class=Row):
        assert type(row) is Row


async def test_chunks(db: Postgres) -> None:
    await fill(db)
    chunks = [chunk async for chunk in db.copy_chunks_from_table("t")]
    assert b"".join(chunks) == TEXT
    query = db.copy_chunks_from_query("SELECT $1::text", "x,y", format="csv", header=True)
    assert b"".join([chunk async for chunk in query]) == b'text\n"x,y"\n'


async def test_a_value_without_a_python_counterpart(db: Postgres) -> None:
    query = "SELECT i, CASE i WHEN 3 THEN date '20000-01-01' END FROM generate_series(1, 9) i"
    seen: list[int] = []

    async def iterate() -> None:
        async for row in db.copy_records_from_query(query):
            seen.append(row[0])  # noqa: PERF401 - it is cut short

    with pytest.raises((ValueError, OverflowError)):
        await iterate()
    assert seen == [1, 2]
    assert await count(db) == 0


async def test_an_error_in_the_middle_of_a_copy(db: Postgres) -> None:
    seen: list[int] = []

    async def iterate() -> None:
        async for row in db.copy_records_from_query(
            "SELECT 5000 / (5000 - generate_series(1, 9999))"
        ):
            seen.append(row[0])  # noqa: PERF401 - it is cut short

    with pytest.raises(pg.DivisionByZeroError):
        await iterate()
    assert (len(seen), seen[-1]) == (4999, 5000)
    assert await count(db) == 0


MANY = "SELECT generate_series(1, 1000000000), repeat('x', 100)"


async def test_leaving_the_loop_ends_the_copy(db: Postgres) -> None:
    for number in (1, 2, 50_000):
        async for row in db.copy_records_from_query(MANY):
            if row[0] == number:
                break
        assert await count(db) == 0
    async with db.copy_records_from_query(MANY) as rows:
        assert await anext(rows) == (1, "x" * 100)
    assert await count(db) == 0
    rows = db.copy_records_from_query(MANY)
    assert await anext(rows) == (1, "x" * 100)
    await rows.aclose()
    await rows.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(rows)
    assert await count(db) == 0


async def test_a_consumer_that_raises(db: Postgres) -> None:
    async def iterate() -> None:
        async for row in db.copy_records_from_query(MANY):
            raise KeyError(row)

    with pytest.raises(KeyError):
        await iterate()

    async def refuse(chunk: bytes) -> None:
        raise KeyError(chunk[:1])

    with pytest.raises(KeyError):
        await db.copy_from_query(MANY, output=refuse)

    class Full:
        def write(self, data: bytes) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await db.copy_from_query(MANY, output=Full())
    assert await count(db) == 0


async def test_iterating_in_two_tasks_at_once(db: Postgres) -> None:
    rows = db.copy_records_from_query("SELECT 5, pg_sleep(0.2)")
    first = asyncio.create_task(anext(rows))
    await asyncio.sleep(0.1)
    with pytest.raises(pg.InterfaceError, match="another task"):
        await anext(rows)
    assert (await first)[0] == 5
    with pytest.raises(StopAsyncIteration):
        await anext(rows)
    assert await count(db) == 0


# One connection, many tasks -----------------------------------------------------------------


async def test_others_wait_for_the_end(db: Postgres) -> None:
    async def rows() -> AsyncIterator[tuple[Any, ...]]:
        for number in range(50):
            await asyncio.sleep(0)
            yield number, "x", None

    async def read() -> int:
        return len([row async for row in db.copy_records_from_table("t")])

    copies = [asyncio.create_task(db.copy_records_to_table("t", records=rows())) for _ in range(3)]
    await asyncio.sleep(0)
    others = await asyncio.gather(*[count(db) for _ in range(20)], read(), read())
    assert await asyncio.gather(*copies) == ["COPY 50"] * 3
    assert {other % 50 for other in others} == {0}


async def test_who_would_wait_for_himself_gets_an_error(db: Postgres) -> None:
    await fill(db)

    async def iterate() -> None:
        async for _ in db.copy_records_from_table("t"):
            await count(db)

    with pytest.raises(pg.InterfaceError, match="this task has a COPY under way"):
        await iterate()
    assert await count(db) == 3

    async def rows() -> AsyncIterator[Any]:
        yield ROWS[0]
        yield await db.fetchrow("SELECT * FROM t")

    with pytest.raises(pg.InterfaceError, match="this task has a COPY under way"):
        await db.copy_records_to_table("t", records=rows())
    assert await count(db) == 3


async def test_copies_inside_a_transaction(db: Postgres) -> None:
    transaction = db.transaction()
    await transaction.start()
    await fill(db)
    assert [row async for row in db.copy_records_from_table("t")] == ROWS
    assert await count(db) == 3
    await transaction.rollback()
    assert await count(db) == 0
    async with db.transaction():
        await fill(db)
        with pytest.raises(TypeError):
            async with db.transaction():
                await db.copy_records_to_table("t", records=[("x", 1, 1)])
    assert await count(db) == 3


async def test_copies_do_not_go_into_a_pipeline(db: Postgres) -> None:
    async with db.pipeline():
        with pytest.raises(pg.InterfaceError, match="inside a pipeline"):
            await db.copy_to_table("t", source=TEXT)
        with pytest.raises(pg.InterfaceError, match="inside a pipeline"):
            await anext(db.copy_chunks_from_table("t"))
    assert await count(db) == 0


async def test_timeouts(db: Postgres) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield TEXT
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await db.copy_to_table("t", source=never(), timeout=0.05)
    with pytest.raises(TimeoutError):
        await db.copy_from_query("SELECT pg_sleep(60)", output=io.BytesIO(), timeout=0.05)
    with pytest.raises(TimeoutError):
        await anext(db.copy_records_from_query("SELECT pg_sleep(60)", timeout=0.05))
    assert await count(db) == 0


async def test_where_needs_a_server_that_knows_it(db: Postgres) -> None:
    db.reported_settings["server_version"] = "11.5"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(pg.UnsupportedServerFeatureError, match="PostgreSQL 12"):
        await db.copy_to_table("t", source=TEXT, where="id > 1")
    with pytest.raises(pg.UnsupportedServerFeatureError, match="PostgreSQL 12"):
        await db.copy_records_to_table("t", records=ROWS, where="id > 1")


async def test_asyncpg_copies_the_same(db: Postgres, postgres: RunningServer) -> None:
    theirs = await ASYNCPG.connect(**login(postgres))
    try:
        formats: list[dict[str, Any]] = [
            {},
            {"format": "csv", "header": True},
            {"format": "binary"},
        ]
        for options in formats:
            query = "SELECT i, i::text, i::numeric / 7 FROM generate_series(1, $1::int4) i"
            outputs: list[bytes] = []
            for one in (db, theirs):
                file = io.BytesIO()
                assert await one.copy_from_query(query, 1000, output=file, **options) == "COPY 1000"
                outputs.append(file.getvalue())
            assert outputs[0] == outputs[1]
    finally:
        await theirs.close()
