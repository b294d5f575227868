"""The end of a process, and of the connection it is on."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest

import wirekit
from tests.interop.ssh.sessions import joined
from tests.interop.waiting import turns
from tests.servers import asyncssh_server
from wirekit.adapters.ssh import DisconnectError, SSHError
from wirekit.adapters.ssh._process import Process


async def test_the_end_of_a_process() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        process = await ssh.create_process("echo out; exit 3")
        assert isinstance(process, Process)
        result = await process.wait()
        assert (result.stdout, result.exit_status) == ("out\n", 3)
        with pytest.raises(asyncssh.ProcessError):
            await (await ssh.create_process("exit 3")).wait(check=True)
        with pytest.raises(asyncssh.TimeoutError):
            await (await ssh.create_process("sleep 60")).wait(timeout=0.01)


async def test_a_channel_that_ends_without_a_status() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        process = await ssh.create_process("sleep 60")
        process.channel.abort()
        assert (await process.wait()).exit_status is None


async def test_the_end_of_the_connection() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, theirs):
        waiting = asyncio.ensure_future((await ssh.create_process("sleep 60")).wait(check=True))
        await turns(5)
        theirs.abort()
        with pytest.raises(wirekit.ConnectionLost) as lost:
            await waiting
        assert isinstance(lost.value, SSHError)


async def test_a_good_bye() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        process = await ssh.create_process("sleep 60")
        server.connections[0].send_packet(1, bytes([0, 0, 0, 11]) + bytes(8))
        with pytest.raises(DisconnectError):
            await process.wait()
        await ssh.aclose()


async def test_closed_on_this_side() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        waiting = asyncio.ensure_future((await ssh.create_process("sleep 60")).wait())
        await turns(5)
        await ssh.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await waiting
