"""The client's life on real servers, on everything that carries bytes."""

from __future__ import annotations

import asyncio
import re
import socket as stdlib_socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client
from tests.interop.tunnel import Tunnel
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters import postgres as pg
from wirekit.sockets import DirectConnector, connect, memory_pair

LOGIN: dict[str, Any] = {"user": "trust_user", "database": "wirekit"}
Carrier = Callable[[RunningServer, CertificateAuthority], AbstractAsyncContextManager[pg.Postgres]]
CARRIERS: dict[str, Carrier] = {}


def carrier(function: Carrier) -> Carrier:
    CARRIERS[function.__name__] = function
    return function


def address(server: RunningServer) -> tuple[str, int]:
    return server.host, server.port


# Carriers ------------------------------------------------------------------------------------


@carrier
@asynccontextmanager
async def tcp(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    async with pg.Postgres(connect(address(server)), **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def unix(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    async with pg.Postgres(connect(f"unix://{server.unix_path}"), **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def starttls(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    socket = connect(
        address(server), secure_transport="starttls", ssl_context=authority.client_context()
    )
    async with pg.Postgres(socket, **LOGIN) as db:
        assert await db.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        yield db


@carrier
@asynccontextmanager
async def memory(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    tunnel = Tunnel(address(server), fragment=100)
    async with pg.Postgres(await tunnel("memory"), **LOGIN) as db:
        yield db
    await tunnel.ended()


@carrier
@asynccontextmanager
async def stdlib(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    async with pg.Postgres(stdlib_socket.create_connection(address(server)), **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def streams(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    async with pg.Postgres(await asyncio.open_connection(*address(server)), **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def connector(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    async with pg.Postgres(connector=DirectConnector(), address=address(server), **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def unix_connector(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    path = f"unix://{server.unix_path}"
    async with pg.Postgres(connector=DirectConnector(), address=path, **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def starttls_connector(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    dial = DirectConnector(secure_transport="starttls", ssl_context=authority.client_context())
    async with pg.Postgres(connector=dial, address=address(server), **LOGIN) as db:
        yield db


@carrier
@asynccontextmanager
async def memory_connector(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[pg.Postgres]:
    tunnel = Tunnel(address(server), fragment=1000)
    async with pg.Postgres(connector=tunnel, address="memory:1", **LOGIN) as db:
        yield db
    assert tunnel.count > 1  # the second was to cancel by
    await tunnel.ended()


@pytest.mark.both_loops
@pytest.mark.parametrize("name", CARRIERS)
async def test_every_carrier(
    name: str, postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with CARRIERS[name](postgres15, certificate_authority) as db:
        pid = db.get_server_pid()
        values = await asyncio.gather(*[db.fetchval("SELECT $1::int4", n) for n in range(100)])
        assert values == list(range(100))
        large = "0123456789" * 30_000
        assert await db.fetchval("SELECT $1::text", large) == large
        # With a connector it is cancelled, without it is waited for.
        seconds = 1000 if name.endswith("connector") else 0.2
        for query in ("SELECT pg_sleep($1)", "SELECT 1 FROM pg_sleep($1)"):
            with pytest.raises(TimeoutError):
                await db.fetch(query, seconds, timeout=0.02)
        assert await db.fetchval("SELECT pg_backend_pid()", timeout=10) == pid
        await db.execute("CREATE TEMP TABLE t (a int4)")
        await db.executemany("INSERT INTO t VALUES ($1)", [(n,) for n in range(1000)])
        async with db.transaction(), db.pipeline() as pipeline:
            count = pipeline.fetchval("SELECT count(*) FROM t")
        assert await count == 1000


async def test_a_server_without_tls_is_refused(
    postgres18: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    socket = connect(
        address(postgres18),
        secure_transport="starttls",
        ssl_context=certificate_authority.client_context(),
    )
    with pytest.raises(wirekit.TLSError, match="does not speak TLS"):
        async with pg.Postgres(socket, **LOGIN):
            pass


# Construction --------------------------------------------------------------------------------


async def test_what_it_needs() -> None:
    with pytest.raises(wirekit.AddressError, match="pass a socket"):
        pg.Postgres(user="me")
    with pytest.raises(wirekit.AddressError, match="go together"):
        pg.Postgres(connector=DirectConnector(), user="me")
    ours, theirs = memory_pair()
    with pytest.raises(wirekit.AddressError, match="go together"):
        pg.Postgres(ours, address=("localhost", 5432), user="me")
    ours.abort()
    theirs.abort()


async def test_no_secret_is_shown(postgres15: RunningServer) -> None:
    db: Any = pg.Postgres(connect(address(postgres15)), user="trust_user", password="hunter2")
    assert "hunter2" not in f"{db!r} {vars(db)!r}"
    await db.aclose()


# Life ----------------------------------------------------------------------------------------


async def test_opening_and_closing(postgres: RunningServer) -> None:
    socket = connect(address(postgres))
    db: Any = pg.Postgres(socket, **LOGIN)
    assert repr(db) == "<Postgres not open>"
    assert db.is_closed()
    with pytest.raises(pg.InterfaceError):
        db.get_server_pid()
    async with db as same:
        assert same is db
        assert repr(db) == f"<Postgres {postgres.host}:{postgres.port}>"
        assert not db.is_closed()
        assert db.get_server_pid() == await db.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(pg.InterfaceError, match="opened before"):
            await db.__aenter__()
    assert repr(db) == "<Postgres closed>"
    assert db.is_closed()
    for call in (db.fetch("SELECT 1"), db.execute("SELECT 1"), db.executemany("SELECT 1", [()])):
        with pytest.raises(pg.InterfaceError, match="connection is closed") as caught:
            await call
        assert isinstance(caught.value, wirekit.SocketClosed)
    for method in (db.get_server_pid, db.get_settings, db.is_in_transaction, db.pipeline):
        with pytest.raises(pg.InterfaceError, match="closed"):
            method()
    await db.close()
    await db.aclose()
    db.terminate()


async def test_never_opened(postgres15: RunningServer) -> None:
    socket = connect(address(postgres15))
    db = pg.Postgres(socket, **LOGIN)
    await db.aclose()
    await socket.closed
    db.terminate()


async def test_what_it_knows_of_the_server(postgres: RunningServer) -> None:
    async with client(postgres, server_settings={"application_name": "me"}) as db:
        settings = db.get_settings()
        assert settings.application_name == "me"
        assert settings.client_encoding == "UTF8"
        assert db.reported_settings["TimeZone"] == "UTC"
        assert "TimeZone" in repr(settings)
        with pytest.raises(AttributeError):
            _ = settings.nothing
        await db.execute("SET TIME ZONE 'Europe/Berlin'")
        assert settings.TimeZone == "Europe/Berlin"
        assert db.protocol_version == (3, 0)


async def test_closing_with_queries_under_way(postgres15: RunningServer) -> None:
    async with client(postgres15) as other:
        for close in ("close", "aclose", "terminate"):
            async with client(postgres15) as db:
                pid = db.get_server_pid()
                tasks = [
                    asyncio.create_task(db.fetch("SELECT pg_sleep(1000)")),
                    asyncio.create_task(db.execute("SELECT pg_sleep(1000)")),
                    asyncio.create_task(db.executemany("SELECT pg_sleep($1)", [(1000,)])),
                ]
                await asyncio.sleep(0.05)
                if close == "terminate":
                    db.terminate()
                else:
                    await getattr(db, close)()
                errors: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
                for error in errors:
                    assert isinstance(error, pg.ConnectionDoesNotExistError)
                    assert isinstance(error, wirekit.SocketClosed)
                    assert "closed in the middle of operation" in str(error)
            query = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
            if close == "terminate":
                await other.execute("SELECT pg_terminate_backend($1)", pid)
            async with asyncio.timeout(10):
                while await other.fetchval(query, pid):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("cancelled", [True, False])
async def test_closing_that_takes_too_long(postgres15: RunningServer, cancelled: bool) -> None:
    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async def close(db: Any) -> None:
        async with asyncio.timeout(0.05 if cancelled else None):
            await db.close(timeout=None if cancelled else 0.05)

    db: Any
    async with client(postgres15) as db, client(postgres15) as other:
        pid = db.get_server_pid()
        db._connection.canceller = never
        task = asyncio.create_task(db.fetch("SELECT pg_sleep(1000)"))
        await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await close(db)
        assert db.is_closed()
        with pytest.raises(wirekit.SocketClosed):
            await task
        await other.execute("SELECT pg_terminate_backend($1)", pid)


async def test_lost_while_idle(postgres: RunningServer) -> None:
    async with client(postgres) as db, client(postgres) as other:
        await other.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
        async with asyncio.timeout(10):
            while not db.is_closed():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        with pytest.raises(pg.ConnectionDoesNotExistError, match="administrator") as caught:
            await db.fetch("SELECT 1")
        assert isinstance(caught.value, wirekit.ConnectionLost)
        assert repr(db) == "<Postgres closed>"


async def test_lost_while_querying(postgres: RunningServer) -> None:
    async with client(postgres) as db, client(postgres) as other:
        tasks = [asyncio.create_task(db.fetch("SELECT pg_sleep(1000)")) for _ in range(3)]
        await asyncio.sleep(0.05)
        await other.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
        errors: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
        for error in errors:
            assert isinstance(error, pg.ConnectionDoesNotExistError)
            assert isinstance(error.__cause__, pg.AdminShutdownError)
        assert len({id(error) for error in errors}) == 3
    assert db.is_closed()


async def test_another_client_encoding(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        await db.execute("SET client_encoding = 'utf-8'")
        assert await db.fetchval("SELECT 'ä'") == "ä"
        with pytest.raises(pg.ConnectionDoesNotExistError, match="only UTF8") as caught:
            await db.execute("SET client_encoding = 'latin1'")
        assert isinstance(caught.value.__cause__, wirekit.LocalProtocolError)
        assert db.is_closed()


async def test_notices_disturb_nobody(postgres15: RunningServer) -> None:
    async with client(postgres15) as db:
        query = "DO $$ BEGIN FOR i IN 1..1000 LOOP RAISE NOTICE 'notice %', i; END LOOP; END $$"
        results = await asyncio.gather(
            db.execute(query), db.fetchval("SELECT 1"), db.execute(query)
        )
        assert list(results) == ["DO", 1, "DO"]


async def test_the_servers_words_for_errors(postgres: RunningServer) -> None:
    async with client(postgres) as db:
        with pytest.raises(pg.UndefinedTableError, match=re.escape('"nothing"')) as caught:
            await db.fetch("SELECT * FROM nothing WHERE a = $1", 1)
        error = caught.value
        assert (error.sqlstate, error.position, error.severity) == ("42P01", "15", "ERROR")
        assert error.query == "SELECT * FROM nothing WHERE a = $1"
