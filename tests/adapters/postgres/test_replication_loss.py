"""Streams that are cancelled, cut or broken."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import RunningServer, postgres_server
from wirekit.adapters import postgres as pg
from wirekit.protocols.postgres.replication import (
    Commit,
    Insert,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


from tests.adapters.postgres._replication import (
    COPY_BOTH,
    KEEPALIVE,
    XLOG_DATA,
    Source,
    copy_data,
    eventually,
    fake,
    inserted,
    kinds,
    source_on,
    take,
)

STREAM = "wirekit.adapters.postgres._replication_stream"


@pytest.fixture
async def source(postgres: RunningServer) -> AsyncIterator[Source]:
    async with source_on(postgres) as source:
        yield source


@pytest.fixture
async def db(source: Source) -> AsyncIterator[pg.Postgres]:
    client = await source.connect()
    yield client
    await client.close()


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
        with pytest.raises(pg.ConnectionDoesNotExistError, match="closed"):
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
