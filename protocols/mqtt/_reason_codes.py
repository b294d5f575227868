"""Reason Codes of 5.0 (§2.4), and CONNACK's Return Codes of 3.1.1 (3.1.1, §3.2.2.3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

__all__ = [
    "AUTH_CODES",
    "CONNACK_CODES",
    "DISCONNECT_CODES",
    "PUBACK_CODES",
    "PUBREL_CODES",
    "RECEIVED_PUBACK_CODES",
    "SUBACK_CODES",
    "SUBACK_RETURN_CODES",
    "UNSUBACK_CODES",
    "ConnectReturnCode",
    "ReasonCode",
    "Role",
]

Role = Literal["client", "server"]


class ReasonCode(IntEnum):
    """What became of a request, or why a connection ends; from 0x80 on it is a failure.

    The names are §2.4's; where it has several for one value, all of them are members.
    """

    SUCCESS = 0x00
    NORMAL_DISCONNECTION = 0x00
    GRANTED_QOS_0 = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2

    @property
    def is_failure(self) -> bool:
        """Whether it says that the request failed (§2.4)."""
        return self >= 0x80


class ConnectReturnCode(IntEnum):
    """What 3.1.1's CONNACK says (3.1.1, §3.2.2.3)."""

    ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USER_NAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5

    @property
    def is_failure(self) -> bool:
        """Whether the connection was refused."""
        return self != 0


def _codes(*values: int) -> frozenset[ReasonCode]:
    return frozenset(map(ReasonCode, values))


# Which code may stand in which packet: §3.2.2.2, §3.4.2.1 (§3.5.2.1 is the same), §3.6.2.1
# (§3.7.2.1 is the same), §3.9.3, §3.11.3, and by sender §3.14.2.1 and §3.15.2.1.
CONNACK_CODES = _codes(0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F)
PUBACK_CODES = _codes(0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)
# Mosquitto answers so where a message exceeds its message_size_limit.
RECEIVED_PUBACK_CODES = PUBACK_CODES | {ReasonCode.PACKET_TOO_LARGE}
PUBREL_CODES = _codes(0x00, 0x92)
SUBACK_CODES = _codes(
    *(0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2),
)
UNSUBACK_CODES = _codes(0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91)
_ANY_DISCONNECT = (0x00, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A))
DISCONNECT_CODES: dict[Role, frozenset[ReasonCode]] = {
    "client": _codes(*_ANY_DISCONNECT, 0x04),
    # 0x8C stands in the table of §2.4 only; it ends a failed re-authentication (§4.12.1).
    "server": _codes(*_ANY_DISCONNECT, 0x87, 0x89, *range(0x8B, 0x90), *range(0x9A, 0xA3)),
}
AUTH_CODES: dict[Role, frozenset[ReasonCode]] = {
    "client": _codes(0x18, 0x19),
    "server": _codes(0x00, 0x18),
}
SUBACK_RETURN_CODES = _codes(0x00, 0x01, 0x02, 0x80)  # 3.1.1, §3.9.3
