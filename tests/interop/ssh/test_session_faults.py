"""Cancelled, lost, silent, dismissed: the connection is usable, or closed with a clear error."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import asyncssh
import pytest

import wirekit
from tests.interop.ssh.sessions import embedded, joined, running
from tests.interop.waiting import eventually, outcomes, turns
from tests.servers import AsyncsshServer, RunningServer, asyncssh_server
from wirekit.adapters.ssh import SSH, DisconnectError, SSHError
from wirekit.sockets import DirectConnector, memory_pair

Operation = Callable[[SSH], Awaitable[Any]]
OPERATIONS: dict[str, Operation] = {}


def operation(function: Operation) -> Operation:
    OPERATIONS[function.__name__] = function
    return function


@operation
async def run(ssh: SSH) -> None:
    assert (await ssh.run("cat", input="x")).stdout == "x"


@operation
async def create_process(ssh: SSH) -> None:
    async with ssh.create_process("cat", stdin=asyncssh.DEVNULL) as process:
        await process.wait()


@operation
async def read_and_write(ssh: SSH) -> None:
    async with ssh.create_process("cat", encoding=None) as process:
        for _ in range(3):
            process.stdin.write(bytes(300_000))
            await process.stdin.drain()
            await process.stdout.readexactly(300_000)
        process.stdin.write_eof()
        await process.wait_closed()


@operation
async def forward(ssh: SSH) -> None:
    listener = await ssh.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
    listener.close()


@pytest.fixture
async def server() -> AsyncIterator[AsyncsshServer]:
    async with asyncssh_server() as embedded_server:
        yield embedded_server


def channels(connection: object) -> dict[int, object]:
    return cast("dict[int, object]", cast("Any", connection)._channels)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_cancelled_at_any_moment(name: str, server: AsyncsshServer) -> None:
    async with joined(server) as (ssh, _):
        for count in range(36):
            task = asyncio.ensure_future(OPERATIONS[name](ssh))
            await turns(count)
            task.cancel()
            (outcome,) = await outcomes(task)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        await OPERATIONS[name](ssh)
        await eventually(lambda: not channels(ssh.connection))
        await eventually(lambda: not channels(server.connections[0]))
        await eventually(lambda: not cast("Any", server.connections[0])._local_listeners)
        assert len(server.connections) == 1


async def test_files_are_cancelled_at_any_moment(sshd: RunningServer) -> None:
    # asyncssh's own server ends the whole connection when an SFTP channel is closed early.
    async with running("openssh", sshd).client() as ssh:
        for pause in range(12):
            task = asyncio.ensure_future(stat(ssh))
            await asyncio.sleep(pause * 0.002)
            task.cancel()
            await outcomes(task)
        await stat(ssh)
        await eventually(lambda: not channels(ssh.connection))


async def stat(ssh: SSH) -> None:
    async with ssh.start_sftp_client() as client:
        await client.stat("/")


async def test_a_login_that_is_cancelled(server: AsyncsshServer) -> None:
    login = embedded(server).login
    for pause in range(10):
        ours, theirs = memory_pair()
        theirs.attach(server.protocol())
        ssh = SSH(ours, **login, host="127.0.0.1", port=server.port)
        opening = asyncio.ensure_future(ssh.__aenter__())
        await asyncio.sleep(pause * 0.003)
        opening.cancel()
        await outcomes(opening)
        if opening.cancelled():
            assert ours.closed.done()
            with pytest.raises(wirekit.SocketClosed):
                await ssh.run("echo")
        await ssh.aclose()
        await eventually(lambda: server.connections[-1].is_closed())


async def test_opening_again_goes_on(server: AsyncsshServer) -> None:
    ours, theirs = memory_pair()
    theirs.attach(server.protocol())
    target = embedded(server)
    ssh = SSH(ours, **target.login, host="127.0.0.1", port=server.port)
    opening = asyncio.ensure_future(ssh.open())
    await turns(2)
    opening.cancel()
    await outcomes(opening)
    assert await ssh.open() is ssh
    assert (await ssh.run("echo here")).stdout == "here\n"
    await ssh.aclose()
    await ssh.aclose()


async def test_a_lost_connection_is_an_error_for_all_who_wait(server: AsyncsshServer) -> None:
    async with joined(server) as (ssh, theirs):
        process = await ssh.create_process("cat", encoding=None)
        waiting = asyncio.gather(
            ssh.run("sleep 60", check=True),
            process.stdout.read(1),
            ssh.open_connection("127.0.0.1", 9),
            return_exceptions=True,
        )
        await turns(20)
        theirs.abort()
        for error in await waiting:
            assert isinstance(error, SSHError)
        assert not ssh.is_connected
        assert repr(ssh).startswith("<SSH wirekit@memory lost: ")
        with pytest.raises(wirekit.ConnectionLost) as lost:
            await ssh.run("echo")
        assert isinstance(lost.value, asyncssh.ConnectionLost)


async def test_the_end_of_the_stream_is_a_loss(server: AsyncsshServer) -> None:
    async with joined(server) as (ssh, theirs):
        command = asyncio.ensure_future(ssh.run("sleep 60"))
        await turns(30)
        theirs.write_eof()
        with pytest.raises(wirekit.ConnectionLost, match="memory ended the connection"):
            await command


async def test_the_server_says_good_bye(server: AsyncsshServer) -> None:
    async with embedded(server).client() as ssh:
        command = asyncio.ensure_future(ssh.run("sleep 60"))
        await turns(30)
        server.connections[0].disconnect(12, "too many users")
        with pytest.raises(DisconnectError, match="too many users") as dismissed:
            await command
        assert dismissed.value.reason_code == 12
        assert isinstance(dismissed.value, wirekit.ConnectionLost | asyncssh.DisconnectError)


async def test_garbage_is_the_servers_fault(server: AsyncsshServer) -> None:
    async with joined(server) as (ssh, theirs):
        command = asyncio.ensure_future(ssh.run("sleep 60"))
        await turns(30)
        theirs.write(bytes(100_000))
        with pytest.raises(wirekit.RemoteProtocolError) as fault:
            await command
        assert isinstance(fault.value, asyncssh.DisconnectError)


async def test_a_silent_peer_is_noticed(server: AsyncsshServer) -> None:
    options: dict[str, Any] = {"keepalive_interval": 0.02, "keepalive_count_max": 2}
    async with joined(server, **options) as (ssh, theirs):
        command = asyncio.ensure_future(ssh.run("sleep 60"))
        await turns(30)
        theirs.pause_reading()
        with pytest.raises(wirekit.ConnectionLost, match="not responding to keepalive"):
            await command


async def test_a_login_takes_only_so_long() -> None:
    ours, _theirs = memory_pair()
    ssh = SSH(ours, username="nobody", known_hosts=b"", login_timeout=0.05)
    with pytest.raises(wirekit.ConnectTimeout, match=r"no login on memory within 0\.05 s"):
        await ssh.open()
    with pytest.raises(wirekit.SocketClosed, match="the only socket was used up"):
        await ssh.open()
    await ssh.aclose()


async def test_what_is_no_ssh_server() -> None:
    ours, theirs = memory_pair()
    await theirs.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await theirs.write_eof()
    with pytest.raises(wirekit.ConnectionLost, match="memory ended the connection"):
        async with SSH(ours, username="nobody", known_hosts=b""):
            raise AssertionError


async def test_the_next_use_connects_again(server: AsyncsshServer) -> None:
    target = embedded(server)
    address = ("127.0.0.1", target.port)
    async with SSH(connector=DirectConnector(), address=address, **target.login) as ssh:
        first = ssh.connection
        command = asyncio.ensure_future(ssh.run("sleep 60"))
        await eventually(lambda: channels(first))
        server.connections[0].abort()
        with pytest.raises(wirekit.ConnectionLost):
            await command
        results = await asyncio.gather(*(ssh.run(f"echo {n}") for n in range(5)))
        assert [result.stdout for result in results] == [f"{n}\n" for n in range(5)]
        assert len(server.connections) == 2
        assert ssh.connection is not first


async def test_connecting_again_is_shared_and_may_be_given_up(server: AsyncsshServer) -> None:
    target = embedded(server)
    async with SSH(
        connector=DirectConnector(), address=("127.0.0.1", target.port), **target.login
    ) as ssh:
        server.connections[0].abort()
        await eventually(lambda: not ssh.is_connected)
        impatient, patient = (asyncio.ensure_future(ssh.run("echo in")) for _ in range(2))
        await turns(3)
        impatient.cancel()
        assert (await patient).stdout == "in\n"
        assert impatient.cancelled()
        assert len(server.connections) == 2
        server.connections[1].abort()
        await eventually(lambda: not ssh.is_connected)
        waiting = asyncio.ensure_future(ssh.run("echo"))
        await turns(3)
        await ssh.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await waiting


async def test_the_loss_of_the_server_in_between(server: AsyncsshServer) -> None:
    target = embedded(server)
    address = ("127.0.0.1", target.port)
    async with (
        target.client() as outer,
        SSH(connector=outer.connector(), address=address, **target.login) as inner,
    ):
        command = asyncio.ensure_future(inner.run("sleep 60"))
        await eventually(lambda: channels(server.connections[1]))
        server.connections[0].abort()
        with pytest.raises(wirekit.ConnectionLost, match=f"{target.port} was lost: .*lost"):
            await command
        assert not inner.is_connected
        with pytest.raises(wirekit.ConnectionLost):  # what it goes through has no connector
            await inner.run("echo")


async def test_nobody_listens_any_more() -> None:
    async with asyncssh_server() as server:
        target = embedded(server)
        options: dict[str, Any] = {**target.login, "connector": DirectConnector()}
        ssh = await SSH(**options, address=("127.0.0.1", target.port)).open()
    await eventually(lambda: not ssh.is_connected)
    with pytest.raises(wirekit.ConnectError) as refused:
        await ssh.run("echo")
    assert isinstance(refused.value, SSHError)
    with contextlib.suppress(wirekit.Error):
        await ssh.run("echo")
    await ssh.aclose()
