"""Tunnels through tunnels."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import wirekit
from tests.interop.redis.helpers import new_client
from tests.interop.ssh.sessions import Target, embedded, running
from tests.interop.ssh.tunnels import address_of, cuttable
from tests.servers import CertificateAuthority, RunningServer, asyncssh_server
from wirekit.adapters.postgres import Postgres
from wirekit.adapters.ssh import SSH, ChannelOpenError
from wirekit.sockets import Connector, connect

pytestmark = pytest.mark.both_loops

LOGIN: dict[str, Any] = {"user": "trust_user", "database": "wirekit"}


def behind(connector: Connector, target: Target) -> SSH:
    """Return a client of a server that is reached through another one."""
    return SSH(connector=connector, address=("127.0.0.1", target.port), **target.login)


@contextlib.asynccontextmanager
async def three_hops(sshd: RunningServer, dropbear: RunningServer) -> AsyncGenerator[list[SSH]]:
    """Give clients of OpenSSH, of Dropbear through that, and of asyncssh through both."""
    async with (
        asyncssh_server() as server,
        running("openssh", sshd).client() as first,
        behind(first.connector(), running("dropbear", dropbear)) as second,
        behind(second.connector(), embedded(server)) as third,
    ):
        yield [first, second, third]


async def test_three_servers(
    sshd: RunningServer,
    dropbear: RunningServer,
    redis_server: RunningServer,
    postgres15: RunningServer,
    certificate_authority: CertificateAuthority,
) -> None:
    async with three_hops(sshd, dropbear) as (_, _, last):
        large = bytes(range(256)) * 4000
        async with new_client(
            connector=last.connector(), address=address_of(redis_server)
        ) as client:
            assert await client.set("nested", large)
            assert await client.get("nested") == large
        connector = last.connector(
            secure_transport="starttls", ssl_context=certificate_authority.client_context()
        )
        address = address_of(postgres15)
        async with Postgres(connector=connector, address=address, **LOGIN) as db:
            with pytest.raises(TimeoutError):
                await db.fetchval("SELECT pg_sleep(1000)", timeout=0.3)
            assert await db.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        # The name given to connect() is looked up where the last server is.
        socket = connect(("localhost", redis_server.port), connector=last.connector())
        await socket.write(b"PING\r\n")
        assert await socket.read_until() == b"+PONG\r\n"
        await socket.close()


async def test_an_error_tells_of_its_own_hop(sshd: RunningServer, dropbear: RunningServer) -> None:
    async with three_hops(sshd, dropbear) as hops:
        for ssh in hops:
            with pytest.raises(ChannelOpenError, match=r"127\.0\.0\.1:1 through SSH") as caught:
                await ssh.connector()("127.0.0.1:1")
            assert caught.value.code == 2
        assert all(ssh.is_connected for ssh in hops)


async def test_what_ends_the_first_hop_ends_all(
    sshd: RunningServer, dropbear: RunningServer, redis_server: RunningServer
) -> None:
    async with (
        cuttable(sshd) as (first, proxy),
        behind(first.connector(), running("dropbear", dropbear)) as second,
    ):
        socket = await second.connector()(address_of(redis_server))
        reading = asyncio.create_task(socket.read())
        await asyncio.sleep(0)
        proxy.cut_all()
        with pytest.raises(wirekit.ConnectionLost):
            await reading
        # Both come back, from the first to the last, when they are needed.
        again = await second.connector()(address_of(redis_server))
        await again.write(b"PING\r\n")
        assert await again.read_until() == b"+PONG\r\n"
        await again.close()
        assert first.is_connected
        assert second.is_connected


async def test_cancelled_while_the_hops_are_made_anew(
    sshd: RunningServer, dropbear: RunningServer, redis_server: RunningServer
) -> None:
    async with (
        cuttable(sshd) as (first, proxy),
        behind(first.connector(), running("dropbear", dropbear)) as second,
    ):
        for delay in (0.0, 0.01, 0.05):
            proxy.cut_all()
            opening = asyncio.create_task(second.connector()(address_of(redis_server)))
            await asyncio.sleep(delay)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError, wirekit.TransportError):
                (await opening).abort()
        socket = await second.connector()(address_of(redis_server))
        await socket.write(b"PING\r\n")
        assert await socket.read_until() == b"+PONG\r\n"
        await socket.close()
