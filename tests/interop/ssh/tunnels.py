"""Clients of SSH for those who go through it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from tests.interop.redis.proxy import Proxy
from tests.interop.ssh.sessions import running
from tests.servers import RunningServer
from wirekit.adapters.ssh import SSH
from wirekit.sockets import AddressLike, Connector, DirectConnector, Socket, TCPAddress


@contextlib.asynccontextmanager
async def cuttable(sshd: RunningServer) -> AsyncGenerator[tuple[SSH, Proxy]]:
    """Give a client that reconnects, and the proxy that may cut its connection."""
    target = running("openssh", sshd)
    async with Proxy(sshd) as proxy:
        ssh = SSH(
            connector=DirectConnector(),
            address=proxy.address,
            host=sshd.host,
            port=sshd.port,
            **target.login,
        )
        async with ssh:
            yield ssh, proxy


class Counting:
    """A connector that counts, and knows every socket it has made."""

    def __init__(self, connector: Connector) -> None:
        self.sockets: list[Socket] = []
        self.addresses: list[AddressLike] = []
        self._connector = connector

    async def __call__(self, address: AddressLike) -> Socket:
        self.addresses.append(address)
        self.sockets.append(await self._connector(address))
        return self.sockets[-1]


def address_of(server: RunningServer) -> TCPAddress:
    return TCPAddress(server.host, server.port)
