"""The other packets as objects."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    PingReq,
    ReasonCode,
    Subscribe,
    Subscription,
    Topic,
    UnsubAck,
    Will,
)


def test_secrets_are_in_no_repr() -> None:
    will = Will("w", b"secret", properties={"correlation_data": b"secret"})
    method: Any = {"authentication_method": "m", "authentication_data": b"secret"}
    packets = [
        Connect("me", username="name", password=b"secret", will=will, properties=method),
        ConnAck(properties=method),
        Auth(properties=method),
    ]
    for packet in packets:
        assert "secret" not in repr(packet)
    assert "name" in repr(packets[0])


def test_defaults() -> None:
    assert Connect() == Connect("", True, 0, None, None, None, {}, 5)
    assert ConnAck() == ConnAck(False, ReasonCode.SUCCESS, {})
    assert Subscription("a") == Subscription("a", 0, False, False, 0)
    assert UnsubAck(1).reason_codes == ()
    assert Disconnect().reason_code is ReasonCode.NORMAL_DISCONNECTION
    assert Disconnect().properties is not Disconnect().properties
    assert PingReq() == PingReq()


def test_they_are_frozen() -> None:
    packet = Subscribe(1, ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        packet.packet_id = 2  # type: ignore[misc]


def test_a_will_has_a_topic() -> None:
    assert type(Will("a/b").topic) is Topic
    with pytest.raises(LocalProtocolError, match="wildcard"):
        Will("a/+")
