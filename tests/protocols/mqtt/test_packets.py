"""PUBLISH and its acknowledgements as objects."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import (
    Acknowledgement,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Topic,
)
from wirekit.protocols.mqtt._packets import received_acknowledgement, received_publish

FULL = Publish("a/b", b"secret", 2, True, True, 7, {"content_type": "x"})


def test_a_publish_has_what_it_is_given() -> None:
    values = FULL.payload, FULL.qos, FULL.retain, FULL.duplicate, FULL.packet_id
    assert values == (b"secret", 2, True, True, 7)
    assert FULL.properties == {"content_type": "x"}
    assert type(FULL.topic) is Topic
    plain = Publish("a")
    values = plain.payload, plain.qos, plain.retain, plain.duplicate, plain.packet_id
    assert values == (b"", 0, False, False, None)
    assert plain.properties == {}
    assert plain.properties is plain.properties
    topic = Topic("a")
    assert Publish(topic).topic is topic


def test_a_publish_may_become_a_duplicate() -> None:
    packet = Publish("a", qos=1)
    packet.packet_id = 9
    packet.duplicate = True
    assert packet == Publish("a", qos=1, duplicate=True, packet_id=9)
    packet.packet_id = None
    assert packet != Publish("a", qos=1, duplicate=True, packet_id=9)


WRONG: list[tuple[tuple[Any, ...], str]] = [
    *((("a/+",), "MQTT-3.3.2-2"), (("a\0",), "MQTT-1.5.4-2"), (("a", b"", 3), "MQTT-3.3.1-4")),
    *((("a", b"", -1), "MQTT-3.3.1-4"), (("a", b"", 0, False, False, None, []), "a dict")),
    *(((5,), "a str"), ((None,), "a str")),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_what_cannot_be(arguments: Any, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        Publish(*arguments)


@pytest.mark.parametrize("payload", ["text", None, 5])
def test_a_payload_is_bytes(payload: Any) -> None:
    with pytest.raises(TypeError):
        Publish("a", payload)
    with pytest.raises(TypeError):
        Publish("a", b"", "1")  # type: ignore[arg-type]


def test_other_buffers_are_copied() -> None:
    data: Any = bytearray(b"abc")
    packet = Publish("a", data)
    data[0] = 0
    assert packet.payload == b"abc"
    assert type(packet.payload) is bytes
    view: Any = memoryview(b"xabcx")[1:4]
    assert Publish("a", view).payload == b"abc"


def test_its_repr_shows_no_payload_and_no_value_of_a_property() -> None:
    text = repr(Publish("a", b"secret", 1, True, True, 5, {"correlation_data": b"secret"}))
    assert text == (
        "Publish(topic='a', payload=<6 bytes>, qos=1, retain=True, duplicate=True, packet_id=5,"
        " properties=<correlation_data>)"
    )
    assert repr(Publish("a")) == "Publish(topic='a', payload=<0 bytes>, qos=0)"


OTHERS = [
    Publish("a/c", b"secret", 2, True, True, 7, {"content_type": "x"}),
    Publish("a/b", b"public", 2, True, True, 7, {"content_type": "x"}),
    Publish("a/b", b"secret", 1, True, True, 7, {"content_type": "x"}),
    Publish("a/b", b"secret", 2, False, True, 7, {"content_type": "x"}),
    Publish("a/b", b"secret", 2, True, False, 7, {"content_type": "x"}),
    Publish("a/b", b"secret", 2, True, True, 8, {"content_type": "x"}),
    Publish("a/b", b"secret", 2, True, True, 7),
    (),
]


@pytest.mark.parametrize("other", OTHERS)
def test_equality(other: Any) -> None:
    assert other != FULL
    assert other == other


@pytest.mark.parametrize(
    "packet", [FULL, Publish("a"), PubAck(1), PubRec(2, ReasonCode.NOT_AUTHORIZED)]
)
def test_copies_are_equal_and_hashes_there_are_none(packet: Any) -> None:
    for same in (pickle.loads(pickle.dumps(packet)), copy.copy(packet), copy.deepcopy(packet)):
        assert same == packet
        assert type(same) is type(packet)
        assert same is not packet
    with pytest.raises(TypeError, match="unhashable"):
        hash(packet)


KINDS = [PubAck, PubRec, PubRel, PubComp]


@pytest.mark.parametrize("kind", KINDS)
def test_acknowledgements(kind: Any) -> None:
    packet = kind(7)
    assert (packet.packet_id, packet.reason_code, packet.properties) == (7, ReasonCode.SUCCESS, {})
    assert packet == kind(7, ReasonCode.SUCCESS, {})
    assert packet != kind(8)
    assert packet != kind(7, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    assert packet != kind(7, ReasonCode.SUCCESS, {"reason_string": "x"})
    assert [packet == other(7) for other in KINDS] == [kind is other for other in KINDS]
    assert repr(packet) == f"{kind.__name__}(packet_id=7)"
    full = kind(7, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND, {"reason_string": "x"})
    assert repr(full).endswith(
        "=<ReasonCode.PACKET_IDENTIFIER_NOT_FOUND: 146>, properties={'reason_string': 'x'})"
    )
    assert isinstance(packet, Acknowledgement)
    for number in (0, -1, 65536):
        with pytest.raises(LocalProtocolError, match=r"\[MQTT-2.2.1-5\]"):
            kind(number)
    with pytest.raises(LocalProtocolError, match="a dict"):
        kind(7, ReasonCode.SUCCESS, 5)


def test_those_that_came() -> None:
    packet = received_publish(Topic("a"), 0x3D, 5, {"content_type": "x"})
    assert (packet.qos, packet.retain, packet.duplicate, packet.packet_id) == (2, True, True, 5)
    assert received_publish(Topic("a"), 0x30, 0, None).packet_id is None
    assert [received_acknowledgement(kind, 3) for kind in (4, 5, 6, 7)] == [k(3) for k in KINDS]
