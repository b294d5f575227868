"""Server References over TCP: followed where the client wants it and the policy allows it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import PATIENCE, eventually
from wirekit.adapters.mqtt import MQTT, MqttCodeError, MqttError, Properties, ReasonCode
from wirekit.protocols.mqtt import ConnAck, Connect, Disconnect, Publish
from wirekit.sockets import Backoff, Policy

CODES = pytest.mark.parametrize(
    "code", [ReasonCode.USE_ANOTHER_SERVER, ReasonCode.SERVER_MOVED], ids=repr
)


class Brokers:
    """One that sends everybody to the other one."""

    def __init__(self, code: ReasonCode, *, at_once: bool) -> None:
        self.reference = ""  # to the other one, unless the test says where else
        self._code = code
        self._at_once = at_once  # or first lets them in
        self.first = FakeBroker(self.send_on, tcp=True)
        self.second = FakeBroker(self.serve, tcp=True)

    async def send_on(self, peer: Peer) -> None:
        reference: Properties = {"server_reference": self.reference or self.second.address}
        if self._at_once:
            await peer.receive(Connect)
            await peer.send(ConnAck(False, self._code, reference))
        else:
            await peer.accept()
            await peer.send(Disconnect(self._code, reference))
        assert await peer.reason() is None

    async def serve(self, peer: Peer) -> None:
        await peer.accept()
        await peer.serve()

    def client(self, **settings: Any) -> MQTT:
        backoff = Backoff(initial=0.001, maximum=0.01)
        given: dict[str, Any] = {"follow_server_reference": True, "backoff": backoff, **settings}
        return MQTT.from_url(f"mqtt://{self.first.address}", timeout=PATIENCE, **given)


@CODES
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_reference_is_followed(code: ReasonCode, at_once: bool) -> None:
    brokers = Brokers(code, at_once=at_once)
    async with brokers.first, brokers.second, brokers.client(client_id="tester") as client:
        await eventually(lambda: brokers.second.peers)
        assert await client.publish("a", "x", 1) is ReasonCode.SUCCESS
        # For good, or for this time only.
        brokers.second.peers[0].socket.abort()
        await eventually(lambda: len(brokers.second.peers) == 2)
        assert await client.publish("a", "y", 1) is ReasonCode.SUCCESS
        moved = code is ReasonCode.SERVER_MOVED
        assert len(brokers.first.peers) == (1 if moved else 2)


@CODES
@pytest.mark.parametrize("at_once", [True, False])
async def test_the_policy_goes_before_the_server(code: ReasonCode, at_once: bool) -> None:
    brokers = Brokers(code, at_once=at_once)
    async with brokers.first, brokers.second:
        # Not so much as a connection is made where it does not allow one.
        client = brokers.client(policy=Policy(deny=[brokers.second.address]))
        with pytest.raises(wirekit.BlockedError) as caught:
            async with client:
                await client.messages.get(PATIENCE)
        assert isinstance(caught.value, MqttError)
        assert not brokers.second.peers


@pytest.mark.parametrize("reference", ["127.0.0.1:1", "localhost", "[::1]:1883", "unix:/run/sock"])
async def test_references_into_ones_own_network(reference: str) -> None:
    """A policy as for servers of others: the reference itself cannot lead inside."""
    brokers = Brokers(ReasonCode.USE_ANOTHER_SERVER, at_once=True)
    brokers.reference = reference
    async with brokers.first, brokers.second:
        policy = Policy(public_only=True, allow=[brokers.first.address])
        client = brokers.client(policy=policy)
        expected = MqttCodeError if reference.startswith("unix") else wirekit.BlockedError
        with pytest.raises(expected):
            await client.open()
        await client.aclose()


async def test_without_being_asked_nothing_is_followed() -> None:
    brokers = Brokers(ReasonCode.SERVER_MOVED, at_once=True)
    async with brokers.first, brokers.second:
        client = brokers.client(follow_server_reference=False)
        with pytest.raises(MqttCodeError, match="server moved") as caught:
            await client.open()
        assert caught.value.server_reference == brokers.second.address
        await client.aclose()
        assert not brokers.second.peers


async def test_what_was_under_way_goes_to_the_other_server() -> None:
    """It has no session of ours; what was sent and not acknowledged is given up, the rest goes."""
    published: list[Publish] = []

    async def send_on(peer: Peer) -> None:
        await peer.accept({"receive_maximum": 1})
        await peer.receive(Publish)
        reference: Properties = {"server_reference": second.address}
        await peer.send(Disconnect(ReasonCode.SERVER_MOVED, reference))
        assert await peer.reason() is None

    async def serve(peer: Peer) -> None:
        await peer.accept()
        while (packet := await peer.packet_or_end()) is not None:
            if isinstance(packet, Publish):
                published.append(packet)
            await peer.answer(packet)

    second = FakeBroker(serve, tcp=True)
    async with FakeBroker(send_on, tcp=True) as first, second:
        url = f"mqtt://{first.address}"
        async with MQTT.from_url(url, follow_server_reference=True, timeout=PATIENCE) as client:
            calls = [client.publish("a", number, 2) for number in range(3)]
            got = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(outcome).__name__ for outcome in got] == [
                "SessionLost",
                *["ReasonCode"] * 2,
            ]
    assert [packet.payload for packet in published] == [b"1", b"2"]
