"""What a peer may not send: each rule of the standard, with the number that it has there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.protocols.mqtt._pair import block, identifier, packet
from wirekit.protocols.mqtt import Properties, ReasonCode

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import Role, Version

MALFORMED = ReasonCode.MALFORMED_PACKET
PROTOCOL = ReasonCode.PROTOCOL_ERROR
TOPIC_NAME = ReasonCode.TOPIC_NAME_INVALID
TOPIC_FILTER = ReasonCode.TOPIC_FILTER_INVALID
ALIAS = ReasonCode.TOPIC_ALIAS_INVALID
TOO_LARGE = ReasonCode.PACKET_TOO_LARGE
TOO_MANY = ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
VERSION = ReasonCode.UNSUPPORTED_PROTOCOL_VERSION


@dataclass(frozen=True)
class Fault:
    """Bytes that break a rule.

    Attributes:
        statement: the number of the rule, "" if it has none.
        reason_code: which the connection is to be ended with.
        data: the bytes.
        role: of who receives them.
        version: of the connection.
        told: what the receiver told of what it accepts.
        stage: "begun" before there was a CONNECT, "connecting" before CONNACK, or "open".
    """

    statement: str
    reason_code: ReasonCode
    data: bytes
    role: Role = "client"
    version: Version = 5
    told: Properties = field(default_factory=Properties)
    stage: str = "open"


def first(statement: str, code: ReasonCode, data: bytes, *, version: Version = 5) -> Fault:
    """Return a fault in what a server receives first."""
    return Fault(statement, code, data, "server", version, stage="begun")


def answer(statement: str, code: ReasonCode, data: bytes, *, version: Version = 5) -> Fault:
    """Return a fault in what a client receives where CONNACK is due."""
    return Fault(statement, code, data, version=version, stage="connecting")


def publish(*parts: bytes | int | str, first: int = 0x30) -> bytes:
    return packet(first, *parts)


def with_property(*parts: bytes | int | str) -> bytes:
    """Return a PUBLISH with these properties."""
    return packet(0x30, "a", block(*parts))


def connect(
    flags: int = 0x02,
    *payload: bytes | int | str,
    name: str = "MQTT",
    level: int = 5,
    properties: bytes = b"\0",
) -> bytes:
    rest = properties if level == 5 else b""
    return packet(0x10, name, level, flags, b"\0\0", rest, *payload)


def connack(*parts: bytes | int | str, flags: int = 0, code: int = 0) -> bytes:
    return packet(0x20, flags, code, block(*parts))


def subscribe(*parts: bytes | int | str) -> bytes:
    return packet(0x82, identifier(1), 0, *parts)


SURROGATE = b"\0\3\xed\xa0\x80"
OVERLONG = b"\0\2\xc0\x80"
NUL = b"\0\3a\0b"

ANY_PUBLISH = [
    # Mqtt5, zmqtt and paho accept these.
    Fault("MQTT-1.5.4-2", MALFORMED, publish(NUL, 0)),
    Fault("MQTT-3.3.2-2", TOPIC_NAME, publish("a/+", 0)),
    Fault("MQTT-3.3.2-2", TOPIC_NAME, publish("a/#", 0)),
    Fault("MQTT-3.3.2-2", TOPIC_NAME, publish("a+b", 0)),
    Fault("MQTT-1.5.4-1", MALFORMED, publish(b"\0\1\xff", 0)),
    Fault("MQTT-1.5.4-1", MALFORMED, publish(SURROGATE, 0)),
    Fault("MQTT-1.5.4-1", MALFORMED, publish(OVERLONG, 0)),
    Fault("MQTT-1.5.4-1", MALFORMED, publish(b"\0\4\xf4\x90\x80\x80", 0)),
    Fault("MQTT-2.2.1-4", PROTOCOL, publish("a", b"\0\0", 0, first=0x32)),
    Fault("MQTT-2.2.1-4", PROTOCOL, publish("a", b"\0\0", 0, first=0x34)),
    Fault("MQTT-2.2.1-3", PROTOCOL, publish("a", b"\0\0", 0, first=0x32), "server"),
    Fault("MQTT-3.3.1-2", MALFORMED, publish("a", 0, first=0x38)),
    Fault("MQTT-3.3.1-4", MALFORMED, publish("a", b"\0\1", 0, first=0x36)),
    Fault("MQTT-4.7.3-1", PROTOCOL, publish("", 0)),
    Fault("MQTT-1.5.5-1", MALFORMED, b"\x30\x84\x00\0\1a\0"),
    Fault("MQTT-1.5.5-1", MALFORMED, b"\x30\x84\x80\x80\x00\0\1a\0"),
    Fault("MQTT-1.5.5-1", MALFORMED, b"\x30\xff\xff\xff\xff\x01"),
    Fault("MQTT-1.5.5-1", MALFORMED, publish("a", b"\x80\x00")),
    Fault("MQTT-1.5.5-1", MALFORMED, publish("a", b"\x80\x80\x80\x80\x00")),
    # Lengths that lie: each as soon as it is there.
    Fault("", MALFORMED, packet(0x30)),
    Fault("", MALFORMED, packet(0x30, b"\0")),
    Fault("", MALFORMED, b"\x30\x05\x00\x09"),
    Fault("", MALFORMED, b"\x32\x05\x00\x03a"[:4]),
    Fault("", MALFORMED, b"\x30\x03\x00\x01a"),
    Fault("", MALFORMED, b"\x30\x04\x00\x01a\x80"),
    Fault("", MALFORMED, b"\x30\x06\x00\x01a\x05"),
    # The properties of §3.3.2.3
    Fault("", MALFORMED, with_property(0x00)),
    Fault("", MALFORMED, with_property(0x7F)),
    Fault("", MALFORMED, with_property(0x80, 0x01)),
    Fault("MQTT-1.5.5-1", MALFORMED, with_property(0x81, 0x00, 0x01)),
    Fault("", MALFORMED, with_property(0x21, b"\0\1")),
    Fault("", MALFORMED, with_property(0x11, b"\0\0\0\1")),
    Fault("", MALFORMED, with_property(0x1F, "why")),
    Fault("", MALFORMED, with_property(0x18, b"\0\0\0\1")),
    Fault("", MALFORMED, with_property(0x01)),
    Fault("", MALFORMED, with_property(0x02, b"\0\0\0")),
    Fault("", MALFORMED, with_property(0x03, b"\0\5abcd")),
    Fault("", MALFORMED, with_property(0x09, b"\xff\xff")),
    Fault("", MALFORMED, with_property(0x0B, b"\x80")),
    Fault("", MALFORMED, with_property(0x26, "name")),
    Fault("", PROTOCOL, with_property(0x01, 2)),
    Fault("", PROTOCOL, with_property(0x01, 1, 0x01, 1)),
    Fault("", PROTOCOL, with_property(0x02, b"\0\0\0\1", 0x02, b"\0\0\0\1")),
    Fault("", PROTOCOL, with_property(0x03, "a", 0x03, "b")),
    Fault("", PROTOCOL, with_property(0x08, "a", 0x08, "b")),
    Fault("", PROTOCOL, with_property(0x09, "a", 0x09, "b")),
    Fault(
        "", PROTOCOL, with_property(0x23, b"\0\1", 0x23, b"\0\1"), told={"topic_alias_maximum": 1}
    ),
    Fault("", PROTOCOL, with_property(0x0B, 0)),
    Fault("MQTT-1.5.5-1", MALFORMED, with_property(0x0B, b"\x81\x00")),
    Fault("MQTT-1.5.5-1", MALFORMED, with_property(0x0B, b"\xff\xff\xff\xff\x7f")),
    Fault("MQTT-3.3.2-14", TOPIC_NAME, with_property(0x08, "a/+")),
    Fault("MQTT-1.5.4-1", MALFORMED, with_property(0x08, SURROGATE)),
    Fault("MQTT-1.5.4-2", MALFORMED, with_property(0x08, NUL)),
    Fault("MQTT-1.5.4-1", MALFORMED, with_property(0x03, SURROGATE)),
    Fault("MQTT-1.5.4-2", MALFORMED, with_property(0x03, NUL)),
    Fault("MQTT-1.5.4-1", MALFORMED, with_property(0x26, "a", OVERLONG)),
    Fault("MQTT-1.5.4-2", MALFORMED, with_property(0x26, NUL, "b")),
    # Topic Aliases
    Fault("MQTT-3.3.2-8", ALIAS, with_property(0x23, b"\0\0"), told={"topic_alias_maximum": 9}),
    Fault("MQTT-3.1.2-26", ALIAS, with_property(0x23, b"\0\1")),
    Fault("MQTT-3.1.2-26", ALIAS, with_property(0x23, b"\0\3"), told={"topic_alias_maximum": 2}),
    Fault("MQTT-3.2.2-17", ALIAS, with_property(0x23, b"\0\1"), "server"),
    Fault(
        *("", PROTOCOL, publish("", block(0x23, b"\0\2")), "client"),
        told={"topic_alias_maximum": 2},
    ),
    # What was told not to be accepted
    Fault(
        "MQTT-3.2.2-11",
        ReasonCode.QOS_NOT_SUPPORTED,
        publish("a", b"\0\1", 0, first=0x34),
        "server",
        told={"maximum_qos": 1},
    ),
    Fault(
        "MQTT-3.2.2-14",
        ReasonCode.RETAIN_NOT_SUPPORTED,
        publish("a", 0, first=0x31),
        "server",
        told={"retain_available": 0},
    ),
    Fault("MQTT-3.3.4-6", PROTOCOL, with_property(0x0B, 1), "server"),
    Fault("MQTT-3.1.2-24", TOO_LARGE, b"\x30\x80\x08", told={"maximum_packet_size": 1024}),
    Fault("MQTT-3.1.2-24", TOO_LARGE, b"\xd0\xff\xff\xff\x7f"),
    Fault("MQTT-3.2.2-15", TOO_LARGE, b"\x30\x17", "server", told={"maximum_packet_size": 24}),
    Fault(
        *("MQTT-3.3.4-9", TOO_MANY),
        publish("a", b"\0\1", 0, first=0x32) + publish("a", b"\0\2", 0, first=0x34),
        told={"receive_maximum": 1},
    ),
    Fault(
        *("MQTT-3.3.4-7", TOO_MANY),
        publish("a", b"\0\1", 0, first=0x34) + publish("a", b"\0\2", 0, first=0x32),
        "server",
        told={"receive_maximum": 1},
    ),
]

ACKNOWLEDGEMENTS = [
    Fault("", MALFORMED, packet(0x40)),
    Fault("", MALFORMED, packet(0x40, b"\1")),
    Fault("MQTT-2.2.1-5", PROTOCOL, packet(0x40, b"\0\0")),
    Fault("MQTT-2.2.1-5", PROTOCOL, packet(0x62, b"\0\0")),
    Fault("MQTT-3.4.2-1", PROTOCOL, packet(0x40, b"\0\1", 0x01)),
    Fault("MQTT-3.4.2-1", PROTOCOL, packet(0x40, b"\0\1", 0x92)),
    Fault("MQTT-3.5.2-1", PROTOCOL, packet(0x50, b"\0\1", 0x81)),
    Fault("MQTT-3.6.2-1", PROTOCOL, packet(0x62, b"\0\1", 0x80)),
    Fault("MQTT-3.7.2-1", PROTOCOL, packet(0x70, b"\0\1", 0x10)),
    Fault("MQTT-3.6.1-1", MALFORMED, packet(0x60, b"\0\1")),
    Fault("MQTT-3.6.1-1", MALFORMED, packet(0x6A, b"\0\1")),
    Fault("MQTT-2.1.3-1", MALFORMED, packet(0x42, b"\0\1")),
    Fault("MQTT-2.1.3-1", MALFORMED, packet(0x51, b"\0\1")),
    Fault("MQTT-2.1.3-1", MALFORMED, packet(0x78, b"\0\1")),
    Fault("", MALFORMED, packet(0x40, b"\0\1", 0, 9)),
    Fault("", MALFORMED, packet(0x40, b"\0\1", 0, 0, 0)),
    Fault("", MALFORMED, packet(0x40, b"\0\1", 0, block(0x01, 1))),
    Fault("", PROTOCOL, packet(0x40, b"\0\1", 0, block(0x1F, "a", 0x1F, "b"))),
    Fault(
        *("MQTT-3.1.2-29", PROTOCOL, packet(0x40, b"\0\1", 0, block(0x1F, "a"))),
        told={"request_problem_information": 0},
    ),
    Fault(
        *("MQTT-3.1.2-29", PROTOCOL, packet(0x90, b"\0\1", block(0x26, "a", "b"), 0)),
        told={"request_problem_information": 0},
    ),
]

OF_CLIENTS = [
    first("MQTT-3.1.0-1", PROTOCOL, packet(0x30, "a", 0)),
    first("MQTT-3.1.0-1", PROTOCOL, packet(0xC0)),
    first("MQTT-3.1.0-1", PROTOCOL, b"GET / HTTP/1.1\r\n"),
    first("", MALFORMED, b"\x00\x00"),
    Fault("MQTT-3.1.0-2", PROTOCOL, connect(2, "me"), "server"),
    first("MQTT-3.1.2-1", VERSION, connect(2, "me", name="MQTx")),
    first("MQTT-3.1.2-1", VERSION, connect(2, "me", name="MQIsdp", level=3)),
    first("MQTT-3.1.2-2", VERSION, connect(2, "me", level=6)),
    first("MQTT-3.1.2-2", VERSION, connect(2, "me", level=3)),
    first("MQTT-3.1.2-2", VERSION, connect(2, "me", level=4)),
    first("MQTT-3.1.2-3", MALFORMED, connect(3, "me")),
    first("MQTT-2.1.3-1", MALFORMED, packet(0x11, "MQTT", 5, 2, b"\0\0", 0, "me")),
    first("MQTT-3.1.2-11", MALFORMED, connect(0x08, "me")),
    first("MQTT-3.1.2-12", MALFORMED, connect(0x1C, "me", 0, "w", b"\0\0")),
    first("MQTT-3.1.2-13", MALFORMED, connect(0x20, "me")),
    first("", MALFORMED, connect(0x04, "me")),  # MQTT-3.1.2-9
    first("", MALFORMED, connect(0x02)),  # MQTT-3.1.3-3
    first("", MALFORMED, connect(0x82, "me")),  # MQTT-3.1.2-17
    first("", MALFORMED, connect(0x02, "me", "name")),  # MQTT-3.1.2-16
    first("", MALFORMED, connect(0x42, "me")),  # MQTT-3.1.2-19
    first("MQTT-1.5.4-1", MALFORMED, connect(0x02, SURROGATE)),
    first("MQTT-1.5.4-2", MALFORMED, connect(0x02, NUL)),
    first("MQTT-1.5.4-1", MALFORMED, connect(0x82, "me", b"\0\1\xff")),
    first("MQTT-4.7.0-1", TOPIC_NAME, connect(0x06, "me", 0, "w/+", "")),
    first("MQTT-4.7.3-1", TOPIC_NAME, connect(0x06, "me", 0, "", "")),
    first("", MALFORMED, connect(0x06, "me", block(0x23, b"\0\1"), "w", "")),
    first("", PROTOCOL, connect(2, "me", properties=block(0x21, b"\0\0"))),
    first("", PROTOCOL, connect(2, "me", properties=block(0x27, b"\0" * 4))),
    first("", PROTOCOL, connect(2, "me", properties=block(0x17, 2))),
    first("", PROTOCOL, connect(2, "me", properties=block(0x19, 9))),
    first("", PROTOCOL, connect(2, "me", properties=block(0x16, "data"))),
    first("", MALFORMED, connect(2, "me", properties=block(0x24, 1))),
    Fault("MQTT-3.8.1-1", MALFORMED, packet(0x80, b"\0\1", 0, "a", 0), "server"),
    Fault("MQTT-3.10.1-1", MALFORMED, packet(0xA0, b"\0\1", 0, "a"), "server"),
    Fault("MQTT-3.8.3-2", PROTOCOL, subscribe(), "server"),
    Fault("MQTT-3.10.3-2", PROTOCOL, packet(0xA2, b"\0\1", 0), "server"),
    Fault("MQTT-2.2.1-3", PROTOCOL, packet(0x82, b"\0\0", 0, "a", 0), "server"),
    Fault("MQTT-2.2.1-3", PROTOCOL, packet(0xA2, b"\0\0", 0, "a"), "server"),
    Fault("MQTT-3.8.3-5", MALFORMED, subscribe("a", 0x40), "server"),
    Fault("MQTT-3.8.3-5", MALFORMED, subscribe("a", 0x80), "server"),
    Fault("", PROTOCOL, subscribe("a", 0x03), "server"),
    Fault("", PROTOCOL, subscribe("a", 0x30), "server"),
    Fault("MQTT-3.8.3-4", PROTOCOL, subscribe("$share/g/a", 0x04), "server"),
    Fault("", MALFORMED, subscribe("a"), "server"),
    Fault("MQTT-1.5.4-1", MALFORMED, subscribe(SURROGATE, 0), "server"),
    Fault("MQTT-1.5.4-2", MALFORMED, subscribe(NUL, 0), "server"),
    Fault("MQTT-4.7.3-1", TOPIC_FILTER, subscribe("", 0), "server"),
    Fault("MQTT-4.7.1-1", TOPIC_FILTER, subscribe("a/#/b", 0), "server"),
    Fault("MQTT-4.7.1-1", TOPIC_FILTER, subscribe("a#", 0), "server"),
    Fault("MQTT-4.7.1-2", TOPIC_FILTER, subscribe("a+/b", 0), "server"),
    Fault("MQTT-4.8.2-1", TOPIC_FILTER, subscribe("$share//a", 0), "server"),
    Fault("MQTT-4.8.2-2", TOPIC_FILTER, subscribe("$share/g+/a", 0), "server"),
    Fault("MQTT-4.8.2-2", TOPIC_FILTER, subscribe("$share/g", 0), "server"),
    Fault("MQTT-4.8.2-2", TOPIC_FILTER, subscribe("$share/g/", 0), "server"),
    Fault("MQTT-4.7.1-1", TOPIC_FILTER, packet(0xA2, b"\0\1", 0, "a/b#"), "server"),
    Fault("", PROTOCOL, packet(0x82, b"\0\1", block(0x0B, 1, 0x0B, 2), "a", 0), "server"),
    Fault(
        "",
        ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        packet(0x82, b"\0\1", block(0x0B, 1), "a", 0),
        "server",
        told={"subscription_identifier_available": 0},
    ),
    Fault(
        "",
        ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        subscribe("a/+", 0),
        "server",
        told={"wildcard_subscription_available": 0},
    ),
    Fault(
        "",
        ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        subscribe("$share/g/a", 0),
        "server",
        told={"shared_subscription_available": 0},
    ),
    Fault("MQTT-2.1.3-1", MALFORMED, packet(0xC1), "server"),
    Fault("", MALFORMED, packet(0xC0, 0), "server"),
    Fault("MQTT-3.14.2-1", PROTOCOL, packet(0xE0, 0x8B), "server"),
    Fault("", PROTOCOL, packet(0xE0, 0, block(0x11, b"\0\0\0\1")), "server"),
    Fault("MQTT-3.14.4-1", PROTOCOL, packet(0xE0) + packet(0xC0), "server"),
    Fault("MQTT-4.12.0-7", PROTOCOL, packet(0xF0, 0x18, block(0x15, "m")), "server"),
    *[Fault("", PROTOCOL, packet(first), "server") for first in (0x20, 0x90, 0xB0, 0xD0)],
]

OF_SERVERS = [
    Fault("", PROTOCOL, connack(), stage="begun"),
    answer("MQTT-3.2.0-1", PROTOCOL, packet(0xD0)),
    answer("MQTT-3.2.0-1", PROTOCOL, publish("a", 0)),
    answer("MQTT-3.14.0-1", PROTOCOL, packet(0xE0, 0x8B)),
    answer("MQTT-4.12.0-6", PROTOCOL, packet(0xF0, 0x18, block(0x15, "m"))),
    Fault("MQTT-3.2.0-2", PROTOCOL, connack()),
    answer("MQTT-3.2.2-1", MALFORMED, connack(flags=2)),
    answer("MQTT-3.2.2-1", MALFORMED, connack(flags=0x80)),
    answer("MQTT-3.2.2-2", PROTOCOL, connack(flags=1)),
    answer("MQTT-3.2.2-6", PROTOCOL, connack(flags=1, code=0x87)),
    answer("MQTT-3.2.2-8", PROTOCOL, connack(code=0x01)),
    answer("MQTT-3.2.2-8", PROTOCOL, connack(code=0x8B)),
    answer("MQTT-3.2.2-7", PROTOCOL, connack(code=0x87) + packet(0xD0)),
    answer("MQTT-3.1.2-28", PROTOCOL, connack(0x1A, "info")),
    answer("MQTT-4.12.0-6", PROTOCOL, connack(0x15, "m")),
    answer("", PROTOCOL, connack(0x16, "data")),
    answer("", PROTOCOL, connack(0x21, b"\0\0")),
    answer("", PROTOCOL, connack(0x27, b"\0\0\0\0")),
    answer("", PROTOCOL, connack(0x24, 2)),
    *[answer("", PROTOCOL, connack(name, 2)) for name in b"\x25\x28\x29\x2a"],
    answer("", PROTOCOL, connack(0x22, b"\0\1", 0x22, b"\0\1")),
    answer("", MALFORMED, connack(0x17, 1)),
    answer("", MALFORMED, packet(0x20, 0)),
    answer("", MALFORMED, packet(0x20, 0, 0)),  # MQTT-2.2.2-1
    answer("", MALFORMED, packet(0x20, 0, 0, 0, 0)),
    Fault("MQTT-2.2.1-6", PROTOCOL, packet(0x90, b"\0\0", 0, 0)),
    Fault("MQTT-2.2.1-6", PROTOCOL, packet(0xB0, b"\0\0", 0, 0)),
    Fault("MQTT-3.9.3-2", PROTOCOL, packet(0x90, b"\0\1", 0, 0x03)),
    Fault("MQTT-3.9.3-2", PROTOCOL, packet(0x90, b"\0\1", 0)),
    Fault("MQTT-3.11.3-2", PROTOCOL, packet(0xB0, b"\0\1", 0, 0x01)),
    Fault("MQTT-3.11.3-2", PROTOCOL, packet(0xB0, b"\0\1", 0)),
    Fault("", MALFORMED, packet(0xD0, 0)),
    Fault("MQTT-2.1.3-1", MALFORMED, packet(0xD8)),
    Fault("MQTT-3.14.1-1", MALFORMED, packet(0xE1)),
    Fault("MQTT-3.14.2-1", PROTOCOL, packet(0xE0, 0x04)),
    Fault("MQTT-3.14.2-1", PROTOCOL, packet(0xE0, 0x01)),
    Fault("MQTT-3.14.2-1", PROTOCOL, packet(0xE0, 0xA3)),
    Fault("MQTT-3.14.2-2", PROTOCOL, packet(0xE0, 0, block(0x11, b"\0\0\0\0"))),
    Fault("", MALFORMED, packet(0xE0, 0, 0, 0)),
    Fault("MQTT-3.14.4-1", PROTOCOL, packet(0xE0) + packet(0xD0)),
    Fault("MQTT-3.15.1-1", MALFORMED, packet(0xF1), told={"authentication_method": "m"}),
    Fault("MQTT-4.12.0-6", PROTOCOL, packet(0xF0)),
    Fault("", MALFORMED, b"\x00\x00"),
    # What only a client may send
    *[Fault("", PROTOCOL, packet(first)) for first in (0x10, 0x82, 0xA2, 0xC0)],
]

# The same and others in 3.1.1, whose numbers are its own.
OF_3_1_1 = [
    Fault("MQTT-1.5.3-1", MALFORMED, publish(SURROGATE), version=4),
    Fault("MQTT-1.5.3-2", MALFORMED, publish(NUL), version=4),
    Fault("MQTT-2.2.2-1", MALFORMED, packet(0x41, b"\0\1"), version=4),
    Fault("MQTT-2.3.1-1", PROTOCOL, publish("a", b"\0\0", first=0x32), version=4),
    Fault("MQTT-2.3.1-6", PROTOCOL, packet(0x40, b"\0\0"), version=4),
    Fault("MQTT-2.3.1-7", PROTOCOL, packet(0x90, b"\0\0", 0), version=4),
    Fault("", MALFORMED, b"\xd0\x80\x00", version=4),
    Fault("MQTT-3.3.1-2", MALFORMED, publish("a", first=0x38), version=4),
    Fault("MQTT-3.3.1-4", MALFORMED, publish("a", first=0x36), version=4),
    Fault("MQTT-3.3.2-2", TOPIC_NAME, publish("#"), version=4),
    Fault("MQTT-4.7.3-1", PROTOCOL, publish(""), version=4),
    Fault("MQTT-3.6.1-1", MALFORMED, packet(0x60, b"\0\1"), version=4),
    Fault("", MALFORMED, packet(0x40, b"\0\1", 0), version=4),
    Fault("MQTT-3.9.3-2", PROTOCOL, packet(0x90, b"\0\1", 0x87), version=4),
    Fault("", MALFORMED, packet(0xB0, b"\0\1", 0), version=4),
    Fault("", PROTOCOL, packet(0xE0), version=4),
    Fault("", MALFORMED, packet(0xF0), version=4),
    Fault("", MALFORMED, packet(0xF0), "server", version=4),
    answer("MQTT-3.2.0-1", PROTOCOL, packet(0xD0), version=4),
    answer("MQTT-3.2.2-1", PROTOCOL, packet(0x20, 1, 0), version=4),
    answer("MQTT-3.2.2-4", PROTOCOL, packet(0x20, 1, 5), version=4),
    answer("", PROTOCOL, packet(0x20, 0, 6), version=4),
    answer("", MALFORMED, packet(0x20, 0, 0, 0), version=4),
    answer("MQTT-3.2.2-5", PROTOCOL, packet(0x20, 0, 5) + packet(0xD0), version=4),
    first("MQTT-3.1.2-2", VERSION, connect(2, "me"), version=4),
    first("MQTT-3.1.2-13", MALFORMED, connect(8, "me", level=4), version=4),
    first("MQTT-3.1.2-14", MALFORMED, connect(0x1C, "me", level=4), version=4),
    first("MQTT-3.1.2-15", MALFORMED, connect(0x20, "me", level=4), version=4),
    first("MQTT-3.1.2-22", MALFORMED, connect(0x42, "me", "p", level=4), version=4),
    first(
        *("MQTT-3.1.3-8", ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, connect(0, "", level=4)),
        version=4,
    ),
    first("MQTT-4.7.1-1", TOPIC_NAME, connect(6, "me", "w/+", "", level=4), version=4),
    Fault("MQTT-3.8.1-1", MALFORMED, packet(0x80, b"\0\1", "a", 0), "server", version=4),
    Fault("MQTT-3.8.3-3", PROTOCOL, packet(0x82, b"\0\1"), "server", version=4),
    Fault("MQTT-3.8.3-4", MALFORMED, packet(0x82, b"\0\1", "a", 0x04), "server", version=4),
    Fault("MQTT-3.8.3-4", PROTOCOL, packet(0x82, b"\0\1", "a", 0x03), "server", version=4),
    Fault("MQTT-4.7.1-2", TOPIC_FILTER, packet(0x82, b"\0\1", "#/a", 0), "server", version=4),
    Fault("MQTT-4.7.1-3", TOPIC_FILTER, packet(0x82, b"\0\1", "+a", 0), "server", version=4),
    Fault("MQTT-3.10.1-1", MALFORMED, packet(0xA0, b"\0\1", "a"), "server", version=4),
    Fault("MQTT-3.10.3-2", PROTOCOL, packet(0xA2, b"\0\1"), "server", version=4),
    Fault("MQTT-3.14.1-1", MALFORMED, packet(0xE8), "server", version=4),
    Fault("", MALFORMED, packet(0xE0, 0), "server", version=4),
]  # fmt: skip

FAULTS = [*ANY_PUBLISH, *ACKNOWLEDGEMENTS, *OF_CLIENTS, *OF_SERVERS, *OF_3_1_1]
