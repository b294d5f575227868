"""asyncssh on our sockets: what of asyncssh the bridge builds on, and what it adds.

How it holds back and gives up is tested in tests/interop/ssh/test_bridge_backpressure.py and
test_session_faults.py.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, cast

import asyncssh
import pytest
from asyncssh.channel import SSHChannel

import wirekit
from tests.interop.ssh.sessions import joined
from tests.servers import asyncssh_server
from wirekit.adapters.ssh import SSH, DisconnectError, SSHError
from wirekit.adapters.ssh import _bridge as bridge
from wirekit.adapters.ssh._bridge import Connection
from wirekit.adapters.ssh._flow import Channel
from wirekit.protocols.ssh import HostKey
from wirekit.sockets import memory_pair

DATA = bytes(range(256)) * 2000


def own_methods(kind: type, *, public: bool = False) -> set[str]:
    return {
        name
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and name.startswith("_") != public and name[:2] != "__"
    }


def test_what_is_overridden_is_asyncsshs() -> None:
    added = {"_update_reading", "_go_on", "_exchange_expired", "_lost_by", "_refuse", "_ended"}
    added |= {"_ours", "_peer"}
    assert own_methods(Connection) - added <= set(dir(asyncssh.SSHClientConnection))
    assert own_methods(Channel) <= set(dir(SSHChannel))
    for ours, theirs in ((Connection, asyncssh.SSHClientConnection), (Channel, SSHChannel)):
        for name in own_methods(ours) | own_methods(ours, public=True):
            if hasattr(theirs, name):
                parameters = inspect.signature(getattr(theirs, name)).parameters
                own = inspect.signature(getattr(ours, name)).parameters
                assert len(own) == len(parameters) or "kwargs" in own


async def test_the_attributes_are_asyncsshs() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        assert isinstance(ssh.connection, asyncssh.SSHClientConnection)
        connection = cast("Any", ssh.connection)
        async with ssh.create_process("cat") as process:
            assert isinstance(process.channel, asyncssh.SSHClientChannel)
            channel = cast("Any", process.channel)
            assert (channel._send_buf, channel._recv_buf) == ([], [])
            assert channel._send_window > channel._send_pktsize > 1000
            assert [*connection._channels.values()] == [channel]
            process.stdin.write_eof()


@pytest.mark.parametrize(
    ("cipher", "expected"), [("aes256-gcm@openssh.com", False), ("aes256-cbc", True)]
)
async def test_only_cbc_needs_packets_to_be_ignored(cipher: str, expected: bool) -> None:
    options: dict[str, Any] = {"encryption_algs": cipher}
    async with asyncssh_server(**options) as server, joined(server, **options) as (ssh, _):
        received: list[int] = []
        connection = cast("Any", server.connections[0])
        theirs = connection.log_received_packet

        def log(pkttype: int, *arguments: Any) -> None:
            received.append(pkttype)
            theirs(pkttype, *arguments)

        connection.log_received_packet = log
        assert (await ssh.run("cat", input=DATA, encoding=None)).stdout == DATA
        assert (2 in received) == expected  # SSH_MSG_IGNORE


@pytest.mark.parametrize("compression", ["zlib", "zlib@openssh.com"])
async def test_compression(compression: str) -> None:
    options: dict[str, Any] = {"compression_algs": compression}
    async with asyncssh_server(**options) as server, joined(server, **options) as (ssh, _):
        assert ssh.get_extra_info("recv_compression") == compression
        assert (await ssh.run("cat", input=DATA, encoding=None)).stdout == DATA


async def test_a_bomb() -> None:
    options: dict[str, Any] = {"compression_algs": "zlib"}
    async with asyncssh_server(**options) as server, joined(server, **options) as (ssh, _):
        connection = cast("Any", server.connections[0])
        connection.send_packet(2, b"\0\x80\0\0" + bytes(0x800000))  # SSH_MSG_IGNORE, 8 MiB
        with pytest.raises(wirekit.RemoteProtocolError, match="Decompression failed"):
            await ssh.run("sleep 60")


async def test_a_transport_that_resumes_within_a_write() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        connection = cast("Any", ssh.connection)
        process = await ssh.create_process("cat", encoding=None)
        connection.pause_writing()
        process.stdin.write(DATA)  # is held back
        write = connection._transport.write

        def write_and_resume(data: bytes) -> None:
            write(data)
            connection._transport.write = write
            connection.resume_writing()

        connection._transport.write = write_and_resume
        assert (await ssh.run("echo here")).stdout == "here\n"
        process.stdin.write_eof()
        assert await process.stdout.read() == DATA


async def test_what_a_server_says_moves_no_cursor() -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        text = "no\x1b[2J\x9bway\tö" + 20_000 * "."
        cast("Any", server.connections[0])._send_disconnect(12, text, "")
        with pytest.raises(DisconnectError) as caught:
            await ssh.run("sleep 60")
        shown = caught.value.reason
        assert shown.startswith("no\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}way\tö..")
        assert len(shown) < 9000


async def test_a_path_is_no_name_that_asyncssh_reads() -> None:
    ours, _theirs = memory_pair()
    lower = ours.attach(asyncssh.SSHClient())  # type: ignore[arg-type]
    face = cast("Any", bridge)._Face(lower, ours)
    assert lower.get_extra_info("peername") == "memory"
    assert face.get_extra_info("peername") is None
    assert face.get_extra_info("sockname", ("", 0)) == ("", 0)
    face.abort()
    await ours.closed


@pytest.mark.parametrize("code", [2, 3, 5, 11, 12])
async def test_whose_fault_it_is(code: int) -> None:
    async with asyncssh_server() as server, joined(server) as (ssh, _):
        connection = cast("Any", server.connections[0])
        connection._send_disconnect(code, "told so", "en")
        with pytest.raises(DisconnectError, match=r"told so|said good-bye") as dismissed:
            await ssh.run("sleep 60")
        assert dismissed.value.reason_code == code
        assert not isinstance(dismissed.value, wirekit.RemoteProtocolError)


async def test_an_error_of_the_callers_own_function() -> None:
    class VaultSealed(Exception):
        pass

    async def password() -> str:
        raise VaultSealed("secret")

    async with asyncssh_server() as server:
        options: dict[str, Any] = {"client_keys": None, "password": password}
        with pytest.raises(SSHError, match="VaultSealed in a function") as failed:
            async with joined(server, **options):
                raise AssertionError
        assert isinstance(failed.value.__cause__, VaultSealed)
        assert "secret" not in str(failed.value)


async def test_a_socket_that_is_closed_already() -> None:
    ours, _theirs = memory_pair()
    await ours.close()
    with pytest.raises(wirekit.SocketClosed) as closed:
        await SSH(ours, known_hosts=b"", username="nobody").open()
    assert isinstance(closed.value, SSHError)


async def test_host_keys_are_asked_for_in_openssh_order() -> None:
    async with asyncssh_server() as server:
        accept: dict[str, Any] = {"known_hosts": (), "dangerously_accept_any_host_key": True}
        async with joined(server, **accept) as (ssh, _):
            asked = cast("Any", ssh.connection)._server_host_key_algs
            assert asked[0] == b"ssh-ed25519-cert-v01@openssh.com"
            assert not {b"ssh-rsa", b"ssh-rsa-cert-v01@openssh.com"} & set(asked)
        given: dict[str, Any] = {"server_host_key_algs": ["rsa-sha2-256", "ssh-ed25519"]}
        async with joined(server, **accept, **given) as (ssh, _):
            asked = cast("Any", ssh.connection)._server_host_key_algs
            assert asked == [b"rsa-sha2-256", b"ssh-ed25519"]


async def test_a_key_that_was_verified_is_not_again() -> None:
    verified: list[str] = []

    def verify(host: str, port: int, key: HostKey) -> bool:
        verified.append(key.key_type)
        return True

    async with asyncssh_server() as server:
        options: dict[str, Any] = {"known_hosts": (), "verify_host_key": verify}
        async with joined(server, **options, rekey_bytes=100_000) as (ssh, _):
            assert (await ssh.run("cat", input=DATA, encoding=None)).stdout == DATA
    assert verified == ["ssh-ed25519"]


async def test_the_server_opens_only_so_many_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "_CHANNELS", 2)
    async with asyncssh_server() as server, joined(server) as (ssh, _):

        def welcome(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
            writer.write(b"welcome")

        def accept(host: str, port: int) -> object:
            return welcome

        async with ssh.start_server(accept, "127.0.0.1", 0) as listener:
            streams = [
                await asyncio.open_connection("127.0.0.1", listener.get_port()) for _ in range(3)
            ]
            assert [await reader.read(7) for reader, _ in streams] == [b"welcome", b"welcome", b""]
            for _, writer in streams:
                writer.close()
        await ssh.aclose()
