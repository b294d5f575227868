"""What a broker may say in CONNACK, and what it may not say but says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.mqtt.checks import assert_typed, inside
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import PATIENCE, eventually, outcomes, turns
from wirekit import ConnectError, ConnectTimeout
from wirekit.adapters.mqtt import (
    MQTT,
    Authentication,
    ConnectReturnCode,
    MqttCodeError,
    ReasonCode,
    SessionLost,
)
from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    PubAck,
    Publish,
    PubRec,
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


async def test_a_server_that_knows_only_3_1_1() -> None:
    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        await peer.send_bytes(b"\x20\x02\x00\x01")
        assert await peer.reason() is None

    async with FakeBroker(play) as broker:
        (error,) = await outcomes(broker.client().open())
        assert isinstance(error, MqttCodeError), repr(error)
        assert error.rc is ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION
        assert "version=4" in str(error)


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
