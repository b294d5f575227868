"""Everything that carries bytes to a server, for the adapters' tests."""

from __future__ import annotations

import asyncio
import socket as stdlib_socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tests.interop.ssh.sessions import running
from tests.interop.tunnel import Tunnel
from tests.servers import CertificateAuthority, RunningServer, running_servers
from wirekit.adapters.ssh import SSH
from wirekit.sockets import DirectConnector, SecureTransport, connect

# What a client is to be made with: ``socket``, or ``connector`` and ``address``.
Way = dict[str, Any]
Carrier = Callable[[RunningServer, CertificateAuthority], AbstractAsyncContextManager[Way]]
CARRIERS: dict[str, Carrier] = {}


def carrier(function: Carrier) -> Carrier:
    CARRIERS[function.__name__] = function
    return function


def address_of(server: RunningServer) -> tuple[str, int]:
    return server.host, server.port


def tls_address(server: RunningServer) -> tuple[str, int]:
    assert server.tls_port is not None
    return server.host, server.tls_port


def secure_transport(server: RunningServer) -> SecureTransport:
    """Return how TLS begins: at once, or on the plain port when both have agreed."""
    return "starttls" if server.tls_port == server.port else "on"


@carrier
@asynccontextmanager
async def tcp(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    yield {"socket": connect(address_of(server))}


@carrier
@asynccontextmanager
async def unix(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    yield {"connector": DirectConnector(), "address": str(server.unix_path)}


@carrier
@asynccontextmanager
async def tls(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    socket = connect(
        tls_address(server),
        secure_transport=secure_transport(server),
        ssl_context=authority.client_context(),
    )
    yield {"socket": socket}
    assert (socket.successor or socket).secure_transport == "on"


@carrier
@asynccontextmanager
async def tls_through_memory(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    tunnel = Tunnel(tls_address(server), fragment=1000)
    connector = DirectConnector(
        connector=tunnel,
        secure_transport=secure_transport(server),
        ssl_context=authority.client_context(),
    )
    yield {"connector": connector, "address": tls_address(server)}
    await tunnel.ended()


@carrier
@asynccontextmanager
async def memory(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    tunnel = Tunnel(address_of(server), fragment=100)
    yield {"socket": await tunnel("memory:1")}
    await tunnel.ended()


@carrier
@asynccontextmanager
async def stdlib(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    yield {"socket": stdlib_socket.create_connection(address_of(server))}


@carrier
@asynccontextmanager
async def stdlib_unix(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    sock = stdlib_socket.socket(stdlib_socket.AF_UNIX)
    sock.connect(str(server.unix_path))
    yield {"socket": sock}


@carrier
@asynccontextmanager
async def streams(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    yield {"socket": await asyncio.open_connection(*address_of(server))}


@carrier
@asynccontextmanager
async def tls_streams(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    """Not for a server where TLS begins in its own protocol: these speak TLS from the start."""
    host, port = tls_address(server)
    pair = await asyncio.open_connection(host, port, ssl=authority.client_context())
    yield {"socket": pair}


@carrier
@asynccontextmanager
async def transport(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    loop = asyncio.get_running_loop()
    made, _ = await loop.create_connection(asyncio.Protocol, *address_of(server))
    yield {"socket": made}


def through_sshd() -> SSH:
    """Return a client of the server that the fixture ``sshd`` runs."""
    sshd = next(server for server in running_servers if server.name == "sshd")
    return running("openssh", sshd).client()


@carrier
@asynccontextmanager
async def ssh(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    async with through_sshd() as client:
        yield {"connector": client.connector(), "address": address_of(server)}


@carrier
@asynccontextmanager
async def unix_through_ssh(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    async with through_sshd() as client:
        yield {"connector": client.connector(), "address": str(server.unix_path)}


@carrier
@asynccontextmanager
async def tls_through_ssh(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    async with through_sshd() as client:
        connector = client.connector(
            secure_transport=secure_transport(server), ssl_context=authority.client_context()
        )
        yield {"connector": connector, "address": tls_address(server)}
