"""What is added to asyncssh's channels.

That they are held back is tested in tests/interop/ssh/test_bridge_backpressure.py, that they are
given up in test_session_faults.py.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Any, cast

import asyncssh
import pytest

from tests.interop.ssh.sessions import joined
from tests.interop.waiting import eventually, turns
from tests.servers import asyncssh_server
from wirekit.adapters.ssh._flow import Channel, Inflater, with_flow_control


def test_a_channel_stays_what_it_is() -> None:
    kind = with_flow_control(asyncssh.SSHTCPChannel)
    assert issubclass(kind, asyncssh.SSHTCPChannel)
    assert issubclass(kind, Channel)
    assert kind.__name__ == "SSHTCPChannel"
    assert with_flow_control(asyncssh.SSHTCPChannel) is kind


def test_what_is_inflated_has_a_limit() -> None:
    inflater = Inflater(1000)
    deflater = zlib.compressobj()

    def deflated(data: bytes) -> bytes:
        return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)

    assert inflater.decompress(deflated(bytes(1000))) == bytes(1000)
    assert inflater.decompress(deflated(b"x")) == b"x"
    assert inflater.decompress(deflated(bytes(1001))) is None
    assert Inflater(1000).decompress(b"none") is None


async def test_crumbs_that_nobody_reads_are_joined() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        process = await ssh.create_process("cat", encoding=None)
        process.channel.pause_reading()
        process.stdin.write(b"x")
        channel = cast("Any", process.channel)
        await eventually(lambda: channel._recv_buf)
        (other,) = cast("Any", server.connections[0])._channels.values()
        for _ in range(3_000):
            other.write(b"ab")
        await eventually(lambda: sum(len(data) for data, _ in channel._recv_buf) == 6_001)
        assert len(channel._recv_buf) < 20
        process.channel.resume_reading()
        assert await process.stdout.readexactly(6_001) == b"x" + b"ab" * 3_000


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
