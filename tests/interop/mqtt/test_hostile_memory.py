"""Whatever the broker sends, and however little it reads, memory stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import pytest

import wirekit
from tests.interop.mqtt.checks import inside
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import PATIENCE, outcomes, turns
from wirekit.adapters.mqtt import MQTT, MqttError, Publish
from wirekit.protocols.mqtt import Properties

MEBIBYTE = 1024 * 1024
LONG = "t" * 60_000


def packet(first: int, *parts: bytes) -> bytes:
    """Return a packet, however wrong: the codec would refuse these."""
    body = b"".join(parts)
    return bytes([first]) + variable(len(body)) + body


def variable(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def publish(
    topic: str = "a",
    payload: bytes = b"",
    *,
    qos: int = 0,
    number: int = 0,
    properties: bytes = b"",
) -> bytes:
    head = text(topic) + (number.to_bytes(2, "big") if qos else b"")
    return packet(0x30 | qos << 1, head, variable(len(properties)), properties, payload)


def acknowledgement(first: int, number: int, reason: str = "") -> bytes:
    if not reason:
        return packet(first, number.to_bytes(2, "big"))
    properties = b"\x1f" + text(reason)
    return packet(first, number.to_bytes(2, "big"), b"\x10", variable(len(properties)), properties)


class Memory:
    """What is taken since the test began to look."""

    def __init__(self) -> None:
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, tracemalloc.get_traced_memory()[0])


@contextlib.asynccontextmanager
async def flooded(
    flood: Iterable[bytes],
    *,
    reads: bool = True,
    high_water_mark: int = 65536,
    greeting: Properties | None = None,
    while_open: Callable[[MQTT], Any] | None = None,
    **settings: Any,
) -> AsyncGenerator[tuple[MQTT, Memory]]:
    """Give a client that was sent all this, or as much as it takes, and what it took of memory."""
    memory = Memory()

    async def play(peer: Peer) -> None:
        await peer.accept(greeting)
        begin.set()
        await begun.wait()
        for data in flood:
            writing = asyncio.ensure_future(peer.socket.write(data))
            for _ in range(100):
                await turns(3)
                memory.look()
                if writing.done():
                    break
            else:  # it reads no more
                writing.cancel()
                await outcomes(writing)
                break
            if writing.exception() is not None:
                break
        sent.set()
        await over.wait()

    begin, begun, sent, over = (asyncio.Event() for _ in range(4))
    async with (
        FakeBroker(play, high_water_mark=high_water_mark) as broker,
        broker.client_on_socket(timeout=PATIENCE, **settings) as client,
    ):
        await begin.wait()
        if while_open is not None:
            await while_open(client)
        reading = asyncio.ensure_future(broker.peers[0].socket.read()) if reads else None
        tracemalloc.start()
        try:
            begun.set()
            await sent.wait()
            yield client, memory
        finally:
            tracemalloc.stop()
            over.set()
            if reading is not None:
                reading.cancel()
                await outcomes(reading)


# What is only announced ---------------------------------------------------------------------------


async def test_an_announced_payload_takes_no_more_than_the_limit() -> None:
    for size in (MEBIBYTE - 10, MEBIBYTE + 10, 256 * MEBIBYTE):
        flood = [b"\x30" + variable(min(size, 268_435_455)) + text("a") + b"\x00"]
        async with flooded(flood, maximum_packet_size=MEBIBYTE) as (client, memory):
            assert memory.most < 2 * MEBIBYTE
            assert client.connected == (size < MEBIBYTE)


# What nobody takes --------------------------------------------------------------------------------

SHAPES = {
    "payload": publish(payload=bytes(60_000)),
    "topic": publish(LONG),
    "wide topic": publish("t" * 30_000 + "\U0001f600"),  # four bytes for each character
    "content type": publish(properties=b"\x03" + text(LONG)),
    "response topic": publish(properties=b"\x08" + text(LONG)),
    "correlation data": publish(properties=b"\x09" + text(LONG)),
    "user property": publish(properties=b"\x26" + text(LONG) + text(LONG)),
    "user properties": publish(properties=(b"\x26" + text("ab") + text("cd")) * 500),
    "empty user properties": publish(properties=(b"\x26" + text("") + text("")) * 1000),
    "subscription identifiers": publish(properties=b"\x0b\xff\xff\xff\x7f" * 2000),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overflow", ["drop-oldest", "wait"])
async def test_untaken_messages_of_any_shape(shape: str, overflow: str) -> None:
    """The limit on bytes holds for all that a message consists of."""
    settings: dict[str, Any] = {"queue_bytes": MEBIBYTE, "overflow": overflow}
    async with flooded([SHAPES[shape]] * 100, **settings) as (client, memory):
        assert memory.most < 6 * MEBIBYTE
        assert client.connected
        assert len(client.messages)


@pytest.mark.parametrize("version", [5, 4])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("size", [0, 50_000])
async def test_untaken_messages_that_must_not_be_dropped(qos: int, size: int, version: int) -> None:
    def flood() -> Iterable[bytes]:
        for start in range(1, 60_000, 50):
            numbers = range(start, start + 50)
            if version == 5:
                yield b"".join(publish("a", bytes(size), qos=qos, number=n) for n in numbers)
            else:
                head = [text("a") + number.to_bytes(2, "big") for number in numbers]
                yield b"".join(packet(0x30 | qos << 1, each, bytes(size)) for each in head)

    settings: dict[str, Any] = {"version": version, "queue_bytes": MEBIBYTE}
    async with flooded(flood(), **settings) as (client, memory):
        assert memory.most < 8 * MEBIBYTE
        assert client.connected
        assert 1000 < len(client.messages) < 10_000 or size


async def test_messages_that_are_never_released() -> None:
    """Of QoS 2: what is known of each is its identifier."""
    flood = [publish("a", bytes(1000), qos=2, number=number) for number in range(1, 5_000)]

    async def take(client: MQTT) -> None:
        asyncio.ensure_future(consume(client))  # noqa: RUF006 - it ends with the client

    async with flooded(flood, while_open=take) as (client, memory):
        assert not len(client.messages)
        assert len(inside(client)._session.incoming._receipts) > 4_000
        assert memory.most < 3 * MEBIBYTE


async def consume(client: MQTT) -> None:
    with contextlib.suppress(MqttError):
        async for _ in client.messages:
            pass


# Who does not read --------------------------------------------------------------------------------

ANSWERED = {
    "PUBREL": (0x62, ""),
    "PUBREC with a reason": (0x50, "r" * 100),
}


@pytest.mark.parametrize("name", ANSWERED)
async def test_answers_that_nobody_reads(name: str) -> None:
    """Where the broker takes none of our answers, nothing more is read of what it asks."""
    first, reason = ANSWERED[name]
    once = b"".join(acknowledgement(first, number, reason) for number in range(1, 1000))
    settings: dict[str, Any] = {"reads": False, "high_water_mark": 4096, "max_buffered": 4096}
    async with flooded([once] * 60, **settings) as (client, memory):
        assert memory.most < MEBIBYTE
        assert inside(client)._link.current._choked


# What is remembered -------------------------------------------------------------------------------


async def test_topic_aliases() -> None:
    def alias(number: int) -> bytes:
        return b"\x23" + number.to_bytes(2, "big")

    flood = [
        publish(f"{turn}{LONG}", properties=alias(number))
        for turn in range(10)
        for number in range(1, 21)
    ]
    settings: dict[str, Any] = {"topic_alias_maximum": 20, "queue_bytes": MEBIBYTE}
    async with flooded(flood, **settings) as (client, memory):
        assert client.connected
        assert memory.most < 6 * MEBIBYTE


async def test_topics_without_end() -> None:
    """Which consumer each is for is remembered, of some."""
    flood = [publish(f"own/{number}/" + "t" * 900) for number in range(5_000)]

    async def subscribe(client: MQTT) -> None:
        session = inside(client)._session
        session.router.add(client.messages, "own/#", 7)

    settings: dict[str, Any] = {"queue_bytes": MEBIBYTE}
    async with flooded(flood, while_open=subscribe, **settings) as (client, memory):
        assert client.connected
        assert memory.most < 16 * MEBIBYTE


@pytest.mark.parametrize("count", [1, 50_000])
async def test_what_is_said_with_a_goodbye(count: int) -> None:
    """Nothing of it is kept but its reason."""
    properties = b"\x1f" + text(LONG) + (b"\x26" + text("ab") + text("cd")) * count
    flood = [packet(0xE0, b"\x8b", variable(len(properties)), properties)]
    async with flooded(flood) as (client, memory):
        (error,) = await outcomes(client.messages.get())
        gc.collect()
        assert isinstance(error, wirekit.ServerError), repr(error)
        assert tracemalloc.get_traced_memory()[0] < MEBIBYTE
        assert memory.most < 2 * MEBIBYTE or count > 1


async def test_one_packet_of_nothing_but_properties() -> None:
    """It takes more than its bytes, but no more than the limit on packets allows."""
    properties = (b"\x26" + text("ab") + text("cd")) * 50_000
    flood = [publish(properties=properties)]
    async with flooded(flood, maximum_packet_size=MEBIBYTE) as (client, memory):
        (message,) = await outcomes(client.messages.get())
        assert isinstance(message, Publish)
        assert len(message.properties.get("user_property", ())) == 50_000
        assert memory.most < 16 * MEBIBYTE
