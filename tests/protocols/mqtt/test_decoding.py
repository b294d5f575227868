"""Bytes of every kind of packet, into packets."""

from __future__ import annotations

import pytest

from tests.protocols.mqtt._conversation import show
from tests.protocols.mqtt._pair import connecting, opened, receiver
from tests.protocols.mqtt._wire import LONGER, WIRE
from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import (
    ConnAck,
    ConnectReturnCode,
    Packet,
    PubAck,
    PubRec,
    ReasonCode,
    Role,
    Version,
    Violation,
)
from wirekit.protocols.mqtt._decoding import DECODERS, reason_code
from wirekit.protocols.mqtt._reader import Reader


@pytest.mark.parametrize(("section", "role", "version", "packet", "data"), WIRE)
def test_vectors(section: str, role: Role, version: Version, packet: Packet, data: str) -> None:
    wire = bytes.fromhex(data)
    kind = wire[0] >> 4
    if kind in DECODERS:
        reader = Reader(wire[2:])
        assert show(DECODERS[kind](reader, version)) == show(packet)
        reader.end("it")
    else:
        codec = receiver("client" if role == "server" else "server", version)
        assert [show(event) for event in codec.receive_data(wire)] == [show(packet)]


@pytest.mark.parametrize(("section", "role", "packet", "data"), LONGER)
def test_what_need_not_be_there(section: str, role: Role, packet: Packet, data: str) -> None:
    codec = receiver("client" if role == "server" else "server")
    assert codec.receive_data(bytes.fromhex(data)) == [packet]


def test_reason_codes() -> None:
    allowed = frozenset((ReasonCode.SUCCESS, ReasonCode.BANNED))
    assert reason_code(0x8A, allowed, "X", "MQTT-1") is ReasonCode.BANNED
    with pytest.raises(Violation, match=r"a X with reason code 0x01 \[MQTT-1\]"):
        reason_code(1, allowed, "X", "MQTT-1")


@pytest.mark.parametrize("code", [code for code in ConnectReturnCode if code.is_failure])
def test_a_refusal_in_the_words_of_3_1_1(code: ConnectReturnCode) -> None:
    assert connecting().receive_data(bytes((0x20, 2, 0, code))) == [ConnAck(False, code)]


@pytest.mark.parametrize("data", ["20020000", "20020006", "20020101", "2003000100"])
def test_what_is_no_such_refusal(data: str) -> None:
    with pytest.raises(Violation):
        connecting().receive_data(bytes.fromhex(data))


@pytest.mark.parametrize("kind", [PubAck, PubRec])
def test_a_message_that_is_too_large_for_mosquitto(kind: type[PubAck | PubRec]) -> None:
    refusal = kind(1, ReasonCode.PACKET_TOO_LARGE)
    client, server = opened()
    first = 0x40 if kind is PubAck else 0x50
    assert client.receive_data(bytes((first, 3, 0, 1, 0x95))) == [refusal]
    with pytest.raises(LocalProtocolError):  # for the standard has it not
        server.send(refusal)
