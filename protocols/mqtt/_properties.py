# cython: annotation_typing=False
"""The properties of 5.0 (§2.2.2): which there are, where each may stand, in and out of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from wirekit._errors import LocalProtocolError
from wirekit.protocols import _native
from wirekit.protocols.mqtt import _primitives

from ._faults import Violation, malformed, protocol_error
from ._reason_codes import ReasonCode
from ._topics import check_name

if TYPE_CHECKING:
    from ._reader import Reader

__all__ = [
    "LARGEST_PACKET",
    "WILL",
    "Properties",
    "read_properties",
    "variable_byte_integer",
    "write_properties",
    "write_text",
]


_LARGEST = 268435455  # what a Variable Byte Integer can say (§1.5.5)
LARGEST_PACKET = 1 + 4 + _LARGEST


class Properties(TypedDict, total=False):
    """The properties of a packet or a will, by their names in §2.2.2.2; ``{}`` if there are none.

    Intervals are in seconds, sizes in bytes; what is 0 or 1 is an ``int``, as it is on the wire.
    """

    payload_format_indicator: int
    message_expiry_interval: int
    content_type: str
    response_topic: str
    correlation_data: bytes
    subscription_identifier: list[int]
    session_expiry_interval: int
    assigned_client_identifier: str
    server_keep_alive: int
    authentication_method: str
    authentication_data: bytes
    request_problem_information: int
    will_delay_interval: int
    request_response_information: int
    response_information: str
    server_reference: str
    reason_string: str
    receive_maximum: int
    topic_alias_maximum: int
    topic_alias: int
    maximum_qos: int
    retain_available: int
    user_property: list[tuple[str, str]]
    maximum_packet_size: int
    wildcard_subscription_available: int
    subscription_identifier_available: int
    shared_subscription_available: int


# Kinds of packets are the Control Packet types of §2.1.2, and one more for a will's properties.
_CONNECT = 1
_CONNACK = 2
_PUBLISH = 3
_SUBSCRIBE = 8
_SUBACK = 9
_UNSUBSCRIBE = 10
_UNSUBACK = 11
_DISCONNECT = 14
_AUTH = 15
WILL = 16
_WILL = WILL

_FLAG = 0  # a byte that is 0 or 1
_UINT16 = 1
_UINT32 = 2
_VARIABLE = 3
_TEXT = 4
_BINARY = 5
_PAIR = 6
_TOPIC = 7

_ACKNOWLEDGEMENTS = (4, 5, 6, 7)
_ALL_BUT_WILL = (1, 2, 3, *_ACKNOWLEDGEMENTS, 8, 9, 10, 11, 14, 15)
_EXPLAINED = (2, *_ACKNOWLEDGEMENTS, 9, 11, 14, 15)

# §2.2.2.2, table 2-4: identifier, name, type, and the kinds of packets that it may stand in.
_TABLE: tuple[tuple[int, str, int, tuple[int, ...]], ...] = (
    (0x01, "payload_format_indicator", _FLAG, (_PUBLISH, _WILL)),
    (0x02, "message_expiry_interval", _UINT32, (_PUBLISH, _WILL)),
    (0x03, "content_type", _TEXT, (_PUBLISH, _WILL)),
    (0x08, "response_topic", _TOPIC, (_PUBLISH, _WILL)),
    (0x09, "correlation_data", _BINARY, (_PUBLISH, _WILL)),
    (0x0B, "subscription_identifier", _VARIABLE, (_PUBLISH, _SUBSCRIBE)),
    (0x11, "session_expiry_interval", _UINT32, (_CONNECT, _CONNACK, _DISCONNECT)),
    (0x12, "assigned_client_identifier", _TEXT, (_CONNACK,)),
    (0x13, "server_keep_alive", _UINT16, (_CONNACK,)),
    (0x15, "authentication_method", _TEXT, (_CONNECT, _CONNACK, _AUTH)),
    (0x16, "authentication_data", _BINARY, (_CONNECT, _CONNACK, _AUTH)),
    (0x17, "request_problem_information", _FLAG, (_CONNECT,)),
    (0x18, "will_delay_interval", _UINT32, (_WILL,)),
    (0x19, "request_response_information", _FLAG, (_CONNECT,)),
    (0x1A, "response_information", _TEXT, (_CONNACK,)),
    (0x1C, "server_reference", _TEXT, (_CONNACK, _DISCONNECT)),
    (0x1F, "reason_string", _TEXT, _EXPLAINED),
    (0x21, "receive_maximum", _UINT16, (_CONNECT, _CONNACK)),
    (0x22, "topic_alias_maximum", _UINT16, (_CONNECT, _CONNACK)),
    (0x23, "topic_alias", _UINT16, (_PUBLISH,)),
    (0x24, "maximum_qos", _FLAG, (_CONNACK,)),
    (0x25, "retain_available", _FLAG, (_CONNACK,)),
    (0x26, "user_property", _PAIR, (*_ALL_BUT_WILL, _WILL)),
    (0x27, "maximum_packet_size", _UINT32, (_CONNECT, _CONNACK)),
    (0x28, "wildcard_subscription_available", _FLAG, (_CONNACK,)),
    (0x29, "subscription_identifier_available", _FLAG, (_CONNACK,)),
    (0x2A, "shared_subscription_available", _FLAG, (_CONNACK,)),
)
_NOT_ZERO = frozenset(("subscription_identifier", "receive_maximum", "maximum_packet_size"))
_MOST = {_FLAG: 1, _UINT16: 0xFFFF, _UINT32: 0xFFFFFFFF, _VARIABLE: _LARGEST}
_MOST_BYTES = 65535

# By the identifier, which is a Variable Byte Integer, but none has two bytes: name, type, kinds.
_BY_IDENTIFIER: list[tuple[str, int, int] | None] = [None] * 128
_BY_NAME: dict[str, tuple[int, int, int]] = {}
for _identifier, _name, _type, _kinds in _TABLE:
    _bits = sum(1 << kind for kind in _kinds)
    _BY_IDENTIFIER[_identifier] = (_name, _type, _bits)
    _BY_NAME[_name] = (_identifier, _type, _bits)


def read_properties(reader: Reader, kind: int) -> Any:
    """Return the properties that are all the reader has, as a dict.

    Args:
        reader: stands behind the Property Length, and ends where the properties end.
        kind: of the packet, or `WILL`.

    Raises:
        Violation: they are malformed, or not allowed there, or have values that are not allowed.
    """
    properties: dict[str, Any] = {}
    while reader.remaining():
        identifier = reader.variable_byte_integer("a property's identifier")
        entry = _BY_IDENTIFIER[identifier] if identifier < 128 else None
        if entry is None:
            raise malformed(f"the unknown property 0x{identifier:02x}")
        name, of_type, kinds = entry
        if not kinds >> kind & 1:
            raise malformed(f"the property {name} where it has no place")
        if of_type == _PAIR:
            pair = (reader.text(name), reader.text(name))
            pairs = properties.get(name)
            if pairs is None:
                properties[name] = [pair]
            else:
                pairs.append(pair)
            continue
        value = _read_value(reader, name, of_type)
        if of_type == _VARIABLE:
            if name not in properties:
                properties[name] = [value]
                continue
            if kind == _PUBLISH:
                properties[name].append(value)
                continue
        if name in properties:
            raise protocol_error(f"the property {name} twice")
        properties[name] = value
    return properties


def _read_value(reader: Reader, name: str, of_type: int) -> Any:
    if of_type == _TEXT:
        return reader.text(name)
    if of_type == _TOPIC:
        text = reader.text(name)
        _check_response_topic(text)
        return text
    if of_type == _BINARY:
        return reader.binary_data(name)
    if of_type == _FLAG:
        number = reader.byte(name)
    elif of_type == _UINT16:
        number = reader.two_byte_integer(name)
    elif of_type == _UINT32:
        number = reader.four_byte_integer(name)
    else:
        number = reader.variable_byte_integer(name)
    _check_number(number, name, of_type)
    return number


def _check_number(number: int, name: str, of_type: int) -> None:
    if number == 0:
        if name == "topic_alias":
            raise Violation("a topic alias of 0", ReasonCode.TOPIC_ALIAS_INVALID, "MQTT-3.3.2-8")
        if name in _NOT_ZERO:
            raise protocol_error(f"the property {name} of 0")
    elif of_type == _FLAG and number != 1:
        raise protocol_error(f"the property {name} of {number}")


def _check_response_topic(text: str) -> None:
    # An empty one means nothing, but breaks no rule: who published it would not be hurt by a fault.
    if text:
        check_name(text, "MQTT-3.3.2-14")


# Out


def write_properties(properties: Any, kind: int) -> bytes:
    """Return properties in bytes, without the Property Length.

    Raises:
        LocalProtocolError: one of them does not belong there, or has a value that cannot be sent.
        Violation: one has a value that is not allowed.
    """
    given = properties
    if not isinstance(properties, dict):
        raise LocalProtocolError("properties are a dict")
    out = bytearray()
    for name, value in given.items():
        entry = _BY_NAME.get(name)
        if entry is None:
            raise LocalProtocolError("a property of an unknown name")
        identifier, of_type, kinds = entry
        if not kinds >> kind & 1:
            raise LocalProtocolError(f"the property {name} where it has no place")
        if of_type in (_PAIR, _VARIABLE):
            for item in _several(value, name, of_type, kind):
                out.append(identifier)
                _write_value(out, item, name, of_type)
        else:
            out.append(identifier)
            _write_value(out, value, name, of_type)
    return bytes(out)


def _several(value: Any, name: str, of_type: int, kind: int) -> Any:
    values = value
    if not isinstance(value, (list, tuple)):
        raise LocalProtocolError(f"the property {name} is a list")
    if of_type == _VARIABLE and kind != _PUBLISH and len(values) != 1:
        raise LocalProtocolError(f"the property {name} is a list of one number here")
    return values


def _write_value(out: bytearray, value: Any, name: str, of_type: int) -> None:
    if of_type in (_FLAG, _UINT16, _UINT32, _VARIABLE):
        _write_number(out, value, name, of_type)
    elif of_type == _BINARY:
        if type(value) is not bytes:
            raise LocalProtocolError(f"the property {name} is bytes")
        if len(value) > _MOST_BYTES:
            raise LocalProtocolError(f"the property {name} of more than {_MOST_BYTES} bytes")
        _native.append_uint16(out, len(value))
        _native.append_bytes(out, value)
    elif of_type == _PAIR:
        pair = value
        if not isinstance(value, (tuple, list)) or len(pair) != 2:
            raise LocalProtocolError(f"the property {name} is a list of pairs")
        _write_text(out, pair[0], name)
        _write_text(out, pair[1], name)
    else:
        _write_text(out, value, name)
        if of_type == _TOPIC:
            _check_response_topic(value)


def _write_number(out: bytearray, value: Any, name: str, of_type: int) -> None:
    if not isinstance(value, int):
        raise LocalProtocolError(f"the property {name} is an int")
    if not 0 <= value <= _MOST[of_type]:
        raise LocalProtocolError(f"the property {name} is from 0 to {_MOST[of_type]}")
    _check_number(value, name, of_type)
    if of_type == _FLAG:
        out.append(value)
    elif of_type == _UINT16:
        _native.append_uint16(out, value)
    elif of_type == _UINT32:
        _native.append_uint32(out, value)
    else:
        out += variable_byte_integer(value, name)


def write_text(text: Any, name: str) -> bytes:
    """Return a UTF-8 Encoded String (§1.5.4), with its length before it.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    out = bytearray()
    _write_text(out, text, name)
    return bytes(out)


def _write_text(out: bytearray, text: Any, name: str) -> None:
    if not isinstance(text, str):
        raise LocalProtocolError(f"{name} is a str")
    try:
        size = _primitives.text_size(text)
    except UnicodeEncodeError:  # its message would show the text
        raise LocalProtocolError(f"{name} is not valid Unicode [MQTT-1.5.4-1]") from None
    if size > _MOST_BYTES:
        raise LocalProtocolError(f"{name} of more than {_MOST_BYTES} bytes")
    if "\0" in text:
        raise LocalProtocolError(f"{name} has a null character [MQTT-1.5.4-2]")
    _native.append_uint16(out, size)
    _primitives.append_text(out, text)


def variable_byte_integer(number: int, name: str) -> bytes:
    """Return a Variable Byte Integer (§1.5.5).

    Raises:
        LocalProtocolError: it is too large for four bytes.
    """
    if number > _LARGEST:
        raise LocalProtocolError(f"{name} of more than {_LARGEST} bytes")
    out = bytearray()
    while True:
        byte = number & 0x7F
        number >>= 7
        if number == 0:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)
