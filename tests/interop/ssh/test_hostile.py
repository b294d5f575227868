"""Servers that break the protocol are told why they are left; nobody waits, nothing piles up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from tests.adapters.ssh._peer import Peer
from tests.interop.waiting import PATIENCE
from tests.protocols.ssh._packet import clear_packet, clear_payload, kexinit, raw_packet
from tests.protocols.ssh._pair import KINDS, QUICK, inside, only
from wirekit import ConnectionLost, RemoteProtocolError
from wirekit.adapters.ssh import SSHError, SSHTimeoutError, SSHTransport
from wirekit.protocols.ssh import (
    Disconnect,
    DisconnectReason,
    KexECDHReply,
    NewKeys,
    SSHProtocolError,
    State,
)
from wirekit.sockets import Socket, as_socket, connect, memory_pair

PROTOCOL_ERROR = DisconnectReason.PROTOCOL_ERROR
KEY_EXCHANGE_FAILED = DisconnectReason.KEY_EXCHANGE_FAILED
MAC_ERROR = DisconnectReason.MAC_ERROR
COMPRESSION_ERROR = DisconnectReason.COMPRESSION_ERROR
VERSION = DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED
LINE = b"SSH-2.0-hostile\r\n"
Script = Callable[["Liar"], Awaitable[None]]


class Liar(Peer):
    """A server whose payloads are changed on their way, as long as they are in the clear."""

    def __init__(self, socket: Socket, **settings: Any) -> None:
        super().__init__(socket, **settings)
        self.lie: Callable[[bytes], bytes] = clear_packet
        self.is_clear = True

    async def flush(self) -> None:
        data = self.codec.data_to_send()
        if data and self.is_clear:
            line, end, data = data.partition(b"\r\n") if data[:4] == b"SSH-" else (b"", b"", data)
            data = line + end + self.retold(data)
        if data:
            with contextlib.suppress(OSError):
                await self.socket.write(data)

    def retold(self, data: bytes) -> bytes:
        """Tell clear packets otherwise, until behind NEWKEYS."""
        told = b""
        while data:
            size = int.from_bytes(data[:4], "big") + 4
            packet, data = data[:size], data[size:]
            told += self.lie(clear_payload(packet))
            if packet[5] == NewKeys.number:
                self.is_clear = False
                break
        return told + data


@contextlib.asynccontextmanager
async def serving(script: Script, **settings: Any) -> AsyncGenerator[Socket]:
    """Give a socket, by TCP, at whose other end the script speaks."""
    tasks: list[asyncio.Task[None]] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket = as_socket((reader, writer), allow_half_open=True)
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await script(Liar(socket, **settings))
        finally:
            socket.abort()
            await socket.closed

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield connect(f"127.0.0.1:{port}")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)


async def refused(script: Script, settings: dict[str, Any] | None = None, **options: Any) -> Any:
    """Let a script play the server; return the error that the client had."""
    defaults: dict[str, Any] = {"algorithms": QUICK, "dangerously_accept_any_host_key": True}
    async with serving(script, **(settings or {})) as socket:
        transport = SSHTransport(socket, **{**defaults, **options})
        with pytest.raises(SSHError) as caught:
            await drained(transport, [])
        return caught.value


async def drained(transport: SSHTransport, payloads: list[bytes]) -> None:
    """Keep the payloads that come until there is an error."""
    async with asyncio.timeout(PATIENCE), transport:
        while True:
            payloads.append(inside(await transport.receive_packet()).payload)


async def check(
    script: Script, reason: int, settings: dict[str, Any] | None = None, **options: Any
) -> SSHProtocolError:
    """See that a script's client says why it goes."""
    goodbyes: list[Disconnect] = []

    async def until_goodbye(peer: Liar) -> None:
        await script(peer)
        goodbyes.append(await peer.goodbye())

    error = await refused(until_goodbye, settings, **options)
    assert isinstance(error, SSHProtocolError)
    assert [goodbye.reason_code for goodbye in goodbyes] == [reason]
    assert error.reason_code == reason
    assert goodbyes[0].description == str(error)
    return error


def says(data: bytes) -> Script:
    """Return a script that only says this."""

    async def script(peer: Liar) -> None:
        peer.codec.data_to_send()
        with contextlib.suppress(OSError):
            await peer.socket.write(data)

    return script


# Before there are keys

IDENTIFICATIONS = {
    "another version": (b"SSH-1.5-old\r\n", VERSION),
    "no version": (b"SSH-\r\n", PROTOCOL_ERROR),
    "nul": (b"SSH-2.0-a\0b\r\n", PROTOCOL_ERROR),
    "bare cr": (b"SSH-2.0-a\rb\r\n", PROTOCOL_ERROR),
    "long": (b"SSH-2.0-" + b"a" * 300, PROTOCOL_ERROR),
    "tls": (b"\x16\x03\x01\0\0\r\n" * 1000, PROTOCOL_ERROR),
    "endless line": (b"a" * 100_000, PROTOCOL_ERROR),
    "endless lines": (b"a line of a banner that goes on and on\r\n" * 20_000, PROTOCOL_ERROR),
    "endless empty lines": (b"\n" * 100_000, PROTOCOL_ERROR),
}


@pytest.mark.both_loops
@pytest.mark.parametrize(("data", "reason"), IDENTIFICATIONS.values(), ids=IDENTIFICATIONS)
async def test_identifications(data: bytes, reason: int) -> None:
    await check(says(data), reason)


KEXINIT = clear_packet(kexinit())
BODY = kexinit().encode()
STRICT = clear_packet(kexinit(kex_algorithms=("curve25519-sha256", "kex-strict-s-v00@openssh.com")))
CLEAR = {
    "length 0": (raw_packet(0, 4, bytes(8)), PROTOCOL_ERROR),
    "length 1": (raw_packet(1, 4, bytes(8)), PROTOCOL_ERROR),
    "length 4": (raw_packet(4, 4, bytes(8)), PROTOCOL_ERROR),
    "length 13": (raw_packet(13, 4, bytes(16)), PROTOCOL_ERROR),
    "length 2**32 - 1": (b"\xff" * 16, PROTOCOL_ERROR),
    "length over the limit": (raw_packet(256 * 1024 + 4, 4, bytes(8)), PROTOCOL_ERROR),
    "padding 0": (raw_packet(12, 0, bytes(11)), PROTOCOL_ERROR),
    "padding 3": (raw_packet(12, 3, bytes(11)), PROTOCOL_ERROR),
    "padding is all": (raw_packet(12, 11, bytes(11)), PROTOCOL_ERROR),
    "padding is more": (raw_packet(12, 255, bytes(11)), PROTOCOL_ERROR),
    "message 0": (clear_packet(b"\0"), PROTOCOL_ERROR),
    "random": (bytes(range(7, 71)), PROTOCOL_ERROR),
    "zeros": (bytes(64), PROTOCOL_ERROR),
    "kexinit cut": (clear_packet(BODY[:-1]), PROTOCOL_ERROR),
    "kexinit with more": (clear_packet(BODY + b"\0"), PROTOCOL_ERROR),
    "kexinit with odd names": (
        clear_packet(kexinit(kex_algorithms=("a",)).encode().replace(b"\1a", b"\1\xff")),
        PROTOCOL_ERROR,
    ),
    "kexinit twice": (KEXINIT * 2, PROTOCOL_ERROR),
    "kexinit without end": (KEXINIT * 5000, PROTOCOL_ERROR),
    "newkeys at once": (clear_packet(NewKeys()), PROTOCOL_ERROR),
    "newkeys early": (KEXINIT + clear_packet(NewKeys()), PROTOCOL_ERROR),
    "reply at once": (clear_packet(KexECDHReply(b"", b"", b"")), PROTOCOL_ERROR),
    "empty reply": (KEXINIT + clear_packet(KexECDHReply(b"", b"", b"")), PROTOCOL_ERROR),
    "service in the exchange": (KEXINIT + clear_packet(b"\6\0\0\0\1a"), PROTOCOL_ERROR),
    "packet in the exchange": (KEXINIT + clear_packet(b"\x5e"), PROTOCOL_ERROR),
    "ignore if strict": (STRICT + clear_packet(b"\2\0\0\0\0"), PROTOCOL_ERROR),
    "ignore before strict": (clear_packet(b"\2\0\0\0\0") + STRICT, PROTOCOL_ERROR),
    "no cipher": (
        clear_packet(kexinit(encryption_algorithms_client_to_server=("none",))),
        KEY_EXCHANGE_FAILED,
    ),
    "no method": (clear_packet(kexinit(kex_algorithms=("x",))), KEY_EXCHANGE_FAILED),
    "no names": (clear_packet(kexinit(kex_algorithms=())), KEY_EXCHANGE_FAILED),
}


@pytest.mark.parametrize(("data", "reason"), CLEAR.values(), ids=CLEAR)
async def test_packets_in_the_clear(data: bytes, reason: int) -> None:
    await check(says(LINE + data), reason)


def in_reply(change: Callable[[KexECDHReply], KexECDHReply]) -> Script:
    """Return a script that changes the server's message of the key exchange."""

    async def script(peer: Liar) -> None:
        def lie(payload: bytes) -> bytes:
            if payload[0] == KexECDHReply.number:
                return clear_packet(change(KexECDHReply.decode(payload)))
            return clear_packet(payload)

        peer.lie = lie

    return script


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


REPLIES: dict[str, tuple[str, Callable[[KexECDHReply], KexECDHReply]]] = {
    "signature": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, said.public, flipped(said.signature, -1)),
    ),
    "signature's algorithm": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, said.public, flipped(said.signature, 5)),
    ),
    "no signature": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, said.public, bytes(8)),
    ),
    "host key": (
        "curve25519-sha256",
        lambda said: KexECDHReply(flipped(said.host_key, -1), said.public, said.signature),
    ),
    "public value": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, flipped(said.public, 0), said.signature),
    ),
    "zero secret": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, bytes(32), said.signature),
    ),
    "low order": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, b"\1" + bytes(31), said.signature),
    ),
    "short value": (
        "curve25519-sha256",
        lambda said: KexECDHReply(said.host_key, bytes(31), said.signature),
    ),
    "not on the curve": (
        "ecdh-sha2-nistp256",
        lambda said: KexECDHReply(said.host_key, b"\4" + bytes(64), said.signature),
    ),
    "infinity": (
        "ecdh-sha2-nistp256",
        lambda said: KexECDHReply(said.host_key, b"\0", said.signature),
    ),
    "dh 0": (
        "diffie-hellman-group14-sha256",
        lambda said: KexECDHReply(said.host_key, b"", said.signature),
    ),
    "dh 1": (
        "diffie-hellman-group14-sha256",
        lambda said: KexECDHReply(said.host_key, b"\1", said.signature),
    ),
    "dh negative": (
        "diffie-hellman-group14-sha256",
        lambda said: KexECDHReply(said.host_key, b"\x80" + bytes(255), said.signature),
    ),
    "dh beyond p": (
        "diffie-hellman-group14-sha256",
        lambda said: KexECDHReply(said.host_key, b"\0" + b"\x80" + bytes(255), said.signature),
    ),
}


@pytest.mark.parametrize(("kex", "change"), REPLIES.values(), ids=REPLIES)
async def test_key_exchanges(kex: str, change: Callable[[KexECDHReply], KexECDHReply]) -> None:
    both = {"algorithms": only(kex=kex)}
    error = await check(in_reply(change), KEY_EXCHANGE_FAILED, both, **both)
    assert "memory" not in str(error)


async def test_a_reply_that_comes_twice() -> None:
    async def script(peer: Liar) -> None:
        def lie(payload: bytes) -> bytes:
            return clear_packet(payload) * (2 if payload[0] == KexECDHReply.number else 1)

        peer.lie = lie
        while not peer.codec.session_id:
            await peer.receive()

    error = await refused(script)
    assert isinstance(error, SSHProtocolError)
    assert error.reason_code == PROTOCOL_ERROR


# With keys


async def keys(peer: Liar) -> None:
    """Exchange keys as it should be."""
    while peer.codec.state is not State.OPEN:
        assert await peer.receive()


def then(data: Callable[[Liar], bytes]) -> Script:
    """Return a script that exchanges keys and then says something."""

    async def script(peer: Liar) -> None:
        await keys(peer)
        with contextlib.suppress(OSError):
            await peer.socket.write(data(peer))

    return script


def sealed(peer: Liar, *payloads: bytes) -> bytes:
    """Return payloads in packets, though the codec would not send them."""
    pieces: list[bytes] = []
    for payload in payloads:
        inside(peer.codec)._writer.seal(payload, pieces)
    return b"".join(pieces)


SEALED = {
    "message 0": b"\0",
    "no payload": b"",
    "newkeys": NewKeys().encode(),
    "reply": KexECDHReply(b"", b"", b"").encode(),
    "kexinit cut": BODY[:-1],
    "kexinit, newkeys": None,
    "kexinit, packet": None,
    "disconnect cut": b"\1\0",
    "service accept cut": b"\6\0\0\0\5a",
    "ext-info with a long count": b"\7\xff\xff\xff\xff",
    "ping with a long length": b"\xc0\xff\xff\xff\xff",
}
SEQUENCES = {
    "kexinit, newkeys": (BODY, NewKeys().encode()),
    "kexinit, packet": (BODY, b"\x5e"),
}


@pytest.mark.both_loops
@pytest.mark.parametrize("name", SEALED)
async def test_packets_out_of_phase(name: str) -> None:
    payload = SEALED[name]
    payloads = SEQUENCES[name] if payload is None else (payload,)
    await check(then(lambda peer: sealed(peer, *payloads)), PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
@pytest.mark.parametrize("position", [4, 5, 20, -1])
async def test_changed_bits(kind: tuple[str, str], position: int) -> None:
    both = {"algorithms": only(kex="curve25519-sha256", encryption=kind[0], mac=kind[1])}
    if position == 4 and kind == KINDS[3]:  # padding_length, which only the MAC finds wrong
        position = 6
    script = then(lambda peer: flipped(peer.codec.send(b"\x5e" + bytes(100)), position))
    await check(script, MAC_ERROR, both, **both)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
async def test_lengths_that_lie(kind: tuple[str, str]) -> None:
    both = {"algorithms": only(kex="curve25519-sha256", encryption=kind[0], mac=kind[1])}

    def data(peer: Liar) -> bytes:
        return flipped(peer.codec.send(b"\x5e" + bytes(100)), 0) + bytes(300_000)

    error = await refused(then(data), both, **both)
    assert isinstance(error, SSHProtocolError)
    assert error.reason_code in (PROTOCOL_ERROR, MAC_ERROR)


@pytest.mark.parametrize("what", ["repeated", "left out", "swapped"])
async def test_packets_that_are_moved(what: str) -> None:
    def data(peer: Liar) -> bytes:
        one, two = peer.codec.send(b"\x5eone"), peer.codec.send(b"\x5etwo")
        return {"repeated": one + one, "left out": two, "swapped": two + one}[what]

    await check(then(data), MAC_ERROR)


@pytest.mark.parametrize("what", ["bomb", "nonsense", "end"])
async def test_compression(what: str) -> None:
    both = {"algorithms": only(kex="curve25519-sha256", compression="zlib@openssh.com")}

    stream = zlib.compressobj()
    packed = stream.compress(b"\x5e" + bytes(50_000_000)) + stream.flush(zlib.Z_PARTIAL_FLUSH)
    payloads = {"bomb": packed, "nonsense": b"\x5enot zlib", "end": zlib.compress(b"\x5e")}

    def data(peer: Liar) -> bytes:
        success = peer.codec.send(b"\x34")
        inside(peer.codec)._writer.compressor = None
        return success + sealed(peer, payloads[what])

    tracemalloc.start()
    try:
        await check(then(data), COMPRESSION_ERROR, both, **both)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_a_flood_of_key_exchanges() -> None:
    async def script(peer: Liar) -> None:
        await keys(peer)
        while not [event for event in peer.events if isinstance(event, Disconnect)]:
            if peer.codec.state is State.OPEN:
                peer.codec.rekey()
            await peer.receive()

    error = await refused(script)
    assert isinstance(error, RemoteProtocolError)
    assert "key exchange" in str(error)


async def test_a_kexinit_without_end_in_a_rekey() -> None:
    def data(peer: Liar) -> bytes:
        return sealed(peer, *[BODY] * 100)

    await check(then(data), PROTOCOL_ERROR)


# The whole stream


SENT = [b"\x5e" + bytes(20), b"\x5f"]


class Cut(Liar):
    """A server of whose stream only so many bytes come, or one of them changed."""

    def __init__(self, socket: Socket, size: int, changed: int | None = None) -> None:
        super().__init__(socket)
        self.size = size
        self.changed = changed
        self.said = 0

    async def say(self, data: bytes) -> None:
        start, self.said = self.said, self.said + len(data)
        if self.changed is not None and start <= self.changed < self.said:
            data = flipped(data, self.changed - start)
        with contextlib.suppress(OSError):
            if start < self.size:
                await self.socket.write(data[: self.size - start])
            if start < self.size <= self.said:
                await self.socket.write_eof()

    async def flush(self) -> None:
        if data := self.codec.data_to_send():
            await self.say(data)

    async def speak(self) -> None:
        """Exchange keys, and say something."""
        with contextlib.suppress(SSHProtocolError, AssertionError, OSError):
            while self.codec.state is not State.OPEN:
                assert await self.receive()
            await self.say(self.codec.send(*SENT))
            if self.said < self.size:
                await self.socket.write_eof()
        with contextlib.suppress(OSError):
            while await self.socket.read():
                pass
        await self.socket.close()


async def outcome(
    size: int, changed: int | None = None, timeout: float = PATIENCE
) -> tuple[Exception, list[bytes], int]:
    """Return how a connection ended of whose stream so much came, and what was received."""
    ours, theirs = memory_pair(allow_half_open=True)
    peer = Cut(theirs, size, changed)
    speaking = asyncio.create_task(peer.speak())
    transport = SSHTransport(
        ours, algorithms=QUICK, dangerously_accept_any_host_key=True, timeout=timeout
    )
    payloads: list[bytes] = []
    with pytest.raises(SSHError) as caught:
        await drained(transport, payloads)
    theirs.abort()
    await asyncio.gather(speaking, theirs.closed, ours.closed)
    return caught.value, payloads, peer.said


async def test_the_stream_ends_behind_every_byte() -> None:
    _, payloads, whole = await outcome(10**6)
    assert payloads == SENT
    for size in range(1, whole):
        error, payloads, _ = await outcome(size)
        assert isinstance(error, ConnectionLost)
        assert payloads == SENT[: len(payloads)]
        assert len(payloads) < 2


async def test_a_bit_changes_anywhere_in_the_stream() -> None:
    _, _, whole = await outcome(10**6)
    for position in range(whole):
        # Where a length grows, both may wait for more.
        error, payloads, _ = await outcome(10**6, position, 0.05)
        assert payloads == SENT[: len(payloads)]
        assert isinstance(error, ConnectionLost | RemoteProtocolError | SSHTimeoutError)


@pytest.mark.parametrize("size", [0, 5, 30, 200, 500, 800])
async def test_a_server_that_stops_anywhere(size: int) -> None:
    async def script(peer: Liar) -> None:
        peer_data = LINE + KEXINIT + raw_packet(204, 4, bytes(100))
        peer.codec.data_to_send()
        await peer.socket.write(peer_data[:size])
        while await peer.socket.read():
            pass

    assert isinstance(await refused(script, timeout=0.03), SSHTimeoutError)


async def test_a_server_that_goes_on_for_ever_is_left() -> None:
    """What it says after the fault is dropped, and not for long."""

    async def script(peer: Liar) -> None:
        peer.codec.data_to_send()
        with contextlib.suppress(OSError):
            while True:
                await peer.socket.write(os.urandom(100_000))

    tracemalloc.start()
    try:
        assert isinstance(await refused(script), RemoteProtocolError)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
