from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client, login
from tests.interop.postgres.fake_server import Cut, FakeServer, Session, trust
from tests.interop.postgres.helpers import eventually, turns
from tests.interop.redis.proxy import Proxy
from tests.protocols.postgres import _server as wire
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.postgres import (
    CannotConnectNowError,
    ClientConfigurationError,
    InterfaceError,
    InvalidCatalogNameError,
    InvalidPasswordError,
    Postgres,
    Record,
    TargetServerAttributeNotMatched,
    connect,
)
from wirekit.sockets import AddressLike, DirectConnector, Policy, Socket, TCPAddress

PATIENCE = 20.0  # seconds after which something that was to happen never will
DEAD = 1  # a port where nobody listens


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    return tmp_path


class Recorder:
    """A connector that keeps what it made, and what for."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.addresses: list[AddressLike] = []

    async def __call__(self, address: AddressLike) -> Socket:
        self.addresses.append(address)
        socket = await DirectConnector()(address)
        self.sockets.append(socket)
        return socket


@asynccontextmanager
async def silent_server() -> AsyncGenerator[tuple[str, int]]:
    """A server that accepts and says nothing."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1")
    async with server:
        host, port = server.sockets[0].getsockname()
        yield host, port
        await asyncio.sleep(0.01)  # until it has seen them go


async def sessions(server: RunningServer, name: str) -> int:
    """Return how many sessions of this application_name the server has."""
    async with client(server, user="postgres") as db:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        count: int = await db.fetchval(query, name)
        return count


# What comes back -----------------------------------------------------------------------------


class OwnClient(Postgres):
    """A connection_class."""

    async def twice(self, number: int) -> Any:
        return await self.fetchval("SELECT 2 * $1::int", number)


class OwnRecord(Record):
    """A record_class."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


async def test_own_classes(postgres: RunningServer) -> None:
    options = login(postgres, connection_class=OwnClient, record_class=OwnRecord)
    db = await connect(**options)
    assert type(db) is OwnClient
    assert await db.twice(21) == 42
    row = await db.fetchrow("SELECT 7 AS number")
    assert type(row) is OwnRecord
    assert row.number == 7
    assert type((await db.fetch("SELECT 7 AS number"))[0]) is OwnRecord
    await db.close()


async def test_options_reach_the_client(postgres: RunningServer) -> None:
    settings = {"application_name": "ours", "search_path": "one,two", "statement_timeout": "5s"}
    async with client(
        postgres, server_settings=settings, command_timeout=0.05, statement_cache_size=0
    ) as db:
        for name, value in settings.items():
            assert await db.fetchval("SELECT current_setting($1)", name) == value
        assert await db.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        with pytest.raises(TimeoutError):
            await db.fetchval("SELECT pg_sleep(10)")
        assert db.reported_settings["application_name"] == "ours"


async def test_settings_of_the_dsn(postgres: RunningServer) -> None:
    address = f"postgresql://trust_user@{postgres.host}:{postgres.port}/wirekit"
    db = await connect(f"{address}?sslmode=disable&geqo=off&application_name=dsn")
    assert await db.fetchval("SELECT current_setting('geqo')") == "off"
    assert await db.fetchval("SELECT current_setting('application_name')") == "dsn"
    await db.close()
    words = f"host={postgres.host} port={postgres.port} user=trust_user dbname=wirekit"
    db = await connect(f"{words} sslmode=disable options='-c geqo=off'")
    assert await db.fetchval("SELECT current_setting('geqo')") == "off"
    await db.close()


async def test_newer_protocol(postgres: RunningServer) -> None:
    address = f"postgresql://trust_user@{postgres.host}:{postgres.port}/wirekit?sslmode=disable"
    db = await connect(f"{address}&max_protocol_version=latest")
    assert db.protocol_version == ((3, 2) if postgres.name == "postgres18" else (3, 0))
    # Cancelling works with the key of either version.
    with pytest.raises(TimeoutError):
        await db.fetchval("SELECT pg_sleep(10)", timeout=0.01)
    assert await db.fetchval("SELECT 1") == 1
    await db.close()


# Wrong use -----------------------------------------------------------------------------------


async def test_wrong_arguments(postgres15: RunningServer) -> None:
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (InterfaceError, {"connection_class": Record}),
        (InterfaceError, {"connection_class": 5}),
        (InterfaceError, {"record_class": dict}),
        (ClientConfigurationError, {"ssl": 3}),
        (ClientConfigurationError, {"timeout": -1}),
        (ClientConfigurationError, {"timeout": "soon"}),
        (ClientConfigurationError, {"target_session_attrs": "best"}),
        (ClientConfigurationError, {"server_settings": {"user": "other"}}),
        (ClientConfigurationError, {"server_settings": {"client_encoding": "latin1"}}),
        (ClientConfigurationError, {"krbsrvname": "postgres"}),
        (ValueError, {"command_timeout": "a"}),
        (ValueError, {"command_timeout": -1}),
        (ValueError, {"command_timeout": False}),
        (ValueError, {"statement_cache_size": -1}),
        (ValueError, {"max_cached_statement_lifetime": -1}),
        (ValueError, {"max_cacheable_statement_size": True}),
    ]
    recorder = Recorder()
    for kind, options in wrong:
        with pytest.raises(kind):
            await connect(**login(postgres15, connector=recorder, **options))
    await asyncio.gather(*(socket.closed for socket in recorder.sockets))


async def test_the_loop(postgres15: RunningServer) -> None:
    other = asyncio.new_event_loop()
    with pytest.raises(InterfaceError, match="running event loop"):
        await connect(**login(postgres15, loop=other))
    other.close()
    async with client(postgres15, loop=asyncio.get_running_loop()) as db:
        assert await db.fetchval("SELECT 1") == 1


# Connectors and policies ---------------------------------------------------------------------


async def test_a_connector_makes_every_connection(postgres: RunningServer) -> None:
    recorder = Recorder()
    async with client(postgres, connector=recorder) as db:
        with pytest.raises(TimeoutError):
            await db.fetchval("SELECT pg_sleep(10)", timeout=0.2)
        assert await db.fetchval("SELECT 1") == 1
        assert len(recorder.sockets) >= 2  # the second one to cancel by
        assert set(recorder.addresses) == {TCPAddress(postgres.host, postgres.port)}
    await asyncio.gather(*(socket.closed for socket in recorder.sockets))


@pytest.mark.parametrize("ssl", [False, "require", "verify-full"])
async def test_a_relay(
    postgres15: RunningServer, certificate_authority: CertificateAuthority, ssl: Any
) -> None:
    if ssl == "verify-full":
        ssl = certificate_authority.client_context()
    async with Proxy(postgres15) as relay:

        async def connector(address: AddressLike) -> Socket:
            assert address == TCPAddress(postgres15.host, postgres15.port)
            return await DirectConnector()(relay.address)

        async with client(postgres15, connector=connector, ssl=ssl) as db:
            assert await db.fetchval("SELECT 1") == 1
            assert relay.connections == 1
            with pytest.raises(TimeoutError):
                await db.fetchval("SELECT pg_sleep(10)", timeout=0.2)
            assert await db.fetchval("SELECT 2") == 2
            assert relay.connections >= 2


async def test_a_policy(postgres15: RunningServer) -> None:
    with pytest.raises(wirekit.BlockedError):
        await connect(**login(postgres15, policy=Policy.public_only()))
    unix = login(postgres15, host=str(postgres15.directory), policy=Policy.public_only())
    with pytest.raises(wirekit.BlockedError):
        await connect(**unix)
    policy = Policy.only(f"{postgres15.host}:{postgres15.port}")
    async with client(postgres15, policy=policy) as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_a_policy_goes_on_with_what_it_allows(postgres15: RunningServer) -> None:
    policy = Policy.only(f"{postgres15.host}:{postgres15.port}")
    db = await connect(
        **login(
            postgres15,
            host=["127.0.0.2", postgres15.host],
            port=[postgres15.port, postgres15.port],
            policy=policy,
        )
    )
    await db.close()


# Cancelling what runs ------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["tcp", "tls", "unix"])
async def test_cancel_request(postgres15: RunningServer, how: str) -> None:
    options: dict[str, Any] = {"tls": {"ssl": "require"}, "unix": {"host": postgres15.directory}}
    where = {name: str(value) for name, value in options.get(how, {}).items()}
    async with (
        client(postgres15, **where) as db,
        client(postgres15, user="postgres") as superuser,
    ):
        running = asyncio.create_task(db.fetchval("SELECT pg_sleep(30)"))
        query = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1"
        async with asyncio.timeout(PATIENCE):
            while await superuser.fetchval(query, db.get_server_pid()) != "PgSleep":
                pass
        started = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await db.fetchval("SELECT 1") == 1
        assert time.monotonic() - started < PATIENCE


# Servers that are not there, or not willing --------------------------------------------------


async def test_nobody_is_there(postgres15: RunningServer) -> None:
    with pytest.raises(wirekit.ConnectRefused):
        await connect(**login(postgres15, port=DEAD))
    with pytest.raises(ConnectionRefusedError):  # as asyncpg's users have it
        await connect(**login(postgres15, port=DEAD))
    with pytest.raises(wirekit.ConnectError):
        await connect(**login(postgres15, host="/nowhere"))
    with pytest.raises(ConnectionError):
        await connect(**login(postgres15, host="/nowhere"))


@pytest.mark.parametrize("ssl", ["disable", "prefer", "require"])
async def test_a_silent_server(ssl: Any) -> None:
    async with silent_server() as (host, port):
        with pytest.raises(wirekit.ConnectTimeout, match=r"within 0\.05 s"):
            await connect(host=host, port=port, user="u", ssl=ssl, timeout=0.05)
        with pytest.raises(TimeoutError):
            await connect(host=host, port=port, user="u", ssl=ssl, timeout=0)
        dsn = f"postgresql://u@{host}:{port}/?connect_timeout=0.05"
        with pytest.raises(wirekit.ConnectTimeout, match=r"0\.05 s"):
            await connect(dsn, ssl=ssl)


async def test_a_silent_server_and_another_one(postgres15: RunningServer) -> None:
    async with silent_server() as (host, port):
        hosts = f"{host}:{port},{postgres15.host}:{postgres15.port}"
        dsn = f"postgresql://trust_user@{hosts}/wirekit?connect_timeout=0.3&sslmode=disable"
        db = await connect(dsn)
        assert await db.fetchval("SELECT 1") == 1
        await db.close()


async def not_now(session: Session) -> None:
    text = "the database system is starting up"
    await session.write(wire.error_response(text, code="57P03", severity="FATAL"))


async def test_a_server_that_is_starting_up(postgres15: RunningServer) -> None:
    recorder = Recorder()
    async with FakeServer(login=not_now) as fake:

        async def connector(address: AddressLike) -> Socket:
            return await (fake if not fake.sockets else recorder)(address)

        options = login(postgres15, connector=connector, user="trust_user")
        del options["port"], options["host"]
        db = await connect(host=f"starting,{postgres15.host}:{postgres15.port}", **options)
        assert await db.fetchval("SELECT 1") == 1
        assert len(fake.sockets) == len(recorder.sockets) == 1
        await db.close()
        with pytest.raises(CannotConnectNowError):
            await fake.connect()


async def test_errors_that_another_server_would_not_mend(postgres15: RunningServer) -> None:
    """As with libpq, only what says that this server is no good leads to the next one."""
    recorder = Recorder()
    both = {"host": [postgres15.host] * 2, "port": [postgres15.port] * 2, "connector": recorder}
    with pytest.raises(InvalidCatalogNameError):
        await connect(**login(postgres15, database="nowhere", **both))
    with pytest.raises(InvalidPasswordError):
        await connect(**login(postgres15, user="md5_user", password="wrong", **both))
    assert len(recorder.sockets) == 2
    await asyncio.gather(*(socket.closed for socket in recorder.sockets))


async def test_not_what_it_has_to_be(postgres15: RunningServer) -> None:
    recorder = Recorder()
    with pytest.raises(TargetServerAttributeNotMatched, match="'standby'"):
        await connect(**login(postgres15, target_session_attrs="standby", connector=recorder))
    await asyncio.gather(*(socket.closed for socket in recorder.sockets))


async def test_prefer_goes_on_when_the_handshake_fails() -> None:
    """The server says yes to TLS and then speaks none: the second connection is in clear."""
    broken = FakeServer(encryption=b"S", spoil=lambda: Cut(1))
    async with broken, FakeServer() as plain:

        async def connector(address: AddressLike) -> Socket:
            return await (plain if broken.sockets else broken)(address)

        db = await connect(host="server", user="u", ssl="prefer", connector=connector)
        assert (len(broken.sockets), len(plain.sockets)) == (1, 1)
        await db.close()


async def test_demanded_tls_is_never_given_up() -> None:
    async with FakeServer(encryption=b"N") as plain:
        for ssl in ("require", "prefer"):
            options: dict[str, Any] = {"host": "server", "user": "u", "connector": plain}
            if ssl == "require":
                with pytest.raises(wirekit.TLSError):
                    await connect(ssl=ssl, **options)
                assert not plain.startups
            else:
                await (await connect(ssl=ssl, **options)).close()
                assert len(plain.startups) == 1


# Cancelled -----------------------------------------------------------------------------------


async def test_cancelled_at_every_turn() -> None:
    """Whenever connect() is cancelled, it leaves neither a socket nor a task."""
    opened = 0
    for count in range(400):
        async with FakeServer(login=trust) as server:
            before = asyncio.all_tasks()
            task = asyncio.create_task(server.connect(target_session_attrs="any"))
            await turns(count)
            if task.done():
                opened += 1
                (await task).terminate()
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            for socket in server.sockets:
                await asyncio.wait_for(asyncio.shield(wait_closed(socket)), PATIENCE)
        await only_these(before | {task})
        if opened == 3:
            break
    assert opened == 3, "it takes more turns than were tried"


async def only_these(tasks: set[asyncio.Task[Any]]) -> None:
    await eventually(lambda: asyncio.all_tasks() <= tasks)


async def wait_closed(socket: Socket) -> None:
    with contextlib.suppress(wirekit.TransportError):
        await socket.closed


@pytest.mark.parametrize("ssl", ["disable", "require"])
async def test_cancelled_at_a_real_server(postgres15: RunningServer, ssl: str) -> None:
    recorder = Recorder()
    before = asyncio.all_tasks()
    settings = {"application_name": "cancelled"}
    options = login(
        postgres15,
        user="scram_user",
        password="scram secret",
        ssl=ssl,
        connector=recorder,
        server_settings=settings,
    )
    for step in range(40):
        task = asyncio.create_task(connect(**options))
        await asyncio.sleep(step * 0.0005)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await task).terminate()
    for socket in recorder.sockets:
        await asyncio.wait_for(wait_closed(socket), PATIENCE)
    assert asyncio.all_tasks() == before
    async with asyncio.timeout(PATIENCE):
        while await sessions(postgres15, "cancelled"):
            pass


async def test_ended_in_time_by_the_caller(postgres15: RunningServer) -> None:
    async with silent_server() as (host, port):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connect(host=host, port=port, user="u")
