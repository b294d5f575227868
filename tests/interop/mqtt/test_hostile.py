"""A broker that breaks the protocol is told why it is left, and all who wait get an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

import wirekit
from tests.interop.mqtt.checks import assert_packet_ids_agree, assert_typed, inside
from tests.interop.mqtt.fake_broker import FakeBroker, Peer, spoken
from tests.interop.waiting import outcomes
from tests.protocols.mqtt._faults import FAULTS, Fault
from tests.protocols.mqtt.test_codec_faults import name
from wirekit import ConnectionLost, RemoteProtocolError
from wirekit.adapters.mqtt import MQTT, Authentication, MqttCodeError, ReasonCode
from wirekit.protocols.mqtt import (
    Connect,
    Packet,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)

VERSIONS = pytest.mark.parametrize("version", [5, 4])
PROTOCOL_ERROR = ReasonCode.PROTOCOL_ERROR
SUCCESS = ReasonCode.SUCCESS
OURS = [
    fault
    for fault in FAULTS
    if fault.role == "client"
    and fault.stage != "begun"
    and fault.reason_code is not ReasonCode.RECEIVE_MAXIMUM_EXCEEDED  # see test_hostile_flows.py
]

CALLS: list[Callable[[MQTT], Awaitable[Any]]] = [
    lambda client: client.publish("a", "one", 1),
    lambda client: client.publish("a", "two", 2),
    lambda client: client.publish("a", "two", 2),
    lambda client: client.subscribe([("a", 1), ("b", 2)]),
    lambda client: client.unsubscribe("a"),
    lambda client: client.messages.get(),
]
SENT = 5  # packets that these send at once: their identifiers are 1 to 5


async def everyone(client: MQTT) -> list[Any]:
    """Wait for all that one can wait for; return what each got."""
    return await outcomes(*(call(client) for call in CALLS))


async def waiting(peer: Peer) -> list[Any]:
    """Let the client in, and go on until one of each waits, one of them for PUBCOMP."""
    await peer.accept({} if inside(peer).codec.version != 5 else None)
    packets = [await peer.packet() for _ in range(SENT)]
    await peer.send(PubRec(3))
    packets.append(await peer.receive(PubRel))
    return packets


def settings_for(fault: Fault) -> dict[str, Any]:
    told: dict[str, Any] = dict(fault.told)
    settings: dict[str, Any] = {"version": fault.version}
    if "request_problem_information" in told:
        settings["properties"] = told
    elif "authentication_method" in told:
        settings["authentication"] = Authentication("m", nothing_to_prove)
    else:
        settings |= told
    settings.setdefault("topic_alias_maximum", 0)
    return settings


def nothing_to_prove() -> Any:
    yield None


# Whatever is malformed or out of place -----------------------------------------------------------


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize("fault", [fault for fault in OURS if fault.stage == "open"], ids=name)
async def test_a_fault_while_everyone_waits(fault: Fault, fragment: int | None) -> None:
    reasons: list[ReasonCode | None] = []

    async def play(peer: Peer) -> None:
        told = {"authentication_method": "m"} if "authentication_method" in fault.told else None
        await peer.accept(told)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for _ in range(SENT):
            await peer.packet()
        await peer.send_bytes(fault.data)
        reasons.append(await peer.reason())

    async with FakeBroker(play, fragment=fragment) as broker:
        client = await broker.client_on_socket(**settings_for(fault)).open()
        got = await everyone(client)
        ended_before = fault.statement == "MQTT-3.14.4-1"  # what is behind DISCONNECT is nothing
        for error in got:
            assert_typed(error)
            assert isinstance(error, ConnectionLost if ended_before else RemoteProtocolError)
            assert fault.statement in str(error) or ended_before
        assert len({id(error) for error in got}) == len(got)
        assert not inside(client)._session.outgoing._waiting
        (error,) = await outcomes(client.publish("a"))
        assert_typed(error)
        with pytest.raises(wirekit.Error):
            await client.acknowledge(Publish("a", b"", 1, packet_id=1))
    expected = None if fault.version == 4 or ended_before else fault.reason_code
    assert reasons == [expected]


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize(
    "fault", [fault for fault in OURS if fault.stage == "connecting"], ids=name
)
async def test_a_fault_in_place_of_connack(fault: Fault, fragment: int | None) -> None:
    reasons: list[ReasonCode | None] = []

    async def play(peer: Peer) -> None:
        await peer.receive(Connect)
        await peer.send_bytes(fault.data)
        reasons.append(await peer.reason())

    async with FakeBroker(play, fragment=fragment) as broker:
        settings = settings_for(fault)
        if fault.statement == "MQTT-3.1.2-28":
            settings["properties"] = {"request_response_information": 0}
        (error,) = await outcomes(broker.client_on_socket(**settings).open())
        assert_typed(error)
        refused = fault.statement in ("MQTT-3.2.2-7", "MQTT-3.2.2-5")  # the fault is behind that
        assert isinstance(error, MqttCodeError if refused else RemoteProtocolError), repr(error)
    expected = None if fault.version == 4 or refused else fault.reason_code
    assert reasons == [expected]


@VERSIONS
async def test_a_client_that_comes_back_after_a_fault(version: int) -> None:
    """Whatever was under way is sent again to a broker that has the session."""
    received: list[Packet] = []

    async def play(peer: Peer) -> None:
        first = len(broker.peers) == 1
        await peer.accept(session_present=not first)
        if first:
            for _ in range(SENT):
                await peer.packet()
            await peer.send_bytes(b"\x00\x00")
            return
        while (packet := await peer.packet_or_end()) is not None:
            received.append(packet)
            await peer.answer(packet)

    async with FakeBroker(play) as broker:
        async with broker.client(version=version, clean_start=False) as client:
            await outcomes(*(call(client) for call in CALLS[:-1]))
        assert len(broker.peers) == 2
    # Those of the wait for PUBACK and PUBREC; SUBSCRIBE and UNSUBSCRIBE are new ones.
    published = [packet for packet in received if isinstance(packet, Publish)]
    assert [packet.duplicate for packet in published] == [True] * 3
    assert {type(packet) for packet in received} >= {Subscribe, Unsubscribe, PubRel}


# Acknowledgements that are wrong -----------------------------------------------------------------

# Identifier 1 is a PUBLISH of QoS 1, 2 one of QoS 2, 3 one of QoS 2 that waits for PUBCOMP, 4 a
# SUBSCRIBE with two filters, 5 an UNSUBSCRIBE with one. 6 is nothing, and so is 65 535.
GRANTED = (ReasonCode.GRANTED_QOS_1, ReasonCode.GRANTED_QOS_2)
WRONG: list[list[Any]] = [
    # For nothing under way
    *([packet] for number in (6, 65535) for packet in (PubAck(number), PubComp(number))),
    [SubAck(6, GRANTED)],
    [UnsubAck(6, (SUCCESS,))],
    # Of the wrong type
    *([PubAck(number)] for number in (2, 3, 4, 5)),
    *([PubRec(number)] for number in (1, 4, 5)),
    *([PubComp(number)] for number in (1, 2, 4, 5)),
    *([SubAck(number, GRANTED)] for number in (1, 2, 3, 5)),
    *([UnsubAck(number, (SUCCESS,))] for number in (1, 2, 3, 4)),
    # Twice
    [PubAck(1), PubAck(1)],
    [PubComp(3), PubComp(3)],
    [SubAck(4, GRANTED), SubAck(4, GRANTED)],
    [UnsubAck(5, (SUCCESS,)), UnsubAck(5, (SUCCESS,))],
    [PubRec(2), PubComp(2), PubComp(2)],
    # With the wrong number of reason codes
    [SubAck(4, GRANTED[:1])],
    [SubAck(4, (*GRANTED, SUCCESS))],
    [SubAck(4, (*GRANTED, *[SUCCESS] * 5000))],
]
WITH_REASONS: list[list[Any]] = [  # which 3.1.1 does not know
    *([PubRec(number, ReasonCode.QUOTA_EXCEEDED)] for number in (1, 4, 5)),
    [PubAck(1, ReasonCode.QUOTA_EXCEEDED), PubAck(1)],
    [UnsubAck(5, (SUCCESS, SUCCESS))],
]


def wrong_name(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return ",".join(f"{type(p).__name__}{p.packet_id}" for p in cast("list[Any]", value))


@pytest.mark.parametrize(
    ("packets", "version"),
    [
        *((packets, version) for packets in WRONG for version in (5, 4)),
        *((packets, 5) for packets in WITH_REASONS),
    ],
    ids=wrong_name,
)
async def test_wrong_acknowledgements(packets: list[Any], version: int) -> None:
    reasons: list[ReasonCode | None] = []

    async def play(peer: Peer) -> None:
        await waiting(peer)
        await peer.send(*(spoken(packet, version) for packet in packets))
        reasons.append(await peer.reason())

    async with FakeBroker(play) as broker:
        client = await broker.client_on_socket(version=version).open()
        got = await everyone(client)
        assert_packet_ids_agree(client)
    # Of two, the first one may have been right.
    faults = [error for error in got if isinstance(error, RemoteProtocolError)]
    assert len(faults) >= len(CALLS) - (len(packets) > 1)
    for error in faults:
        assert_typed(error)
    assert reasons == [PROTOCOL_ERROR if version == 5 else None]
