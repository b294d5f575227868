"""The packets of which there are few, out of their bytes: what §3 says of each one's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from ._faults import Violation, malformed, protocol_error
from ._properties import WILL, read_properties
from ._reason_codes import (
    AUTH_CODES,
    CONNACK_CODES,
    DISCONNECT_CODES,
    SUBACK_CODES,
    SUBACK_RETURN_CODES,
    UNSUBACK_CODES,
    ConnectReturnCode,
    ReasonCode,
)
from ._topics import Topic, check_filter, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ._control_packets import Packet
    from ._properties import Properties
    from ._reader import Reader

__all__ = ["DECODERS", "reason_code"]

_PROTOCOL_NAME = b"MQTT"
_PING_REQ = PingReq()
_PING_RESP = PingResp()


def _connect(reader: Reader, version: int) -> Connect:
    """Read a CONNECT of whichever version it is; ``version`` is of no interest."""
    if reader.binary_data("the protocol name") != _PROTOCOL_NAME:
        raise _unsupported("a protocol name other than MQTT", "MQTT-3.1.2-1")
    level = reader.byte("the protocol version")
    if level not in (4, 5):
        raise _unsupported(f"protocol version {level}", "MQTT-3.1.2-2")
    flags = reader.byte("the connect flags")
    keep_alive = reader.two_byte_integer("the keep alive")
    properties = _properties(reader, 1, level)
    _check_connect_flags(flags, level)
    client_id = reader.text("a client identifier")
    return Connect(
        client_id,
        clean_start=flags & 0x02 != 0,
        keep_alive=keep_alive,
        will=_will(reader, flags, level) if flags & 0x04 else None,
        username=reader.text("a user name") if flags & 0x80 else None,
        password=reader.binary_data("a password") if flags & 0x40 else None,
        properties=properties,
        version=5 if level == 5 else 4,
    )


def _unsupported(text: str, statement: str) -> Violation:
    return Violation(text, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, statement)


def _check_connect_flags(flags: int, version: int) -> None:
    if flags & 0x01:
        raise malformed("a CONNECT with its reserved flag", "MQTT-3.1.2-3")
    if flags & 0x18 == 0x18:
        raise malformed("a will of QoS 3", "MQTT-3.1.2-12")
    if not flags & 0x04:
        if flags & 0x18:
            raise malformed("a will's QoS without a will", "MQTT-3.1.2-11")
        if flags & 0x20:
            raise malformed("a will's RETAIN without a will", "MQTT-3.1.2-13")
    if version == 4 and flags & 0xC0 == 0x40:
        raise malformed("a password without a user name", "MQTT-3.1.2-22")


def _will(reader: Reader, flags: int, version: int) -> Will:
    properties = _properties(reader, WILL, version)
    name = reader.text("a will topic")
    check_name(name, "MQTT-4.7.0-1")
    payload = reader.binary_data("a will payload")
    return Will(Topic(name), payload, flags >> 3 & 3, flags & 0x20 != 0, properties)


# A server that knows 3.1.1 alone refuses in its own words (3.1.1, [MQTT-3.1.2-2]).
_RETURN_CODES = frozenset(code for code in ConnectReturnCode if code.is_failure)


def _connack(reader: Reader, version: int) -> ConnAck:
    flags = reader.byte("the connect acknowledge flags")
    if flags > 1:
        raise malformed("a CONNACK with reserved flags", "MQTT-3.2.2-1")
    value = reader.byte("the reason code")
    if version == 4 or (value in _RETURN_CODES and not reader.remaining()):
        if value > ConnectReturnCode.NOT_AUTHORIZED:
            raise protocol_error(f"a CONNACK with return code {value}")
        return ConnAck(flags == 1, ConnectReturnCode(value))
    code = reason_code(value, CONNACK_CODES, "CONNACK", "MQTT-3.2.2-8")
    return ConnAck(flags == 1, code, _properties(reader, 2, version))


def _subscribe(reader: Reader, version: int) -> Subscribe:
    packet_id = _packet_id(reader, "MQTT-2.2.1-3")
    properties = _properties(reader, 8, version)
    subscriptions: list[Subscription] = []
    while reader.remaining():
        topic_filter = reader.text("a topic filter")
        options = reader.byte("the subscription options")
        subscriptions.append(_subscription(topic_filter, options, version))
    if not subscriptions:
        raise protocol_error("a SUBSCRIBE without a topic filter", "MQTT-3.8.3-2")
    return Subscribe(packet_id, tuple(subscriptions), properties)


def _subscription(topic_filter: str, options: int, version: int) -> Subscription:
    check_filter(topic_filter)
    if options & (0xC0 if version == 5 else 0xFC):
        raise malformed("subscription options with reserved bits", "MQTT-3.8.3-5")
    qos = options & 3
    retain_handling = options >> 4 & 3
    if qos == 3:
        raise protocol_error("a subscription of QoS 3", "MQTT-3.8.3-5" if version == 4 else "")
    if retain_handling == 3:
        raise protocol_error("a subscription with Retain Handling 3")
    return Subscription(
        topic_filter, qos, options & 0x04 != 0, options & 0x08 != 0, retain_handling
    )


def _suback(reader: Reader, version: int) -> SubAck:
    packet_id = _packet_id(reader, "MQTT-2.2.1-6")
    properties = _properties(reader, 9, version)
    allowed = SUBACK_CODES if version == 5 else SUBACK_RETURN_CODES
    codes = _reason_codes(reader, allowed, "SUBACK", "MQTT-3.9.3-2")
    return SubAck(packet_id, codes, properties)


def _unsubscribe(reader: Reader, version: int) -> Unsubscribe:
    packet_id = _packet_id(reader, "MQTT-2.2.1-3")
    properties = _properties(reader, 10, version)
    filters: list[str] = []
    while reader.remaining():
        topic_filter = reader.text("a topic filter")
        check_filter(topic_filter)
        filters.append(topic_filter)
    if not filters:
        raise protocol_error("an UNSUBSCRIBE without a topic filter", "MQTT-3.10.3-2")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _unsuback(reader: Reader, version: int) -> UnsubAck:
    packet_id = _packet_id(reader, "MQTT-2.2.1-6")
    if version == 4:
        return UnsubAck(packet_id)
    properties = _properties(reader, 11, version)
    codes = _reason_codes(reader, UNSUBACK_CODES, "UNSUBACK", "MQTT-3.11.3-2")
    return UnsubAck(packet_id, codes, properties)


def _pingreq(reader: Reader, version: int) -> PingReq:
    return _PING_REQ


def _pingresp(reader: Reader, version: int) -> PingResp:
    return _PING_RESP


def _disconnect(reader: Reader, version: int) -> Disconnect:
    if version == 4 or not reader.remaining():
        return Disconnect()
    value = reader.byte("the reason code")
    allowed = DISCONNECT_CODES["client"] | DISCONNECT_CODES["server"]
    code = reason_code(value, allowed, "DISCONNECT", "MQTT-3.14.2-1")
    return Disconnect(code, _properties(reader, 14, version) if reader.remaining() else {})


def _auth(reader: Reader, version: int) -> Auth:
    if not reader.remaining():
        return Auth()
    value = reader.byte("the reason code")
    allowed = AUTH_CODES["client"] | AUTH_CODES["server"]
    code = reason_code(value, allowed, "AUTH", "MQTT-3.15.2-1")
    return Auth(code, _properties(reader, 15, version) if reader.remaining() else {})


def _packet_id(reader: Reader, statement: str) -> int:
    packet_id = reader.two_byte_integer("the packet identifier")
    if packet_id == 0:
        raise protocol_error("a packet identifier of 0", statement)
    return packet_id


def _properties(reader: Reader, kind: int, version: int) -> Properties:
    if version == 4:
        return {}
    length = reader.variable_byte_integer("the property length")
    properties: Properties = read_properties(reader.part(length, "properties"), kind)
    return properties


def reason_code(
    value: int, allowed: Collection[ReasonCode], packet: str, statement: str
) -> ReasonCode:
    """Return the Reason Code of a packet.

    Raises:
        Violation: it is none, or not allowed there.
    """
    if value not in allowed:
        raise protocol_error(f"a {packet} with reason code 0x{value:02x}", statement)
    return ReasonCode(value)


def _reason_codes(
    reader: Reader, allowed: Collection[ReasonCode], packet: str, statement: str
) -> tuple[ReasonCode, ...]:
    codes: list[ReasonCode] = []
    while reader.remaining():
        code = reader.byte("a reason code")
        codes.append(reason_code(code, allowed, packet, statement))
    if not codes:
        raise protocol_error(f"a {packet} without a reason code", statement)
    return tuple(codes)


# By the Control Packet type of §2.1.2.
DECODERS: dict[int, Callable[[Reader, int], Packet]] = {
    1: _connect,
    2: _connack,
    8: _subscribe,
    9: _suback,
    10: _unsubscribe,
    11: _unsuback,
    12: _pingreq,
    13: _pingresp,
    14: _disconnect,
    15: _auth,
}
