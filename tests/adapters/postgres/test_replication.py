"""Commands of a replication connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import RunningServer
from wirekit import sockets
from wirekit.adapters import postgres as pg
from wirekit.protocols.postgres.replication import (
    Insert,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


from tests.adapters.postgres._replication import Source, eventually, source_on, take


@pytest.fixture
async def source(postgres: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres) as source:
        yield source


@pytest.fixture
async def db(source: Source) -> AsyncIterator[pg.Postgres]:
    client = await source.connect()
    yield client
    await client.close()


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
