"""What a peer can do wrong, and the reason code with which to disconnect from it.

Sections are those of RFC 4253 unless another document is named.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from wirekit._errors import MessageTooLarge, RemoteProtocolError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["DisconnectReason", "PacketTooLarge", "SSHProtocolError"]


class DisconnectReason(IntEnum):
    """The reason codes of SSH_MSG_DISCONNECT (§11.1)."""

    HOST_NOT_ALLOWED_TO_CONNECT = 1
    PROTOCOL_ERROR = 2
    KEY_EXCHANGE_FAILED = 3
    RESERVED = 4
    MAC_ERROR = 5
    COMPRESSION_ERROR = 6
    SERVICE_NOT_AVAILABLE = 7
    PROTOCOL_VERSION_NOT_SUPPORTED = 8
    HOST_KEY_NOT_VERIFIABLE = 9
    CONNECTION_LOST = 10
    BY_APPLICATION = 11
    TOO_MANY_CONNECTIONS = 12
    AUTH_CANCELLED_BY_USER = 13
    NO_MORE_AUTH_METHODS_AVAILABLE = 14
    ILLEGAL_USER_NAME = 15


class SSHProtocolError(RemoteProtocolError):
    """The peer broke a rule of SSH.

    ``reason_code`` is what to say in SSH_MSG_DISCONNECT; ``events`` holds what had been received
    whole before the fault.
    """

    def __init__(
        self,
        message: str,
        reason_code: DisconnectReason = DisconnectReason.PROTOCOL_ERROR,
        *,
        events: list[object] | None = None,
    ) -> None:
        super().__init__(message, events=events)
        self.reason_code = reason_code

    def again(self) -> Self:
        """Return the same fault to raise once more, without events."""
        return type(self)(str(self), self.reason_code)


class PacketTooLarge(SSHProtocolError, MessageTooLarge):
    """The peer announced or sent more than a limit allows."""
