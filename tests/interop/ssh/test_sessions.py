"""Sessions on OpenSSH, Dropbear and asyncssh's server."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncssh
import pytest

import wirekit
from tests.interop.ssh.sessions import Target
from tests.servers import SSH_USER
from wirekit.adapters.ssh import SSH, ChannelOpenError

DATA = random.Random(6).randbytes(1_000_000)


@contextlib.asynccontextmanager
async def echoing(path: Path | None = None) -> AsyncGenerator[int]:
    """Run a server that sends back what it gets, and ends when the client does; give its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    if path is None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
    else:
        server = await asyncio.start_unix_server(echo, path)
    async with server:
        yield 0 if path is not None else server.sockets[0].getsockname()[1]


async def check_echo(
    reader: asyncssh.SSHReader[bytes] | asyncio.StreamReader,
    writer: asyncssh.SSHWriter[bytes] | asyncio.StreamWriter,
) -> None:
    writer.write(DATA)
    writer.write_eof()
    received = b""
    while data := await reader.read(65536):
        received += data
    assert received == DATA
    writer.close()


async def test_run(target: Target) -> None:
    async with target.client() as ssh:
        assert ssh.is_connected
        assert repr(ssh) == f"<SSH {SSH_USER}@127.0.0.1:{target.port} open>"
        result = await ssh.run("cat; echo no >&2; exit 3", input="grüße\n")
        assert (result.stdout, result.stderr, result.exit_status) == ("grüße\n", "no\n", 3)
        with pytest.raises(asyncssh.ProcessError) as failed:
            await ssh.run("exit 4", check=True)
        assert failed.value.exit_status == 4
        result = await ssh.run("cat", input=DATA, encoding=None)
        assert result.stdout == DATA
        # Dropbear has a race of its own when several commands begin and end at once.
        count = 1 if target.name == "dropbear" else 8
        results = await asyncio.gather(*(ssh.run(f"echo {n}") for n in range(count)))
        assert [result.stdout for result in results] == [f"{n}\n" for n in range(count)]
        with pytest.raises(asyncssh.TimeoutError):
            await ssh.run("sleep 3", timeout=0.1)
        assert (await ssh.run("echo still here")).stdout == "still here\n"
    assert repr(ssh) == f"<SSH {SSH_USER}@127.0.0.1:{target.port} closed>"
    with pytest.raises(wirekit.SocketClosed):
        await ssh.run("echo")


async def test_a_process_and_its_streams(target: Target) -> None:
    async with target.client() as ssh:
        async with ssh.create_process("cat; echo bye >&2") as process:
            for line in ("one\n", "two\n"):
                process.stdin.write(line)
                assert await process.stdout.readline() == line
            process.stdin.write_eof()
            assert await process.stdout.read() == ""
            assert await process.stderr.read() == "bye\n"
        writer, reader, _ = await ssh.open_session("tr a-z A-Z", encoding=None)
        writer.write(b"loud")
        writer.write_eof()
        assert await reader.read() == b"LOUD"


async def test_files(target: Target, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(DATA)
    async with target.client() as ssh, ssh.start_sftp_client() as sftp:
        await sftp.put(str(tmp_path / "here"), str(tmp_path / "there"))
        assert (tmp_path / "there").read_bytes() == DATA
        await sftp.get(str(tmp_path / "there"), str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == DATA
        assert sorted(await sftp.listdir(str(tmp_path))) == [".", "..", "back", "here", "there"]
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await sftp.stat(str(tmp_path / "nothing"))


async def test_keys_are_exchanged_anew(target: Target) -> None:
    async with target.client(rekey_bytes=100_000) as ssh:
        for _ in range(2):
            assert (await ssh.run("cat", input=DATA, encoding=None)).stdout == DATA


async def test_connections_from_the_server(target: Target) -> None:
    async with echoing() as port, target.client() as ssh:
        reader, writer = await ssh.open_connection("127.0.0.1", port)
        await check_echo(reader, writer)


async def test_a_refused_connection(target: Target) -> None:
    async with echoing() as port:
        pass  # nobody listens there any more
    async with target.client() as ssh:
        with pytest.raises(ChannelOpenError) as refused:
            await ssh.open_connection("127.0.0.1", port)
        assert refused.value.code == 2  # connect failed
        assert isinstance(refused.value, asyncssh.ChannelOpenError | wirekit.ConnectError)
        assert (await ssh.run("echo still here")).stdout == "still here\n"


async def test_unix_sockets_of_the_server(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "echo"
    async with echoing(path), target.client() as ssh:
        if target.name == "dropbear":
            with pytest.raises(ChannelOpenError) as refused:
                await ssh.open_unix_connection(str(path))
            assert refused.value.code == 3  # unknown channel type
        else:
            await check_echo(*await ssh.open_unix_connection(str(path)))


async def test_forwarding_a_port_here(target: Target) -> None:
    async with (
        echoing() as port,
        target.client() as ssh,
        ssh.forward_local_port("127.0.0.1", 0, "127.0.0.1", port) as listener,
    ):
        await check_echo(*await asyncio.open_connection("127.0.0.1", listener.get_port()))


async def test_forwarding_a_port_there(target: Target) -> None:
    async with (
        echoing() as port,
        target.client() as ssh,
        ssh.forward_remote_port("127.0.0.1", 0, "127.0.0.1", port) as listener,
    ):
        await check_echo(*await asyncio.open_connection("127.0.0.1", listener.get_port()))


async def test_a_port_that_cannot_be_had(target: Target) -> None:
    async with echoing() as port, target.client() as ssh:
        if target.name == "dropbear":
            return  # it is content with what is left, the port on ::1
        with pytest.raises(asyncssh.ChannelListenError) as refused:
            await ssh.forward_remote_port("127.0.0.1", port, "127.0.0.1", port)
        assert isinstance(refused.value, wirekit.Error)


async def test_through_another_server(target: Target) -> None:
    async with (
        target.client() as outer,
        SSH(connector=outer.connector(), address=("127.0.0.1", target.port), **target.login) as ssh,
        SSH(connector=ssh.connector(), address=("127.0.0.1", target.port), **target.login) as inner,
    ):
        assert (await inner.run("cat", input=DATA, encoding=None)).stdout == DATA
        assert repr(inner) == f"<SSH {SSH_USER}@127.0.0.1:{target.port} open>"


async def test_environment_and_terminals(target: Target) -> None:
    async with target.client() as ssh:
        result = await ssh.run("test -t 0 && echo $TERM", term_type="vt220", request_pty="force")
        if target.name != "asyncssh":  # whose commands have no terminal here
            assert result.stdout == "vt220\r\n"
