"""A plugin of pytest's: all connections that wirekit makes itself go through a real sshd.

    python -m pytest -p tests.through_ssh tests/adapters/redis tests/adapters/postgres

The tests are as they are, and so are the servers; below each socket is an SSH channel.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
import pytest_asyncio

from tests.servers import RunningServer
from wirekit import sockets
from wirekit.adapters.ssh import SSH
from wirekit.sockets import Address, Policy, UnixAddress

Open = Callable[[Address, asyncio.BaseProtocol, Policy], Awaitable[asyncio.Transport]]


@pytest.fixture(autouse=True)
def through_ssh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what opens direct connections, where there is an event loop."""
    if inspect.iscoroutinefunction(request.function):
        opens: Open = request.getfixturevalue("opening_by_ssh")
        monkeypatch.setattr(cast("Any", sockets)._connect, "open_direct", opens)


@pytest_asyncio.fixture
async def opening_by_ssh(sshd: RunningServer) -> AsyncIterator[Open]:
    """What opens a channel instead; it holds to policies as ``open_direct`` does."""
    ssh = SSH(
        socket.create_connection((sshd.host, sshd.port)),
        client_keys=[sshd.directory / "user_ed25519"],
        known_hosts=f"{sshd.host} {(sshd.directory / 'host_ed25519.pub').read_text()}".encode(),
    )

    async def opens(
        address: Address, protocol: asyncio.BaseProtocol, policy: Policy
    ) -> asyncio.Transport:
        policy.check_address(address)
        if not isinstance(address, UnixAddress):
            found = await cast("Any", sockets)._direct._resolve(address)
            policy.check_resolved(address, [info[4][0] for info in found])
        channel = await connector(address)
        return channel.attach(protocol)

    async with ssh:
        connector = ssh.connector()
        yield opens
    await asyncio.sleep(0.01)  # so that servers in the test's own loop learn of the end
