"""Streams: how far they are, how they end, and what may happen to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import RunningServer
from wirekit import sockets
from wirekit.adapters import postgres as pg
from wirekit.protocols.postgres.replication import (
    Commit,
    Insert,
    parse_lsn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


from tests.adapters.postgres._replication import (
    Source,
    eventually,
    insert_large_rows,
    kinds,
    source_on,
    take,
)


@pytest.fixture
async def source(postgres: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres) as source:
        yield source


@pytest.fixture
async def db(source: Source) -> AsyncIterator[pg.Postgres]:
    client = await source.connect()
    yield client
    await client.close()


@pytest.fixture
async def source15(postgres15: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres15) as source:
        yield source


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
    monkeypatch.setattr("wirekit.adapters.postgres._replication_stream._CANCEL_AFTER", 0.0)
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
