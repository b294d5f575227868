"""What a broker may do although it is odd, and the end that it makes at every step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.mqtt.checks import assert_packet_ids_agree, assert_typed, inside
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import PATIENCE, eventually, outcomes, turns
from wirekit import ConnectionLost, ReadTimeout, RemoteProtocolError
from wirekit.adapters.mqtt import MQTT, Authentication, MqttCodeError, ReasonCode
from wirekit.protocols.mqtt import (
    Auth,
    Connect,
    Disconnect,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    Subscribe,
)
from wirekit.protocols.mqtt._reason_codes import DISCONNECT_CODES

VERSIONS = pytest.mark.parametrize("version", [5, 4])
NOT_FOUND = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND

# What is odd, and answered or ignored as the standard says ----------------------------------------


@VERSIONS
async def test_acknowledgements_out_of_order(version: int) -> None:
    """A broker must not, but each of them says what it is for."""

    async def play(peer: Peer) -> None:
        await peer.accept()
        packets = [await peer.receive(Publish) for _ in range(20)]
        for packet in reversed(packets):
            await peer.answer(packet)
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client_on_socket(version=version) as client:
        got = await outcomes(*(client.publish("a", n, 1 + n % 2) for n in range(20)))
        assert got == [ReasonCode.SUCCESS] * 20
        assert_packet_ids_agree(client)


@VERSIONS
async def test_what_is_for_nothing_and_may_be(version: int) -> None:
    """PUBREL and PUBREC of a session that we do not know are ended; PINGRESP is a sign of life."""
    over = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.accept()
        await peer.send(PubRel(7), PubRec(8), PingResp(), PubRec(8))
        known = NOT_FOUND if version == 5 else ReasonCode.SUCCESS
        assert await peer.packet() == PubComp(7, known)
        assert [await peer.packet() for _ in range(2)] == [PubRel(8, known)] * 2
        await peer.send(PubComp(8))
        over.set()
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client_on_socket(version=version) as client:
        await over.wait()
        assert await client.publish("a", "x", 1) is ReasonCode.SUCCESS
        assert not inside(client)._session.outgoing._unknown
        assert_packet_ids_agree(client)


@VERSIONS
async def test_steps_that_come_twice(version: int) -> None:
    """PUBREC and PUBLISH of QoS 2 may; each is answered, and the message is delivered once."""

    async def play(peer: Peer) -> None:
        await peer.accept()
        await peer.receive(Publish)
        await peer.send(PubRec(1), PubRec(1))
        assert [await peer.packet() for _ in range(2)] == [PubRel(1)] * 2
        await peer.send(PubComp(1))
        await peer.send(Publish("a", b"once", 2, packet_id=5))
        for _ in range(3):
            assert await peer.packet() == PubRec(5)
            await peer.send(Publish("a", b"once", 2, duplicate=True, packet_id=5))
        assert await peer.packet() == PubRec(5)
        await peer.send(PubRel(5), PubRel(5))
        not_found = NOT_FOUND if version == 5 else ReasonCode.SUCCESS
        assert [await peer.packet() for _ in range(2)] == [PubComp(5), PubComp(5, not_found)]
        await peer.send(Publish("a", b"last", 0))
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client_on_socket(version=version) as client:
        assert await client.publish("a", "x", 2) is ReasonCode.SUCCESS
        got = [(await client.messages.get(PATIENCE)).payload for _ in range(2)]
        assert got == [b"once", b"last"]


@pytest.mark.parametrize("early", [PubAck(2), PubRec(3), PubRec(3, ReasonCode.QUOTA_EXCEEDED)])
async def test_an_answer_to_what_was_not_sent_again_yet(early: Any) -> None:
    """The broker had it before the connection was lost; then it is not sent again."""
    again: list[Publish] = []

    async def play(peer: Peer) -> None:
        if len(broker.peers) == 1:
            await peer.accept()
            for _ in range(4):
                await peer.receive(Publish)
            return
        await peer.accept({"receive_maximum": 1}, session_present=True)
        first = await peer.receive(Publish)
        await peer.send(early)
        await turns(5)
        await peer.answer(first)
        while (packet := await peer.packet_or_end()) is not None:
            if isinstance(packet, Publish):
                again.append(packet)
            await peer.answer(packet)

    async with FakeBroker(play) as broker, broker.client(clean_start=False) as client:
        got = await outcomes(*(client.publish("a", n, qos) for n, qos in enumerate((1, 1, 2, 1))))
        refused = early.reason_code is ReasonCode.QUOTA_EXCEEDED
        assert [type(outcome) for outcome in got] == [
            ReasonCode,
            ReasonCode,
            MqttCodeError if refused else ReasonCode,
            ReasonCode,
        ]
        assert_packet_ids_agree(client)
    assert {packet.topic for packet in again} == {"a"}
    assert early.packet_id not in {packet.packet_id for packet in again}


async def test_more_than_our_receive_maximum() -> None:
    """Who wants it enforced ends the connection; else no more is read than fits."""
    many = [Publish("a", b"%d" % n, 1 + n % 2, packet_id=n) for n in range(1, 31)]
    reasons: list[ReasonCode | None] = []

    async def play(peer: Peer) -> None:
        await peer.accept()
        await peer.send(*many)
        reasons.append(await peer.reason())

    async with FakeBroker(play) as broker:
        async with broker.client_on_socket(receive_maximum=10, enforce_receive_maximum=True) as c:
            await eventually(lambda: not c.connected)
            got = await outcomes(*(c.messages.get() for _ in range(11)))
            assert isinstance(got[-1], RemoteProtocolError), repr(got[-1])
        assert reasons == [ReasonCode.RECEIVE_MAXIMUM_EXCEEDED]
        async with broker.client_on_socket(receive_maximum=10) as client:
            got = await outcomes(*(client.messages.get() for _ in range(30)))
            assert [message.payload for message in got] == [packet.payload for packet in many]


@VERSIONS
async def test_floods_of_messages(version: int) -> None:
    """Of QoS 0 the oldest are dropped; the connection, and what waits, does not suffer."""

    async def play(peer: Peer) -> None:
        await peer.accept()
        await peer.receive(Publish)
        for _ in range(50):
            await peer.send(*[Publish("a", bytes(100)) for _ in range(1000)])
        await peer.send(PubAck(1))
        await peer.serve()

    settings: dict[str, Any] = {"version": version, "queue_size": 100}
    async with FakeBroker(play) as broker, broker.client_on_socket(**settings) as client:
        assert await client.publish("a", "x", 1) is ReasonCode.SUCCESS
        assert len(client.messages) == 100
        assert client.messages.dropped == 49_900


# The end that the broker makes --------------------------------------------------------------------

STEPS = ["at once", "after PUBLISH", "after PUBREC", "after SUBSCRIBE", "with a message before it"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", sorted(DISCONNECT_CODES["server"]), ids=repr)
async def test_every_disconnect_at_every_step(code: ReasonCode, step: str) -> None:
    async def play(peer: Peer) -> None:
        await peer.accept()
        if step != "at once":
            for _ in range(2):
                packet = await peer.packet()
                assert isinstance(packet, Publish | Subscribe)
        if step == "after PUBREC":
            await peer.send(PubRec(1))
            await peer.receive(PubRel)
        if step == "with a message before it":
            await peer.send(Publish("a", b"before"))
        await peer.send(Disconnect(code, {"reason_string": "so it is"}))
        assert await peer.reason() is None  # nothing is said to one who has said goodbye

    async with FakeBroker(play) as broker, broker.client_on_socket() as client:
        got = await outcomes(client.publish("a", "x", 2), client.subscribe("a"))
        if step == "with a message before it":
            assert (await client.messages.get(PATIENCE)).payload == b"before"
        got += await outcomes(client.messages.get(), client.publish("a"), client.subscribe("a"))
        for error in got:
            assert_typed(error)
            if code >= 0x80:
                assert isinstance(error, MqttCodeError), repr(error)
                assert (error.rc, error.reason_string) == (code, "so it is")
            else:
                assert isinstance(error, ConnectionLost), repr(error)


async def test_authentication_out_of_place() -> None:
    """Once it is over, the broker may not begin it."""

    def method() -> Any:
        yield None

    async def play(peer: Peer) -> None:
        await peer.accept({"authentication_method": "m"})
        await peer.receive(Publish)
        await peer.send_bytes(b"\xf0\x06\x18\x04\x15\x00\x01m")
        assert await peer.reason() is ReasonCode.PROTOCOL_ERROR

    settings: dict[str, Any] = {"authentication": Authentication("m", method)}
    async with FakeBroker(play) as broker, broker.client_on_socket(**settings) as client:
        for error in await outcomes(client.publish("a", "x", 1), client.messages.get()):
            assert isinstance(error, RemoteProtocolError), repr(error)
            assert_typed(error)


@pytest.mark.parametrize("with_success", [False, True])
async def test_re_authentication_that_is_not_answered(with_success: bool) -> None:
    def method() -> Any:
        yield b"first"
        yield b"second"

    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        more: Any = {"authentication_method": "m", "authentication_data": b"more"}
        await peer.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, more))
        await peer.receive(Auth)
        await peer.send_bytes(b"\x20\x07\x00\x00\x04\x15\x00\x01m")
        if with_success:  # before the method has come to its end
            await peer.socket.read()
            await peer.send_bytes(b"\xf0\x06\x00\x04\x15\x00\x01m")
        await peer.end()

    async with FakeBroker(play) as broker:
        client = broker.client_on_socket(authentication=Authentication("m", method))
        await client.open()
        (error,) = await outcomes(client.reauthenticate(timeout=0.05))
        assert isinstance(error, RemoteProtocolError if with_success else ReadTimeout), repr(error)
        assert_typed(error)
        (error,) = await outcomes(client.publish("a"))
        assert_typed(error)


# Silence -----------------------------------------------------------------------------------------


@VERSIONS
async def test_silence_at_every_step(version: int) -> None:
    async def play(peer: Peer) -> None:
        await peer.accept()
        while (packet := await peer.packet_or_end()) is not None:
            if isinstance(packet, Publish) and packet.payload == b"half":
                await peer.answer(packet)

    async with FakeBroker(play) as broker:
        client: MQTT = broker.client_on_socket(version=version, timeout=0.05)
        async with client:
            got = await outcomes(
                client.publish("a", "x", 1),
                client.publish("a", "x", 2),
                client.publish("a", "half", 2),
                client.subscribe("a"),
                client.unsubscribe("a"),
                client.subscription("b").__aenter__(),
                client.messages.get(0.05),
            )
            for error in got:
                assert isinstance(error, ReadTimeout), repr(error)
                assert_typed(error)
            assert client.connected  # it is the keep-alive's to say that nobody is there


@VERSIONS
async def test_a_ping_that_is_not_answered(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)

    async def play(peer: Peer) -> None:
        await peer.accept()
        await peer.receive(PingReq)
        await peer.reason()

    settings: dict[str, Any] = {"version": version, "keep_alive": 1, "timeout": 0.05}
    async with FakeBroker(play) as broker, broker.client_on_socket(**settings) as client:
        (error,) = await outcomes(asyncio.wait_for(client.messages.get(), PATIENCE))
        assert isinstance(error, ReadTimeout), repr(error)
        assert_typed(error)
