"""All types against real servers: what asyncpg sends and makes of it, we send and make of it.

Our bytes go by libpq, through psycopg; pg8000 is an oracle where it has Python's type too.
"""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus

from tests.adapters.postgres._login import client
from tests.protocols.postgres._types import VALUES, plain, with_ranges
from tests.servers import RunningServer
from wirekit.protocols.postgres import Record, TypeInfo, TypeMap
from wirekit.protocols.postgres._builtin_types import BUILTIN_TYPES

asyncpg: Any = importlib.import_module("asyncpg")
pg8000: Any = importlib.import_module("pg8000.native")

SCHEMA = """
DROP SCHEMA IF EXISTS types CASCADE;
CREATE SCHEMA types;
CREATE TYPE types.mood AS ENUM ('sad', 'ok', 'very, "happy"');
CREATE DOMAIN types.small AS int4 CHECK (value < 1000000);
CREATE DOMAIN types.smaller AS types.small;
CREATE TYPE types.pair AS (number int4, "some text" text, moment timestamptz);
CREATE TYPE types.nest AS (first types.pair, rest types.pair[], mood types.mood, low types.smaller);
CREATE TYPE types.floats AS RANGE (subtype = float8, multirange_type_name = types.many_floats);
CREATE TYPE types.rights AS (item aclitem, number int4, text text, yes bool, uuid uuid);
"""

INTROSPECTION = """
SELECT t.oid, t.typname, n.nspname, t.typtype::text, t.typbasetype,
    CASE WHEN t.typlen = -1 THEN t.typelem ELSE 0 END AS typelem,
    coalesce(r.rngsubtype, m.rngtypid, 0) AS subtype,
    (SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS names,
    (SELECT coalesce(array_agg(a.atttypid::int8 ORDER BY a.attnum), '{}') FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS types,
    t.typdelim::text, t.typsend <> 0 AND t.typreceive <> 0 AS has_binary
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_range m ON m.rngmultitypid = t.oid
WHERE n.nspname = 'types' OR n.nspname = 'pg_catalog' AND t.typtype <> 'c'
"""


@dataclass(repr=False)
class Oracle:
    """One server, reached by asyncpg, pg8000 and, for the bytes, by psycopg."""

    runner: asyncio.Runner
    asyncpg: Any
    pg8000: Any
    libpq: psycopg.Connection[Any]
    types: dict[str, TypeInfo]
    type_map: TypeMap

    def theirs(self, query: str, *arguments: Any) -> Any:
        """Return the first column of the first row as asyncpg has it."""
        return self.runner.run(self.asyncpg.fetchval(query, *arguments))

    def field(self, query: str, *arguments: tuple[int, bytes], result_format: int = 1) -> Any:
        """Return the first column of the first row as it comes for binary or text arguments."""
        result = self.libpq.pgconn.exec_params(
            query.encode(),
            [data for _, data in arguments],
            None,
            [kind for kind, _ in arguments],
            result_format,
        )
        assert result.status == ExecStatus.TUPLES_OK, result.get_error_message()
        return result.get_value(0, 0)

    def ours(self, name: str, value: Any) -> Any:
        """Send a value of a type there and back."""
        info = self.types[name]
        writer, reader = self.type_map.parameter_codec(info.oid), self.type_map.codec(info.oid)
        assert writer is not None
        assert reader is not None
        argument = writer.format, writer.encode(value)
        field = self.field(f"SELECT $1::{spelled(name)}", argument, result_format=reader.format)
        return reader.decode(field)


def type_info(row: Any) -> TypeInfo:
    """Return what a row of the introspection says."""
    head, names, types, tail = row[:7], row[7], row[8], row[9:]
    arguments: list[Any] = [*head, tuple(zip(names, types, strict=True)), *tail]
    return TypeInfo(*arguments)


def spelled(name: str) -> str:
    """Return a type's name as SQL has it; arrays begin with an underscore in pg_type."""
    if name.startswith("_"):
        return spelled(name[1:]) + "[]"
    return '"char"' if name == "char" else name


@pytest.fixture(scope="module", params=["postgres15", "postgres18"])
def oracle(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    """PostgreSQL 15 and 18 in turn."""
    server: RunningServer = request.getfixturevalue(request.param)
    where: dict[str, Any] = {"host": server.host, "port": server.port, "user": "postgres"}
    with (
        asyncio.Runner() as runner,
        psycopg.connect(**where, dbname="wirekit", autocommit=True) as libpq,
        pg8000.Connection(**where, database="wirekit") as other,
    ):
        libpq.execute(SCHEMA.encode())
        libpq.execute(b"SET search_path = types")
        connection = runner.run(
            asyncpg.connect(**where, database="wirekit", server_settings={"search_path": "types"})
        )
        infos = [type_info(row) for row in libpq.execute(INTROSPECTION.encode())]
        type_map = TypeMap()
        type_map.add(infos)
        types = {info.name: info for info in infos}
        yield Oracle(runner, connection, other, libpq, types, type_map)
        runner.run(connection.close())


def asyncpgs(value: Any) -> Any:
    """Return a value with asyncpg's ranges for ours."""
    return with_ranges(value, asyncpg.Range)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_asyncpgs(oracle: Oracle, name: str) -> None:
    # First drawn, then compared: what asyncpg does in between must not disturb the drawing.
    for value in examples(VALUES[name]):
        theirs = oracle.theirs(f"SELECT $1::{spelled(name)}", asyncpgs(value))
        assert plain(oracle.ours(name, value)) == plain(theirs), value


def examples(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """Return what Hypothesis draws in 25 examples."""
    drawn: list[Any] = []

    @settings(max_examples=25, database=None)
    @given(strategy)
    def collect(value: Any) -> None:
        drawn.append(value)

    collect()
    return drawn


EXTREMES = {
    "date": ["infinity", "-infinity", "0001-01-01", "9999-12-31", "2000-01-01", "1999-12-31"],
    "timestamp": ["infinity", "-infinity", "0001-01-01", "9999-12-31 23:59:59.999998"],
    "timestamptz": ["infinity", "-infinity", "1999-12-31 23:59:59.999999+00", "2000-01-01+00"],
    "interval": ["-1 mon", "-1 year -1 mon -1 day -1 us", "1 mon -1 us", "2000000 years"],
    "numeric": [
        *["NaN", "Infinity", "-Infinity", "0", "0.000", "1e1000", "1e-1000", "-0.00001"],
        *["10000", "9999", "10000.0001", "123456789012345678901234567890.123456789", "0.1000"],
    ],
    "time": ["00:00", "23:59:59.999999"],
    "timetz": ["00:00+15:59", "23:59:59.999999-15:59"],
    "float8": ["NaN", "Infinity", "-Infinity", "-0", "5e-324"],
    "int2vector": ["", "1 2 3"],
    "oidvector": ["1 2 4294967295"],
    "_int4": ["[0:1][-1:0]={{1,2},{3,NULL}}", "{}", "{{{{{{7}}}}}}"],
    "_text": ['{NULL,"NULL","",\\"}', '[5:6]={"a b","{"}'],
    "_aclitem": [
        "{=r/postgres,NULL}",
        "{{=r/postgres},{=w/postgres}}",
        "{}",
        "[3:3]={=r/postgres}",
    ],
    "_box": ["{(1,2),(3,4);(5,6),(7,8)}"],
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_are_asyncpgs(oracle: Oracle, name: str) -> None:
    reader = oracle.type_map.codec(oracle.types[name].oid)
    assert reader is not None
    for text in EXTREMES[name]:
        query = f"SELECT $1::text::{spelled(name)}"
        ours = theirs = None
        try:
            theirs = oracle.theirs(query, text)
        except (ValueError, OverflowError) as exc:
            theirs = type(exc)
        try:
            field = oracle.field(query, (0, text.encode()), result_format=reader.format)
            ours = reader.decode(field)
        except (ValueError, OverflowError) as exc:
            ours = type(exc)
        assert plain(ours) == plain(theirs), text


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("date", "10000-01-01", ValueError),
        ("date", "0001-01-01 BC", ValueError),
        ("timestamp", "10000-01-01", OverflowError),
        ("timestamptz", "0001-12-31 BC", OverflowError),
        ("time", "24:00", ValueError),
        ("interval", "178000000 years", OverflowError),  # asyncpg's days overflow to others
    ],
)
def test_what_python_cannot_hold(
    oracle: Oracle, name: str, text: str, error: type[Exception]
) -> None:
    reader = oracle.type_map.codec(oracle.types[name].oid)
    assert reader is not None
    field = oracle.field(f"SELECT $1::text::{name}", (0, text.encode()))
    with pytest.raises(error, match="cast it to text"):
        reader.decode(field)


# pg8000 has no time zone's offset in timetz, no infinities, and its own types for ranges.
PG8000S = (
    *("bool", "bytea", "int2", "int4", "int8", "oid", "float8", "numeric", "text", "uuid"),
    *("date", "time", "timestamp", "timestamptz", "_int4", "_text", "_float8", "_numeric"),
)


@pytest.mark.parametrize("name", PG8000S)
@settings(max_examples=20)
@given(data=st.data())
def test_values_are_pg8000s(oracle: Oracle, name: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[name])
    if value in (date.min, date.max, datetime.min, datetime.max, []):
        value = None
    if value is None:
        return
    info = oracle.types[name]
    writer, reader = oracle.type_map.parameter_codec(info.oid), oracle.type_map.codec(info.oid)
    assert writer is not None
    assert reader is not None
    sql = spelled(name)
    text = oracle.field(f"SELECT $1::{sql}::text", (1, writer.encode(value))).decode()
    ((theirs,),) = oracle.pg8000.run(f"SELECT CAST(CAST(:text AS text) AS {sql})", text=text)
    ours = oracle.ours(name, value)
    assert plain(ours) == plain(theirs) or ours == theirs


def test_every_builtin_type_is_known(oracle: Oracle) -> None:
    for oid, known in BUILTIN_TYPES.items():
        found = next(info for info in oracle.types.values() if info.oid == oid)
        if known.name in ("int2vector", "oidvector"):  # not arrays of the general kind
            found = replace(found, element=0)
        # An array of a type without the binary format has functions for it in name only.
        assert replace(found, has_binary=known.has_binary) == known
        assert found.has_binary == known.has_binary or known.kind == "p" or known.element
    builtin = {
        info.name
        for info in oracle.types.values()
        if info.schema == "pg_catalog" and info.oid not in BUILTIN_TYPES
    }
    # What remains are arrays of the catalogs' rows.
    assert all(name.startswith("_pg_") for name in builtin), builtin


def test_composites_with_what_has_only_text(oracle: Oracle) -> None:
    value = ("=r/postgres", -7, 'a "b", (c) \\', True, uuid.UUID(int=5))
    result = oracle.ours("rights", value)
    assert isinstance(result, Record)
    assert tuple(result) == value
    assert oracle.ours("rights", [None] * 5) == (None,) * 5
    assert oracle.ours("_rights", [value, None]) == [value, None]


def test_custom_text_codecs_reach_arrays_and_composites(oracle: Oracle) -> None:
    type_map = TypeMap()
    type_map.add(oracle.types.values())
    type_map.set_custom(oracle.types["text"], "text", str.upper, str.title)
    type_map.set_custom(oracle.types["numeric"], "text", lambda value: f"{value}.5", float)
    cases: list[tuple[str, Any, Any]] = [
        ("_text", ["some words"], ["Some Words"]),
        ("pair", (1, "words", None), (1, "Words", None)),
        ("numeric", 3, 3.5),
        ("_numeric", [[3], [4]], [[3.5], [4.5]]),
    ]
    for name, value, expected in cases:
        info = oracle.types[name]
        writer, reader = type_map.parameter_codec(info.oid), type_map.codec(info.oid)
        assert writer is not None
        assert reader is not None
        query = f"SELECT $1::{spelled(name)}"
        argument = writer.format, writer.encode(value)
        field = oracle.field(query, argument, result_format=reader.format)
        assert reader.decode(field) == expected


def test_records_and_arrays_of_anything(oracle: Oracle) -> None:
    query = "SELECT (1, 'a'::text, null, ARRAY[1.5], (true, now() > 'epoch'), 'b')"
    theirs = oracle.theirs(query)
    reader = oracle.type_map.codec(oracle.types["record"].oid)
    assert reader is not None
    ours = reader.decode(oracle.field(query))
    assert plain(ours) == plain(theirs)
    oracle.libpq.execute(b"ANALYZE pg_type")
    statistics = oracle.types["anyarray"].oid
    reader = oracle.type_map.codec(statistics)
    assert reader is not None
    query = (
        "SELECT most_common_vals FROM pg_stats WHERE tablename = 'pg_type' AND attname = 'typlen'"
    )
    assert -1 in reader.decode(oracle.field(query))


REFUSED: list[tuple[str, Any]] = [
    *[("int4", value) for value in ("1", 2**31, b"1")],
    *[("text", value) for value in (1, b"x")],
    *[("date", value) for value in ("2000-01-01", 1, time())],
    *[("timestamp", value) for value in ("2000-01-01", 1, datetime.now(UTC))],
    *[("timestamptz", value) for value in ("2000-01-01", 1)],
    *[("time", value) for value in ("12:00", 1, date(2000, 1, 1))],
    *[("timetz", value) for value in ("12:00", time(12))],
    *[("interval", value) for value in ("1 day", 1)],
    *[("numeric", value) for value in ("x", Decimal("1e-16384"))],
    *[("uuid", value) for value in ("x", 1, "z" * 32, "0" * 31, "0" * 33)],
    *[("bool", value) for value in (1, "true")],
    *[("_int4", value) for value in (1, "{1}", b"x", {1: 2}, ["x"])],
    *[("_int4", [[1], [2, 3]]), ("_int4", [[1], 2])],
    *[("_int4", [[[[[[[1]]]]]]]), ("_text", [1]), ("int4range", 1), ("int4range", (1, 2, 3))],
    *[("int4multirange", 1), ("int4multirange", [1]), ("pair", {"x": 1}), ("pair", 1)],
    *[("record", (1,)), ("mood", 1)],
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_asyncpg_refuses(oracle: Oracle, name: str, value: Any) -> None:
    with pytest.raises((asyncpg.DataError, asyncpg.UnsupportedClientFeatureError)):
        oracle.theirs(f"SELECT $1::{spelled(name)}", value)
    writer = oracle.type_map.parameter_codec(oracle.types[name].oid)
    assert writer is not None
    with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
        writer.encode(value)
    if isinstance(value, str) and len(value) > 2:
        assert value not in str(caught.value)


TAKEN: list[tuple[str, Any]] = [
    *[("date", datetime(2020, 1, 2, 3)), ("timestamp", date(2020, 1, 2))],
    *[("timestamptz", date(2020, 1, 2)), ("timestamptz", datetime(2020, 1, 2, 3))],
    *[("timestamptz", datetime.max), ("timestamptz", datetime.min)],
    *[("time", datetime(2020, 1, 2, 3, 4, 5)), ("numeric", 1), ("numeric", 0.5)],
    *[("numeric", "1.50"), ("numeric", (1, (1, 2), -1)), ("uuid", "0" * 32)],
    *[("uuid", str(uuid.UUID(int=77))), ("_int4", (1, 2)), ("_int4", {7}), ("_int4", range(3))],
    *[("_int4", [range(2), range(2)]), ("_int4", []), ("_int4", [[], []])],
    *[("int4range", (1, 5)), ("int4range", [1]), ("int4range", ()), ("int4range", (None, None))],
    *[("int4multirange", ((1, 2), (5, 7))), ("pair", {"number": 1}), ("pair", [1, "a", None])],
    *[("bytea", bytearray(b"x")), ("bytea", memoryview(b"xyz")[1:]), ("float8", 1)],
    *[("int8", True), ("_text", ["a"])],
]


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_what_asyncpg_takes(oracle: Oracle, name: str, value: Any) -> None:
    theirs = oracle.theirs(f"SELECT $1::{spelled(name)}", value)
    assert plain(oracle.ours(name, value)) == plain(theirs)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bit varying[]", "ARRAY[B'101', NULL]::bit varying[]"),
        ("pg_temp.pair[]", "ARRAY[ROW(1, 'x'), NULL, ROW(2, NULL)]::pg_temp.pair[]"),
        ("pg_temp.pair[]", "ARRAY[ARRAY[ROW(1, 'x')], ARRAY[ROW(2, 'y')]]::pg_temp.pair[]"),
        ("pg_temp.pairs", "ROW(ROW(1, 'x'), ARRAY[ROW(2, 'y')::pg_temp.pair])::pg_temp.pairs"),
    ],
    ids=["bits", "composites", "composites_of_two_dimensions", "composites_within"],
)
async def test_what_was_received_can_be_sent_back(
    postgres: RunningServer, kind: str, value: str
) -> None:
    async with client(postgres) as db:
        await db.execute("CREATE TYPE pg_temp.pair AS (a int4, b text)")
        await db.execute("CREATE TYPE pg_temp.pairs AS (one pg_temp.pair, more pg_temp.pair[])")
        received = await db.fetchval(f"SELECT {value}")
        assert await db.fetchval(f"SELECT $1::{kind}", received) == received
