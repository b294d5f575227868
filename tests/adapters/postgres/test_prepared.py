"""Prepared statements on real servers."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import login, opened
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres._prepared import PreparedStatement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import RunningServer

asyncpg: Any = importlib.import_module("asyncpg")

SCHEMA = """
DROP SCHEMA IF EXISTS prepared CASCADE;
CREATE SCHEMA prepared;
CREATE TYPE prepared.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN prepared.small AS int4;
CREATE DOMAIN prepared.smaller AS prepared.small;
CREATE TYPE prepared.pair AS (a int, b prepared.smaller);
CREATE TYPE prepared.floats AS RANGE (subtype = float8, multirange_type_name = prepared.many);
"""
TYPES = """
int2 int4[] text varchar(3) bpchar name "char" numeric(4,2) bytea uuid json jsonb inet point oid xml
regclass int4range int4multirange int8range[] int2vector oidvector timestamptz bit(3) tsvector
pg_lsn information_schema.sql_identifier prepared.mood prepared.mood[] prepared.small
prepared.smaller prepared.smaller[] prepared.pair prepared.pair[] prepared.floats prepared.many
money
""".split()


@pytest.fixture(params=[100, 0], ids=["cached", "anew"])
async def db(request: pytest.FixtureRequest, postgres: RunningServer) -> AsyncIterator[Any]:
    db: Any = await opened(postgres, statement_cache_size=request.param)
    yield db
    await db.close()


@pytest.fixture
async def plain(postgres15: RunningServer) -> AsyncIterator[Any]:
    db: Any = await opened(postgres15)
    yield db
    await db.close()


async def statements(db: Any, query: str) -> int:
    """Return how many statements of a text the server has."""
    text = "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1"
    count: int = await db.fetchval(text, query)
    return count


async def test_fetching(db: Any) -> None:
    statement = await db.prepare("SELECT i, $2::text FROM generate_series(1, $1::int) i")
    assert [tuple(row) for row in await statement.fetch(2, "x")] == [(1, "x"), (2, "x")]
    assert tuple(await statement.fetchrow(2, "x")) == (1, "x")
    assert await statement.fetchrow(0, "x") is None
    assert await statement.fetchval(2, "x") == 1
    assert await statement.fetchval(2, "x", column=1) == "x"
    assert await statement.fetchval(0, "x") is None
    many = await statement.fetchmany([(1, "a"), (2, "b")])
    assert [tuple(row) for row in many] == [(1, "a"), (1, "b"), (2, "b")]


async def test_executemany(db: Any) -> None:
    await db.execute("CREATE TEMP TABLE t (a int)")
    statement = await db.prepare("INSERT INTO t VALUES ($1)")
    await statement.executemany([(number,) for number in range(1000)])
    with pytest.raises(pg.DataError, match=r"\$1"):
        await statement.executemany([(1,), ("x",)])
    assert await db.fetchval("SELECT count(*) FROM t") == 1000


async def test_many_tasks_at_once(db: Any) -> None:
    statement = await db.prepare("SELECT $1::int, 6 / ($1 % 7)")

    async def run(number: int) -> None:
        if number % 7 == 0:
            with pytest.raises(pg.DivisionByZeroError):
                await statement.fetchrow(number)
        else:
            assert tuple(await statement.fetchrow(number)) == (number, 6 // (number % 7))

    await asyncio.gather(*map(run, range(200)))


async def test_names(plain: Any) -> None:
    statement = await plain.prepare("SELECT 1")
    other = await plain.prepare("SELECT 1")
    assert statement.get_name() != other.get_name()
    assert repr(statement) == f"<PreparedStatement {statement.get_name()!r}>"
    named = await plain.prepare("SELECT 2", name='my "own" name')
    assert named.get_name() == 'my "own" name'
    assert named.get_query() == "SELECT 2"
    assert await plain.fetchval('EXECUTE "my ""own"" name"') == 2
    with pytest.raises(pg.DuplicatePreparedStatementError):
        await plain.prepare("SELECT 3", name='my "own" name')
    assert await named.fetchval() == 2


async def test_without_a_cache(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15, statement_cache_size=0)
    statement = await db.prepare("SELECT $1::int + 1")
    assert statement.get_name() == ""
    assert await db.fetchval("SELECT 5") == 5  # which is the server's statement without a name
    assert await statement.fetchval(1) == 2
    named = await db.prepare("SELECT 2", name="mine")
    assert named.get_name() == "mine"
    assert await named.fetchval() == 2
    assert await statements(db, "SELECT $1::int + 1") == 0
    await db.close()


async def test_status(plain: Any) -> None:
    statement = await plain.prepare("SELECT generate_series(1, 3)")
    assert statement.get_statusmsg() is None
    await statement.fetch()
    assert statement.get_statusmsg() == "SELECT 3"
    await statement.fetchrow()  # it was not run to its end
    assert statement.get_statusmsg() is None
    create = await plain.prepare("CREATE TEMP TABLE t (a int)")
    await create.fetch()
    assert create.get_statusmsg() == "CREATE TABLE"
    empty = await plain.prepare("")
    assert await empty.fetch() == []
    assert empty.get_statusmsg() is None


async def test_types_are_asyncpgs(postgres: RunningServer) -> None:
    oracle = await asyncpg.connect(**login(postgres))
    db: Any = await opened(postgres)
    await db.execute(SCHEMA)
    casts = [f"${number}::{kind}" for number, kind in enumerate(TYPES, 1)]
    query = f"SELECT {', '.join(casts)}, row(1, 2), ARRAY[row(1)], NULL::void"
    ours, theirs = await db.prepare(query), await oracle.prepare(query)
    assert ours.get_parameters() == tuple(pg.types.Type(*kind) for kind in theirs.get_parameters())
    attributes = theirs.get_attributes()
    assert ours.get_attributes() == tuple(
        pg.types.Attribute(name, pg.types.Type(*kind)) for name, kind in attributes
    )
    kinds = {kind.kind for _, kind in attributes}
    assert kinds == {"array", "composite", "multirange", "range", "scalar"}
    await db.close()
    await oracle.close()


async def test_explain(plain: Any) -> None:
    await plain.execute("CREATE TEMP TABLE t (a int)")
    statement = await plain.prepare("INSERT INTO t VALUES ($1) RETURNING a")
    (plan,) = await statement.explain(1)
    assert plan["Plan"]["Node Type"] == "ModifyTable"
    (plan,) = await statement.explain(1, analyze=True)
    assert "Execution Time" in plan
    async with plain.transaction():
        await statement.explain(1, analyze=True)
        assert await plain.fetchval("SELECT count(*) FROM t") == 0
    with pytest.raises(pg.DataError):
        await statement.explain("x", analyze=True)
    assert not plain.is_in_transaction()
    assert not plain._ownership.held


async def test_explain_with_a_codec_for_json(plain: Any) -> None:
    statement = await plain.prepare("SELECT 1")
    await plain.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=len)
    assert await statement.explain() > 100


async def test_inside_a_pipeline(plain: Any) -> None:
    statement = await plain.prepare("SELECT $1::int")
    async with plain.pipeline():
        found = await asyncio.gather(*[statement.fetchval(number) for number in range(5)])
        late = await plain.prepare("SELECT 'late'")
        assert await late.fetchval() == "late"
    assert found == [*range(5)]


async def test_record_class(plain: Any) -> None:
    class Named(pg.Record):
        def __getattr__(self, name: str) -> Any:
            return self[name]

    statement = await plain.prepare("SELECT 1 AS one", record_class=Named)
    assert (await statement.fetchrow()).one == 1
    assert (await statement.fetchmany([(), ()]))[1].one == 1


async def test_a_changed_table_is_an_error(plain: Any) -> None:
    await plain.execute("CREATE TEMP TABLE t (a int)")
    statement = await plain.prepare("SELECT * FROM t")
    await plain.execute("ALTER TABLE t ADD b int")
    with pytest.raises(pg.InvalidCachedStatementError):
        await statement.fetch()


# Time and cancellation


async def test_timeouts(plain: Any) -> None:
    statement = await plain.prepare("SELECT pg_sleep($1)")
    calls: list[Any] = [
        statement.fetch(3600, timeout=0.02),
        statement.fetchrow(3600, timeout=0.02),
        statement.fetchval(3600, timeout=0.02),
        statement.fetchmany([(3600,)], timeout=0.02),
        statement.executemany([(3600,)], timeout=0.02),
    ]
    for call in calls:
        with pytest.raises(TimeoutError):
            await call
    assert len(await statement.fetch(0)) == 1


@pytest.mark.parametrize("method", ["prepare", "fetch", "cursor"])
async def test_parsing_that_waits_for_a_lock_is_cancelled(
    postgres15: RunningServer, plain: Any, method: str
) -> None:
    await plain.execute("DROP TABLE IF EXISTS locked; CREATE TABLE locked (a int)")
    db: Any = await opened(postgres15)
    async with plain.transaction():
        await plain.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), db.transaction():
                await getattr(db, method)("SELECT a FROM locked")
        async with asyncio.timeout(20):
            assert await db.fetchval("SELECT 1") == 1
    assert await statements(db, "SELECT a FROM locked") == 0
    await db.execute("DROP TABLE locked")
    await db.close()


# The end


async def called(call: Any) -> None:
    made = call()
    if inspect.isawaitable(made):
        await made


async def test_the_server_forgets_it_with_the_object(plain: Any) -> None:
    statement = await plain.prepare("SELECT 'gone'")
    assert await statements(plain, "SELECT 'gone'") == 1
    del statement
    await asyncio.sleep(0.01)
    assert await statements(plain, "SELECT 'gone'") == 0


async def test_not_in_the_middle_of_what_is_under_way(plain: Any) -> None:
    # A Sync there would commit the half of it.
    await plain.execute("CREATE TEMP TABLE t (a int PRIMARY KEY)")
    statement = await plain.prepare("SELECT 'gone'")

    def rows() -> Any:
        nonlocal statement
        for number in range(60000):
            if number == 30000:
                statement = None
            yield (number,)
        yield (0,)

    with pytest.raises(pg.UniqueViolationError):
        await plain.executemany("INSERT INTO t VALUES ($1)", rows())
    assert await plain.fetchval("SELECT count(*) FROM t") == 0
    async with asyncio.timeout(20):
        while await statements(plain, "SELECT 'gone'"):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.05)


async def test_prepare_that_is_cancelled_leaves_nothing(plain: Any) -> None:
    for turns in range(12):
        task = asyncio.create_task(plain.prepare("SELECT 'cancelled'"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        del task
        await asyncio.sleep(0.002)
        assert await statements(plain, "SELECT 'cancelled'") == 0


async def test_the_garbage_collector_may_be_in_another_thread(plain: Any) -> None:
    held = [await plain.prepare("SELECT 'elsewhere'")]
    thread = threading.Thread(target=held.clear)
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0.01)
    assert await statements(plain, "SELECT 'elsewhere'") == 0


def test_after_the_event_loop(postgres15: RunningServer) -> None:
    async def prepare() -> Any:
        db: Any = await opened(postgres15)
        statement = await db.prepare("SELECT 1")
        async with db.transaction():
            cursor = await db.cursor("SELECT 1")
        db.terminate()
        await asyncio.sleep(0.01)
        return statement, cursor

    kept = asyncio.run(prepare())
    del kept
    gc.collect()  # an error in it would be a warning, and so an error


async def test_wrong_use_is_refused_in_the_words_of_asyncpg(postgres15: RunningServer) -> None:
    async def texts(module: Any) -> list[str]:
        db = await module.connect(**login(postgres15))
        statement = await db.prepare("SELECT $1::int")
        transaction = db.transaction()
        await transaction.start()
        await db.close()
        calls: list[Any] = [
            statement.get_name,
            statement.get_query,
            statement.get_statusmsg,
            statement.get_parameters,
            statement.get_attributes,
            lambda: statement.fetch(1),
            lambda: statement.fetchrow(1),
            lambda: statement.fetchval(1),
            lambda: statement.fetchmany([(1,)]),
            lambda: statement.executemany([(1,)]),
            lambda: statement.cursor(1),
            lambda: statement.explain(1),
            lambda: db.prepare("SELECT 1"),
        ]
        found: list[str] = []
        for call in calls:
            with pytest.raises(module.InterfaceError) as caught:
                await called(call)
            found.append(str(caught.value))
        return found

    assert await texts(pg) == await texts(asyncpg)


async def test_a_statement_that_is_closed(plain: Any) -> None:
    statement = await plain.prepare("SELECT 1")
    statement._statement.closed = True
    with pytest.raises(pg.InterfaceError) as caught:
        await statement.fetch()
    assert str(caught.value) == (
        "cannot call PreparedStmt.fetch(): the prepared statement is closed"
    )


def test_its_class() -> None:
    assert pg.prepared_stmt.PreparedStatement is PreparedStatement
