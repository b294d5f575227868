"""A byte that changes on the way: an error of ours, and no hang."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.ssh.sessions import embedded
from tests.interop.waiting import PATIENCE
from tests.servers import AsyncsshServer, asyncssh_server
from wirekit.adapters.ssh import SSH
from wirekit.sockets import Socket, memory_pair

OFFSETS = [*range(0, 30, 3), *range(30, 3000, 97)]


async def carry(source: Socket, target: Socket, damaged: int | None = None) -> None:
    """Hand on what comes, but with one bit of the byte at an offset changed."""
    passed = 0
    try:
        while data := await source.read():
            if damaged is not None and passed <= damaged < passed + len(data):
                at = damaged - passed
                data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
            passed += len(data)
            await target.write(data)
    except wirekit.TransportError:
        pass
    await target.close()


async def log_in(server: AsyncsshServer, offset: int) -> object:
    ours, near = memory_pair()
    far, theirs = memory_pair()
    theirs.attach(server.protocol())
    options: dict[str, Any] = {**embedded(server).login, "port": server.port, "host": "127.0.0.1"}
    relays = [carry(far, near, offset), carry(near, far)]
    async with asyncio.TaskGroup() as tasks:
        for relay in relays:
            tasks.create_task(relay)
        try:
            async with SSH(ours, **options, login_timeout=0.4, timeout=0.4) as ssh:
                result = await ssh.run("echo unharmed", timeout=1)
                return result.stdout
        except (wirekit.Error, TimeoutError) as error:
            return error


@pytest.mark.filterwarnings(
    "ignore:Diffie-Hellman over finite fields:cryptography.utils.CryptographyDeprecationWarning"
)
async def test_a_byte_that_changes_on_the_way() -> None:
    async with asyncssh_server() as server, asyncio.timeout(PATIENCE):
        outcomes = [await log_in(server, offset) for offset in OFFSETS]
    errors = [outcome for outcome in outcomes if outcome != "unharmed\n"]
    assert all(isinstance(error, wirekit.Error) for error in errors), errors
    assert len(errors) > len(OFFSETS) * 0.8
    assert any(isinstance(error, wirekit.RemoteProtocolError) for error in errors)
