"""The packets of which there are few, into their bytes; they have been checked by `_agreement`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError

from ._control_packets import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    PingReq,
    PingResp,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Will,
)
from ._properties import WILL, variable_byte_integer, write_properties, write_text
from ._reason_codes import (
    AUTH_CODES,
    CONNACK_CODES,
    DISCONNECT_CODES,
    PUBACK_CODES,
    PUBREL_CODES,
    SUBACK_CODES,
    SUBACK_RETURN_CODES,
    UNSUBACK_CODES,
    ConnectReturnCode,
    ReasonCode,
)
from ._topics import check_topic_filter, check_topic_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ._packets import Acknowledgement

_PROTOCOL_NAME = b"\0\4MQTT"

__all__ = ["ENCODERS", "encode", "encode_acknowledgement"]


def encode(packet: Any, version: int) -> bytes:
    """Return a packet of `ENCODERS` in bytes.

    Raises:
        LocalProtocolError: it cannot be sent.
        Violation: it has a property that is not allowed.
    """
    kind, flags, body_of = ENCODERS[type(packet)]
    return _packet(kind, flags, body_of(packet, version))


def encode_acknowledgement(kind: int, packet: Acknowledgement, version: int) -> bytes:
    """Return an acknowledgement that has a Reason Code or properties in bytes.

    Raises:
        LocalProtocolError: it cannot be sent.
        Violation: it has a property that is not allowed.
    """
    if version == 4:
        raise _only_in_5("an acknowledgement with a reason code or properties")
    allowed = PUBREL_CODES if kind in (6, 7) else PUBACK_CODES
    name = type(packet).__name__.upper()
    code = _reason_code(packet.reason_code, allowed, name, f"MQTT-3.{kind}.2-1")
    body = packet.packet_id.to_bytes(2, "big") + bytes((code,))
    if packet.properties:
        body += _with_length(packet.properties, kind)
    return _packet(kind, 2 if kind == 6 else 0, body)


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes((kind << 4 | flags,)) + variable_byte_integer(len(body), "a packet") + body


def _connect(packet: Connect, version: int) -> bytes:
    flags = 0x02 if packet.clean_start else 0
    payload = write_text(packet.client_id, "a client identifier")
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | (0x20 if packet.will.retain else 0)
        payload += _will(packet.will, version)
    if packet.username is not None:
        flags |= 0x80
        payload += write_text(packet.username, "a user name")
    if packet.password is not None:
        flags |= 0x40
        payload += _binary(packet.password, "a password")
    head = _PROTOCOL_NAME + bytes((version, flags))
    head += _two_bytes(packet.keep_alive, "a keep alive")
    return head + _properties(packet, 1, version) + payload


def _will(will: Will, version: int) -> bytes:
    if will.qos not in (0, 1, 2):
        raise LocalProtocolError("a will's QoS is 0, 1 or 2 [MQTT-3.1.2-12]")
    check_topic_name(will.topic)
    properties = _properties(will, WILL, version)
    topic = write_text(will.topic, "a will topic")
    return properties + topic + _binary(will.payload, "a will payload")


def _connack(packet: ConnAck, version: int) -> bytes:
    if version == 4:
        if packet.properties:
            raise _only_in_5("properties")
        try:
            code: int = ConnectReturnCode(packet.reason_code)
        except ValueError:
            raise LocalProtocolError("a CONNACK of 3.1.1 has a ConnectReturnCode") from None
        return bytes((1 if packet.session_present else 0, code))
    code = _reason_code(packet.reason_code, CONNACK_CODES, "CONNACK", "MQTT-3.2.2-8")
    return bytes((1 if packet.session_present else 0, code)) + _with_length(packet.properties, 2)


def _subscribe(packet: Subscribe, version: int) -> bytes:
    if not packet.subscriptions:
        raise LocalProtocolError("a SUBSCRIBE has at least one topic filter [MQTT-3.8.3-2]")
    body = _two_bytes(packet.packet_id, "a packet identifier") + _properties(packet, 8, version)
    return body + b"".join(_subscription(item, version) for item in packet.subscriptions)


def _subscription(item: Subscription, version: int) -> bytes:
    topic_filter = _topic_filter(item.topic_filter)
    if item.qos not in (0, 1, 2):
        raise LocalProtocolError("a subscription's QoS is 0, 1 or 2")
    if item.retain_handling not in (0, 1, 2):
        raise LocalProtocolError("Retain Handling is 0, 1 or 2")
    options = item.qos | item.retain_handling << 4
    options |= (0x04 if item.no_local else 0) | (0x08 if item.retain_as_published else 0)
    if version == 4 and options > 2:
        raise _only_in_5("subscription options but QoS")
    return topic_filter + bytes((options,))


def _suback(packet: SubAck, version: int) -> bytes:
    allowed = SUBACK_CODES if version == 5 else SUBACK_RETURN_CODES
    codes = _reason_codes(packet.reason_codes, allowed, "SUBACK", "MQTT-3.9.3-2")
    head = _two_bytes(packet.packet_id, "a packet identifier")
    return head + _properties(packet, 9, version) + codes


def _unsubscribe(packet: Unsubscribe, version: int) -> bytes:
    if not packet.topic_filters:
        raise LocalProtocolError("an UNSUBSCRIBE has at least one topic filter [MQTT-3.10.3-2]")
    body = _two_bytes(packet.packet_id, "a packet identifier") + _properties(packet, 10, version)
    return body + b"".join(map(_topic_filter, packet.topic_filters))


def _topic_filter(topic_filter: str) -> bytes:
    check_topic_filter(topic_filter)
    return write_text(topic_filter, "a topic filter")


def _unsuback(packet: UnsubAck, version: int) -> bytes:
    head = _two_bytes(packet.packet_id, "a packet identifier")
    if version == 4:
        if packet.reason_codes or packet.properties:
            raise _only_in_5("an UNSUBACK with reason codes or properties")
        return head
    codes = _reason_codes(packet.reason_codes, UNSUBACK_CODES, "UNSUBACK", "MQTT-3.11.3-2")
    return head + _with_length(packet.properties, 11) + codes


def _ping(packet: PingReq | PingResp, version: int) -> bytes:
    return b""


def _disconnect(packet: Disconnect, version: int) -> bytes:
    allowed = DISCONNECT_CODES["client"] | DISCONNECT_CODES["server"]
    return _code_and_properties(packet, 14, version, allowed, "DISCONNECT", "MQTT-3.14.2-1")


def _auth(packet: Auth, version: int) -> bytes:
    allowed = AUTH_CODES["client"] | AUTH_CODES["server"]
    return _code_and_properties(packet, 15, version, allowed, "AUTH", "MQTT-3.15.2-1")


def _code_and_properties(
    packet: Disconnect | Auth,
    kind: int,
    version: int,
    allowed: Collection[ReasonCode],
    name: str,
    statement: str,
) -> bytes:
    code = _reason_code(packet.reason_code, allowed, name, statement)
    if version == 4:
        if code or packet.properties:
            raise _only_in_5(f"a {name} with a reason code or properties")
        return b""
    if not packet.properties:
        return bytes((code,)) if code else b""
    return bytes((code,)) + _with_length(packet.properties, kind)


def _properties(packet: Any, kind: int, version: int) -> bytes:
    if version == 5:
        return _with_length(packet.properties, kind)
    if packet.properties:
        raise _only_in_5("properties")
    return b""


def _with_length(properties: Any, kind: int) -> bytes:
    if not properties:
        return b"\0"
    block = write_properties(properties, kind)
    return variable_byte_integer(len(block), "properties") + block


def _only_in_5(what: str) -> LocalProtocolError:
    return LocalProtocolError(f"3.1.1 does not know {what}")


def _two_bytes(number: int, name: str) -> bytes:
    if not isinstance(number, int) or not 0 <= number <= 65535:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LocalProtocolError(f"{name} is from 0 to 65535")
    if number == 0 and name == "a packet identifier":
        raise LocalProtocolError("a packet identifier is not 0 [MQTT-2.2.1-3]")
    return number.to_bytes(2, "big")


def _binary(data: bytes, name: str) -> bytes:
    if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LocalProtocolError(f"{name} is bytes")
    if len(data) > 65535:
        raise LocalProtocolError(f"{name} of more than 65535 bytes")
    return len(data).to_bytes(2, "big") + data


def _reason_code(value: int, allowed: Collection[ReasonCode], name: str, statement: str) -> int:
    if value not in allowed:
        raise LocalProtocolError(f"a {name} has no reason code {value!r} [{statement}]")
    return int(value)


def _reason_codes(
    values: Collection[int], allowed: Collection[ReasonCode], name: str, statement: str
) -> bytes:
    if not values:
        raise LocalProtocolError(f"a {name} has at least one reason code [{statement}]")
    return bytes([_reason_code(value, allowed, name, statement) for value in values])


# By class: the Control Packet type of §2.1.2, the flags of §2.1.3, and what makes the rest.
ENCODERS: dict[type, tuple[int, int, Callable[[Any, int], bytes]]] = {
    Connect: (1, 0, _connect),
    ConnAck: (2, 0, _connack),
    Subscribe: (8, 2, _subscribe),
    SubAck: (9, 0, _suback),
    Unsubscribe: (10, 2, _unsubscribe),
    UnsubAck: (11, 0, _unsuback),
    PingReq: (12, 0, _ping),
    PingResp: (13, 0, _ping),
    Disconnect: (14, 0, _disconnect),
    Auth: (15, 0, _auth),
}
