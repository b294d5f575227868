"""What a broker may say in CONNACK, and what it may not say but says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.mqtt.checks import assert_typed, inside
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import PATIENCE, eventually, outcomes, turns
from wirekit import ConnectError, ConnectTimeout, LocalProtocolError
from wirekit.adapters.mqtt import (
    MQTT,
    Authentication,
    ConnectReturnCode,
    MqttCodeError,
    Properties,
    ReasonCode,
    SessionLost,
)
from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    PubRec,
    PubRel,
    Subscribe,
    Unsubscribe,
)
from wirekit.protocols.mqtt._reason_codes import CONNACK_CODES
from wirekit.sockets import Backoff

VERSIONS = pytest.mark.parametrize("version", [5, 4])
CODES: list[ReasonCode | ConnectReturnCode] = [
    *sorted(code for code in CONNACK_CODES if code),
    *(code for code in ConnectReturnCode if code),
]


def version_of(code: ReasonCode | ConnectReturnCode) -> int:
    return 5 if isinstance(code, ReasonCode) else 4


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize("code", CODES, ids=repr)
async def test_every_refusal(code: ReasonCode | ConnectReturnCode, fragment: int | None) -> None:
    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        await peer.send(ConnAck(False, code))
        assert await peer.reason() is None

    async with FakeBroker(play, fragment=fragment) as broker:
        client = broker.client_on_socket(version=version_of(code))
        (error,) = await outcomes(client.open())
        assert isinstance(error, MqttCodeError), repr(error)
        assert error.rc is error.reason_code is code
        assert f"0x{code.value:02X}" in str(error)
        (error,) = await outcomes(client.publish("a"))
        assert_typed(error)


@pytest.mark.parametrize("code", CODES, ids=repr)
async def test_every_refusal_of_one_who_comes_back(code: ReasonCode | ConnectReturnCode) -> None:
    """Those that may pass are waited for; the others end the client, and all who wait."""

    async def play(peer: Peer) -> None:
        number = len(broker.peers)
        if number in (1, 3):
            await peer.accept(session_present=number == 3)
            if number == 1:
                await peer.receive(Publish)
                return
            await peer.serve()
        else:
            await peer.receive(Connect)
            await peer.send(ConnAck(False, code))
            assert await peer.reason() is None

    async with FakeBroker(play) as broker:
        client = broker.client(version=version_of(code), clean_start=False, client_id="stays")
        async with client:
            (got,) = await outcomes(client.publish("a", "x", 1))
            if isinstance(got, Exception):
                assert isinstance(got, MqttCodeError), repr(got)
                assert got.reason_code is code
                (error,) = await outcomes(client.messages.get())
                assert isinstance(error, MqttCodeError), repr(error)
                assert len(broker.peers) == 2
            else:
                assert got is ReasonCode.SUCCESS
                assert len(broker.peers) == 3


async def test_refusals_without_end() -> None:
    async def play(peer: Peer) -> None:
        if len(broker.peers) == 1:
            await peer.accept()
            return
        await peer.receive(Connect)
        await peer.send(ConnAck(False, ReasonCode.SERVER_BUSY))

    async with FakeBroker(play) as broker, broker.client(reconnect_attempts=7) as client:
        await eventually(lambda: len(broker.peers) == 8)
        for got in await outcomes(client.publish("a", "x", 1), client.subscribe("a")):
            assert isinstance(got, MqttCodeError), repr(got)
            assert got.reason_code is ReasonCode.SERVER_BUSY
        assert len(broker.peers) == 8


# Silence, and the end ----------------------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize("tcp", [False, True])
async def test_silence_in_place_of_connack(version: int, tcp: bool) -> None:
    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        await peer.reason()

    async with FakeBroker(play, tcp=tcp) as broker:
        (error,) = await outcomes(broker.client_on_socket(version=version, timeout=0.05).open())
        assert isinstance(error, ConnectTimeout), repr(error)
        assert_typed(error)


@VERSIONS
async def test_connack_byte_by_byte_and_never_whole(version: int) -> None:
    """That something comes now and then does not prolong the opening."""

    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        await peer.send_bytes(b"\x20\x7f\x00\x00")
        for _ in range(200):
            await peer.send_bytes(b"\x00")
            await asyncio.sleep(0.005)

    async with FakeBroker(play) as broker:
        (error,) = await outcomes(broker.client_on_socket(version=version, timeout=0.05).open())
        assert_typed(error)


@VERSIONS
@pytest.mark.parametrize("tcp", [False, True])
async def test_the_end_in_place_of_connack(version: int, tcp: bool) -> None:
    async def play(peer: Peer) -> None:
        await peer.receive(Connect)

    async with FakeBroker(play, tcp=tcp) as broker:
        (error,) = await outcomes(broker.client_on_socket(version=version).open())
        assert isinstance(error, ConnectError), repr(error)
        assert_typed(error)


# Sessions ----------------------------------------------------------------------------------------


async def test_a_session_that_cannot_be() -> None:
    """[MQTT-3.2.2-2]: after a clean start there is none."""

    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        await peer.send_bytes(b"\x20\x03\x01\x00\x00")
        assert await peer.reason() is ReasonCode.PROTOCOL_ERROR

    async with FakeBroker(play) as broker:
        (error,) = await outcomes(broker.client_on_socket(clean_start=True).open())
        assert isinstance(error, wirekit.RemoteProtocolError), repr(error)


async def test_a_session_that_comes_and_goes() -> None:
    """What was sent is given up as often as the broker forgets; what was not is sent after that."""
    present = [False, True, True, False, True, False]
    seen: list[list[bytes]] = []

    async def play(peer: Peer) -> None:
        number = len(broker.peers) - 1
        await peer.accept({"receive_maximum": 2}, session_present=present[number])
        seen.append([])
        if number == len(present) - 1:
            return await peer.serve()
        for _ in range(2):
            packet = await peer.packet()
            if isinstance(packet, Publish):
                seen[-1].append(packet.payload)
        return None

    async with FakeBroker(play) as broker, broker.client(clean_start=False) as client:
        got = await outcomes(*(client.publish("a", str(number), 1) for number in range(6)))
    assert [type(outcome) for outcome in got] == [SessionLost] * 4 + [ReasonCode] * 2
    assert seen[:5] == [[b"0", b"1"]] * 3 + [[b"2", b"3"]] * 2


# Limits ------------------------------------------------------------------------------------------


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


async def test_a_ping_that_does_not_fit() -> None:
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
async def test_the_brokers_keep_alive(ours: int) -> None:
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


async def test_the_session_ends_with_the_connection_if_the_broker_says_so() -> None:
    """We asked for a session that survives, and get none: all the same nothing waits for ever."""

    async def play(peer: Peer) -> None:
        await peer.accept({"session_expiry_interval": 0})
        if len(broker.peers) == 1:
            await peer.receive(Publish)
        else:
            await peer.serve()

    async with FakeBroker(play) as broker, broker.client() as client:
        lost, sent = await outcomes(client.publish("a", "x", 1), _later(client, broker.peers))
        assert isinstance(lost, SessionLost), repr(lost)
        assert sent is ReasonCode.SUCCESS


async def _later(client: MQTT, peers: list[Peer]) -> Any:
    await eventually(lambda: len(peers) == 2)
    return await client.publish("a", "x", 1)


# Before and behind CONNACK -----------------------------------------------------------------------


@VERSIONS
async def test_much_behind_connack(version: int) -> None:
    """It may come in the same read (§3.2.2.1.1: a session's messages)."""

    async def play(peer: Peer) -> None:
        connect = await peer.receive(Connect)
        accepted = ReasonCode.SUCCESS if connect.version == 5 else ConnectReturnCode.ACCEPTED
        publishes = [
            Publish("a", b"%d" % number, number % 3, packet_id=number if number % 3 else None)
            for number in range(1, 31)
        ]
        await peer.send_bytes(
            peer.codec.send(ConnAck(False, accepted)) + peer.codec.send(*publishes)
        )
        acknowledged = [await peer.packet() for _ in range(20)]
        assert {type(packet) for packet in acknowledged} == {PubAck, PubRec}
        await peer.serve()

    async with FakeBroker(play) as broker, broker.client_on_socket(version=version) as client:
        async with asyncio.timeout(PATIENCE):
            got = [(await client.messages.get()).payload for _ in range(30)]
        assert got == [b"%d" % number for number in range(1, 31)]
        await eventually(lambda: not inside(client)._session.incoming.unacknowledged)
        await turns(5)


async def test_authentication_that_goes_on_and_on() -> None:
    """The method has its end; what the broker asks for beyond is a fault."""

    def method() -> Any:
        yield b"first"
        yield b"second"

    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        for _ in range(2):
            await peer.send(
                Auth(
                    ReasonCode.CONTINUE_AUTHENTICATION,
                    {"authentication_method": "m", "authentication_data": b"more"},
                )
            )
        assert isinstance(await peer.packet(), Auth)
        assert await peer.reason() is ReasonCode.PROTOCOL_ERROR

    async with FakeBroker(play) as broker:
        client = broker.client_on_socket(authentication=Authentication("m", method))
        (error,) = await outcomes(client.open())
        assert isinstance(error, wirekit.RemoteProtocolError), repr(error)
        assert_typed(error)


async def test_pauses_between_attempts_grow() -> None:
    """A broker that lets us in only to throw us out is not asked in a tight loop."""
    drawn: list[float] = []

    def most() -> float:
        drawn.append(1.0)
        return 1.0

    async def play(peer: Peer) -> None:
        await peer.accept()

    async with FakeBroker(play) as broker:
        backoff = Backoff(initial=0.001, maximum=0.016, random=most)
        async with broker.client(backoff=backoff):
            await eventually(lambda: len(broker.peers) >= 6)
    assert len(drawn) >= 5
