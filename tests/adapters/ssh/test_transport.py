from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.adapters.ssh._peer import joined, opened
from tests.interop.waiting import outcomes, turns
from tests.protocols.ssh._pair import QUICK, host_key, inside, only
from wirekit import (
    AddressError,
    BusyError,
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
    SocketClosed,
)
from wirekit.adapters.ssh import (
    DisconnectError,
    HostKeyError,
    SSHError,
    SSHTimeoutError,
    SSHTransport,
)
from wirekit.protocols.ssh import (
    Algorithms,
    Debug,
    Disconnect,
    DisconnectReason,
    ExtInfo,
    HostKey,
    Ignore,
    Packet,
    Ping,
    Pong,
    ServiceAccept,
    ServiceRequest,
    Unimplemented,
)
from wirekit.sockets import connect, memory_pair

KEY = HostKey(host_key().blob)


async def test_packets_both_ways() -> None:
    async with opened() as (transport, peer):
        await transport.send_packet(ServiceRequest("ssh-userauth"), b"\x5eone")
        await transport.send_packet(bytearray(b"\x5etwo"))
        assert await peer.wait_for(ServiceRequest) == ServiceRequest("ssh-userauth")
        assert [(await peer.wait_for(Packet)).payload for _ in range(2)] == [
            *(b"\x5eone", b"\x5etwo")
        ]
        sent = [ServiceAccept("ssh-userauth"), Debug(True, "x"), Unimplemented(7), Pong(b"y")]
        await peer.send(*sent, Ignore(b"z"), b"\x5ethree")
        assert [await transport.receive_packet() for _ in sent] == sent
        received = await transport.receive_packet()
        assert isinstance(received, Packet)
        assert received.payload == b"\x5ethree"


async def test_what_is_known() -> None:
    settings = {"identification": "SSH-2.0-peer comment", "extensions": {"a": b"b"}}
    async with opened(settings, identification="SSH-2.0-me") as (transport, peer):
        assert str(transport.peer_identification) == "SSH-2.0-peer comment"
        assert transport.lines == ()
        assert transport.host_key == KEY
        assert transport.session_id == peer.codec.session_id
        assert transport.algorithms.kex == QUICK.kex_algorithms[0]
        assert transport.peer_kexinit.server_host_key_algorithms == ("ssh-ed25519",)
        await peer.send(b"\x5e")
        await transport.receive_packet()
        assert transport.extensions == {"a": b"b"}
        assert repr(transport) == "<SSHTransport memory open>"
    assert repr(transport) == "<SSHTransport memory closed>"


async def test_extensions_do_not_pile_up() -> None:
    async with opened() as (transport, peer):
        await peer.send(*(ExtInfo({f"name{number}": b"x"}) for number in range(9)), b"\x5e")
        await transport.receive_packet()
        assert transport.extensions == {"name7": b"x", "name8": b"x"}


async def test_before_it_is_open() -> None:
    socket, _ = memory_pair()
    transport = SSHTransport(socket, known_hosts=b"")
    assert repr(transport) == "<SSHTransport memory not open>"
    for name in ("algorithms", "host_key", "session_id", "peer_identification", "lines"):
        with pytest.raises(LocalProtocolError, match="async with"):
            getattr(transport, name)
    with pytest.raises(SSHError, match="async with"):
        await transport.send_packet(b"\x5e")
    with pytest.raises(SSHError, match="async with"):
        await transport.receive_packet()
    await transport.aclose()
    assert socket.closed.done()


async def test_it_is_opened_once() -> None:
    async with opened() as (transport, _):
        with pytest.raises(BusyError, match="once"):
            await transport.__aenter__()
        await transport.send_packet(b"\x5e")


async def test_a_socket_that_something_else_has() -> None:
    async with opened() as (transport, peer):
        other = SSHTransport(inside(transport)._socket, known_hosts=b"")
        with pytest.raises(BusyError):
            await other.__aenter__()
        await transport.send_packet(b"\x5e")
        await peer.wait_for(Packet)


async def test_a_socket_that_never_opens() -> None:
    refusing = SSHTransport(connect("127.0.0.1:1"), known_hosts=b"")
    with pytest.raises(SSHError) as caught:
        await refusing.__aenter__()
    assert isinstance(caught.value, ConnectionRefusedError)


def accepts_none(host: str, port: int, key: HostKey) -> bool:
    return False


NOT_TRUSTED: dict[str, dict[str, Any]] = {
    "known_hosts": {"known_hosts": f"example.com {KEY.key_type} AAAA".encode()},
    "none": {"known_hosts": b"", "host": "example.com"},
    "fingerprint": {
        "known_hosts": b"",
        "fingerprints": HostKey(host_key("ssh-rsa").blob).fingerprint,
    },
    "callable": {"known_hosts": b"", "verify_host_key": accepts_none},
}


@pytest.mark.parametrize("options", NOT_TRUSTED.values(), ids=NOT_TRUSTED)
async def test_a_host_key_that_is_not_trusted(options: dict[str, Any]) -> None:
    async with joined(**options) as (transport, peer):
        opening = asyncio.create_task(transport.__aenter__())
        assert (await peer.goodbye()).reason_code == DisconnectReason.HOST_KEY_NOT_VERIFIABLE
        with pytest.raises(HostKeyError) as caught:
            await opening
        assert KEY.fingerprint in str(caught.value)
        assert caught.value.key == KEY
        assert repr(transport).endswith("closed>")


async def test_a_callable_that_fails() -> None:
    def verify(*_: object) -> bool:
        raise ValueError("no idea")

    async with joined(known_hosts=b"", verify_host_key=verify) as (transport, peer):
        opening = asyncio.create_task(transport.__aenter__())
        assert (await peer.goodbye()).reason_code == DisconnectReason.HOST_KEY_NOT_VERIFIABLE
        with pytest.raises(HostKeyError, match="could not be verified") as caught:
            await opening
        assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"timeout": 0}, "more than 0 seconds"),
        ({"rekey_interval": -1.0}, "more than 0 seconds"),
        ({"rekey_bytes": 0}, "at least 1"),
        ({"rekey_packets": 0}, "at least 1"),
        ({"maximum_packet_size": 10}, "at least 35000"),
        ({"identification": "SSH-2.0-us\r\n"}, "an identification is"),
    ],
    ids=["timeout", "interval", "bytes", "packets", "packet size", "identification"],
)
async def test_options_out_of_bounds(option: dict[str, Any], message: str) -> None:
    ours, _theirs = memory_pair()
    with pytest.raises(ValueError, match=message):
        SSHTransport(ours, **option)
    ours.abort()


async def test_known_hosts_that_cannot_be_read() -> None:
    async with joined(known_hosts="/nowhere") as (transport, _):
        with pytest.raises(AddressError, match="cannot be read"):
            await transport.__aenter__()
        await inside(transport)._socket.closed


async def test_host_and_port_by_which_a_key_is_known() -> None:
    asked: list[Any] = []

    def verify(host: str, port: int, key: HostKey) -> bool:
        asked.append((host, port, key))
        return True

    whose: dict[str, Any] = {"host": "Example.com", "port": 2222}
    async with opened(known_hosts=b"", verify_host_key=verify, **whose):
        assert asked == [("example.com", 2222, KEY)]


async def test_keys_that_are_known_are_asked_for() -> None:
    both = {
        "host_keys": [host_key("ssh-ed25519"), host_key("ecdsa-sha2-nistp256")],
        "algorithms": Algorithms(),
    }
    wanted = HostKey(host_key("ecdsa-sha2-nistp256").blob)

    line = f"example.com {wanted.key_type} {base64.b64encode(wanted.blob).decode()}\n"
    options: dict[str, Any] = {"known_hosts": line.encode(), "host": "example.com"}
    async with opened(both, **options) as (transport, _):
        assert transport.host_key == wanted


async def test_iteration_ends_when_the_server_disconnects_in_peace() -> None:
    async with opened() as (transport, peer):
        await peer.send(b"\x5e1", b"\x5e2", Disconnect(DisconnectReason.BY_APPLICATION, "bye"))
        assert [packet async for packet in transport] == [
            Packet(94, b"\x5e1", 0),
            Packet(94, b"\x5e2", 1),
        ]
        with pytest.raises(DisconnectError, match="'bye'"):
            await transport.receive_packet()
        with pytest.raises(ConnectionLost):
            await transport.send_packet(b"\x5e")


async def test_iteration_fails_when_the_server_disconnects_for_a_reason() -> None:
    async with opened() as (transport, peer):
        await peer.send(b"\x5e1", Disconnect(DisconnectReason.TOO_MANY_CONNECTIONS, "no"))
        assert await anext(transport) == Packet(94, b"\x5e1", 0)
        with pytest.raises(DisconnectError) as caught:
            await anext(transport)
        assert caught.value.reason_code == DisconnectReason.TOO_MANY_CONNECTIONS


async def test_one_task_receives_at_a_time() -> None:
    async with opened() as (transport, peer):
        waiting = asyncio.create_task(transport.receive_packet())
        await turns(1)
        with pytest.raises(BusyError):
            await transport.receive_packet()
        await peer.send(b"\x5e1")
        assert await waiting == Packet(94, b"\x5e1", 0)


async def test_a_cancelled_wait_loses_nothing() -> None:
    async with opened() as (transport, peer):
        waiting = asyncio.create_task(transport.receive_packet())
        await turns(1)
        await peer.send(b"\x5e1")
        await turns(1)
        waiting.cancel()
        await outcomes(waiting)
        await peer.send(b"\x5e2")
        received = [] if waiting.cancelled() else [waiting.result()]
        while len(received) < 2:
            received.append(await transport.receive_packet())
        assert [packet.payload for packet in received if isinstance(packet, Packet)] == [
            *(b"\x5e1", b"\x5e2")
        ]


@pytest.mark.parametrize("payload", [b"", b"\x15", b"\x1e", bytes(300_000)])
async def test_what_is_not_ours_to_send(payload: bytes) -> None:
    async with opened() as (transport, peer):
        with pytest.raises(LocalProtocolError) as caught:
            await transport.send_packet(b"\x5efirst", payload)
        assert isinstance(caught.value, SSHError)
        await transport.send_packet(b"\x5e")
        await peer.wait_for(Packet)
        assert peer.payloads == []


async def test_goodbye() -> None:
    async with opened() as (transport, peer):
        waiting = asyncio.create_task(transport.receive_packet())
        await turns(1)
        await transport.send_packet(b"\x5elast")
        leaving = asyncio.create_task(transport.disconnect(7, "why"))
        assert await peer.goodbye() == Disconnect(7, "why")
        assert peer.payloads == [b"\x5elast"]
        peer.socket.abort()
        await leaving
        with pytest.raises(SocketClosed):
            await waiting
        await transport.aclose()
        await transport.aclose()


async def test_a_cancelled_goodbye_is_none() -> None:
    async with opened() as (transport, _):
        leaving = asyncio.create_task(transport.aclose())
        await turns(2)
        leaving.cancel()
        await outcomes(leaving)
        await inside(transport)._socket.closed


async def test_cancelled_while_it_opens() -> None:
    async with joined() as (transport, _):
        opening = asyncio.create_task(transport.__aenter__())
        await turns(3)
        opening.cancel()
        await outcomes(opening)
        assert opening.cancelled()
        await inside(transport)._socket.closed


async def test_a_server_that_says_nothing() -> None:
    async with joined(timeout=0.02) as (transport, _):
        with pytest.raises(SSHTimeoutError, match="identify itself within"):
            await transport.__aenter__()


async def test_a_server_that_only_identifies_itself() -> None:
    async with joined(timeout=0.1) as (transport, peer):
        await peer.socket.write(b"SSH-2.0-slow\r\n")
        with pytest.raises(SSHTimeoutError, match="exchange keys within"):
            await transport.__aenter__()


async def test_rekey() -> None:
    async with opened({"algorithms": Algorithms()}) as (transport, peer):
        answering = asyncio.create_task(peer.run())
        session = transport.session_id
        await transport.rekey()
        await transport.rekey(only(kex="ecdh-sha2-nistp256"))
        assert transport.algorithms.kex == "ecdh-sha2-nistp256"
        await asyncio.gather(transport.rekey(), transport.rekey(), transport.send_packet(b"\x5e"))
        assert transport.session_id == session
        answering.cancel()


async def test_a_fault_of_the_server() -> None:
    async with opened() as (transport, peer):
        waiting = asyncio.create_task(transport.receive_packet())
        await turns(1)
        await peer.send(b"\x5e1")
        await peer.socket.write(bytes(64))
        goodbye = await peer.goodbye()
        assert goodbye.reason_code == DisconnectReason.PROTOCOL_ERROR
        assert await waiting == Packet(94, b"\x5e1", 0)
        with pytest.raises(RemoteProtocolError) as caught:
            await transport.receive_packet()
        assert goodbye.description == str(caught.value)
        assert caught.value.events == []


async def test_ping_is_answered() -> None:
    async with opened() as (_, peer):
        await peer.send(Ping(b"data"))
        assert await peer.wait_for(Pong) == Pong(b"data")
