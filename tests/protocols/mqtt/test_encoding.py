"""Packets of every kind into bytes, and those that there cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.mqtt._wire import WIRE
from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PubAck,
    ReasonCode,
    Role,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Version,
    Violation,
    Will,
)
from wirekit.protocols.mqtt._encoding import ENCODERS, encode, encode_acknowledgement


@pytest.mark.parametrize(("section", "role", "version", "packet", "data"), WIRE)
def test_vectors(section: str, role: Role, version: Version, packet: Packet, data: str) -> None:
    wire = bytes.fromhex(data)
    if type(packet) in ENCODERS:
        assert encode(packet, version) == wire
    elif isinstance(packet, PubAck) and len(wire) > 4:
        assert encode_acknowledgement(4, packet, version) == wire


REASON: Any = {"reason_string": "x"}
WRONG: list[tuple[Version, Any, str]] = [
    (5, Connect(None), "a client identifier is a str"),  # type: ignore[arg-type]
    (5, Connect("x" * 65536), "a client identifier of more than 65535 bytes"),
    (5, Connect("\0"), r"\[MQTT-1.5.4-2\]"),
    (5, Connect("\ud800"), r"\[MQTT-1.5.4-1\]"),
    (5, Connect(keep_alive=65536), "a keep alive is from 0 to 65535"),
    (5, Connect(keep_alive=-1), "a keep alive is"),
    (5, Connect(keep_alive=1.5), "a keep alive is"),  # type: ignore[arg-type]
    (5, Connect(username=b"x"), "a user name is a str"),  # type: ignore[arg-type]
    (5, Connect(password="secret"), "^a password is bytes$"),  # type: ignore[arg-type]
    (5, Connect(password=b"secret" * 20000), "^a password of more than 65535 bytes$"),
    (5, Connect(will=Will("w", bytes(65536))), "a will payload of more than 65535 bytes"),
    (5, Connect(will=Will("w", qos=3)), r"\[MQTT-3.1.2-12\]"),
    (5, Connect(will=Will("")), r"\[MQTT-4.7.3-1\]"),
    (5, Connect(properties=REASON), "the property reason_string where it has no place"),
    (4, Connect(properties={"receive_maximum": 1}, version=4), "3.1.1 does not know properties"),
    (4, Connect(will=Will("w", properties={"content_type": "x"}), version=4), "3.1.1 does not"),
    (5, ConnAck(False, ReasonCode.KEEP_ALIVE_TIMEOUT), r"\[MQTT-3.2.2-8\]"),
    (4, ConnAck(False, ReasonCode.NOT_AUTHORIZED), "ConnectReturnCode"),
    (4, ConnAck(False, 0, REASON), "3.1.1 does not know properties"),  # type: ignore[arg-type]
    (5, Subscribe(0, (Subscription("a"),)), r"\[MQTT-2.2.1-3\]"),
    (5, Subscribe(65536, (Subscription("a"),)), "a packet identifier is from 0 to 65535"),
    (5, Subscribe(1, ()), r"\[MQTT-3.8.3-2\]"),
    (5, Subscribe(1, (Subscription("a", 3),)), "QoS is 0, 1 or 2"),
    (5, Subscribe(1, (Subscription("a", retain_handling=3),)), "Retain Handling is 0, 1 or 2"),
    (5, Subscribe(1, (Subscription("a#"),)), r"\[MQTT-4.7.1-1\]"),
    (4, Subscribe(1, (Subscription("a", no_local=True),)), "3.1.1 does not know"),
    (4, Subscribe(1, (Subscription("a"),), {"subscription_identifier": [1]}), "3.1.1 does not"),
    (5, SubAck(1, ()), r"\[MQTT-3.9.3-2\]"),
    (5, SubAck(1, (ReasonCode.BANNED,)), r"\[MQTT-3.9.3-2\]"),
    (4, SubAck(1, (ReasonCode.NOT_AUTHORIZED,)), r"\[MQTT-3.9.3-2\]"),
    (5, Unsubscribe(1, ()), r"\[MQTT-3.10.3-2\]"),
    (5, Unsubscribe(1, ("a+",)), r"\[MQTT-4.7.1-2\]"),
    (5, Unsubscribe(0, ("a",)), r"\[MQTT-2.2.1-3\]"),
    (5, UnsubAck(1, ()), r"\[MQTT-3.11.3-2\]"),
    (4, UnsubAck(1, (ReasonCode.SUCCESS,)), "3.1.1 does not know"),
    (5, Disconnect(ReasonCode.GRANTED_QOS_1), r"\[MQTT-3.14.2-1\]"),
    (4, Disconnect(ReasonCode.UNSPECIFIED_ERROR), "3.1.1 does not know"),
    (5, Auth(ReasonCode.BANNED), r"\[MQTT-3.15.2-1\]"),
]


@pytest.mark.parametrize(("version", "packet", "text"), WRONG)
def test_what_cannot_be_sent(version: Version, packet: Any, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text) as caught:
        encode(packet, version)
    assert "secret" not in str(caught.value)


def test_acknowledgements_that_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError, match=r"a PUBACK has no .* \[MQTT-3.4.2-1\]"):
        encode_acknowledgement(4, PubAck(1, ReasonCode.BANNED), 5)
    with pytest.raises(LocalProtocolError, match=r"3.1.1 does not know"):
        encode_acknowledgement(4, PubAck(1, ReasonCode.SUCCESS, REASON), 4)
    with pytest.raises(LocalProtocolError, match="where it has no place"):
        encode_acknowledgement(4, PubAck(1, ReasonCode.SUCCESS, {"topic_alias": 1}), 5)


def test_a_rule_is_told_as_a_violation() -> None:
    with pytest.raises(Violation, match="the property receive_maximum of 0"):
        encode(Connect(properties={"receive_maximum": 0}), 5)
