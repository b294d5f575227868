from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import client
from wirekit.adapters.postgres import (
    ClosedError,
    InterfaceError,
    InterfaceWarning,
    OutdatedSchemaCacheError,
    Postgres,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import RunningServer

QUERY = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"


async def test_it_is_as_good_as_new(postgres: RunningServer) -> None:
    async with client(postgres) as db, client(postgres) as other:
        assert db.get_reset_query() == QUERY
        await db.execute("SET application_name TO changed")
        await db.fetchval("SELECT pg_advisory_lock(4711)")
        await db.execute("DECLARE stays CURSOR WITH HOLD FOR SELECT 1")
        heard: list[Any] = []
        await db.add_listener("channel", lambda *args: heard.append(args))
        db.add_log_listener(lambda *args: heard.append(args))
        await db.reset(timeout=10)
        assert await db.fetchval("SHOW application_name") == ""
        assert await db.fetchval("SELECT count(*) FROM pg_cursors WHERE name = 'stays'") == 0
        assert await db.fetchval("SELECT count(*) FROM pg_listening_channels()") == 0
        assert await other.fetchval("SELECT pg_try_advisory_lock(4711)")
        await other.execute("NOTIFY channel")
        await db.execute("DO $$BEGIN RAISE NOTICE 'x'; END$$")
        assert heard == []


async def test_an_open_transaction(
    postgres15: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(postgres15) as db:
        await db.execute("BEGIN")
        await db.execute("CREATE TABLE never (a int)")
        await db.reset()
        assert f"Resetting connection with an active transaction {db!r}" in caplog.text
        assert not db.is_in_transaction()
        assert await db.fetchval("SELECT to_regclass('never')") is None
        # One whose beginning has not been answered yet.
        caplog.clear()
        begun = asyncio.create_task(db.execute("BEGIN"))
        await asyncio.sleep(0)
        await db.reset()
        assert await begun == "BEGIN"
        assert not db.is_in_transaction()
        assert caplog.text.count("Resetting connection") == 1
        # One that was ended although its end has not been answered yet.
        caplog.clear()
        await db.execute("BEGIN")
        ended = asyncio.create_task(db.execute("COMMIT"))
        await asyncio.sleep(0)
        await db.reset()
        assert await ended == "COMMIT"
        assert caplog.text == ""


async def test_a_subclass_may_have_another_query(postgres15: RunningServer) -> None:
    class Some(Postgres):
        def get_reset_query(self) -> str:
            return "RESET application_name"

    class Nothing(Postgres):
        def get_reset_query(self) -> str:
            return ""

    for kind, name in ((Some, ""), (Nothing, "x")):
        async with client(postgres15, connection_class=kind) as db:
            await db.execute("SET application_name TO x")
            await db.execute("SET work_mem TO '12MB'")
            await db.reset()
            assert await db.fetchval("SHOW application_name") == name
            assert await db.fetchval("SHOW work_mem") == "12MB"


@pytest.mark.parametrize(
    ("setting", "query"),
    [("padb_revision", "RESET ALL;"), ("crdb_version", ""), ("crate_version", "")],
)
async def test_servers_that_know_less(postgres15: RunningServer, setting: str, query: str) -> None:
    async with client(postgres15) as db:
        inner: Any = db
        inner._connection.settings[setting] = "1"
        assert db.get_reset_query() == query
        await db.reset()


async def test_it_takes_too_long(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        slow = asyncio.create_task(db.execute("SELECT pg_sleep(0.3)"))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await db.reset(timeout=0.01)
        await slow
        await db.reset()
    with pytest.raises(ClosedError, match="connection is closed"):
        await db.reset()


async def test_taking_back_while_an_operation_is_in_progress(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        await db.execute("CREATE TEMP TABLE t (a int)")
        begun, more = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[bytes]:
            yield b"1\n"
            begun.set()
            await more.wait()

        copy = asyncio.create_task(db.copy_to_table("t", source=source()))
        await begun.wait()
        with pytest.raises(InterfaceError, match="another operation is in progress"):
            await db.take_back()
        more.set()
        assert await copy == "COPY 1"


async def test_taking_back_waits_for_what_was_cancelled(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        await db.execute("CREATE TEMP TABLE t (a int)")

        async def source() -> AsyncIterator[bytes]:
            yield b"1\n"
            await asyncio.sleep(30)

        with pytest.raises(TimeoutError):
            await db.copy_to_table("t", source=source(), timeout=0.05)
        await db.take_back()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), db.transaction():
                await db.fetchval("SELECT pg_sleep(30)")
        await db.take_back()
        inner: Any = db
        assert not inner._ownership.held
        await db.reset()
        assert await db.fetchval("SELECT count(*) FROM t") == 0


async def test_listeners_that_are_left(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        db.check_listeners()
        await db.add_listener("a", print)
        await db.add_listener("b", print)
        with pytest.warns(InterfaceWarning, match="has 2 active notification listeners"):
            db.check_listeners()
        await db.reset()
        db.add_log_listener(print)
        with pytest.warns(InterfaceWarning, match="has 1 active log listener$"):
            db.check_listeners()


async def test_the_schema_has_changed(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        await db.execute("CREATE TYPE changing AS (a int)")
        value = "SELECT row('1')::changing"
        assert await db.fetchval(value) == (1,)
        await db.execute("ALTER TYPE changing DROP ATTRIBUTE a")
        await db.execute("ALTER TYPE changing ADD ATTRIBUTE a text")
        await db.reload_schema_state()
        assert await db.fetchval(value) == ("1",)
        await db.execute("DROP TYPE changing")


async def test_a_change_that_nobody_told(postgres15: RunningServer) -> None:
    async with client(postgres15) as db, client(postgres15) as other:
        await other.execute("CREATE TYPE outdated AS (a int)")
        await other.execute("CREATE TABLE outdating (v outdated)")
        await other.execute("INSERT INTO outdating VALUES (row(1)::outdated)")
        query = "SELECT v FROM outdating"
        assert await db.fetchval(query) == (1,)
        await other.execute("ALTER TYPE outdated ADD ATTRIBUTE b text")
        with pytest.raises(OutdatedSchemaCacheError, match="2 attributes where 1") as caught:
            await db.fetchval(query)
        assert caught.value.data_type_name == "outdated"
        assert await db.fetchval(query) == (1, None)
        await other.execute("ALTER TYPE outdated ADD ATTRIBUTE c text")
        with pytest.raises(OutdatedSchemaCacheError):
            await db.fetchmany(query, [()])
        assert await db.fetchmany(query, [()]) == [((1, None, None),)]
        await other.execute("DROP TABLE outdating; DROP TYPE outdated")
