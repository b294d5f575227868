"""The adapter speaks on everything that carries bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import wirekit
from tests import servers
from tests.interop import carriers
from tests.interop.carriers import Carrier, Way, address_of, tls_address
from tests.interop.redis.helpers import Client, new_client
from tests.interop.redis.proxy import Proxy
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.redis import connect as connect_url
from wirekit.sockets import AddressLike, DirectConnector, Socket, connect

# Everything that carries bytes, and ways of Redis's own.
CARRIERS: dict[str, Carrier] = {**carriers.CARRIERS}


def carrier(function: Carrier) -> Carrier:
    CARRIERS[function.__name__] = function
    return function


@carrier
@asynccontextmanager
async def unix_by_url(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    yield {"socket": connect(f"unix://{server.unix_path}")}


@carrier
@asynccontextmanager
async def tls_through_tcp_proxy(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    async with Proxy(server, port=server.tls_port) as proxy:

        async def dial(address: AddressLike) -> Socket:
            return await DirectConnector()(proxy.address)

        connector = DirectConnector(
            connector=dial, secure_transport="on", ssl_context=authority.client_context()
        )
        yield {"connector": connector, "address": tls_address(server)}
        assert proxy.connections > 1


@carrier
@asynccontextmanager
async def streams_in_use(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    """Somebody spoke on them before, and was answered."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    yield {"socket": (reader, writer)}


async def speak(client: Client, name: str) -> None:
    """A bit of everything: small and large, pipelined, blocking, cancelled, pushed."""
    key = f"carrier:{name}"
    large = name.encode() * 30_000
    await client.delete(key, f"{key}:list")
    assert await client.set(key, large) is True
    assert await client.get(key) == large
    assert await asyncio.gather(*(client.echo(str(n)) for n in range(100))) == [
        b"%d" % n for n in range(100)
    ]
    assert await client.pipeline().set(key, 1).incr(key).execute() == [True, 2]
    pop = asyncio.create_task(client.blpop([f"{key}:list"], timeout=0.05))
    assert await pop is None
    gone = asyncio.create_task(client.get(key))
    await asyncio.sleep(0)
    gone.cancel()
    assert await client.get(key) == b"2"
    async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(key)
        if client._connections.renewable:
            await client.publish(key, "message")
            assert (await anext(pubsub.listen()))["data"] == b"message"
    assert await client.ping() is True


@pytest.mark.usefixtures("sshd")
@pytest.mark.both_loops
@pytest.mark.parametrize("name", CARRIERS)
async def test_every_carrier(
    name: str, redis_server: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    async with (
        CARRIERS[name](redis_server, certificate_authority) as way,
        new_client(**way) as client,
    ):
        await speak(client, name)


@pytest.mark.both_loops
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_every_scheme(
    scheme: str, redis_server: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    secure = scheme == "rediss"
    _, port = tls_address(redis_server) if secure else address_of(redis_server)
    tls: Any = {"ssl_context": certificate_authority.client_context()} if secure else None
    client: Client
    async with await connect_url(f"{scheme}://localhost:{port}/0", tls=tls) as client:
        await speak(client, scheme)


@pytest.fixture(scope="module")
def strict_server(certificate_authority: CertificateAuthority) -> object:
    """A server that demands a client certificate."""
    with servers.redis_server(
        tls=certificate_authority, config={"tls-auth-clients": "yes"}
    ) as server:
        yield server


@pytest.mark.both_loops
async def test_client_certificate(
    strict_server: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    connector = DirectConnector(
        secure_transport="on",
        ssl_context=certificate_authority.client_context(with_certificate=True),
    )
    async with new_client(connector=connector, address=tls_address(strict_server)) as client:
        await speak(client, "client certificate")


@pytest.mark.both_loops
async def test_client_certificate_is_missing(
    strict_server: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    context = certificate_authority.client_context()
    socket = connect(tls_address(strict_server), secure_transport="on", ssl_context=context)
    # TLS 1.3: the client's handshake is done before the server looks for the certificate.
    with pytest.raises(wirekit.ConnectError):
        await new_client(socket).open()


@pytest.mark.both_loops
async def test_certificate_that_is_not_trusted(redis_server: RunningServer, tmp_path: Path) -> None:
    attempts = 0

    async def dial(address: AddressLike) -> Socket:
        nonlocal attempts
        attempts += 1
        return await DirectConnector(
            secure_transport="on", ssl_context=CertificateAuthority().client_context()
        )(address)

    client = new_client(connector=dial, address=tls_address(redis_server))
    with pytest.raises(wirekit.TLSError):
        await client.open()
    assert attempts == 1


@pytest.mark.both_loops
@pytest.mark.parametrize("secure", [False, True])
async def test_plain_to_tls_port_and_tls_to_plain_port(
    redis_server: RunningServer, certificate_authority: CertificateAuthority, secure: bool
) -> None:
    if secure:
        socket = connect(
            address_of(redis_server),
            secure_transport="on",
            ssl_context=certificate_authority.client_context(),
            connect_timeout=0.3,
        )
    else:
        socket = connect(tls_address(redis_server))
    with pytest.raises((wirekit.ConnectError, wirekit.RemoteProtocolError)):
        await new_client(socket, timeout=5).open()
