"""Enhanced authentication over TCP: both ends prove that they know the password, again and again.

The method is a small one of challenge and response, as SCRAM is; the broker is a fake one, for
mosquitto has such methods only as plugins.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest

import wirekit
from tests.interop.mqtt.checks import assert_typed
from tests.interop.mqtt.fake_broker import FakeBroker, Peer
from tests.interop.waiting import PATIENCE, eventually, outcomes
from wirekit.adapters.mqtt import Authentication, MqttCodeError, Properties, ReasonCode
from wirekit.protocols.mqtt import Auth, ConnAck, Connect, Packet

METHOD = "CHALLENGE"
PASSWORD = b"open sesame"
CONTINUE = ReasonCode.CONTINUE_AUTHENTICATION


def proof(who: bytes, password: bytes, nonces: bytes) -> bytes:
    return hmac.digest(password, who + nonces, hashlib.sha256)


def method(password: bytes) -> Authentication:
    """Return the client's side."""

    def exchange() -> Generator[bytes | None, bytes | None, None]:
        ours = secrets.token_bytes(16)
        theirs = yield ours
        nonces = ours + (theirs or b"")
        answer = yield proof(b"client", password, nonces)
        if not hmac.compare_digest(answer or b"", proof(b"server", password, nonces)):
            raise wirekit.RemoteProtocolError("the server does not know the password")

    return Authentication(METHOD, exchange)


def asynchronous(password: bytes) -> Authentication:
    """Return the same by a method that has to wait for something, such as a key store."""

    async def exchange() -> AsyncGenerator[bytes | None, bytes | None]:
        plain = method(password).exchange()
        assert isinstance(plain, Generator)
        data = next(plain)
        while True:
            await asyncio.sleep(0.001)
            received = yield data
            try:
                data = plain.send(received)
            except StopIteration:
                return

    return Authentication(METHOD, exchange)


def properties(data: bytes | None) -> Properties:
    found: Properties = {"authentication_method": METHOD}
    if data is not None:
        found["authentication_data"] = data
    return found


async def challenge(peer: Peer, first: Packet, *, knows: bytes = PASSWORD) -> bytes | None:
    """Play the server's side; return its own proof, None if the client's was wrong."""
    assert isinstance(first, Connect | Auth)
    assert first.properties.get("authentication_method") == METHOD
    nonces = first.properties.get("authentication_data", b"")
    theirs = secrets.token_bytes(16)
    nonces += theirs
    await peer.send(Auth(CONTINUE, properties(theirs)))
    while not isinstance(answer := await peer.packet(), Auth):
        await peer.answer(answer)
    assert answer.reason_code is CONTINUE
    if answer.properties.get("authentication_data") != proof(b"client", knows, nonces):
        return None
    return proof(b"server", knows, nonces)


class Broker:
    """Lets in who knows the password, and lets them prove it again as often as they want."""

    def __init__(self, *, knows: bytes = PASSWORD) -> None:
        self.times = 0
        self.refuses = False  # from now on
        self.knows = knows

    async def __call__(self, peer: Peer) -> None:
        connect = await peer.receive(Connect)
        answer = await challenge(peer, connect, knows=self.knows)
        if answer is None:
            await peer.send(ConnAck(False, ReasonCode.NOT_AUTHORIZED))
            await peer.reason()
            return
        given: Properties = {"assigned_client_identifier": "x"} if not connect.client_id else {}
        await peer.send(ConnAck(False, ReasonCode.SUCCESS, {**properties(answer), **given}))
        while (packet := await peer.packet_or_end()) is not None:
            if not isinstance(packet, Auth):
                await peer.answer(packet)
                continue
            assert packet.reason_code is ReasonCode.RE_AUTHENTICATE
            answer = await challenge(peer, packet)
            if self.refuses or answer is None:
                await peer.send_bytes(b"\xe0\x01\x87")  # DISCONNECT: not authorized
                await peer.reason()
                return
            self.times += 1
            await peer.send(Auth(ReasonCode.SUCCESS, properties(answer)))


@pytest.mark.both_loops
@pytest.mark.parametrize("made", [method(PASSWORD), asynchronous(PASSWORD)], ids=["def", "async"])
async def test_both_ends_prove_themselves(made: Authentication) -> None:
    play = Broker()
    async with FakeBroker(play, tcp=True) as broker, broker.client(authentication=made) as client:
        # Others go on meanwhile, and of those who want the same one waits for the other.
        got = await outcomes(
            *(client.reauthenticate() for _ in range(3)),
            *(client.publish("a", number, number % 3) for number in range(30)),
            client.subscribe("a", 2),
        )
        assert not [outcome for outcome in got if isinstance(outcome, Exception)]
        assert play.times == 3
        # And after a lost connection from the beginning.
        broker.peers[0].socket.abort()
        await eventually(lambda: len(broker.peers) == 2 and client.connected)
        await client.reauthenticate()
        assert await client.publish("a", "x", 1) is ReasonCode.SUCCESS


async def test_a_wrong_password() -> None:
    async with FakeBroker(Broker(), tcp=True) as broker:
        client = broker.client(authentication=method(b"guessed"))
        with pytest.raises(MqttCodeError, match="not authorized") as caught:
            await client.open()
        assert "guessed" not in str(caught.value)


async def test_a_server_that_does_not_know_the_password() -> None:
    """It is not let on with, and the client says so before anything else is sent."""
    received: list[ReasonCode | None] = []

    async def impostor(peer: Peer) -> None:
        await challenge(peer, await peer.receive(Connect))
        await peer.send(ConnAck(False, ReasonCode.SUCCESS, properties(b"no proof")))
        received.append(await peer.reason())

    async with FakeBroker(impostor, tcp=True) as broker:
        client = broker.client_on_socket(authentication=method(PASSWORD))
        with pytest.raises(wirekit.RemoteProtocolError, match="does not know the password"):
            await client.open()
    assert received == [ReasonCode.UNSPECIFIED_ERROR]


async def test_a_refused_re_authentication_ends_the_connection() -> None:
    play = Broker()
    settings: dict[str, Any] = {"authentication": method(PASSWORD)}
    async with (
        FakeBroker(play, tcp=True) as broker,
        broker.client_on_socket(**settings) as client,
    ):
        await client.reauthenticate()
        play.refuses = True
        got = await outcomes(client.reauthenticate(), client.messages.get(PATIENCE))
        for error in got:
            assert_typed(error)
        assert isinstance(got[0], MqttCodeError), repr(got[0])
        assert got[0].reason_code is ReasonCode.NOT_AUTHORIZED
        assert not client.connected
