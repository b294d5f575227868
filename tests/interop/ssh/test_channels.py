"""Channels as sockets, with the three servers."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

import wirekit
from tests.interop.ssh.sessions import Target, running
from tests.servers import RunningServer, sshd_server
from wirekit.adapters.ssh import ChannelOpenError
from wirekit.sockets import UnixAddress

pytestmark = pytest.mark.both_loops

LARGE = bytes(range(256)) * 12_000


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer only when the client has said all."""
    data = await reader.read(-1)
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def echoing() -> AsyncGenerator[tuple[str, int]]:
    server = await asyncio.start_server(echo, "127.0.0.1")
    async with server:
        host, port = server.sockets[0].getsockname()
        yield host, port


async def test_half_closed(target: Target) -> None:
    async with target.client() as ssh, echoing() as address:
        connector = ssh.connector(allow_half_open=True)
        sockets = [await connector(address) for _ in range(4)]
        for socket in sockets:
            await socket.write(LARGE)
            await socket.write_eof()
        for socket in sockets:
            assert await socket.read_exactly(len(LARGE)) == LARGE
            assert await socket.read() == b""
            await socket.closed
        assert ssh.is_connected


async def test_one_that_nobody_reads_holds_up_no_other(target: Target) -> None:
    async with target.client() as ssh, echoing() as address:
        connector = ssh.connector(allow_half_open=True)
        silent, other = await connector(address), await connector(address)
        for socket in (silent, other):
            await socket.write(LARGE)
            await socket.write_eof()
        assert await other.read_exactly(len(LARGE)) == LARGE
        assert await silent.read_exactly(len(LARGE)) == LARGE
        await silent.close()
        await other.close()


async def test_nobody_listens(target: Target) -> None:
    async with target.client() as ssh:
        with pytest.raises(ChannelOpenError) as caught:
            await ssh.connector()("127.0.0.1:1")
        assert caught.value.code == 2
        if target.name != "asyncssh":  # which says it in Python's words
            assert isinstance(caught.value, wirekit.ConnectRefused)
        assert ssh.is_connected


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a server may put a socket that every user may connect to."""
    with tempfile.TemporaryDirectory(prefix="wirekit-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "echo.sock"


async def test_a_unix_socket(target: Target, path: Path) -> None:
    server = await asyncio.start_unix_server(echo, path)
    await asyncio.to_thread(path.chmod, 0o777)
    async with server, target.client() as ssh:
        connector = ssh.connector(allow_half_open=True)
        address = UnixAddress(str(path))
        if target.name == "dropbear":
            with pytest.raises(ChannelOpenError) as caught:
                await connector(address)
            assert caught.value.code == 3  # unknown channel type
            return
        socket = await connector(address)
        await socket.write(LARGE)
        await socket.write_eof()
        assert await socket.read_exactly(len(LARGE)) == LARGE
        await socket.close()
        with pytest.raises(ChannelOpenError) as caught:
            await connector("unix:///nowhere/at/all.sock")
        assert caught.value.code == 2


@pytest.fixture(scope="module")
def strict_sshd() -> Iterator[RunningServer]:
    """A server that leads to one place only."""
    config = {"PermitOpen": "127.0.0.1:2", "AllowStreamLocalForwarding": "no"}
    with sshd_server(config=config) as server:
        yield server


async def test_what_openssh_forbids(strict_sshd: RunningServer) -> None:
    async with running("openssh", strict_sshd).client() as ssh:
        # It says "administratively prohibited" of TCP only, and "open failed" of the rest.
        for address, code in (("127.0.0.1:1", 1), ("unix:///run/db.sock", 2)):
            with pytest.raises(ChannelOpenError) as caught:
                await ssh.connector()(address)
            assert caught.value.code == code
        with pytest.raises(wirekit.ConnectRefused):
            await ssh.connector()("127.0.0.1:2")
        assert ssh.is_connected
