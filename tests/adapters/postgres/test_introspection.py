"""Types that are not built in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.adapters.postgres._login import client, login
from tests.servers import RunningServer
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres._introspection import (
    asks_for_types,
    type_info,
    types_by_name,
    types_by_oid,
)
from wirekit.adapters.postgres.types import ServerVersion

SCHEMA = """
    DROP SCHEMA IF EXISTS seen CASCADE;
    CREATE SCHEMA seen;
    CREATE TYPE seen.mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN seen.small AS int4 CHECK (value < 100);
    CREATE TYPE seen.pair AS (number seen.small, mood seen.mood, dropped int4);
    ALTER TYPE seen.pair DROP ATTRIBUTE dropped;
    CREATE TYPE seen.nest AS (pairs seen.pair[], pair seen.pair);
    CREATE TYPE seen.floats AS RANGE (subtype = float8);
"""
VALUES: dict[str, Any] = {
    "seen.mood": "ok",
    "seen.mood[]": ["ok", None, "sad"],
    "seen.small": 7,
    "seen.small[]": [7, 8],
    "seen.pair": (7, "ok"),
    "seen.pair[]": [(7, "ok"), None, (None, "sad")],
    "seen.nest": ([(7, "ok")], (8, None)),
    "seen.floats": pg.Range(1.5, 2.5),
    "seen.floats[]": [pg.Range(1.5, None)],
}


@pytest.fixture
async def db(postgres: RunningServer) -> AsyncIterator[Any]:
    async with client(postgres) as made:
        await made.execute("SELECT pg_advisory_lock(1)")
        await made.execute(SCHEMA)
        yield made


@pytest.mark.parametrize("name", VALUES)
async def test_values_there_and_back(db: Any, name: str) -> None:
    value = VALUES[name]
    got = await db.fetchval(f"SELECT $1::{name}", value)
    assert got == value
    assert await db.fetchval(f"SELECT $1::{name}", None) is None


async def test_multiranges(db: Any) -> None:
    name = await db.fetchval(
        "SELECT rngmultitypid::regtype::text FROM pg_range WHERE rngtypid = 'seen.floats'::regtype"
    )
    value = [pg.Range(1.0, 2.0), pg.Range(3.0, 4.0)]
    assert await db.fetchval(f"SELECT $1::{name}", value) == value
    assert await db.fetchval(f"SELECT ARRAY[$1::{name}]", value) == [value]


async def test_composites_have_names(db: Any) -> None:
    pair = await db.fetchval("SELECT ROW(7, 'ok')::seen.pair")
    assert (pair["number"], pair["mood"]) == (7, "ok")
    await db.execute("CREATE TEMP TABLE t (a int4, pair seen.pair)")
    await db.execute("INSERT INTO t VALUES (1, (2, 'sad'))")
    row = await db.fetchval("SELECT t FROM t")
    assert (row["a"], row["pair"]["number"]) == (1, 2)


async def test_many_tasks_see_the_same_types(db: Any) -> None:
    calls = [db.fetchval(f"SELECT $1::seen.nest, {n}", VALUES["seen.nest"]) for n in range(20)]
    assert await asyncio.gather(*calls) == [VALUES["seen.nest"]] * 20


async def test_inside_of_a_transaction_and_a_pipeline(db: Any) -> None:
    async with db.transaction():
        assert await db.fetchval("SELECT 'ok'::seen.mood") == "ok"
        async with db.pipeline() as pipeline:
            nest = pipeline.fetchval("SELECT $1::seen.nest", VALUES["seen.nest"])
            pairs = pipeline.fetchval("SELECT $1::seen.pair[]", VALUES["seen.pair[]"])
        assert await nest == VALUES["seen.nest"]
        assert await pairs == VALUES["seen.pair[]"]


@pytest.mark.parametrize("size", [0, 1, 2])
async def test_without_a_cache_of_statements(postgres15: RunningServer, size: int) -> None:
    async with client(postgres15, statement_cache_size=size) as db:
        await db.execute(SCHEMA)
        calls = [db.fetchval(f"SELECT $1::{name}", value) for name, value in VALUES.items()]
        assert await asyncio.gather(*calls) == list(VALUES.values())


async def test_a_pools_connections_know_what_one_has_learnt(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        await db.execute(SCHEMA)
    async with (
        pg.create_pool(**login(postgres15), min_size=2, max_size=2) as pool,
        pool.acquire() as first,
        pool.acquire() as second,
    ):
        before = first.request_count, second.request_count
        for connection in (first, second):
            assert await connection.fetchval("SELECT 'ok'::seen.mood") == "ok"
        assert second.request_count - before[1] == 2
        assert first.request_count - before[0] > 2


async def test_types_are_seen_anew(db: Any) -> None:
    assert await db.fetchval("SELECT ROW(7, 'ok')::seen.pair") == (7, "ok")
    await db.execute("ALTER TYPE seen.pair ADD ATTRIBUTE more text")
    await db.reload_schema_state()
    pair = await db.fetchval("SELECT ROW(7, 'ok', 'more')::seen.pair")
    assert (pair["more"], len(pair)) == ("more", 3)


# Servers that say odd things are in tests/interop/postgres/test_hostile.py.


def version(major: int) -> ServerVersion:
    return ServerVersion(major, 0, 0, "final", 0)


def test_queries_for_old_and_new_servers() -> None:
    for make in (types_by_oid, types_by_name):
        old, new = make(version(13)), make(version(14))
        assert "rngmultitypid" in new
        assert "rngmultitypid" not in old
        assert "typsubscript" not in old
        assert asks_for_types(old)
        assert asks_for_types(new)
    assert not asks_for_types("SELECT 1")


async def test_by_name(db: Any) -> None:
    query = types_by_name(db.get_server_version())
    info = type_info(await db.fetchrow(query, "pair", "seen"))
    assert (info.name, info.schema, info.kind) == ("pair", "seen", "c")
    assert [name for name, _ in info.fields] == ["number", "mood"]
    assert await db.fetchrow(query, "nothing", "seen") is None
