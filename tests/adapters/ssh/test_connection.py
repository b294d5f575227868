"""The connection below `SSHTransport`: flow, keys that change, and ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tests.adapters.ssh._peer import Peer, joined, opened
from tests.interop.waiting import eventually, turns
from tests.protocols.ssh._pair import host_key, inside, only
from wirekit import ConnectionLost, RemoteProtocolError, SocketClosed
from wirekit.adapters.ssh import SSHTimeoutError, SSHTransport, _connection, _exchanges
from wirekit.adapters.ssh._connection import Connection
from wirekit.protocols.ssh import (
    Algorithms,
    Disconnect,
    DisconnectReason,
    HostKey,
    KexInit,
    KeyExchanged,
    Packet,
    Ping,
    Pong,
    SSHProtocolError,
    State,
)

MAX_IDLE_EXCHANGES: int = inside(_exchanges)._MAX_IDLE
PROTOCOL_ERROR = DisconnectReason.PROTOCOL_ERROR


def connection_of(transport: SSHTransport) -> Connection:
    connection: Connection = inside(transport)._connection
    return connection


async def settle() -> None:
    """Let everything that can happen in memory happen."""
    await turns(50)


# Flow


async def test_reading_stops_while_nobody_takes_what_came() -> None:
    async with opened() as (transport, peer):
        inbox = inside(connection_of(transport))._inbox

        async def pour() -> None:
            for _ in range(300):
                await peer.send(b"\x5e" + bytes(10000))

        pouring = asyncio.create_task(pour())
        await settle()
        assert not pouring.done()
        assert 256 * 1024 < inbox.size < 600 * 1024
        for _ in range(300):
            await transport.receive_packet()
        await pouring
        assert inbox.size == 0


async def test_sending_waits_for_a_server_that_does_not_read() -> None:
    async with opened() as (transport, peer):
        sent = 0

        async def pour() -> None:
            nonlocal sent
            for _ in range(300):
                await transport.send_packet(b"\x5e" + bytes(10000))
                sent += 1

        pouring = asyncio.create_task(pour())
        await settle()
        assert sent < 100
        while len(peer.payloads) < 300:
            await peer.receive()
        await pouring


async def test_a_cancelled_send_sends_nothing() -> None:
    async with opened() as (transport, peer):
        for _ in range(100):  # until the peer's socket, which reads ahead, is full too
            if not inside(connection_of(transport))._outbox.is_congested:
                await transport.send_packet(b"\x5e" + bytes(10000))
            await turns(5)
        waiting = asyncio.create_task(transport.send_packet(b"\x5fnever"))
        await turns(3)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        last = asyncio.create_task(transport.send_packet(b"\x5flast"))
        while b"\x5flast" not in peer.payloads:
            await peer.receive()
        await last
        assert b"\x5fnever" not in peer.payloads


async def test_a_server_that_never_reads() -> None:
    async with opened() as (transport, _):
        inside(connection_of(transport))._outbox._timeout = 0.01
        payloads = [b"\x5e" + bytes(10000)] * 100
        await transport.send_packet(*payloads)
        with pytest.raises(SSHTimeoutError, match="took no bytes"):
            await transport.send_packet(*payloads)


async def test_a_server_that_pings_and_does_not_read() -> None:
    async with opened() as (transport, peer):
        below = inside(connection_of(transport))._transport

        async def pour() -> None:
            for _ in range(300):
                await peer.socket.write(peer.codec.send(Ping(bytes(100_000))))

        pouring = asyncio.create_task(pour())
        await settle()
        assert not pouring.done()
        assert below.get_write_buffer_size() < 4 * 1024 * 1024
        for _ in range(300):
            await peer.wait_for(Pong)
        await pouring


async def test_what_is_compressed_is_read_in_small_pieces() -> None:
    zlib = {"algorithms": only(kex="curve25519-sha256", compression="zlib@openssh.com")}
    async with opened(zlib, **zlib) as (transport, peer):
        assert len(connection_of(transport).get_buffer(-1)) == 4096
        await peer.send(b"\x34")
        await transport.receive_packet()

        async def pour() -> None:
            for _ in range(1000):
                await peer.send(b"\x5e" + bytes(200_000))

        pouring = asyncio.create_task(pour())
        await settle()
        assert 256 * 1024 < inside(connection_of(transport))._inbox.size < 8 * 1024 * 1024
        pouring.cancel()


# Keys


async def exchanges(peer: Peer) -> int:
    return sum(isinstance(event, KeyExchanged) for event in peer.events)


async def test_keys_change_after_so_many_packets() -> None:
    async with opened(rekey_packets=5) as (transport, peer):
        answering = asyncio.create_task(peer.run())
        for number in range(100):
            await transport.send_packet(b"\x5e%d" % number)
        await eventually(lambda: len(peer.payloads) == 100)
        assert await exchanges(peer) > 10
        assert peer.payloads == [b"\x5e%d" % number for number in range(100)]
        answering.cancel()


async def test_keys_change_after_so_many_bytes() -> None:
    async with opened(rekey_bytes=10_000) as (transport, peer):
        answering = asyncio.create_task(peer.run())
        for _ in range(30):
            await transport.send_packet(b"\x5e" + bytes(2000))
        await eventually(lambda: len(peer.payloads) == 30)
        assert await exchanges(peer) >= 4
        answering.cancel()


async def test_keys_change_after_some_time() -> None:
    async with opened(rekey_interval=0.01) as (_, peer):
        await peer.wait_for(KeyExchanged)
        await peer.wait_for(KeyExchanged)


async def test_sending_waits_for_keys_and_nothing_is_lost() -> None:
    async with opened() as (transport, peer):
        changing = asyncio.create_task(transport.rekey())
        await turns(2)
        sending = asyncio.create_task(transport.send_packet(b"\x5elater"))
        await turns(2)
        assert not sending.done()
        await peer.wait_for(Packet)
        await asyncio.gather(changing, sending)


async def test_an_echo_does_not_wait_for_itself() -> None:
    """Reading goes on in a key exchange, though nobody takes what came."""
    async with opened() as (transport, peer):
        changing = asyncio.create_task(transport.rekey())
        await turns(2)
        for _ in range(100):  # it has not looked at our KEXINIT yet
            await peer.send(b"\x5e" + bytes(10_000))
        await settle()
        assert inside(connection_of(transport))._inbox.size > 1_000_000
        await peer.wait_for(KeyExchanged)
        await asyncio.gather(changing, peer.receive())
        for _ in range(100):
            await transport.receive_packet()


async def test_a_server_that_sends_on_and_on_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection, "_MAX_BEFORE_KEXINIT", 1_000_000)
    async with opened() as (transport, peer):
        changing = asyncio.create_task(transport.rekey())
        await turns(2)
        for _ in range(100):
            await peer.send(b"\x5e" + bytes(10_000))
        with pytest.raises(RemoteProtocolError, match="instead of a key exchange"):
            await changing
        assert inside(connection_of(transport))._inbox.size < 2_000_000


async def test_a_server_that_never_takes_part() -> None:
    async with opened() as (transport, peer):
        inside(connection_of(transport))._exchanges._timeout = 0.01
        with pytest.raises(SSHTimeoutError, match="exchange keys within"):
            await transport.rekey()
        goodbye = await peer.goodbye()
        assert goodbye.reason_code == DisconnectReason.KEY_EXCHANGE_FAILED
        assert goodbye.description == ""


async def begin_exchange(peer: Peer) -> None:
    peer.codec.rekey()
    await peer.wait_for(KeyExchanged)
    while peer.codec.state is not State.OPEN:
        await peer.receive()


async def test_a_server_that_only_changes_keys() -> None:
    async with opened() as (transport, peer):
        for _ in range(MAX_IDLE_EXCHANGES + 1):
            await begin_exchange(peer)
        peer.codec.rekey()
        await peer.flush()
        assert (await peer.goodbye()).reason_code == PROTOCOL_ERROR
        with pytest.raises(RemoteProtocolError, match="nothing between"):
            await transport.receive_packet()


@pytest.mark.parametrize("what", ["theirs", "ours", "time"])
async def test_a_server_may_change_keys_often(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (transport, peer):
        if what == "time":
            monkeypatch.setattr(_exchanges, "_IDLE_TIME", 0.0)
        for _ in range(3 * MAX_IDLE_EXCHANGES):
            await begin_exchange(peer)
            if what == "theirs":
                await peer.send(b"\x5e")
                await transport.receive_packet()
            elif what == "ours":
                await transport.send_packet(b"\x5e")
        await transport.send_packet(b"\x5f")


async def test_we_may_change_keys_often() -> None:
    async with opened() as (transport, peer):
        answering = asyncio.create_task(peer.run())
        for _ in range(3 * MAX_IDLE_EXCHANGES):
            await transport.rekey()
        answering.cancel()
        assert await exchanges(peer) == 3 * MAX_IDLE_EXCHANGES


async def test_keys_with_a_fault_right_behind_them() -> None:
    async with joined() as (transport, peer):
        opening = asyncio.create_task(transport.__aenter__())
        said = peer.codec.data_to_send()
        while not peer.codec.session_id:
            await peer.socket.write(said)
            peer.codec.receive_data(await peer.socket.read())
            said = peer.codec.data_to_send()
        await peer.socket.write(said + bytes(64))
        with pytest.raises(SSHProtocolError):
            await opening


# Ends


async def test_the_end_of_the_stream() -> None:
    async with opened() as (transport, peer):
        await peer.send(b"\x5elast")
        await peer.socket.close()
        assert await transport.receive_packet() == Packet(94, b"\x5elast", 0)
        with pytest.raises(ConnectionLost, match="closed the connection"):
            await transport.receive_packet()
        with pytest.raises(ConnectionLost):
            await transport.send_packet(b"\x5e")
        with pytest.raises(ConnectionLost):
            await transport.rekey()


async def test_the_end_of_the_stream_inside_a_packet() -> None:
    async with opened() as (transport, peer):
        await peer.socket.write(peer.codec.send(b"\x5e")[:-1])
        await peer.socket.close()
        with pytest.raises(ConnectionLost, match="inside a packet"):
            await transport.receive_packet()


async def test_the_end_of_the_stream_before_keys() -> None:
    async with joined() as (transport, peer):
        opening = asyncio.create_task(transport.__aenter__())
        await peer.socket.write(b"SSH-2.0-x\r\n")
        await turns(5)
        await peer.socket.close()
        with pytest.raises(ConnectionLost, match="inside the key exchange"):
            await opening


async def test_a_lost_connection() -> None:
    async with opened() as (transport, peer):
        waiting = asyncio.create_task(transport.receive_packet())
        changing = asyncio.create_task(transport.rekey())
        await turns(2)
        peer.socket.abort()
        for call in (waiting, changing):
            with pytest.raises(ConnectionLost):
                await call


async def test_abort() -> None:
    async with opened() as (transport, peer):
        waiting = asyncio.create_task(transport.receive_packet())
        await turns(2)
        connection_of(transport).abort()
        with pytest.raises(SocketClosed):
            await waiting
        with contextlib.suppress(ConnectionLost):
            await peer.receive()
        assert not [event for event in peer.events if isinstance(event, Disconnect)]


async def test_everybody_gets_an_error_of_his_own() -> None:
    async with opened() as (transport, peer):
        waiting = [
            asyncio.create_task(transport.receive_packet()),
            asyncio.create_task(transport.rekey()),
            asyncio.create_task(transport.send_packet(b"\x5e")),
        ]
        await turns(2)
        await peer.socket.write(bytes(64))
        errors: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, SSHProtocolError) for error in errors)
        assert len({id(error) for error in errors}) == 3


async def test_a_goodbye_reaches_a_peer_that_still_sends() -> None:
    async with opened() as (transport, peer):
        # More than anybody takes is on its way when the fault comes.
        for _ in range(20):
            await peer.send(b"\x5e" + bytes(10_000))
        await peer.socket.write(bytes(64))
        await settle()
        for _ in range(20):
            await transport.receive_packet()
        assert (await peer.goodbye()).reason_code == PROTOCOL_ERROR
        await transport.aclose()


async def test_a_peer_that_does_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection, "_LINGER", 0.01)
    async with opened() as (transport, _):
        await transport.aclose()
        await inside(transport)._socket.closed


async def test_what_comes_after_the_end_is_dropped() -> None:
    async with opened() as (transport, peer):
        leaving = asyncio.create_task(transport.aclose())
        await peer.send(*[b"\x5e" + bytes(10_000)] * 5)
        await settle()
        assert inside(connection_of(transport))._inbox.size == 0
        peer.socket.abort()
        await leaving


async def test_a_goodbye_as_a_packet() -> None:
    async with opened() as (transport, peer):
        await transport.send_packet(b"\x5e", Disconnect(7, "why"))
        assert await peer.goodbye() == Disconnect(7, "why")
        assert peer.payloads == [b"\x5e"]
        with pytest.raises(SocketClosed):
            await transport.receive_packet()
        await transport.aclose()


async def test_a_flood_and_a_goodbye_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_exchanges, "_MAX_IDLE", -1)
    async with opened() as (transport, peer):
        peer.codec.rekey()
        await peer.send(Disconnect(11))
        with pytest.raises(RemoteProtocolError, match="nothing between"):
            await transport.receive_packet()
        await connection_of(transport).closed()


async def test_a_host_key_is_verified_once() -> None:
    asked: list[HostKey] = []

    def verify(host: str, port: int, key: HostKey) -> bool:
        asked.append(key)
        return True

    async with opened(known_hosts=b"", verify_host_key=verify) as (transport, peer):
        answering = asyncio.create_task(peer.run())
        await transport.rekey()
        assert len(asked) == 1
        inside(peer.codec)._host_keys = (host_key("ecdsa-sha2-nistp256"),)
        inside(peer.codec)._algorithms = Algorithms()
        await transport.rekey()
        assert [key.key_type for key in asked] == ["ssh-ed25519", "ecdsa-sha2-nistp256"]
        answering.cancel()


async def test_kexinit_of_the_peer_is_kept() -> None:
    async with opened() as (transport, _):
        assert isinstance(connection_of(transport).kexinit, KexInit)
