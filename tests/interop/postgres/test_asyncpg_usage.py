"""Programs as asyncpg's documentation would have them, run with asyncpg and with wirekit."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib
import io
import ipaddress
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.adapters.postgres._login import login
from tests.servers import RunningServer
from wirekit.adapters import postgres as wirekit_postgres

asyncpg: Any = importlib.import_module("asyncpg")

Program = Callable[[Any, dict[str, Any]], Awaitable[Any]]


async def both(program: Program, server: RunningServer) -> Any:
    """Return what a program returns with wirekit, which is what it returns with asyncpg."""
    options = login(server, user="postgres")
    theirs = await program(asyncpg, options)
    ours = await program(wirekit_postgres, options)
    assert plain(ours) == plain(theirs)
    return ours


def plain(value: Any) -> Any:
    """Return what can be compared over libraries, and differs if the types do."""
    name = type(value).__name__
    match name:
        case "list" | "tuple" | "Point" | "Box" | "Line" | "LineSegment":
            return [name, *map(plain, value)]
        case "Record":
            return [name, *((key, plain(item)) for key, item in value.items())]
        case "Path" | "Polygon":
            return [name, plain(value.points), getattr(value, "is_closed", None)]
        case "Circle":
            return [name, *value.center, value.radius]
        case _:
            return (name, repr(value))


@asynccontextmanager
async def connected(pg: Any, options: dict[str, Any]) -> AsyncGenerator[Any]:
    conn = await pg.connect(**options)
    try:
        yield conn
    finally:
        await conn.close()


async def kind_of(call: Awaitable[Any] | Callable[[], Awaitable[Any]]) -> list[str]:
    """Return which classes of asyncpg's the error of a call is of."""
    try:
        await (call() if callable(call) else call)
    except Exception as error:
        names = [base.__name__ for base in type(error).__mro__ if hasattr(asyncpg, base.__name__)]
        # Ours know more: a DataError is a ClientDataError too.
        return [name for name in names if issubclass(getattr(asyncpg, name), Exception)][:2]
    return []


# The first page ------------------------------------------------------------------------------


async def first_steps(pg: Any, options: dict[str, Any]) -> Any:
    conn = await pg.connect(**options)
    found: list[Any] = []
    found.append(
        await conn.execute(
            """
            CREATE TEMPORARY TABLE people (
                id serial PRIMARY KEY, name text NOT NULL UNIQUE, born date, tags text[]
            )
            """
        )
    )
    born = datetime.date(1984, 3, 1)
    insert = "INSERT INTO people(name, born, tags) VALUES ($1, $2, $3)"
    found.append(await conn.execute(insert, "Bob", born, ["a", None]))
    found.append(
        await conn.executemany(insert, [(name, None, []) for name in ("Ann", "Cid", "Dee")])
    )
    row = await conn.fetchrow("SELECT * FROM people WHERE name = $1", "Bob")
    found += [row, row["name"], row[2], dict(row), list(row.keys()), tuple(row.values())]
    found += [list(row.items()), len(row), "born" in row, row.get("none", "such"), row[1:3]]
    found.append([record["name"] for record in await conn.fetch("SELECT name FROM people")])
    found.append(await conn.fetchval("SELECT id, born FROM people WHERE name = 'Bob'", column=1))
    found.append(await conn.fetchrow("SELECT 1 WHERE false"))
    found.append(await conn.fetchval("SELECT 1 WHERE false"))
    found += [await conn.fetchrow("SELECT"), await conn.fetch("SELECT")]
    found.append(await conn.execute("UPDATE people SET born = $1 WHERE born IS NULL", born))
    found.append(await conn.execute("DELETE FROM people WHERE id > 2; SELECT 1"))
    found.append(await conn.fetchmany("SELECT $1::int + 1 AS n", [(1,), (2,)]))
    found += [conn.is_closed(), conn.is_in_transaction(), conn.get_server_version()[:2]]
    found.append(conn.get_settings().client_encoding)
    await conn.close()
    found.append(conn.is_closed())
    return found


async def test_first_steps(postgres: RunningServer) -> None:
    await both(first_steps, postgres)


# Types ---------------------------------------------------------------------------------------


@dataclass
class Shape:
    """What a geometry library would give."""

    corners: list[tuple[float, float]]

    def encode(self) -> str:
        return ",".join(str(corner) for corner in self.corners)

    @classmethod
    def decode(cls, text: str) -> Shape:
        corners = json.loads(f"[{text[1:-1]}]".translate(str.maketrans("()", "[]")))
        return cls([(x, y) for x, y in corners])


def of_microseconds(microseconds: int) -> tuple[int]:
    return (microseconds,)


def microseconds_of(data: tuple[int]) -> int:
    return data[0]


def four_bytes(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=True)


def ten_times(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True) * 10


async def own_types(pg: Any, options: dict[str, Any]) -> Any:
    found: list[Any] = []
    async with connected(pg, options) as conn:
        query = "SELECT $1::json AS plain, $2::jsonb[] AS many"
        found.append(await conn.fetchrow(query, '{"a": 1}', ["1", None]))
        for name in ("json", "jsonb"):
            await conn.set_type_codec(
                name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
        found.append(await conn.fetchrow(query, {"a": [1, 2]}, [{"b": None}, None, 7]))

        await conn.set_type_codec(
            "polygon",
            schema="pg_catalog",
            encoder=Shape.encode,
            decoder=Shape.decode,
        )
        shape = Shape([(0.0, 0.0), (1.0, 2.0), (3.0, 4.5)])
        found.append(await conn.fetchval("SELECT $1::polygon", shape))
        await conn.reset_type_codec("polygon", schema="pg_catalog")
        found.append((await conn.fetchval("SELECT '((0,0),(1,1))'::polygon")).points)

        await conn.set_type_codec(
            "timestamptz",
            schema="pg_catalog",
            format="tuple",
            encoder=of_microseconds,
            decoder=microseconds_of,
        )
        found.append(await conn.fetchval("SELECT $1::timestamptz", 1_000_000))
        found.append(await conn.fetchval("SELECT ARRAY['2000-01-01 00:00:02Z'::timestamptz]"))
        await conn.set_type_codec(
            "int4",
            schema="pg_catalog",
            format="binary",
            encoder=four_bytes,
            decoder=ten_times,
        )
        found.append(await conn.fetchval("SELECT $1::int4", 7))
        await conn.reset_type_codec("int4", schema="pg_catalog")

        await conn.execute("CREATE SCHEMA usage; SET search_path = usage")
        for extension in ("hstore", "citext"):
            await conn.execute(f"CREATE EXTENSION {extension} SCHEMA usage")
        await conn.set_builtin_type_codec("hstore", schema="usage", codec_name="pg_contrib.hstore")
        found.append(await conn.fetchval("SELECT $1::hstore", {"a": "1", "b": None}))
        found.append(await conn.fetchval("SELECT $1::citext[]", ["a", None]))
        await conn.execute(
            """
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE TYPE point3 AS (x float8, y float8, z float8);
            CREATE TYPE deep AS (at point3, moods mood[], notes hstore);
            CREATE DOMAIN amount AS numeric(8, 2);
            CREATE TYPE inner_type AS (m mood, n amount);
            """
        )
        value = ((1.0, 2.0, None), ["ok", None], {"k": "v"})
        deep = await conn.fetchval("SELECT $1::deep", value)
        found += [deep, deep["at"]["y"], deep["moods"]]
        found.append(await conn.fetchval("SELECT ROW('ok', 2.5)::inner_type"))
        found.append(await conn.fetchval("SELECT ROW(1, 'two', NULL, 3.5::float8)"))
        await conn.set_builtin_type_codec("amount", schema="usage", codec_name="decimal")
        found.append(await conn.fetchval("SELECT $1::amount", Decimal("2.50")))
        # One in text and one in binary only: there is no form of the whole.
        await conn.reset_type_codec("amount", schema="usage")
        await conn.set_builtin_type_codec(
            "amount", schema="usage", codec_name="decimal", format="text"
        )
        await conn.execute("CREATE TYPE mixed AS (n amount, h hstore)")
        mixed = "SELECT ROW(2.5, 'a=>1')::mixed"
        found.append(await kind_of(conn.fetchval(mixed)))
        found.append(await conn.fetchval("SELECT 1"))
        await conn.execute("CREATE TYPE citext_range AS RANGE (subtype = citext)")
        found.append(await kind_of(conn.fetchval("SELECT $1::citext_range", ["a", "b"])))
        await conn.execute("DROP SCHEMA usage CASCADE")
    return found


async def test_own_types() -> None:
    # PostgreSQL 15 has the extensions; a server of its own, as a database has each only once.
    with servers.postgres_server() as server:
        await both(own_types, server)


async def all_types(pg: Any, options: dict[str, Any]) -> Any:
    utc = datetime.UTC
    values: list[tuple[str, Any]] = [
        ("bool", True),
        ("bytea", b"\0\1"),
        ("cidr", ipaddress.ip_network("10.0.0.0/8")),
        ("inet", ipaddress.ip_interface("10.0.0.1/8")),
        ("inet", ipaddress.ip_address("::1")),
        ("macaddr", "01:02:03:04:05:06"),
        ("circle", pg.Circle((1, 2), 3)),
        ("box", pg.Box((3, 4), (1, 2))),
        ("path", pg.Path((1, 2), (3, 4), is_closed=True)),
        ("point", pg.Point(1, 2)),
        ("date", datetime.date(2020, 2, 29)),
        ("date", datetime.date.max),
        ("time", datetime.time(1, 2, 3, 4)),
        ("timetz", datetime.time(1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))),
        ("timestamp", datetime.datetime(2020, 1, 2, 3, 4, 5, 6)),
        ("timestamptz", datetime.datetime(2020, 1, 2, 3, 4, 5, 6, utc)),
        ("interval", datetime.timedelta(days=3, microseconds=5)),
        ("float4", 1.5),
        ("float8", float("inf")),
        ("int2", -(2**15)),
        ("int8", 2**63 - 1),
        ("numeric", Decimal("12.340")),
        ("bit(3)", pg.BitString("101")),
        ("varbit", pg.BitString("1")),
        ("uuid", uuid.UUID(int=5)),
        ("text", "été"),
        ("int4range", pg.Range(1, 5, lower_inc=True, upper_inc=False)),
        ("int4range", pg.Range(empty=True)),
        ("int4multirange", [pg.Range(1, 5), pg.Range(7, None)]),
        ("tsvector", "'a':1"),
        ("int4[]", [[1, 2], [3, None]]),
        ("oid", 4_000_000_000),
        ("tid", (5, 6)),
        ("jsonpath", '$."a"'),
        ("money", "$1.00"),
    ]
    found: list[Any] = []
    async with connected(pg, options) as conn:
        for name, value in values:
            found.append((name, await conn.fetchval(f"SELECT $1::{name}", value)))
    return found


async def test_all_types(postgres: RunningServer) -> None:
    await both(all_types, postgres)


# Transactions, statements, cursors -----------------------------------------------------------


async def transactions(pg: Any, options: dict[str, Any]) -> Any:
    found: list[Any] = []
    async with connected(pg, options) as conn:
        await conn.execute("CREATE TEMPORARY TABLE numbers (n int UNIQUE)")
        async with conn.transaction():
            await conn.execute("INSERT INTO numbers VALUES (1)")
            with contextlib.suppress(pg.UniqueViolationError):
                async with conn.transaction():
                    await conn.execute("INSERT INTO numbers VALUES (2)")
                    await conn.execute("INSERT INTO numbers VALUES (1)")
            found.append(conn.is_in_transaction())
        with contextlib.suppress(ZeroDivisionError):
            async with conn.transaction(isolation="serializable", readonly=False):
                await conn.execute("INSERT INTO numbers VALUES (3)")
                raise ZeroDivisionError
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute("INSERT INTO numbers VALUES (4)")
        await transaction.rollback()
        async with conn.transaction(readonly=True, deferrable=True, isolation="repeatable_read"):
            found.append(await conn.fetchval("SHOW transaction_isolation"))
            found.append(await kind_of(conn.execute("INSERT INTO numbers VALUES (5)")))
        found.append(await conn.fetch("SELECT n FROM numbers ORDER BY n"))
        found.append(await kind_of(conn.transaction().commit()))
        await conn.execute("BEGIN")
        found.append(await kind_of(conn.transaction().start()))
        await conn.execute("ROLLBACK")
        # executemany is one transaction, all or none.
        rows = [(10,), (11,), (10,)]
        found.append(await kind_of(conn.executemany("INSERT INTO numbers VALUES ($1)", rows)))
        found.append(await conn.fetchval("SELECT count(*) FROM numbers"))
    return found


async def test_transactions(postgres: RunningServer) -> None:
    await both(transactions, postgres)


async def cursors_and_statements(pg: Any, options: dict[str, Any]) -> Any:
    found: list[Any] = []
    async with connected(pg, options) as conn:
        series = "SELECT generate_series(0, $1::int) AS n"
        async with conn.transaction():
            found.append([record["n"] async for record in conn.cursor(series, 7, prefetch=3)])
            cursor = await conn.cursor(series, 20)
            found.append(await cursor.forward(10))
            found += [await cursor.fetchrow(), await cursor.fetch(3), await cursor.fetch(100)]
            found += [await cursor.fetchrow(), await cursor.fetch(5)]
        found.append(await kind_of(conn.cursor(series, 1)))
        statement = await conn.prepare("SELECT 2 ^ $1::int AS power, $2::text AS word")
        found += [await statement.fetchval(n, "x") for n in range(3)]
        found += [await statement.fetchrow(4, "y"), await statement.fetch(5, None)]
        found += [statement.get_query(), statement.get_statusmsg()]
        found += [[tuple(type_) for type_ in statement.get_parameters()]]
        found += [[(a.name, tuple(a.type)) for a in statement.get_attributes()]]
        async with conn.transaction():
            found.append([tuple(record) async for record in statement.cursor(3, "z")])
            found.append(await (await statement.cursor(3, "z")).fetchrow())
        found.append(await statement.fetchmany([(1, "a"), (2, "b")]))
        found.append(list((await statement.explain(1, "q"))[0]))
        found.append(statement.get_name() == "mine")
        found.append((await conn.prepare("SELECT 1", name="mine")).get_name())
        reordered = await conn.prepare("SELECT", name=None)
        found += [await reordered.fetchrow(), await reordered.fetch(), reordered.get_attributes()]
    return found


async def test_cursors_and_statements(postgres: RunningServer) -> None:
    await both(cursors_and_statements, postgres)


# A web service -------------------------------------------------------------------------------


class Service:
    """The kind of program that the page about pools is for."""

    def __init__(self, pg: Any, options: dict[str, Any]) -> None:
        self.pg = pg
        self.events: list[str] = []
        self.options = {
            **options,
            "min_size": 1,
            "max_size": 3,
            "init": self.init,
            "setup": self.setup,
            "server_settings": {"application_name": "service"},
            "command_timeout": 30,
        }

    async def init(self, conn: Any) -> None:
        await conn.set_type_codec(
            "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
        self.events.append("init")

    async def setup(self, conn: Any) -> None:
        await conn.execute("SET search_path = public")

    async def handle(self, pool: Any, power: int) -> Any:
        async with pool.acquire() as conn, conn.transaction():
            answer = await conn.fetchval("SELECT 2 ^ $1::int", power)
            return await conn.fetchval("SELECT $1::json", {"power": power, "answer": answer})

    async def run(self) -> Any:
        found: list[Any] = []
        async with self.pg.create_pool(**self.options) as pool:
            found.append(await asyncio.gather(*(self.handle(pool, n) for n in range(20))))
            found.append((pool.get_min_size(), pool.get_max_size(), pool.get_size() <= 3))
            found.append(await pool.fetchval("SELECT current_setting('application_name')"))
            found.append(await pool.fetch("SELECT generate_series(1, 3) AS n"))
            found.append(await pool.execute("SELECT 1"))
            found.append(await pool.fetchrow("SELECT $1::json AS j", [1]))
            await pool.executemany("SELECT $1::int", [(1,), (2,)])
            async with pool.acquire() as conn:
                await conn.execute("SET search_path = elsewhere")
                with_error = kind_of(conn.fetch("SELECT 1 / 0"))
                found.append(await with_error)
            found.append(await pool.fetchval("SHOW search_path"))
            found.append(await kind_of(lambda: conn.fetch("SELECT 1")))
            with contextlib.suppress(TimeoutError):
                held = [await pool.acquire() for _ in range(3)]
                try:
                    await pool.acquire(timeout=0.01)
                finally:
                    for one in held:
                        await pool.release(one)
            found.append(await pool.fetchval("SELECT 1"))
            await pool.expire_connections()
            found.append(await pool.fetchval("SELECT 2"))
        found.append(await kind_of(pool.fetchval("SELECT 1")))
        found.append("init" in self.events)
        return found


async def web_service(pg: Any, options: dict[str, Any]) -> Any:
    return await Service(pg, options).run()


async def test_web_service(postgres: RunningServer) -> None:
    await both(web_service, postgres)


async def schema_change(pg: Any, options: dict[str, Any]) -> Any:
    """What one connection of a pool finds out about the schema, all know."""
    found: list[Any] = []
    query = "SELECT * FROM changing"
    async with (
        connected(pg, options) as other,
        pg.create_pool(**options, min_size=2, max_size=2) as pool,
    ):
        await other.execute("CREATE TABLE changing (a int, b int)")
        await other.execute("INSERT INTO changing VALUES (1, 2)")
        try:
            async with pool.acquire() as first, pool.acquire() as second:
                found += [await first.fetch(query), await second.fetch(query)]
                await other.execute("ALTER TABLE changing ALTER COLUMN b TYPE text")
                async with first.transaction():
                    found.append(await kind_of(first.fetch(query)))
                async with second.transaction():
                    found.append(await second.fetchrow(query))
                found.append(await first.fetchrow(query))
        finally:
            await other.execute("DROP TABLE changing")
    return found


async def test_schema_change(postgres: RunningServer) -> None:
    await both(schema_change, postgres)


async def generator_left_early(pg: Any, options: dict[str, Any]) -> Any:
    """A generator with a transaction inside is not complained of: its block ends yet."""
    complaints: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))

    async def numbers(conn: Any) -> AsyncIterator[int]:
        async with conn.transaction():
            for record in await conn.fetch("SELECT 1 AS n"):
                yield record["n"]

    async with pg.create_pool(**options, min_size=1, max_size=1) as pool:
        with contextlib.suppress(ZeroDivisionError):
            async with pool.acquire() as conn:
                async for _ in numbers(conn):
                    raise ZeroDivisionError
        await asyncio.sleep(0)
        complaints.append(await pool.fetchval("SELECT 1"))
    loop.set_exception_handler(None)
    return complaints


async def test_generator_left_early(postgres15: RunningServer) -> None:
    assert await both(generator_left_early, postgres15) == [1]


# COPY, LISTEN --------------------------------------------------------------------------------


async def copying(pg: Any, options: dict[str, Any], folder: Path) -> Any:
    found: list[Any] = []
    async with connected(pg, options) as conn:
        await conn.execute("CREATE TEMPORARY TABLE measures (place text, value float8, day date)")
        day = datetime.date(2024, 1, 2)
        records = [(f"p{n}", n / 2, day) for n in range(500)] + [(None, None, None)]
        columns = ["place", "value", "day"]
        found.append(await conn.copy_records_to_table("measures", records=records, columns=columns))

        async def more() -> AsyncIterator[Any]:
            for n in range(3):
                yield (f"q{n}", float(n), None)

        found.append(await conn.copy_records_to_table("measures", records=more()))
        file = folder / "measures.csv"
        found.append(
            await conn.copy_from_table("measures", output=str(file), format="csv", header=True)
        )
        found.append(file.read_text())
        await conn.execute("TRUNCATE measures")
        found.append(
            await conn.copy_to_table("measures", source=str(file), format="csv", header=True)
        )
        out = io.BytesIO()
        query = "SELECT place, $2::text FROM measures WHERE value < $1"
        found.append(await conn.copy_from_query(query, 2, "it's", output=out))
        found.append(out.getvalue())
        pieces: list[bytes] = []

        async def take(data: bytes) -> None:
            pieces.append(data)

        found.append(await conn.copy_from_query("SELECT 1", output=take, format="binary"))
        found.append(b"".join(pieces))
        source = io.BytesIO(b"a;1.5;\nb;\\N;2024-02-03\n")
        found.append(await kind_of(conn.copy_to_table("measures", source=source, delimiter=";")))
        bad = conn.copy_records_to_table("measures", records=[("x", "no number", None)])
        found.append(bool(await kind_of(bad)))
        found.append(await conn.fetchval("SELECT count(*) FROM measures"))
    return found


async def test_copy(postgres: RunningServer, tmp_path: Path) -> None:
    await both(lambda pg, options: copying(pg, options, tmp_path), postgres)


async def listening(pg: Any, options: dict[str, Any]) -> Any:
    heard: list[Any] = []
    async with connected(pg, options) as listener, connected(pg, options) as speaker:
        arrived = asyncio.Event()

        def hear(conn: Any, pid: int, channel: str, payload: str) -> None:
            heard.append((conn is listener, pid == speaker.get_server_pid(), channel, payload))
            arrived.set()

        async def hear_too(conn: Any, pid: int, channel: str, payload: str) -> None:
            heard.append(("a coroutine", payload))

        await listener.add_listener("News", hear)
        await listener.add_listener("News", hear_too)
        for payload in ("one", ""):
            arrived.clear()
            await speaker.execute("SELECT pg_notify('News', $1)", payload)
            await arrived.wait()
            await asyncio.sleep(0.01)
        await listener.remove_listener("News", hear)
        await listener.remove_listener("News", hear_too)
        await speaker.execute("SELECT pg_notify('News', 'unheard')")
        await listener.fetchval("SELECT 1")

        messages: list[Any] = []

        def take_message(conn: Any, message: Any) -> None:
            messages.append((message.message, message.severity))

        speaker.add_log_listener(take_message)
        await speaker.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$")
        await asyncio.sleep(0.01)
        closed: list[Any] = []

        def take_end(conn: Any) -> None:
            closed.append(conn is speaker)

        speaker.add_termination_listener(take_end)
        await speaker.close()
        await asyncio.sleep(0.01)
        queries: list[Any] = []

        def take_query(record: Any) -> None:
            queries.append((record.query, record.args))

        with listener.query_logger(take_query):
            await listener.fetchval("SELECT $1::int", 5)
        heard.sort(key=str)
        return heard, messages, closed, queries


async def test_listening(postgres: RunningServer) -> None:
    await both(listening, postgres)


# Errors --------------------------------------------------------------------------------------


async def errors(pg: Any, options: dict[str, Any]) -> Any:
    found: list[Any] = []
    async with connected(pg, options) as conn:
        await conn.execute("CREATE TEMPORARY TABLE strict (n int NOT NULL CHECK (n > 0) UNIQUE)")
        insert = "INSERT INTO strict VALUES ($1)"
        await conn.execute(insert, 1)
        for value in (None, -1, 1):
            try:
                await conn.execute(insert, value)
            except pg.IntegrityConstraintViolationError as error:
                details = (error.sqlstate, error.constraint_name, error.table_name, error.detail)
                found.append((type(error).__name__, str(error), details))
        calls = [
            conn.fetch("SELEKT 1"),
            conn.fetch("SELECT 1 / 0"),
            conn.fetch("SELECT * FROM nowhere"),
            conn.fetch(insert, "text"),
            conn.fetch(insert, 2**40),
            conn.fetch(insert),
            conn.fetch(insert, 1, 2),
            conn.fetch("SELECT 1; SELECT 2", 1),
            conn.executemany(insert, [(5,), 6]),
            conn.executemany(insert, [(5,), {1: 2}]),
            conn.executemany(insert, [(5,), ("text",)]),
            conn.executemany(insert, [(5,), (5, 6)]),
            conn.fetchval("SELECT pg_sleep(10)", timeout=0.01),
            conn.fetchval("SELECT 1", timeout=-1),
        ]
        found += [await kind_of(call) for call in calls]
        texts: list[str] = []
        wrong: Any
        for wrong in ("a", False):
            with pytest.raises(ValueError, match="invalid timeout") as caught:
                await conn.fetchval("SELECT 1", timeout=wrong)
            texts.append(str(caught.value))
        for wrong in ("a", False, -1.0):
            with pytest.raises(ValueError, match="invalid command_timeout") as caught:
                await pg.connect(**options, command_timeout=wrong)
            texts.append(str(caught.value))
        found.append(texts)
        found.append(await conn.fetchval("SELECT count(*) FROM strict"))
        text = r"element #1 of executemany\(\) sequence"
        with pytest.raises(pg.DataError, match=text):
            await conn.executemany(insert, [(7,), ("text",)])
        rows = [("x" * 1000,)] * 700 + [(5,)]  # in another batch
        with pytest.raises(pg.DataError, match=r"element #700 of executemany\(\)"):
            await conn.executemany("SELECT $1::text", rows)
        with pytest.raises(pg.DataError, match="element #1: expected a sequence, got int"):
            await conn.executemany(insert, [(7,), 8])
        too_many = ",".join(f"${n}::int" for n in range(1, 2**16 + 1))
        with pytest.raises(pg.InterfaceError, match="number of query arguments cannot exceed"):
            await conn.fetchval(f"SELECT ARRAY[{too_many}]", *range(2**16))
        found.append(await conn.fetchval("SELECT 1"))
    found.append(await kind_of(conn.fetch("SELECT 1")))
    return found


async def test_errors(postgres: RunningServer) -> None:
    await both(errors, postgres)


async def interrupted(pg: Any, options: dict[str, Any]) -> Any:
    """The connection is closed from under a query that runs."""
    conn = await pg.connect(**options)
    running = asyncio.create_task(conn.fetchval("SELECT pg_sleep(10)"))
    await asyncio.sleep(0.05)
    conn.terminate()
    conn.terminate()
    with pytest.raises(pg.ConnectionDoesNotExistError, match="closed in the middle of operation"):
        await running
    with pytest.raises(pg.InterfaceError, match="connection is closed"):
        await conn.fetchval("SELECT 1")
    return conn.is_closed()


async def test_interrupted(postgres15: RunningServer) -> None:
    assert await both(interrupted, postgres15) is True


@pytest.mark.parametrize("pg", [asyncpg, wirekit_postgres])
def test_outside_of_a_running_event_loop(postgres15: RunningServer, pg: Any) -> None:
    """terminate() is a plain function, and may be called where no event loop runs."""
    options = login(postgres15)

    async def open_both() -> tuple[Any, Any]:
        pool = await pg.create_pool(**options, min_size=1, max_size=2)
        assert await pool.fetchval("SELECT 1") == 1
        return await pg.connect(**options), pool

    loop = asyncio.new_event_loop()
    conn, pool = loop.run_until_complete(open_both())
    conn.terminate()
    pool.terminate()
    assert conn.is_closed()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
