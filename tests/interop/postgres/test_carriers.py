"""The adapter speaks on everything that carries bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket as stdlib_socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

import wirekit
from tests.interop import carriers
from tests.interop.carriers import Carrier, Way, address_of
from tests.interop.redis.proxy import Proxy
from tests.interop.tunnel import Tunnel
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.postgres import DivisionByZeroError, Postgres
from wirekit.protocols.postgres import SSLRequest
from wirekit.sockets import AddressLike, DirectConnector, Socket, connect

# Everything that carries bytes but for streams with TLS, which begins within the protocol.
CARRIERS: dict[str, Carrier] = {
    name: function for name, function in carriers.CARRIERS.items() if name != "tls_streams"
}


def carrier(function: Carrier) -> Carrier:
    CARRIERS[function.__name__] = function
    return function


def postgres(socket: object = None, **options: object) -> Postgres:
    return Postgres(socket, user="trust_user", database="wirekit", **options)  # type: ignore[arg-type]


@carrier
@asynccontextmanager
async def unix_by_url(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    yield {"socket": connect(f"unix://{server.unix_path}")}


@carrier
@asynccontextmanager
async def tls_by_connector(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    connector = DirectConnector(secure_transport="starttls", ssl_context=authority.client_context())
    yield {"connector": connector, "address": address_of(server)}


@carrier
@asynccontextmanager
async def memory_by_connector(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    tunnel = Tunnel(address_of(server), fragment=100)
    yield {"connector": tunnel, "address": address_of(server)}
    await tunnel.ended()


@carrier
@asynccontextmanager
async def tls_inside_tls(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    """The outer TLS ends at a server that passes on what is inside, which is TLS again."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*address_of(server))
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    listener = await asyncio.start_server(
        pass_on, server.host, ssl=authority.server_context(), ssl_shutdown_timeout=1
    )
    async with listener:
        host, port = listener.sockets[0].getsockname()
        outer = DirectConnector(secure_transport="on", ssl_context=authority.client_context())

        async def tunnel(address: AddressLike) -> Socket:
            return await outer((host, port))

        inner = DirectConnector(
            connector=tunnel, secure_transport="starttls", ssl_context=authority.client_context()
        )
        yield {"connector": inner, "address": address_of(server)}


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@carrier
@asynccontextmanager
async def tcp_proxy(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    async with Proxy(server) as proxy:
        yield {"connector": DirectConnector(), "address": proxy.address}


async def speak(db: Postgres, *, cancels: bool) -> None:
    """A bit of everything: small and large, pipelined, failing, cancelled, pushed."""
    large = "é" * 200_000
    assert await db.fetchval("SELECT $1::text", large) == large
    rows = await db.fetch("SELECT n, repeat('x', 100) AS x FROM generate_series(1, 5000) n")
    assert [row["n"] for row in rows] == list(range(1, 5001))
    calls = (db.fetchval("SELECT $1::int", n) for n in range(100))
    assert await asyncio.gather(*calls) == list(range(100))
    async with db.pipeline() as pipeline:
        first, second = pipeline.fetchval("SELECT 1"), pipeline.fetchval("SELECT 2")
    assert (await first, await second) == (1, 2)
    with pytest.raises(DivisionByZeroError):
        await db.fetch("SELECT 1 / 0")
    async with db.transaction():
        await db.execute("CREATE TEMPORARY TABLE carried (n int)")
        records = [(n,) for n in range(20_000)]
        assert await db.copy_records_to_table("carried", records=records) == "COPY 20000"
        assert await db.fetchval("SELECT sum(n) FROM carried") == sum(range(20_000))
    # Without a way to cancel at the server, it is waited for.
    with pytest.raises(TimeoutError):
        await db.fetchval(f"SELECT pg_sleep({30 if cancels else 0.05})", timeout=0.01)
    assert await db.fetchval("SELECT 5") == 5
    heard: asyncio.Queue[object] = asyncio.Queue()
    await db.add_listener("carrier", lambda *event: heard.put_nowait(event[3]))
    await db.execute("NOTIFY carrier, 'text'")
    assert await heard.get() == "text"


@pytest.mark.usefixtures("sshd")
@pytest.mark.both_loops
@pytest.mark.parametrize("name", CARRIERS)
async def test_every_carrier(
    name: str, postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with (
        CARRIERS[name](postgres15, certificate_authority) as way,
        postgres(**way) as db,
    ):
        await speak(db, cancels="connector" in way)


@pytest.mark.both_loops
async def test_streams_in_use(postgres18: RunningServer) -> None:
    """Somebody asked for TLS on them before, was told no, and goes on in clear."""
    reader, writer = await asyncio.open_connection(postgres18.host, postgres18.port)
    writer.write(SSLRequest().encode())
    assert await reader.readexactly(1) == b"N"
    async with postgres((reader, writer)) as db:
        assert await db.fetchval("SELECT 1") == 1


@pytest.mark.both_loops
async def test_tls_that_the_server_does_not_speak(
    postgres18: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    options = {"ssl_context": certificate_authority.client_context(), "connect_timeout": 5}
    asks = connect(address_of(postgres18), secure_transport="starttls", **options)  # type: ignore[arg-type]
    with pytest.raises(wirekit.TLSError, match="nothing was sent in clear"):
        await postgres(asks).__aenter__()
    begins = connect(address_of(postgres18), secure_transport="on", **options)  # type: ignore[arg-type]
    with pytest.raises(wirekit.ConnectError):
        await postgres(begins).__aenter__()


async def test_the_carrier_is_closed_with_the_client(postgres15: RunningServer) -> None:
    reader, writer = await asyncio.open_connection(postgres15.host, postgres15.port)
    async with postgres((reader, writer)) as db:
        assert await db.fetchval("SELECT 1") == 1
    assert writer.transport.is_closing()
    sock = stdlib_socket.create_connection(address_of(postgres15))
    db = postgres(sock)
    await db.close()  # before it was opened
    assert sock.fileno() == -1
