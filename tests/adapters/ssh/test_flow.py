"""What is added to asyncssh's channels.

That they are held back is tested in tests/interop/ssh/test_bridge_backpressure.py, that they are
given up in test_session_faults.py.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import asyncssh
import pytest

from tests.interop.ssh.sessions import joined
from tests.interop.waiting import eventually, turns
from tests.servers import asyncssh_server
from wirekit.adapters.ssh._flow import Channel, with_flow_control


def test_a_channel_stays_what_it_is() -> None:
    kind = with_flow_control(asyncssh.SSHTCPChannel)
    assert issubclass(kind, asyncssh.SSHTCPChannel)
    assert issubclass(kind, Channel)
    assert kind.__name__ == "SSHTCPChannel"
    assert with_flow_control(asyncssh.SSHTCPChannel) is kind


async def test_crumbs_that_nobody_reads_are_joined() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        process = await ssh.create_process("cat", encoding=None)
        process.channel.pause_reading()
        process.stdin.write(b"x")
        channel = cast("Any", process.channel)
        await eventually(lambda: channel._recv_buf)
        (other,) = cast("Any", server.connections[0])._channels.values()
        for _ in range(10_000):
            other.write(b"ab")
        await eventually(lambda: sum(len(data) for data, _ in channel._recv_buf) == 20_001)
        assert len(channel._recv_buf) < 20
        process.channel.resume_reading()
        assert await process.stdout.readexactly(20_001) == b"x" + b"ab" * 10_000


async def test_the_peers_close_wakes_who_waits_to_write() -> None:
    async with asyncssh_server(window=1000) as server, joined(server) as (ssh, _):
        process = await ssh.create_process("echo unread; sleep 60", encoding=None)
        process.stdin.write(bytes(1 << 20))
        process.channel.pause_reading()
        drained = asyncio.ensure_future(process.stdin.drain())
        await turns(20)
        assert not drained.done()
        (other,) = cast("Any", server.connections[0])._channels.values()
        other.close()
        await drained
        with pytest.raises(BrokenPipeError):
            process.stdin.write(b"more")
        process.channel.abort()
