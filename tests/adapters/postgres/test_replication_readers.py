"""Messages of logical replication from real servers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import RunningServer
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
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


from tests.adapters.postgres._replication import Source, kinds, source_on, take


@pytest.fixture
async def source(postgres: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres) as source:
        yield source


@pytest.fixture
async def db(source: Source) -> AsyncIterator[pg.Postgres]:
    client = await source.connect()
    yield client
    await client.close()


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
