"""What a peer that does not take what it is sent costs: some memory, and no more."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import asyncssh
import pytest

import wirekit
from tests.interop.ssh.sessions import joined
from tests.interop.waiting import eventually, turns
from tests.servers import AsyncsshServer, asyncssh_server
from wirekit.adapters.ssh import SSHTimeoutError
from wirekit.adapters.ssh import _bridge as bridge

MEBIBYTE = 1 << 20
HUGE = {"window": 1 << 31}
CHUNK = bytes(65536)


@contextmanager
def at_most(size: int) -> Generator[None]:
    """Make sure that the block takes no more memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


async def write_until_blocked(writer: asyncssh.SSHWriter[bytes]) -> int:
    """Write until nothing more is taken; return how much that was."""
    written = 0
    while written < 64 * MEBIBYTE:
        writer.write(CHUNK)
        written += len(CHUNK)
        drained = asyncio.ensure_future(writer.drain())
        await turns(20)
        if not drained.done():
            drained.cancel()
            return written
    return written


def sent(server: AsyncsshServer) -> Any:
    """Return the server's end, whose own methods the tests turn against us."""
    return cast("Any", server.connections[-1])


async def test_a_peer_that_stops_reading_stops_the_writer() -> None:
    async with asyncssh_server(**HUGE) as server, joined(server) as (ssh, theirs):
        process = await ssh.create_process("wc -c", encoding=None)
        theirs.pause_reading()
        with at_most(2 * MEBIBYTE):
            written = await write_until_blocked(process.stdin)
        assert written < MEBIBYTE
        theirs.resume_reading()
        await process.stdin.drain()
        process.stdin.write_eof()
        assert (await process.wait()).stdout == b"%d\n" % written


async def test_one_large_write_is_not_copied_into_the_transport() -> None:
    async with asyncssh_server(**HUGE) as server, joined(server) as (ssh, theirs):
        process = await ssh.create_process("sha256sum", encoding=None)
        theirs.pause_reading()
        data = bytes(range(256)) * 16384
        with at_most(len(data) + 2 * MEBIBYTE):  # asyncssh copies it once
            process.stdin.write(data)
        theirs.resume_reading()
        process.stdin.write_eof()
        digest = cast("bytes", (await process.wait()).stdout)
        assert digest.split()[0].decode() == hashlib.sha256(data).hexdigest()


async def test_a_slow_reader_gets_everything() -> None:
    async with asyncssh_server(**HUGE) as server, joined(server, fragment=3000) as (ssh, _):
        process = await ssh.create_process("sha256sum", encoding=None)
        digest = hashlib.sha256()
        with at_most(4 * MEBIBYTE):
            for number in range(64):
                chunk = bytes([number]) * 65536
                digest.update(chunk)
                process.stdin.write(chunk)
                await process.stdin.drain()
            process.stdin.write_eof()
            result = await process.wait()
        assert cast("bytes", result.stdout).split()[0].decode() == digest.hexdigest()


async def test_channels_take_turns() -> None:
    async with asyncssh_server(**HUGE) as server, joined(server, fragment=20_000) as (ssh, _):
        greedy = await ssh.create_process("cat >/dev/null", encoding=None)
        modest = await ssh.create_process("wc -c", encoding=None)
        greedy.stdin.write(bytes(16 * MEBIBYTE))
        modest.stdin.write(bytes(MEBIBYTE))
        modest.stdin.write_eof()
        assert (await modest.wait()).stdout == b"%d\n" % MEBIBYTE
        assert greedy.channel.get_write_buffer_size() > 8 * MEBIBYTE
        greedy.channel.abort()


async def test_a_peer_that_does_not_take_our_answers_is_not_read_from() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, theirs):
        theirs.pause_reading()
        asked = 0
        while theirs.get_write_buffer_size() < MEBIBYTE // 4:  # what we have not read
            for _ in range(1000):
                sent(server)._send_global_request(b"ping@wirekit.example", want_reply=True)
            asked += 1000
            await turns(3)
            assert asked < 1_000_000
        lower = cast("Any", ssh.connection)._lower
        assert lower.get_write_buffer_size() < MEBIBYTE
        answers = [asyncio.get_running_loop().create_future() for _ in range(asked)]
        sent(server)._global_request_waiters.extend(answers)
        theirs.resume_reading()
        await asyncio.gather(*answers)
        assert (await ssh.run("echo here")).stdout == "here\n"


async def test_a_server_cannot_flood_before_the_login() -> None:
    asked = asyncio.Event()

    class Slow(asyncssh.SSHClient):
        async def password_auth_requested(self) -> str:
            asked.set()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

    async def flood(server: AsyncsshServer) -> None:
        await asked.wait()
        for _ in range(300):
            sent(server).send_auth_banner("x" * 30_000)
            await turns(2)

    async with asyncssh_server() as server:
        flooding = asyncio.create_task(flood(server))
        options: dict[str, Any] = {"client_keys": None, "client_factory": Slow}
        with pytest.raises(wirekit.RemoteProtocolError, match="too much before the login"):
            async with joined(server, **options):
                raise AssertionError
        await flooding


async def test_data_waits_for_keys() -> None:
    async with asyncssh_server(**HUGE) as server, joined(server) as (ssh, theirs):
        process = await ssh.create_process("wc -c", encoding=None)
        theirs.pause_reading()
        sent(server)._send_kexinit()
        sent(server)._kexinit_sent = True
        await eventually(lambda: not ssh.connection.may_send)
        with at_most(2 * MEBIBYTE):
            written = await write_until_blocked(process.stdin)
        assert written < MEBIBYTE
        theirs.resume_reading()
        await process.stdin.drain()
        process.stdin.write_eof()
        assert (await process.wait()).stdout == b"%d\n" % written


async def test_keys_that_never_come_end_the_connection() -> None:
    async with asyncssh_server() as server, joined(server, timeout=0.1) as (ssh, theirs):
        process = await ssh.create_process("cat", encoding=None)
        theirs.pause_reading()
        sent(server)._send_kexinit()
        with pytest.raises(wirekit.ConnectionLost, match=r"did not exchange keys within 0\.1 s"):
            await process.stdout.read()
        assert not ssh.is_connected


async def test_keys_are_exchanged_under_load() -> None:
    data = bytes(range(256)) * 2048
    async with (
        asyncssh_server(rekey_bytes=50_000) as server,
        joined(server, rekey_bytes=70_000) as (ssh, _),
    ):
        results = await asyncio.gather(
            *(ssh.run("cat", input=data, encoding=None) for _ in range(3))
        )
        assert [result.stdout for result in results] == [data] * 3


async def test_requests_that_keys_hold_back_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "_WAITING", 500)
    async with asyncssh_server() as server, joined(server) as (ssh, theirs):
        theirs.pause_reading()
        connection = sent(server)
        connection._send_kexinit()
        connection._kex_complete = True  # though it is not
        run = asyncio.create_task(ssh.run("echo"))
        for _ in range(12):
            for _ in range(50):
                connection._send_global_request(b"ping@wirekit.example", want_reply=True)
            await turns(3)
        with pytest.raises(wirekit.RemoteProtocolError, match="asks for more than it lets"):
            await run
        assert not ssh.is_connected


async def test_what_nobody_reads_fills_a_window() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        with at_most(10 * MEBIBYTE):
            process = await ssh.create_process("cat /dev/zero", encoding=None)
            await eventually(lambda: cast("Any", process.channel)._recv_window < 32768)
            assert (await ssh.run("echo still here")).stdout == "still here\n"
        process.channel.abort()


async def test_a_server_that_opens_nothing_does_not_hold_us() -> None:
    async with asyncssh_server() as server, joined(server, timeout=0.1) as (ssh, theirs):
        theirs.pause_reading()
        with pytest.raises(SSHTimeoutError, match=r"did not answer within 0\.1 s"):
            await ssh.run("echo")
        theirs.resume_reading()
        assert (await ssh.run("echo here")).stdout == "here\n"
        await eventually(lambda: not cast("Any", ssh.connection)._channels)
