"""fetch_columns against fetch, on real servers."""

from __future__ import annotations

import asyncio
import importlib
import math
import sys
from array import array
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from wirekit.adapters import postgres as pg

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tests.servers import RunningServer

numpy: Any = importlib.import_module("numpy")
arrow: Any = importlib.import_module("pyarrow")

# Every seventh row is null; `i` is the row's number.
EXPRESSIONS = {
    "bool": "i % 3 = 0",
    "int2": "(i - 500)::int2",
    "int4": "i * -100000",
    "int8": "i * 10000000000",
    "oid": "(i + 4294960000)::oid",
    "xid8": "(i + 10000000000)::text::xid8",
    "float4": "(i / 7.0)::float4",
    "float8": "i / 7.0::float8",
    "date": "'1969-12-01'::date + i",
    "timestamp": "'1969-12-31'::timestamp + i * interval '1 minute 0.5 s'",
    "timestamptz": "'1969-12-31'::timestamptz + i * interval '1 minute 0.5 s'",
    "text": "repeat('ä', i % 5)",
    "varchar": "i::varchar",
    "bytea": "int4send(i)",
    "numeric(10,3)": "(i / 8.0)::numeric(10,3)",
    "numeric": "i / 8.0",
    "uuid": "md5(i::text)::uuid",
    "time": "'00:00'::time + i * interval '1 s'",
    "jsonb": "jsonb_build_object('i', i)",
    "int4[]": "ARRAY[i, NULL, i]",
    "record": "ROW(i, 'x')",
    "interval": "i * interval '1 hour'",
    "int4range": "int4range(i, i + 5)",
    "inet": "'10.0.0.0'::inet + i",
    "tsvector": "to_tsvector('simple', 'row ' || i)",
}
QUERY = ", ".join(
    f'CASE WHEN i % 7 <> 0 THEN {expression} END AS "{name}", {expression} AS "{name} not null"'
    for name, expression in EXPRESSIONS.items()
)
NAMES = [name for name in EXPRESSIONS for name in (name, f"{name} not null")]
DTYPES = {
    "bool": "bool",
    "int2": "int16",
    "int4": "int32",
    "int8": "int64",
    "oid": "uint32",
    "xid8": "uint64",
    "float4": "float32",
    "float8": "float64",
    "date": "datetime64[D]",
    "timestamp": "datetime64[us]",
    "timestamptz": "datetime64[us]",
}
ARROW_TYPES = {
    "bool": "bool",
    "int2": "int16",
    "int4": "int32",
    "int8": "int64",
    "oid": "uint32",
    "xid8": "uint64",
    "float4": "float",
    "float8": "double",
    "date": "date32[day]",
    "timestamp": "timestamp[us]",
    "timestamptz": "timestamp[us, tz=UTC]",
    "time": "time64[us]",
    "uuid": "fixed_size_binary[16]",
    "bytea": "large_binary",
    "numeric(10,3) not null": "decimal128(10, 3)",  # a CASE has no type modifier
}


@pytest.fixture
async def db(postgres: RunningServer) -> AsyncIterator[pg.Postgres]:
    async with connected(postgres) as client:
        yield client


@asynccontextmanager
async def connected(server: RunningServer, **options: Any) -> AsyncGenerator[pg.Postgres]:
    client: pg.Postgres = await pg.connect(
        host=server.host,
        port=server.port,
        user="trust_user",
        database="wirekit",
        ssl=False,
        **options,
    )
    try:
        yield client
    finally:
        await client.close()


def query(count: int) -> str:
    return f"SELECT {QUERY} FROM generate_series(1, {count}) i"


async def test_numpy_has_the_values_of_fetch(db: pg.Postgres) -> None:
    rows = await db.fetch(query(300))
    columns = await db.fetch_columns(query(300))
    assert columns.names == tuple(NAMES)
    assert len(columns) == 300
    for number, name in enumerate(NAMES):
        column, values = columns[name], [row[number] for row in rows]
        dtype = numpy.dtype(DTYPES.get(name.removesuffix(" not null"), "object"))
        assert column.dtype == dtype, name
        assert column.shape == (300,)
        masked = name in EXPRESSIONS and name in DTYPES
        assert isinstance(column, numpy.ma.MaskedArray) == masked
        if name.startswith("timestamptz"):
            values = [value and value.replace(tzinfo=None) for value in values]
        assert column.tolist() == values, name


async def test_arrow_has_the_values_of_fetch(db: pg.Postgres) -> None:
    rows = await db.fetch(query(300))
    table = await db.fetch_columns(query(300), format="arrow")
    table.validate(full=True)
    assert table.column_names == NAMES
    as_text = ", ".join(f'CASE WHEN "{n}" IS NOT NULL THEN concat("{n}") END' for n in NAMES)
    texts = await db.fetch(f"SELECT {as_text} FROM ({query(300)}) q")
    for number, name in enumerate(NAMES):
        column = table.column(number)
        known = ARROW_TYPES.get(name, ARROW_TYPES.get(name.removesuffix(" not null")))
        assert str(column.type) == (known or "large_string"), name
        values = [row[number] for row in (rows if known else texts)]
        if name.startswith("uuid"):
            values = [value and value.bytes for value in values]
        assert column.to_pylist() == values, name


async def test_python_has_the_values_of_fetch(db: pg.Postgres) -> None:
    rows = await db.fetch(query(300))
    columns = await db.fetch_columns(query(300), format="python")
    numbers = {"int2", "int4", "int8", "oid", "xid8", "float4", "float8"}
    for number, name in enumerate(NAMES):
        column = columns[number]
        assert isinstance(column, array) == (name.removesuffix(" not null") in numbers - {name})
        assert list(column) == [row[number] for row in rows], name


async def test_filled_has_what_stands_for_null(db: pg.Postgres) -> None:
    columns = await db.fetch_columns(
        "SELECT NULL::float4 a, NULL::float8 b, NULL::date c, NULL::timestamp d, NULL::int4 e"
    )
    assert math.isnan(columns["a"].filled()[0])
    assert math.isnan(columns["b"].filled()[0])
    assert numpy.isnat(columns["c"].filled()[0])
    assert numpy.isnat(columns["d"].filled()[0])
    assert columns["e"].filled(0)[0] == 0


@pytest.mark.parametrize("column_format", ["numpy", "arrow", "python"])
async def test_no_rows(db: pg.Postgres, column_format: Any) -> None:
    columns: Any = await db.fetch_columns(query(0), format=column_format)
    assert len(columns) == 0
    for number, name in enumerate(NAMES):
        assert len(columns[number]) == 0
        if column_format == "numpy":
            assert columns[name].dtype == DTYPES.get(name.removesuffix(" not null"), "object")


@pytest.mark.parametrize("column_format", ["numpy", "arrow", "python"])
@pytest.mark.parametrize("command", ["", "CREATE TEMP TABLE nothing ()", "SELECT"])
async def test_no_columns(db: pg.Postgres, column_format: Any, command: str) -> None:
    columns: Any = await db.fetch_columns(command, format=column_format)
    assert len(columns) == 0
    assert len(columns.column_names if column_format == "arrow" else columns.names) == 0


async def test_columns_of_the_same_name(db: pg.Postgres) -> None:
    text = "SELECT 1 AS a, 2 AS b, 3 AS a"
    columns = await db.fetch_columns(text, format="python")
    assert columns.names == ("a", "b", "a")
    assert [list(column) for column in columns.values()] == [[1], [2], [3]]
    assert [(name, list(column)) for name, column in columns.items()] == [
        *(("a", [1]), ("b", [2]), ("a", [3])),
    ]
    assert list(columns["a"]) == [(await db.fetchrow(text))["a"]] == [3]
    assert list(columns[0]) == [1]
    assert list(columns) == list(columns.keys()) == ["a", "b", "a"]
    assert set(dict(columns)) == {"a", "b"}
    assert "b" in columns
    assert "c" not in columns
    assert repr(columns) == "<Columns a, b, a: 1 rows>"
    with pytest.raises(KeyError):
        columns["c"]
    table = await db.fetch_columns(text, format="arrow")
    assert table.column_names == ["a", "b", "a"]


async def test_dates_beyond_pythons(db: pg.Postgres) -> None:
    text = """SELECT d::date, d::timestamp AS t FROM unnest(
        ARRAY['infinity', '-infinity', '20000-01-01', '4713-01-01 BC']) d"""
    columns = await db.fetch_columns(text)
    days = numpy.array(["9999-12-31", "0001-01-01", "20000-01-01", "-4712-01-01"], dtype="M8[D]")
    # The proleptic year before 1 is 0, and the year 4713 BC -4712.
    assert columns["d"].tolist() == days.tolist()
    assert columns["t"].astype("M8[D]").tolist() == days.tolist()
    rows = await db.fetch("SELECT 'infinity'::timestamp AS t, 'infinity'::date AS d")
    assert columns["t"][0] == numpy.datetime64(rows[0]["t"])
    assert columns["d"][0] == numpy.datetime64(rows[0]["d"])
    table = await db.fetch_columns(text, format="arrow")
    assert table["d"].cast("int32").to_numpy().tolist() == days.astype(int).tolist()
    with pytest.raises(OverflowError, match="beyond what a column can hold"):
        await db.fetch_columns("SELECT '294276-12-31'::timestamp")
    with pytest.raises(ValueError, match="24:00"):
        await db.fetch_columns("SELECT '24:00'::time", format="arrow")
    assert await db.fetchval("SELECT 1") == 1


async def test_decimals(db: pg.Postgres) -> None:
    table = await db.fetch_columns(
        "SELECT x::numeric(38,2) a, x::numeric(39,2) b, x c, x::numeric(5,-2) d "
        "FROM unnest(ARRAY[1.25, NULL]) x",
        format="arrow",
    )
    assert [str(column.type) for column in table.columns] == [
        *("decimal128(38, 2)", "large_string", "large_string", "large_string"),
    ]
    assert table.to_pylist() == [
        {"a": Decimal("1.25"), "b": "1.25", "c": "1.25", "d": "0"},
        dict.fromkeys("abcd"),
    ]
    with pytest.raises(ValueError, match="column 'x' has a NaN"):
        await db.fetch_columns("SELECT 'NaN'::numeric(5,2) AS x", format="arrow")


async def test_arguments_and_timeout(db: pg.Postgres) -> None:
    columns = await db.fetch_columns("SELECT $1::int4 + i AS x FROM generate_series(1, 3) i", 5)
    assert columns["x"].tolist() == [6, 7, 8]
    with pytest.raises(TimeoutError):
        await db.fetch_columns("SELECT pg_sleep(10)", timeout=0.01)
    with pytest.raises(pg.DataError, match=r"\$1"):
        await db.fetch_columns("SELECT $1::int4", "one")
    with pytest.raises(pg.DivisionByZeroError):
        await db.fetch_columns("SELECT 1 / (3 - i) FROM generate_series(1, 3) i")
    assert (await db.fetch_columns("SELECT 1 AS x"))["x"].tolist() == [1]


async def test_domains_and_codecs_of_the_user(db: pg.Postgres) -> None:
    await db.execute("CREATE DOMAIN pg_temp.small AS int4; CREATE TYPE pg_temp.mood AS ENUM ('ok')")
    text = "SELECT 7::pg_temp.small AS a, 'ok'::pg_temp.mood AS b"
    columns = await db.fetch_columns(text)
    assert columns["a"].dtype == "int32"
    assert columns["b"].tolist() == ["ok"]
    table = await db.fetch_columns(text, format="arrow")
    assert table.to_pylist() == [{"a": 7, "b": "ok"}]


async def test_a_statement_outdated_by_the_schema(db: pg.Postgres) -> None:
    await db.execute("CREATE TEMP TABLE changing AS SELECT 1 AS a")
    text = "SELECT * FROM changing"
    assert (await db.fetch_columns(text)).names == ("a",)
    await db.execute("ALTER TABLE changing ADD COLUMN b text DEFAULT 'x'")
    columns = await db.fetch_columns(text)
    assert columns.names == ("a", "b")
    assert columns["b"].tolist() == ["x"]


async def test_without_named_statements(postgres: RunningServer) -> None:
    async with connected(postgres, statement_cache_size=0) as db:
        await db.execute("CREATE TEMP TABLE changing AS SELECT 1 AS a")
        text = "SELECT * FROM changing WHERE a = $1"
        assert (await db.fetch_columns(text, 1))["a"].tolist() == [1]
        assert (await db.fetch_columns(text, 2))["a"].tolist() == []


async def test_many_at_once(db: pg.Postgres) -> None:
    texts = [f"SELECT i * {number} AS x FROM generate_series(1, 50) i" for number in range(20)]
    results = await asyncio.gather(*map(db.fetch_columns, texts))
    for number, columns in enumerate(results):
        assert columns["x"].tolist() == [i * number for i in range(1, 51)]


async def test_cancelled_after_any_number_of_turns(db: pg.Postgres) -> None:
    for turns in range(30):
        task = asyncio.create_task(db.fetch_columns(query(200)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await db.fetchval("SELECT $1::int4", turns) == turns


async def test_a_million_rows(db: pg.Postgres) -> None:
    columns = await db.fetch_columns(
        "SELECT i, CASE WHEN i % 2 = 0 THEN i / 2.0::float8 END AS half "
        "FROM generate_series(1, 1000000) i"
    )
    assert (columns["i"] == numpy.arange(1, 1000001)).all()
    assert columns["half"].count() == 500000
    assert columns["half"].sum() == sum(range(2, 1000001, 2)) / 2


async def test_missing_packages(db: pg.Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(pg.UnsupportedClientFeatureError, match="needs NumPy: install numpy"):
        await db.fetch_columns("SELECT 1")
    with pytest.raises(pg.UnsupportedClientFeatureError, match="needs PyArrow: install pyarrow"):
        await db.fetch_columns("SELECT 1", format="arrow")
    assert list((await db.fetch_columns("SELECT 1", format="python"))[0]) == [1]
    wrong: Any = "pandas"
    with pytest.raises(pg.InterfaceError, match="format is 'numpy', 'arrow' or 'python'"):
        await db.fetch_columns("SELECT 1", format=wrong)


async def test_python_values(db: pg.Postgres) -> None:
    columns = await db.fetch_columns(
        "SELECT date '2020-02-03' AS d, timestamptz '2020-02-03 04:05:06+00' AS t", format="python"
    )
    assert columns["d"] == [date(2020, 2, 3)]
    assert columns["t"] == [datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)]
