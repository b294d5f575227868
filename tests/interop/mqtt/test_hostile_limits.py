"""Limits that a broker sets in CONNACK: however absurd they are, we keep to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.mqtt.checks import assert_typed
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import eventually, outcomes, turns
from wirekit import LocalProtocolError
from wirekit.adapters.mqtt import (
    Properties,
    ReasonCode,
)
from wirekit.protocols.mqtt import (
    PingReq,
    PingResp,
    Publish,
    PubRel,
    Subscribe,
    Unsubscribe,
)


async def test_a_receive_maximum_of_one() -> None:
    under_way = 0

    async def play(peer: Peer) -> None:
        nonlocal under_way
        await peer.accept({"receive_maximum": 1})
        while (packet := await peer.packet_or_end()) is not None:
            under_way += isinstance(packet, Publish)
            assert under_way <= 1
            await turns(3)
            under_way -= isinstance(packet, PubRel) or (
                isinstance(packet, Publish) and packet.qos == 1
            )
            await peer.answer(packet)

    async with FakeBroker(play) as broker, broker.client_on_socket() as client:
        publishing = [client.publish("a", str(number), 1 + number % 2) for number in range(50)]
        assert await outcomes(*publishing) == [ReasonCode.SUCCESS] * 50


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 8, 20])
async def test_a_tiny_maximum_packet_size(most: int) -> None:
    """What does not fit is refused or ends the connection, with a clear error; nothing hangs."""

    async def play(peer: Peer) -> None:
        await peer.accept({"maximum_packet_size": most})
        await peer.send(Publish("a", b"", 1, packet_id=1), Publish("a", b"", 2, packet_id=2))
        await peer.send(PubRel(77))
        # The codec sees to it that nothing larger arrives.
        await peer.serve()

    async with FakeBroker(play) as broker:
        client = await broker.client_on_socket(
            maximum_packet_size=1000, session_expiry_interval=10
        ).open()
        got = await outcomes(
            client.publish("a", "x" * 20),
            client.publish("a", "x" * 20, 1),
            client.publish("a", "x" * 20, 2),
            client.subscribe("a/long/filter"),
            client.unsubscribe("a/very/long/filter"),
            client.request("a", "x", timeout=0.05),
        )
        for error in got:
            assert_typed(error)
        for _ in range(2):
            (got,) = await outcomes(client.messages.get())
            if isinstance(got, BaseException):
                assert_typed(got)
        await turns(10)


async def test_a_ping_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)

    async def play(peer: Peer) -> None:
        await peer.accept({"maximum_packet_size": 1, "server_keep_alive": 1})
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client_on_socket() as client:
        (error,) = await outcomes(client.messages.get())
        assert isinstance(error, LocalProtocolError), repr(error)
        assert_typed(error)


async def test_a_topic_alias_maximum_of_65535() -> None:
    """We give as many aliases as are allowed, and take no more memory than there are topics."""
    received: list[str] = []

    async def play(peer: Peer) -> None:
        await peer.accept({"topic_alias_maximum": 65535})
        while (packet := await peer.packet_or_end()) is not None:
            if isinstance(packet, Publish):
                received.append(packet.topic)

    async with FakeBroker(play) as broker:
        async with broker.client_on_socket() as client:
            topics = [f"topic/{number}" for number in range(500)] * 4
            for topic in topics:
                await client.publish(topic)
        await eventually(lambda: len(received) == len(topics))
        assert received == topics


@pytest.mark.parametrize("ours", [0, 60])
async def test_the_brokers_keep_alive(ours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pings = 0

    async def play(peer: Peer) -> None:
        nonlocal pings
        await peer.accept({"server_keep_alive": 1})
        while pings < 2:
            await peer.receive(PingReq)
            pings += 1
            await peer.send(PingResp())

    async with FakeBroker(play) as broker, broker.client_on_socket(keep_alive=ours) as client:
        await outcomes(client.messages.get())
        assert pings == 2


@pytest.mark.parametrize("maximum_qos", [0, 1])
async def test_a_maximum_qos(maximum_qos: int) -> None:
    async def play(peer: Peer) -> None:
        await peer.accept({"maximum_qos": maximum_qos})
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client_on_socket() as client:
        got = await outcomes(*(client.publish("a", "x", qos) for qos in range(3)))
        assert got[: maximum_qos + 1] == [ReasonCode.SUCCESS] * (maximum_qos + 1)
        for error in got[maximum_qos + 1 :]:
            assert isinstance(error, LocalProtocolError), repr(error)
            assert_typed(error)
        # It may be asked for more all the same (§3.2.2.3.4).
        assert await client.subscribe("a", 2) == (ReasonCode.GRANTED_QOS_2,)


async def test_a_maximum_qos_that_is_less_on_the_next_connection() -> None:
    """What waits from before cannot be sent any more; it gets an error, and the others go on."""

    async def play(peer: Peer) -> None:
        if len(broker.peers) == 1:
            await peer.accept()
            for _ in range(2):
                await peer.receive(Publish)
            return
        await peer.accept({"maximum_qos": 1}, session_present=True)
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client(clean_start=False) as client:
        one, two, late = await outcomes(
            client.publish("a", "1", 1), client.publish("a", "2", 2), client.publish("a", "3", 1)
        )
        assert (one, late) == (ReasonCode.SUCCESS, ReasonCode.SUCCESS)
        assert isinstance(two, LocalProtocolError), repr(two)
        assert await client.publish("a", "4", 1) is ReasonCode.SUCCESS


NOTHING_IS_AVAILABLE: Properties = {
    "retain_available": 0,
    "wildcard_subscription_available": 0,
    "subscription_identifier_available": 0,
    "shared_subscription_available": 0,
}


async def test_a_broker_that_can_do_nothing() -> None:
    received: list[Any] = []

    async def play(peer: Peer) -> None:
        await peer.accept(NOTHING_IS_AVAILABLE)
        while (packet := await peer.packet_or_end()) is not None:
            received.append(packet)
            await peer.answer(packet)

    async with FakeBroker(play) as broker, broker.client_on_socket() as client:
        got = await outcomes(
            client.publish("a", "x", 1, retain=True),
            client.subscribe("a/#"),
            client.subscribe("a", identifier=1),
            client.subscribe("$share/g/a"),
        )
        for error in got:
            assert isinstance(error, LocalProtocolError), repr(error)
            assert_typed(error)
        assert await client.publish("a", "x", 1) is ReasonCode.SUCCESS
        async with client.subscription("a", 1):
            assert len(broker.peers) == 1
    assert {type(packet) for packet in received} == {
        Publish,
        Subscribe,
        Unsubscribe,
        type(received[-1]),
    }
    (subscribe,) = [packet for packet in received if isinstance(packet, Subscribe)]
    assert not subscribe.properties


async def test_all_limits_at_their_smallest_and_largest() -> None:
    async def play(peer: Peer) -> None:
        largest = len(broker.peers) == 1
        await peer.accept(
            {
                "receive_maximum": 65535 if largest else 1,
                "maximum_packet_size": 0xFFFFFFFF if largest else 100,
                "topic_alias_maximum": 65535 if largest else 0,
                "session_expiry_interval": 0xFFFFFFFF if largest else 0,
                "server_keep_alive": 65535 if largest else 0,
                "maximum_qos": 1,
                "reason_string": "r" * 60000,
                "user_property": [("name", "v" * 60000)] * 3,
                "assigned_client_identifier": "i" * 65535,
                "response_information": "i" * 65535,
                "server_reference": "s" * 65535,
            }
        )
        await peer.serve()

    async with FakeBroker(play) as broker:
        for _ in range(2):
            async with broker.client_on_socket() as client:
                assert await client.publish("a", "x", 1) is ReasonCode.SUCCESS
                assert await client.publish("a", "x", 0) is ReasonCode.SUCCESS
                (got,) = await outcomes(client.request("a", "x", timeout=0.05))
                assert_typed(got)
                assert len(repr(client)) < 70_000
