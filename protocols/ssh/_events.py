"""What a `Codec` gives beside the messages that the peer sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._messages import (
    Debug,
    Disconnect,
    ExtInfo,
    KexInit,
    Packet,
    Pong,
    ServiceAccept,
    ServiceRequest,
    Unimplemented,
)

if TYPE_CHECKING:
    from ._host_keys import HostKey
    from ._identification import Identification
    from ._negotiation import NegotiatedAlgorithms

__all__ = ["Event", "Identified", "KeyExchanged"]


@dataclass(frozen=True, slots=True)
class Identified:
    """The peer has said who it is (RFC 4253 §4.2).

    Attributes:
        identification: its identification string.
        lines: what a server said before it, without line ends.
    """

    identification: Identification
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeyExchanged:
    """There are new keys, and the server has shown that ``host_key`` is its own.

    Whether that is the right server's key, a client has to find out for itself before it calls
    `Codec.accept_host_key`. Until then nothing is sent under these keys; what the server itself
    sent under them may be behind this event already. The key that was accepted last on the same
    connection is accepted again by itself.

    Attributes:
        host_key: the server's key or certificate.
        algorithms: those in force.
        session_id: names the connection for good (RFC 4253 §7.2).
        first: it is the connection's first key exchange.
    """

    host_key: HostKey
    algorithms: NegotiatedAlgorithms
    session_id: bytes = field(repr=False)
    first: bool


Event = (
    Identified
    | KexInit
    | KeyExchanged
    | Packet
    | Disconnect
    | Unimplemented
    | Debug
    | ServiceRequest
    | ServiceAccept
    | ExtInfo
    | Pong
)
"""What `Codec.receive_data` returns. SSH_MSG_IGNORE is dropped, SSH2_MSG_PING is answered."""
