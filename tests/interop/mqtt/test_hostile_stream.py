"""A whole session whose bytes end anywhere, or of which any bit is turned over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.mqtt.checks import assert_typed
from tests.interop.mqtt.fake_broker import FakeBroker, Peer, Stream
from tests.interop.waiting import outcomes
from wirekit.adapters.mqtt import Properties, Publish, ReasonCode
from wirekit.protocols.mqtt import Disconnect, Subscribe

VERSIONS = pytest.mark.parametrize("version", [5, 4])
AT_ONCE = 300  # sessions beside one another
TIMEOUT = 0.2  # of a client whose broker was made to say less than it should


async def play(peer: Peer) -> None:
    """Answer everything; a subscription brings a message of each QoS."""
    limits: Properties = {"receive_maximum": 10, "topic_alias_maximum": 5}
    await peer.accept(limits if peer.codec.version != 4 else None)
    while (packet := await peer.packet_or_end()) is not None:
        if isinstance(packet, Disconnect):
            return
        await peer.answer(packet)
        if isinstance(packet, Subscribe):
            for qos in range(3):
                await peer.send(Publish("a", b"for you", qos, packet_id=qos or None))


async def play_3_1_1(peer: Peer) -> None:
    """Do the same without limits."""
    peer.codec = type(peer.codec)("server", version=4)
    await play(peer)


async def session(version: int, stream: Stream) -> list[Any]:
    """Do a bit of everything with a broker; return what each call returned or raised."""
    got: list[Any] = []
    async with FakeBroker(play if version == 5 else play_3_1_1, stream=stream) as broker:
        client = broker.client_on_socket(version=version, timeout=TIMEOUT)
        got += await outcomes(client.open())
        got += await outcomes(
            client.subscribe([("a", 1), ("b", 2)]),
            *(client.publish("a", "from me", qos) for qos in range(3)),
        )
        got += await outcomes(*(client.messages.get(TIMEOUT) for _ in range(3)))
        got += await outcomes(client.unsubscribe("a"))
    return got


async def each(version: int, streams: list[Stream]) -> None:
    """Every call of every session returns, or raises what it should; nothing is left of it."""
    for start in range(0, len(streams), AT_ONCE):
        part = streams[start : start + AT_ONCE]
        for got in await asyncio.gather(*(session(version, stream) for stream in part)):
            for outcome in got:
                if isinstance(outcome, BaseException):
                    assert_typed(outcome)


async def length_of_a_session(version: int) -> int:
    stream = Stream()
    got = await session(version, stream)
    assert not any(isinstance(outcome, BaseException) for outcome in got), got
    assert [outcome.qos for outcome in got if isinstance(outcome, Publish)] == [0, 1, 2]
    assert got.count(ReasonCode.SUCCESS) == 3
    return stream.sent


@VERSIONS
@pytest.mark.parametrize("reset", [False, True])
async def test_the_end_at_every_byte(version: int, reset: bool) -> None:
    total = await length_of_a_session(version)
    await each(version, [Stream(cut=number, reset=reset) for number in range(1, total)])


@VERSIONS
async def test_every_bit_turned_over(version: int) -> None:
    total = await length_of_a_session(version)
    await each(version, [Stream(flip=number) for number in range(8 * total)])
