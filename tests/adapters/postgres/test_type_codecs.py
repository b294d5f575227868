from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import client, opened
from wirekit.adapters.postgres import (
    ClosedError,
    DataError,
    InterfaceError,
    Postgres,
    UnsupportedClientFeatureError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import RunningServer


@pytest.fixture
async def db(postgres: RunningServer) -> AsyncIterator[Postgres]:
    """A client with a schema of its own."""
    async with client(postgres) as fresh:
        await fresh.execute("DROP SCHEMA IF EXISTS mine CASCADE; CREATE SCHEMA mine")
        await fresh.execute("SET search_path TO mine, public")
        yield fresh
        await fresh.execute("DROP SCHEMA mine CASCADE")


@pytest.mark.parametrize("typename", ["json", "jsonb"])
async def test_json(db: Postgres, typename: str) -> None:
    query = f"SELECT $1::{typename}"
    assert await db.fetchval(query, '{"a": 1}') == '{"a": 1}'
    await db.set_type_codec(typename, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    assert await db.fetchval(query, {"a": [1, None]}) == {"a": [1, None]}
    assert await db.fetchval(query, None) is None
    assert await db.fetchval(f"SELECT $1::{typename}[]", [{"a": 1}, None, 2]) == [{"a": 1}, None, 2]
    await db.reset_type_codec(typename, schema="pg_catalog")
    assert await db.fetchval(query, '{"a": 1}') == '{"a": 1}'


async def test_inside_of_other_types(db: Postgres) -> None:
    await db.set_type_codec("json", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    await db.execute("CREATE DOMAIN document AS json")
    await db.execute("CREATE TYPE pair AS (a int, b document, c json[])")
    assert await db.fetchval("SELECT $1::document", {"x": 1}) == {"x": 1}
    value = (1, {"x": 1}, [{"y": 1}, None])
    found = await db.fetchval("SELECT $1::pair", value)
    assert found == value
    assert found["b"] == {"x": 1}
    assert await db.fetchval("SELECT $1::pair[]", [value, None]) == [value, None]
    await db.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    await db.set_type_codec("mood", schema="mine", encoder=str.lower, decoder=str.upper)
    assert await db.fetchval("SELECT $1::mood", "SAD") == "SAD"
    assert await db.fetchval("SELECT ARRAY['sad', $1]::mood[]", "HAPPY") == ["SAD", "HAPPY"]


async def test_one_function_alone(db: Postgres) -> None:
    await db.set_type_codec("json", schema="pg_catalog", decoder=json.loads)
    assert await db.fetchval("SELECT $1::json", '{"a": 1}') == {"a": 1}
    await db.set_type_codec("json", schema="pg_catalog", encoder=json.dumps)
    assert await db.fetchval("SELECT $1::json", {"a": 1}) == '{"a": 1}'
    await db.set_type_codec("int4", schema="pg_catalog", decoder=hex, format="text")
    with pytest.raises(TypeError):
        await db.fetchval("SELECT 1")  # hex of a str
    await db.set_type_codec(
        "int4", schema="pg_catalog", decoder=lambda data: data.hex(), format="binary"
    )
    assert await db.fetchval("SELECT $1::int4 + 1", 254) == "000000ff"
    assert await db.fetchval("SELECT ARRAY[$1::int4]", 16) == ["00000010"]
    with pytest.raises(InterfaceError, match="needs an encoder, a decoder, or both"):
        await db.set_type_codec("json", schema="pg_catalog")


async def test_binary(db: Postgres) -> None:
    await db.set_type_codec(
        "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )
    assert await db.fetchval("SELECT $1::uuid", bytes(range(16))) == bytes(range(16))
    assert await db.fetchval("SELECT $1::uuid::text", bytes(16)) == "0" * 8 + "-0000" * 3 + (
        "-" + "0" * 12
    )


@pytest.mark.parametrize(
    ("typename", "literal", "value"),
    [
        ("interval", "2 years 3 mons 4 days 00:00:05.000006", (27, 4, 5_000_006)),
        ("date", "2000-01-03", (2,)),
        ("time", "00:00:01", (1_000_000,)),
        ("timetz", "00:00:01+01", (1_000_000, -3600)),
        ("timestamp", "2000-01-01 00:00:01", (1_000_000,)),
        ("timestamptz", "2000-01-01 00:00:01+00", (1_000_000,)),
        ("timestamp with timezone", "infinity", (2**63 - 1,)),
    ],
)
async def test_tuples(db: Postgres, typename: str, literal: str, value: tuple[int, ...]) -> None:
    await db.set_type_codec(
        typename, schema="pg_catalog", encoder=tuple, decoder=list, format="tuple"
    )
    sql = typename.replace("timezone", "time zone")
    assert await db.fetchval(f"SELECT '{literal}'::{sql}") == list(value)
    assert await db.fetchval(f"SELECT $1::{sql}", value) == list(value)
    assert await db.fetchval(f"SELECT $1::{sql} = '{literal}'", value) is True


async def test_composites(db: Postgres) -> None:
    await db.execute("CREATE TYPE complex AS (re float8, im float8)")
    await db.set_type_codec(
        "complex",
        schema="mine",
        encoder=lambda value: (value.real, value.imag),
        decoder=lambda value: complex(*value),
        format="tuple",
    )
    assert await db.fetchval("SELECT $1::complex", 1 + 2j) == 1 + 2j
    assert await db.fetchval("SELECT ARRAY[$1::complex, NULL]", 1 + 2j) == [1 + 2j, None]
    with pytest.raises(UnsupportedClientFeatureError, match="only tuple-format codecs can be used"):
        await db.set_type_codec("complex", schema="mine", encoder=str, decoder=str)


async def test_hstore(postgres15: RunningServer) -> None:
    async with client(postgres15, user="postgres") as superuser:
        await superuser.execute("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public")
    async with client(postgres15) as db:
        assert await db.fetchval("SELECT 'a=>1'::hstore") == '"a"=>"1"'
        await db.set_builtin_type_codec("hstore", codec_name="pg_contrib.hstore")
        value = {"a": "1", "b": None, '"': "\\"}
        assert await db.fetchval("SELECT $1::hstore", value) == value
        assert await db.fetchval("SELECT ARRAY[$1::hstore]", value) == [value]
        await db.reset_type_codec("hstore")
        assert await db.fetchval("SELECT 'a=>1'::hstore") == '"a"=>"1"'


async def test_a_type_that_travels_like_a_builtin_one(db: Postgres) -> None:
    await db.execute("CREATE DOMAIN size AS int")
    await db.set_builtin_type_codec("size", schema="mine", codec_name="int")
    assert await db.fetchval("SELECT $1::size", 5) == 5
    with pytest.raises(InterfaceError, match="cannot alias size to nothing: there is no"):
        await db.set_builtin_type_codec("size", schema="mine", codec_name="nothing")
    with pytest.raises(InterfaceError, match="invalid `format` argument, expected 'text' or"):
        await db.set_builtin_type_codec(
            "size",
            schema="mine",
            codec_name="int",
            format="tuple",  # type: ignore[arg-type]  # that is the point
        )
    await db.execute("CREATE TYPE pair AS (a int, b int)")
    with pytest.raises(InterfaceError, match=r"cannot alias non-scalar type mine\.pair"):
        await db.set_builtin_type_codec("pair", schema="mine", codec_name="int")


async def test_types_that_cannot_have_one(db: Postgres) -> None:
    functions: dict[str, Any] = {"encoder": str, "decoder": str}
    with pytest.raises(ValueError, match=r"unknown type: public\.nothing"):
        await db.set_type_codec("nothing", **functions)
    with pytest.raises(ValueError, match=r"unknown type: public\.nothing"):
        await db.reset_type_codec("nothing")
    with pytest.raises(ValueError, match=r"unknown type: public\.nothing"):
        await db.set_builtin_type_codec("nothing", codec_name="int")
    await db.execute("CREATE DOMAIN size AS int")
    with pytest.raises(UnsupportedClientFeatureError, match="custom codecs on domain types") as it:
        await db.set_type_codec("size", schema="mine", **functions)
    assert it.value.hint == "Set the codec on the base type."
    for typename in ("_int4", "int4range"):
        text = rf"cannot use custom codec on type pg_catalog\.{typename}: it is neither a scalar"
        with pytest.raises(InterfaceError, match=text):
            await db.set_type_codec(typename, schema="pg_catalog", **functions)
    with pytest.raises(InterfaceError, match="json type does not support the 'tuple' exchange"):
        await db.set_type_codec("json", schema="pg_catalog", format="tuple", **functions)
    with pytest.raises(InterfaceError, match="invalid `format` argument, expected 'text', 'binary"):
        await db.set_type_codec("json", schema="pg_catalog", format="yaml", **functions)  # type: ignore[arg-type]
    assert await db.fetchval("SELECT $1::json", "1") == "1"


async def test_codecs_that_fail(db: Postgres) -> None:
    def fail(value: Any) -> Any:
        raise ZeroDivisionError(value)

    await db.set_type_codec("json", schema="pg_catalog", encoder=fail, decoder=fail)
    with pytest.raises(ZeroDivisionError):
        await db.fetchval("SELECT '1'::json")
    with pytest.raises(DataError, match=r"invalid input for query argument \$1: int \(5\)"):
        await db.fetchval("SELECT $1::json", 5)
    assert await db.fetchval("SELECT 1") == 1


async def test_what_is_prepared_anew(db: Postgres) -> None:
    query = "SELECT $1::json"
    for _ in range(2):
        assert await db.fetchval(query, "1") == "1"
    await db.set_type_codec("json", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    for _ in range(2):
        assert await db.fetchval(query, 1) == 1
    await db.reload_schema_state()
    assert await db.fetchval(query, 1) == 1


async def test_the_questions_about_types_go_through_no_codecs(db: Postgres) -> None:
    for typename in ("oid", "name", "char", "bool", "text"):
        await db.set_type_codec(
            typename,
            schema="pg_catalog",
            encoder=lambda value: value,
            decoder=lambda value: [value],
        )
    await db.execute("CREATE TYPE pair AS (a int, b text)")
    assert await db.fetchval("SELECT $1::pair", (1, "x")) == (1, ["x"])
    await db.set_type_codec("pair", schema="mine", encoder=tuple, decoder=tuple, format="tuple")
    assert await db.fetchval("SELECT $1::pair", [1, "x"]) == (1, ["x"])


@pytest.mark.parametrize("cache", [0, 100])
async def test_without_a_statement_cache(postgres15: RunningServer, cache: int) -> None:
    async with client(postgres15, statement_cache_size=cache) as db:
        await db.execute("CREATE TYPE pg_temp.pair AS (a int, b json)")
        await db.set_type_codec("json", schema="pg_catalog", decoder=json.loads)
        assert await db.fetchval("SELECT '(1,[2])'::pg_temp.pair") == (1, [2])


async def test_copying_records(db: Postgres) -> None:
    await db.execute("CREATE TEMP TABLE t (a int, b jsonb, c interval)")
    await db.set_type_codec(
        "interval", schema="pg_catalog", encoder=tuple, decoder=tuple, format="tuple"
    )
    await db.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda data: json.loads(data[1:]),
        format="binary",
    )
    records = [(1, {"a": 1}, (1, 2, 3)), (2, None, None)]
    assert await db.copy_records_to_table("t", records=records) == "COPY 2"
    assert await db.fetch("SELECT * FROM t ORDER BY a") == records
    # asyncpg issue 762: with a codec for text too, as far as the type has the same bytes.
    await db.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    assert await db.copy_records_to_table("t", records=[(3, [1], None)]) == "COPY 1"
    assert await db.fetchval("SELECT b FROM t WHERE a = 3") == [1]
    # Where it has not, there is an error before anything is sent.
    await db.set_type_codec("int4", schema="pg_catalog", encoder=str, decoder=int)
    with pytest.raises(Exception, match="no binary format encoder for type int4"):
        await db.copy_records_to_table("t", records=[(4, None, None)])
    assert await db.fetchval("SELECT count(*) FROM t") == 3


async def test_a_closed_connection(db: Postgres, postgres: RunningServer) -> None:
    closed = await opened(postgres)
    await closed.close()
    for call in (
        closed.set_type_codec("json", schema="pg_catalog", decoder=json.loads),
        closed.reset_type_codec("json", schema="pg_catalog"),
        closed.set_builtin_type_codec("json", schema="pg_catalog", codec_name="text"),
    ):
        with pytest.raises(ClosedError, match="connection is closed"):
            await call
    assert not db.is_closed()
