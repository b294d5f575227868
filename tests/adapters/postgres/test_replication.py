"""Logical replication from real servers; a fake one only for what these do not do."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from struct import pack
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import RunningServer, postgres_server
from wirekit import sockets
from wirekit.adapters import postgres as pg
from wirekit.protocols.postgres.replication import (
    UNCHANGED,
    Begin,
    BeginPrepare,
    Commit,
    CommitPrepared,
    Delete,
    Insert,
    Message,
    Origin,
    Prepare,
    Relation,
    RollbackPrepared,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
    parse_lsn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

NUMBERS = itertools.count()
STREAM = "wirekit.adapters.postgres._replication_stream"


class Source:
    """A database of its own, with a publication of all tables and the slot ``slot``."""

    def __init__(self, server: RunningServer, database: str) -> None:
        self.server = server
        self.database = database
        self.slot = f"{database}_slot"

    async def connect(self) -> pg.Postgres:
        client: pg.Postgres = await pg.connect(
            **self.parameters(), server_settings={"synchronous_commit": "on"}
        )
        return client

    def parameters(self, database: str | None = None) -> dict[str, Any]:
        where = {"host": self.server.host, "port": self.server.port, "ssl": False}
        return {**where, "user": "postgres", "database": database or self.database}

    @asynccontextmanager
    async def replication(self, **settings: str) -> AsyncGenerator[pg.Replication]:
        async with await pg.connect_replication(
            **self.parameters(), server_settings=settings
        ) as replication:
            yield replication

    def address(self) -> str:
        return f"tcp://{self.server.host}:{self.server.port}"

    @property
    def is_new(self) -> bool:
        return self.server.name != "postgres15"


@asynccontextmanager
async def source_on(server: RunningServer) -> AsyncGenerator[Source]:
    source = Source(server, f"replication{next(NUMBERS)}")
    async with administration(source) as admin:
        await admin.execute(f"CREATE DATABASE {source.database}")
    db = await source.connect()
    await db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    await db.execute("CREATE TABLE item (id int PRIMARY KEY, body text)")
    await db.execute(f"SELECT pg_create_logical_replication_slot('{source.slot}', 'pgoutput')")
    await db.close()
    try:
        yield source
    finally:
        async with administration(source) as admin:
            own = f"pg_replication_slots WHERE database = '{source.database}'"
            await admin.execute(f"SELECT pg_terminate_backend(active_pid) FROM {own} AND active")

            async def is_left() -> bool:
                return not await admin.fetchval(f"SELECT count(*) FROM {own} AND active")

            await eventually(is_left)
            await admin.execute(f"SELECT pg_drop_replication_slot(slot_name) FROM {own}")
            await admin.execute(f"DROP DATABASE {source.database} WITH (FORCE)")


@asynccontextmanager
async def administration(source: Source) -> AsyncGenerator[pg.Postgres]:
    client: pg.Postgres = await pg.connect(**source.parameters("postgres"))
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def source(postgres: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres) as source:
        yield source


@pytest.fixture
async def source15(postgres15: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres15) as source:
        yield source


@pytest.fixture
async def db(source: Source) -> AsyncIterator[pg.Postgres]:
    client = await source.connect()
    yield client
    await client.close()


async def take(stream: pg.ReplicationStream[Any], count: int) -> list[Any]:
    """Return the messages up to the end of so many transactions, without their LSNs."""
    messages: list[Any] = []
    while count:
        messages.append((await anext(stream)).message)
        count -= isinstance(messages[-1], Commit | StreamCommit)
    return messages


def kinds(messages: list[Any]) -> list[type]:
    return [type(message) for message in messages]


async def insert_large_rows(db: pg.Postgres, count: int) -> None:
    await db.execute(
        "INSERT INTO item SELECT i, repeat('x', 1000) FROM generate_series(1, $1::int) i", count
    )


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    while not await condition():  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.01)


# Commands


async def test_commands(source: Source) -> None:
    async with source.replication(application_name="x") as replication:
        identity = await replication.identify_system()
        assert identity.dbname == source.database
        assert identity.timeline == 1
        assert identity.xlogpos > 0
        assert await replication.show("wal_level") == "logical"
        assert await replication.show("application_name") == "x"
        rows = await replication.query("SELECT 1, NULL, 'it''s'; SELECT true")
        assert rows == [("1", None, "it's"), ("t",)]
        assert await replication.query("CREATE TABLE t ()") == []
        assert replication.get_server_version() >= (15,)
        assert replication.get_server_pid() > 0
        assert not replication.is_closed()
        assert repr(replication) == f"<Replication {source.server.host}:{source.server.port}>"
        with pytest.raises(pg.UndefinedObjectError):
            await replication.show("no such")
        with pytest.raises(pg.DivisionByZeroError):
            await replication.query("SELECT 1 / 0")
        assert (await replication.identify_system()).systemid == identity.systemid
    assert replication.is_closed()
    with pytest.raises(pg.InterfaceError, match="closed"):
        await replication.identify_system()


async def test_slots(source: Source) -> None:
    async with source.replication() as replication:
        made = await replication.create_slot("made")
        assert made[::2] == ("made", None)
        assert made.output_plugin == "pgoutput"
        slot = await replication.read_slot("made")
        assert slot is not None
        assert slot[:6] == ("made", "logical", "pgoutput", source.database, False, False)
        assert slot.confirmed_flush_lsn == made.consistent_point
        assert slot.restart_lsn is not None
        assert slot.restart_lsn <= made.consistent_point
        with pytest.raises(pg.DuplicateObjectError):
            await replication.create_slot("made")
        await replication.drop_slot("made")
        assert await replication.read_slot("made") is None
        with pytest.raises(pg.UndefinedObjectError):
            await replication.drop_slot("made", wait=True)
        with pytest.raises(pg.InvalidNameError):
            await replication.create_slot("No Such")
        with pytest.raises(pg.UndefinedFileError):
            await replication.create_slot("made", "no such plugin")
        wrong: Any = "all"
        with pytest.raises(pg.InterfaceError, match="snapshot is 'export', 'use' or"):
            await replication.create_slot("made", snapshot=wrong)
        await replication.create_slot("made", temporary=True, two_phase=True)
        slot = await replication.read_slot("made")
        assert slot is not None
        assert slot.temporary
    async with source.replication() as replication:

        async def is_gone() -> bool:
            return await replication.read_slot("made") is None

        await eventually(is_gone)


async def test_snapshots(source: Source, db: pg.Postgres) -> None:
    await db.execute("INSERT INTO item VALUES (1)")
    async with source.replication() as replication:
        made = await replication.create_slot("made", temporary=True, snapshot="export")
        await db.execute("INSERT INTO item VALUES (2)")
        await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await db.execute(f"SET TRANSACTION SNAPSHOT '{made.snapshot_name}'")
        assert await db.fetch("SELECT id FROM item") == [(1,)]
        await db.execute("COMMIT")
        async with replication.start("made", ["everything"]) as stream:
            (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
            assert insert.new["id"] == 2
    async with source.replication() as replication:
        await replication.query("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
        made = await replication.create_slot("made", temporary=True, snapshot="use")
        assert made.snapshot_name is None
        await db.execute("INSERT INTO item VALUES (3)")
        assert await replication.query("SELECT count(*) FROM item") == [("2",)]
        await replication.query("COMMIT")


async def test_dropping_a_slot_in_use_waits(source: Source) -> None:
    async with source.replication() as user, source.replication() as other:
        async with user.start(source.slot, ["everything"]):
            with pytest.raises(pg.ObjectInUseError):
                await other.drop_slot(source.slot)
            dropping = asyncio.create_task(other.drop_slot(source.slot, wait=True))
            await asyncio.wait([dropping], timeout=0.05)
            assert not dropping.done()
        await dropping
        assert await other.read_slot(source.slot) is None


async def test_on_a_socket(source: Source, db: pg.Postgres) -> None:
    await db.execute("CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE person (mood mood)")
    await db.execute("INSERT INTO person VALUES ('ok')")
    replication = pg.Replication(
        sockets.connect(source.address()), user="postgres", database=source.database
    )
    assert repr(replication) == "<Replication not open>"
    async with replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
            # Nobody can be asked what the type is.
            assert insert.new == {"mood": b"ok"}
        assert (await replication.identify_system()).dbname == source.database


async def test_connecting_with_target_session_attrs(source: Source) -> None:
    parameters = source.parameters()
    async with await pg.connect_replication(
        **parameters, target_session_attrs="read-write"
    ) as replication:
        assert await replication.query("SELECT 1") == [("1",)]
    with pytest.raises(pg.TargetServerAttributeNotMatched):
        await pg.connect_replication(**parameters, target_session_attrs="standby")


# Messages


async def test_messages_of_a_transaction(source: Source, db: pg.Postgres) -> None:
    await db.execute("ALTER TABLE item ALTER body SET STORAGE EXTERNAL")
    async with (
        source.replication() as replication,
        replication.start(source.slot, ["everything"], messages=True) as stream,
    ):
        assert repr(stream).startswith("<ReplicationStream received ")
        await db.execute("SELECT pg_logical_emit_message(false, 'p', 'alone')")
        await db.execute(
            """
            BEGIN;
            INSERT INTO item VALUES (1, repeat('x', 5000));
            UPDATE item SET id = 2;
            UPDATE item SET body = 'short' WHERE id = 2;
            SELECT pg_logical_emit_message(true, 'p', 'inside');
            DELETE FROM item;
            TRUNCATE item;
            COMMIT
            """
        )
        lsn, alone = await anext(stream)
        assert isinstance(alone, Message)
        assert (alone.content, alone.transactional, alone.lsn) == (b"alone", False, lsn)
        messages = await take(stream, 1)
        assert kinds(messages) == [
            *(Begin, Relation, Insert, Update, Update, Message, Delete, Relation, Truncate, Commit),
        ]
        begin, relation, insert, moved, changed, inside, delete, _, truncate, commit = messages
        assert relation.name == "item"
        assert insert.new == {"id": 1, "body": "x" * 5000}
        assert (moved.old, moved.new) == ({"id": 1}, {"id": 2, "body": UNCHANGED})
        assert (changed.old, changed.new) == (None, {"id": 2, "body": "short"})
        assert inside.content == b"inside"
        assert delete.old == {"id": 2}
        assert truncate.relations == (relation,)
        assert begin.final_lsn == commit.commit_lsn
        assert stream.received_lsn >= commit.end_lsn


TYPES = {
    "a": ("int4", "7"),
    "b": ("numeric", "1.50"),
    "c": ("timestamptz", "'2020-02-03 04:05:06+00'"),
    "d": ("jsonb", """'{"a": 1}'"""),
    "e": ("int4[]", "'{1,NULL,3}'"),
    "f": ("mood", "'sad'"),
    "g": ("mood[]", "'{sad,ok}'"),
    "h": ("small", "5"),
    "i": ("pair", "'(1,ok)'"),
    "j": ("pair[]", "ARRAY['(1,sad)'::pair]"),
    "k": ("int4range", "'[1,5)'"),
    "l": ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    "m": ("bytea", r"'\x00ff'"),
    "n": ("inet", "'10.0.0.1'"),
    "o": ("text", "NULL"),
    "p": ("aclitem", "'postgres=r/postgres'"),
    "q": ("interval", "'1 day 2 hours'"),
    "r": ("small[]", "'{1,2}'"),
}


async def test_values_are_those_of_queries(source: Source, db: pg.Postgres) -> None:
    await db.execute(
        """
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE DOMAIN small AS int4;
        CREATE TYPE pair AS (number int4, mood mood)
        """
    )
    columns = ", ".join(f"{name} {type_name}" for name, (type_name, _) in TYPES.items())
    await db.execute(f"CREATE TABLE value ({columns})")
    await db.execute("ALTER TABLE value REPLICA IDENTITY FULL")
    values = ", ".join(value for _, value in TYPES.values())
    await db.execute(f"INSERT INTO value VALUES ({values})")
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            messages = await take(stream, 1)
            assert Type in kinds(messages)
            (insert,) = [m for m in messages if isinstance(m, Insert)]
            assert dict(insert.new) == dict(await db.fetchrow("SELECT * FROM value"))
            assert insert.new["b"] == Decimal("1.50")
            assert insert.new["c"] == datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
            assert insert.new["i"]["mood"] == "ok"
            # A type that comes to be meanwhile.
            await db.execute("CREATE TYPE late AS (x int4)")
            await db.execute("ALTER TABLE value ADD COLUMN s late; UPDATE value SET s = '(5)'")
            (update,) = [m for m in await take(stream, 1) if isinstance(m, Update)]
            assert update.new["s"] == (5,)
        async with replication.start(source.slot, ["everything"], binary=False) as stream:
            (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
            as_text = ", ".join(f"{name}::text" for name in TYPES)
            texts = dict(await db.fetchrow(f"SELECT {as_text} FROM value"))
            assert dict(insert.new) == {**texts, "n": "10.0.0.1"}


async def test_a_type_that_is_gone(source: Source, db: pg.Postgres) -> None:
    await db.execute("CREATE TYPE gone AS ENUM ('x'); CREATE TABLE lost (g gone, n int4)")
    await db.execute("INSERT INTO lost VALUES ('x', 5)")
    await db.execute("DROP TABLE lost; DROP TYPE gone")
    async with (
        source.replication() as replication,
        replication.start(source.slot, ["everything"]) as stream,
    ):
        (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
        assert insert.new == {"g": b"x", "n": 5}


async def test_a_value_without_a_place_in_python(source: Source, db: pg.Postgres) -> None:
    await db.execute("CREATE TABLE far (d date); INSERT INTO far VALUES ('20000-01-01')")
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            assert kinds([(await anext(stream)).message for _ in range(2)]) == [Begin, Relation]
            for _ in range(2):  # it is not passed over
                with pytest.raises(ValueError, match="no value for this date"):
                    await anext(stream)
        async with replication.start(source.slot, ["everything"], binary=False) as stream:
            (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
            assert insert.new == {"d": "20000-01-01"}


@pytest.mark.parametrize("streaming", ["off", "on", "parallel"])
async def test_large_transactions(source: Source, db: pg.Postgres, streaming: Any) -> None:
    if streaming == "parallel" and not source.is_new:
        async with source.replication() as replication:
            stream = replication.start(source.slot, ["everything"], streaming=streaming)
            with pytest.raises(pg.PostgresSyntaxError, match="streaming"):
                await anext(stream)
        return
    transaction = "BEGIN; INSERT INTO item SELECT i, repeat('x', 100) FROM generate_series({}) i; "
    await db.execute(transaction.format("1, 5000") + "ROLLBACK")
    await db.execute(
        transaction.format("1, 5000") + "SAVEPOINT s; INSERT INTO item "
        "SELECT i, repeat('y', 100) FROM generate_series(5001, 8000) i; ROLLBACK TO s; COMMIT"
    )
    async with (
        source.replication(logical_decoding_work_mem="64kB") as replication,
        replication.start(source.slot, ["everything"], streaming=streaming) as stream,
    ):
        messages = await take(stream, 1)
        seen = Counter(kinds(messages))
        if streaming == "off":
            assert seen == {Begin: 1, Relation: 1, Insert: 5000, Commit: 1}
            return
        assert seen[StreamStart] == seen[StreamStop] > 2
        assert seen[StreamCommit] == 1
        last = messages[-1]
        gone = {m.subtransaction_xid for m in messages if isinstance(m, StreamAbort)}
        rows = [m for m in messages if isinstance(m, Insert) and m.xid not in gone]
        blocks = [m.xid for m in messages if isinstance(m, StreamStart) and m.first_segment]
        own = [m.new["id"] for m in rows if m.new["body"] == "x" * 100]
        assert own[-5000:] == list(range(1, 5001))
        assert last.xid in blocks
        stream.confirm()
        assert stream.confirmed_lsn >= last.end_lsn


async def test_two_phase_commit(source: Source, db: pg.Postgres) -> None:
    async with source.replication() as replication:
        await replication.create_slot("twophase", two_phase=True)
        await db.execute("BEGIN; INSERT INTO item VALUES (1); PREPARE TRANSACTION 'one'")
        await db.execute("BEGIN; INSERT INTO item VALUES (2); PREPARE TRANSACTION 'two'")
        await db.execute("COMMIT PREPARED 'one'")
        await db.execute("ROLLBACK PREPARED 'two'")
        async with replication.start("twophase", ["everything"], two_phase=True) as stream:
            received = [await anext(stream) for _ in range(9)]
            messages: list[Any] = [message for _, message in received]
            assert kinds(messages) == [
                *(BeginPrepare, Relation, Insert, Prepare),
                *(BeginPrepare, Insert, Prepare),
                *(CommitPrepared, RollbackPrepared),
            ]
            assert [m.gid for m in messages[-2:]] == ["one", "two"]
            stream.confirm()
            assert stream.confirmed_lsn >= messages[-1].rollback_end_lsn
        slot = await replication.read_slot("twophase")
        assert slot is not None
        assert (slot.confirmed_flush_lsn or 0) >= messages[-1].rollback_end_lsn


async def test_a_streamed_transaction_that_is_prepared(source: Source, db: pg.Postgres) -> None:
    async with source.replication(logical_decoding_work_mem="64kB") as replication:
        await replication.create_slot("twophase", two_phase=True)
        await db.execute(
            "BEGIN; INSERT INTO item SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i; "
            "PREPARE TRANSACTION 'big'"
        )
        await db.execute("COMMIT PREPARED 'big'")
        async with replication.start(
            "twophase", ["everything"], two_phase=True, streaming="on"
        ) as stream:
            async for _, message in stream:
                if isinstance(message, StreamPrepare):
                    assert message.gid == "big"
                    stream.confirm()
                    assert stream.confirmed_lsn >= message.end_lsn
                if isinstance(message, CommitPrepared):
                    break


async def test_origins(source: Source, db: pg.Postgres) -> None:
    name = f"{source.database}_origin"
    await db.execute(f"SELECT pg_replication_origin_create('{name}')")
    await db.execute(f"SELECT pg_replication_origin_session_setup('{name}')")
    await db.execute("INSERT INTO item VALUES (1)")
    await db.execute("SELECT pg_replication_origin_session_reset()")
    await db.execute(f"SELECT pg_replication_origin_drop('{name}')")
    await db.execute("INSERT INTO item VALUES (2)")
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            messages = await take(stream, 2)
            assert kinds(messages)[:5] == [Begin, Origin, Relation, Insert, Commit]
        if not source.is_new:
            stream = replication.start(source.slot, ["everything"], origin="none")
            with pytest.raises(pg.PostgresError, match="origin"):
                await anext(stream)
            return
        async with replication.start(source.slot, ["everything"], origin="none") as stream:
            (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
            assert insert.new["id"] == 2


async def test_names_that_need_quotes(source: Source, db: pg.Postgres) -> None:
    await db.execute("""CREATE PUBLICATION "it's, ""a"" \\ name" FOR TABLE item""")
    await db.execute("INSERT INTO item VALUES (1)")
    async with (
        source.replication() as replication,
        replication.start(source.slot, """it's, "a" \\ name""") as stream,
    ):
        assert Insert in kinds(await take(stream, 1))


async def test_raw_messages(source: Source, db: pg.Postgres) -> None:
    await db.execute("INSERT INTO item VALUES (1, 'one')")
    async with source.replication() as replication:
        options = {"proto_version": "1", "publication_names": "everything"}
        async with replication.start_raw(source.slot, options) as stream:
            received = [await anext(stream) for _ in range(4)]
            assert [message[:1] for _, message in received] == [b"B", b"R", b"I", b"C"]
            assert received[1].lsn == 0
            stream.confirm()
            assert stream.confirmed_lsn == received[3].lsn == stream.received_lsn
        slot = await replication.read_slot(source.slot)
        assert slot is not None
        assert slot.confirmed_flush_lsn == received[3].lsn
        with pytest.raises(pg.PostgresError, match="proto_version"):
            await anext(replication.start_raw(source.slot))
        with pytest.raises(pg.PostgresError, match="nonsense"):
            await anext(replication.start_raw(source.slot, {**options, "nonsense": None}))


# How far


async def test_what_is_confirmed_does_not_come_again(source: Source, db: pg.Postgres) -> None:
    for number in range(6):
        await db.execute("INSERT INTO item VALUES ($1)", number)
    seen: list[int] = []
    for confirm in (None, str, int):
        async with (
            source.replication() as replication,
            replication.start(source.slot, ["everything"]) as stream,
        ):
            messages = await take(stream, 2)
            if confirm is None:
                stream.confirm()
            elif confirm is int:
                stream.confirm(messages[-1].end_lsn)
            else:
                stream.confirm(f"{messages[-1].end_lsn >> 32:X}/{messages[-1].end_lsn:X}")
            seen += [m.new["id"] for m in messages if isinstance(m, Insert)]
    assert seen == list(range(6))


async def test_what_is_not_confirmed_comes_again(source: Source, db: pg.Postgres) -> None:
    for number in range(3):
        await db.execute("INSERT INTO item VALUES ($1)", number)
    for _ in range(2):
        async with (
            source.replication() as replication,
            replication.start(source.slot, ["everything"], status_interval=0.01) as stream,
        ):
            first = await take(stream, 1)
            assert [m.new["id"] for m in first if isinstance(m, Insert)] == [0]
            for _ in range(2):  # a part of the second
                await anext(stream)
            await asyncio.sleep(0.05)
            stream.report()
            assert stream.confirmed_lsn == 0
    async with (
        source.replication() as replication,
        replication.start(source.slot, ["everything"]) as stream,
    ):
        await take(stream, 1)
        for _ in range(2):
            await anext(stream)
        stream.confirm()  # not the part
    async with (
        source.replication() as replication,
        replication.start(source.slot, ["everything"]) as stream,
    ):
        rest = await take(stream, 2)
        assert [m.new["id"] for m in rest if isinstance(m, Insert)] == [1, 2]


async def test_confirming_what_did_not_come(source: Source, db: pg.Postgres) -> None:
    async with (
        source.replication() as replication,
        replication.start(source.slot, ["everything"]) as stream,
    ):
        await db.execute("INSERT INTO item VALUES (1)")
        messages = await take(stream, 1)
        with pytest.raises(ValueError, match=r"only .* is received"):
            stream.confirm(2**63)
        with pytest.raises(ValueError, match="not an LSN"):
            stream.confirm("nonsense")
        stream.confirm()
        stream.confirm(5)
        assert stream.confirmed_lsn >= messages[-1].end_lsn


async def test_start_lsn(source: Source, db: pg.Postgres) -> None:
    await db.execute("INSERT INTO item VALUES (1)")
    between = await db.fetchval("SELECT pg_current_wal_lsn()::text")
    await db.execute("INSERT INTO item VALUES (2)")
    async with source.replication() as replication:
        for start_lsn in (between, parse_lsn(between)):
            async with replication.start(
                source.slot, ["everything"], start_lsn=start_lsn
            ) as stream:
                (insert,) = [m for m in await take(stream, 1) if isinstance(m, Insert)]
                assert insert.new["id"] == 2


async def test_what_is_skipped_is_confirmed(source: Source, db: pg.Postgres) -> None:
    await db.execute("CREATE TABLE unpublished (); CREATE PUBLICATION items FOR TABLE item")
    async with (
        source.replication() as replication,
        source.replication() as other,
        replication.start(source.slot, ["items"], status_interval=0.02) as stream,
    ):
        for _ in range(10):
            await db.execute("INSERT INTO unpublished DEFAULT VALUES")
        end = parse_lsn(await db.fetchval("SELECT pg_current_wal_lsn()::text"))

        async def confirmed() -> bool:
            slot = await other.read_slot(source.slot)
            return slot is not None and (slot.confirmed_flush_lsn or 0) >= end

        await eventually(confirmed)
        assert stream.confirmed_lsn >= end
        # Not while something is not confirmed.
        await db.execute("INSERT INTO item VALUES (1)")
        commit = (await take(stream, 1))[-1]
        await db.execute("INSERT INTO unpublished DEFAULT VALUES")
        await asyncio.sleep(0.1)
        assert stream.confirmed_lsn < commit.end_lsn


async def test_report_lets_a_synchronous_commit_return(source: Source, db: pg.Postgres) -> None:
    async with (
        source.replication(application_name=source.slot) as replication,
        replication.start(source.slot, ["everything"]) as stream,
    ):
        await db.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{source.slot}'")
        try:
            await db.execute("SELECT pg_reload_conf()")

            async def is_synchronous() -> bool:
                stream.report()
                query = "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1"
                return bool(await db.fetchval(query, source.slot) == "sync")

            await eventually(is_synchronous)
            committing = asyncio.create_task(db.execute("INSERT INTO item VALUES (1)"))
            await take(stream, 1)
            await asyncio.wait([committing], timeout=0.05)
            assert not committing.done()
            stream.confirm()
            stream.report()
            await committing
        finally:
            await db.execute("SET synchronous_commit = local")
            await db.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await db.execute("SELECT pg_reload_conf()")


# A slow consumer


async def test_a_slow_consumer_is_not_given_up(source: Source, db: pg.Postgres) -> None:
    await insert_large_rows(db, 30000)
    async with (
        source.replication(wal_sender_timeout="500ms") as replication,
        replication.start(source.slot, ["everything"], max_buffered=100000) as stream,
    ):
        await anext(stream)
        await asyncio.sleep(1.2)  # more than twice what the server bears
        assert stream.buffered < 100000 + 2 * 524288
        assert Counter(kinds(await take(stream, 1)))[Insert] == 30000
        await asyncio.sleep(1.2)  # now only keepalives come
        await db.execute("INSERT INTO item VALUES (0)")
        assert Insert in kinds(await take(stream, 1))


# Ending


@pytest.mark.parametrize("with_connector", [True, False])
async def test_ending_inside_a_large_transaction(
    source: Source, db: pg.Postgres, with_connector: bool
) -> None:
    await insert_large_rows(db, 30000)
    options: dict[str, Any] = {"connector": sockets.DirectConnector(), "address": source.address()}
    if not with_connector:
        options = {"socket": sockets.connect(source.address())}
    client = pg.Replication(user="postgres", database=source.database, **options)
    async with client as replication:
        for _ in range(2):
            async with replication.start(source.slot, ["everything"], max_buffered=10000) as stream:
                async for _, message in stream:
                    if isinstance(message, Insert):
                        break
            assert (await replication.identify_system()).dbname == source.database
            assert [message async for message in stream] == []
        async with replication.start(source.slot, ["everything"]) as stream:
            assert Counter(kinds(await take(stream, 1)))[Insert] == 30000


async def test_a_stream_that_has_to_be_cancelled(
    source: Source, db: pg.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{STREAM}._CANCEL_AFTER", 0.0)
    await insert_large_rows(db, 40000)
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"], max_buffered=9999) as stream:
            await anext(stream)
        assert (await replication.identify_system()).dbname == source.database
        async with replication.start(source.slot, ["everything"]) as stream:
            assert Counter(kinds(await take(stream, 1)))[Insert] == 40000


async def test_without_a_block(source: Source, db: pg.Postgres) -> None:
    await db.execute("INSERT INTO item VALUES (1)")
    async with source.replication() as replication:
        stream = replication.start(source.slot, ["everything"])
        assert "not started" in repr(stream)
        async for _, message in stream:
            if isinstance(message, Commit):
                break
        with pytest.raises(pg.InterfaceError, match="started only once"):
            await stream.__aenter__()
        await stream.aclose()
        await stream.aclose()
        assert "ended" in repr(stream)
        never_started = replication.start(source.slot, ["everything"])
        await never_started.aclose()
        assert [message async for message in never_started] == []
        open_to_the_end = replication.start(source.slot, ["everything"])
        await anext(open_to_the_end)
    assert [message async for message in open_to_the_end] == []


async def test_only_one_thing_at_a_time(source: Source) -> None:
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            with pytest.raises(pg.InterfaceError, match="close it first"):
                await replication.identify_system()
            with pytest.raises(pg.InterfaceError, match="close it first"):
                await anext(replication.start(source.slot, ["everything"]))
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            with pytest.raises(pg.InterfaceError, match="another task"):
                await anext(stream)
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await waiting
        await replication.identify_system()


async def test_a_second_stream_costs_temporary_slots(source: Source, db: pg.Postgres) -> None:
    async with source.replication() as replication:
        await replication.create_slot("temp", temporary=True)
        async with replication.start("temp", ["everything"]):
            pass
        with pytest.raises(pg.InterfaceError, match="temporary slots"):
            await anext(replication.start("temp", ["everything"]))
        await replication.drop_slot("temp")
        await db.execute("INSERT INTO item VALUES (1)")
        async with replication.start(source.slot, ["everything"]) as stream:
            assert Insert in kinds(await take(stream, 1))


async def test_wrong_options(source: Source) -> None:
    async with source.replication() as replication:
        for wrong in ({"proto_version": 5}, {"status_interval": 0}, {"start_lsn": "x"}):
            options: Any = wrong
            with pytest.raises(ValueError, match=r"proto_version|status_interval|LSN"):
                replication.start(source.slot, ["everything"], **options)
        with pytest.raises(pg.UndefinedObjectError, match="no_such_slot"):
            await anext(replication.start("no_such_slot", ["everything"]))
        assert await replication.query("SELECT 1") == [("1",)]


async def test_an_error_in_the_midst(source15: Source) -> None:
    db = await source15.connect()
    async with source15.replication() as replication:
        async with replication.start(source15.slot, ["no_such_publication"]) as stream:
            await db.execute("INSERT INTO item VALUES (1)")
            for _ in range(2):
                with pytest.raises(pg.UndefinedObjectError, match="no_such_publication"):
                    await anext(stream)
        assert await replication.query("SELECT 1") == [("1",)]
        async with replication.start(source15.slot, ["everything"]) as stream:
            assert Insert in kinds(await take(stream, 1))
    await db.close()


# Cancellation and loss


@pytest.mark.both_loops
async def test_cancelled_after_any_number_of_turns(source: Source, db: pg.Postgres) -> None:
    await db.execute("INSERT INTO item SELECT i FROM generate_series(1, 500) i")

    async def use(replication: pg.Replication) -> None:
        async with replication.start(source.slot, ["everything"]) as stream:
            await take(stream, 1)

    async with source.replication() as replication:
        for turns in [*range(30), 40, 60, 90, 150]:
            task = asyncio.create_task(use(replication))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert (await replication.identify_system()).dbname == source.database
        await use(replication)


async def test_cancelled_while_it_waits_and_ends(source: Source, db: pg.Postgres) -> None:
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
            await db.execute("INSERT INTO item VALUES (1)")
            assert Insert in kinds(await take(stream, 1))
            ending = asyncio.create_task(stream.aclose())
            await asyncio.sleep(0)
            ending.cancel()
            await asyncio.wait([ending])
            assert ending.cancelled()
        assert (await replication.identify_system()).dbname == source.database


async def test_cancelled_while_a_command_runs(source: Source, db: pg.Postgres) -> None:
    # A slot comes about only after all transactions that run have ended.
    await db.execute("BEGIN; INSERT INTO item VALUES (1)")
    async with source.replication() as replication:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(replication.create_slot("waits"), 0.1)
        assert await replication.read_slot("waits") is None
    await db.execute("COMMIT")


async def test_a_connection_that_is_cut(source: Source, db: pg.Postgres) -> None:
    async with source.replication() as replication:
        async with replication.start(source.slot, ["everything"]) as stream:
            await db.execute("INSERT INTO item VALUES (1)")
            await take(stream, 1)
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            await db.execute("SELECT pg_terminate_backend($1)", replication.get_server_pid())
            with pytest.raises(pg.ConnectionDoesNotExistError) as caught:
                await waiting
            assert isinstance(caught.value.__cause__, pg.AdminShutdownError)
            with pytest.raises(pg.ConnectionDoesNotExistError):
                await anext(stream)
            stream.confirm()
            stream.report()
        with pytest.raises(pg.ConnectionDoesNotExistError):
            await replication.identify_system()
        assert replication.is_closed()


async def test_terminate(source: Source) -> None:
    async with (
        source.replication() as replication,
        replication.start(source.slot, ["everything"]) as stream,
    ):
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        replication.terminate()
        with pytest.raises(pg.InterfaceError, match="closed"):
            await waiting


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_nothing_is_lost_over_restarts(how: str) -> None:
    config = {"synchronous_commit": "on"}
    seen: list[int] = []
    with postgres_server(config=config) as server:
        async with source_on(server) as source:
            for start in (0, 10, 20):
                db = await source.connect()
                for number in range(start, start + 10):
                    await db.execute("INSERT INTO item VALUES ($1)", number)
                await db.close()
                async with source.replication() as replication:
                    await use_until_the_end(replication, source, seen, start + 6, how)
                    assert replication.is_closed()
                await asyncio.to_thread(server.start)
                await eventually_connects(source)
            async with (
                source.replication() as replication,
                replication.start(source.slot, ["everything"]) as stream,
            ):
                while 29 not in seen:
                    seen += inserted(await take(stream, 1))
    assert list(dict.fromkeys(seen)) == list(range(30))


async def use_until_the_end(
    replication: pg.Replication, source: Source, seen: list[int], last: int, how: str
) -> None:
    """Take rows, confirm every second, and after the last have the server end."""
    stream = replication.start(source.slot, ["everything"])
    while not seen or seen[-1] < last:
        messages = await take(stream, 1)
        seen += inserted(messages)
        if seen[-1] % 2:
            stream.confirm(messages[-1].end_lsn)
    stream.report()
    ending = asyncio.create_task(asyncio.to_thread(getattr(source.server, how)))
    with pytest.raises(pg.ConnectionDoesNotExistError):
        await confirm_all(stream, seen)
    await ending


async def confirm_all(stream: pg.ReplicationStream[Any], seen: list[int]) -> None:
    """Take rows to the end; a server that stops waits until all is confirmed."""
    while True:
        seen += inserted(await take(stream, 1))
        stream.confirm()


def inserted(messages: list[Any]) -> list[int]:
    return [message.new["id"] for message in messages if isinstance(message, Insert)]


async def eventually_connects(source: Source) -> None:
    while True:
        try:
            db = await source.connect()
        except (OSError, pg.CannotConnectNowError):
            await asyncio.sleep(0.05)
            continue
        await db.close()
        return


async def test_cuts_at_random(source: Source, db: pg.Postgres) -> None:
    """Whatever was confirmed when, each row comes, and in order."""
    await db.execute(
        "DO $$ BEGIN FOR i IN 0..199 LOOP INSERT INTO item VALUES (i); COMMIT; END LOOP; END $$"
    )

    async def is_free() -> bool:
        query = "SELECT active FROM pg_replication_slots WHERE slot_name = $1"
        return not await db.fetchval(query, source.slot)

    seen: list[int] = []
    for cut in itertools.count(5, 7):
        await eventually(is_free)
        async with source.replication() as replication:
            stream = replication.start(source.slot, ["everything"], status_interval=0.001)
            first = len(seen)
            async for _, message in stream:
                if isinstance(message, Insert):
                    seen.append(message.new["id"])
                if isinstance(message, Commit) and seen[-1] % 3 == 0:
                    stream.confirm(message.end_lsn)
                if len(seen) == first + cut or seen[-1:] == [199]:
                    break
            replication.terminate()
        if seen[-1] == 199:
            break
    assert list(dict.fromkeys(seen)) == list(range(200))


# What a real server does not do


ROW = b"T\0\0\0\6\0\0D\0\0\0\x0b\0\1\0\0\0\0010C\0\0\0\x0dSELECT 1\0"


class Fake:
    """A server that says what it is told to when a stream begins."""

    def __init__(self, answer: bytes, ends: bool = True) -> None:
        self.answer = answer
        self.ends = ends
        self.received = b""
        self.status = asyncio.Event()  # a status update came

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            ready = b"Z\0\0\0\5I"
            version = b"server_version\0" + b"18.0\0"
            writer.write(b"R\0\0\0\x08\0\0\0\0S" + pack("!I", len(version) + 4) + version + ready)
            while kind := await reader.read(1):
                length = int.from_bytes(await reader.readexactly(4), "big")
                body = await reader.readexactly(length - 4)
                self.received += kind
                if kind == b"Q" and body.startswith(b"START"):
                    writer.write(self.answer)
                elif kind == b"Q":
                    writer.write(ROW + ready)
                elif kind == b"d":
                    self.status.set()
                elif kind == b"c" and self.ends:
                    writer.write(b"c\0\0\0\4C\0\0\0\x0bCOPY 0\0" + ready)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake(answer: bytes, *, ends: bool = True) -> AsyncGenerator[tuple[Fake, pg.Replication]]:
    server = Fake(answer, ends)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    try:
        socket = sockets.connect(f"tcp://{host}:{port}")
        async with pg.Replication(socket, user="somebody") as replication:
            yield server, replication
    finally:
        listening.close()


def copy_data(data: bytes) -> bytes:
    return b"d" + pack("!I", len(data) + 4) + data


COPY_BOTH = b"W\0\0\0\7\0\0\0"
KEEPALIVE = pack("!cQqB", b"k", 500, 0, 1)
XLOG_DATA = pack("!cQQq", b"w", 100, 100, 0)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"x", "no replication message"),
        (b"w", "cut short"),
        (KEEPALIVE + b"\0", "PrimaryKeepalive"),
        (XLOG_DATA + b"?", "no pgoutput message"),
        (XLOG_DATA + b"C\0", "Commit"),
    ],
)
async def test_malformed_messages(data: bytes, fault: str) -> None:
    async with fake(COPY_BOTH + copy_data(data)) as (_, replication):
        stream = replication.start("slot", ["everything"])
        with pytest.raises(pg.ConnectionDoesNotExistError, match=fault):
            await anext(stream)
        assert replication.is_closed()
        await stream.aclose()


async def test_keepalives_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake(COPY_BOTH + copy_data(KEEPALIVE)) as (server, replication):
        async with replication.start("slot", ["everything"]) as stream:
            await server.status.wait()
            assert stream.received_lsn == stream.confirmed_lsn == 500
        assert server.received.endswith(b"Qddc")
        assert await replication.query("SELECT") == [("0",)]


async def test_a_stream_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{STREAM}._LOST_AFTER", 0.01)
    async with fake(COPY_BOTH, ends=False) as (_, replication):
        async with replication.start("slot", ["everything"]):
            pass
        assert replication.is_closed()
        with pytest.raises(pg.ConnectionDoesNotExistError, match="did not end a stream"):
            await replication.query("SELECT")


async def test_a_stream_that_the_server_ends() -> None:
    answer = COPY_BOTH + b"c\0\0\0\4C\0\0\0\x0bCOPY 0\0Z\0\0\0\5I"
    async with fake(answer, ends=False) as (_, replication):
        async with replication.start("slot", ["everything"]) as stream:
            assert [message async for message in stream] == []
        assert await replication.query("SELECT") == [("0",)]
