"""The packets of a connection and of subscriptions: all but PUBLISH and its acknowledgements.

They are in both directions the same. What cannot be sent is refused by `Codec.send`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ._packets import PubAck, PubComp, Publish, PubRec, PubRel
from ._properties import Properties
from ._reason_codes import ConnectReturnCode, ReasonCode
from ._topics import Topic, make_topic

__all__ = [
    "Auth",
    "ConnAck",
    "Connect",
    "Disconnect",
    "Packet",
    "PingReq",
    "PingResp",
    "SubAck",
    "Subscribe",
    "Subscription",
    "UnsubAck",
    "Unsubscribe",
    "Version",
    "Will",
]

Version = Literal[5, 4]


@dataclass(frozen=True, slots=True)
class Will:
    """The message that the server publishes when the connection is lost (§3.1.2.5).

    Raises:
        LocalProtocolError: the topic is not a valid one.
    """

    topic: Topic | str
    payload: bytes = field(default=b"", repr=False)
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=Properties, repr=False)

    def __post_init__(self) -> None:
        if type(self.topic) is not Topic:
            object.__setattr__(self, "topic", make_topic(self.topic))


@dataclass(frozen=True, slots=True)
class Connect:
    """A client's first packet (§3.1).

    Attributes:
        client_id: "" lets the server choose.
        clean_start: Clean Session in 3.1.1.
        keep_alive: in seconds; 0 is none.
        version: 5, or 4 for 3.1.1, as the wire has it.
    """

    client_id: str = ""
    clean_start: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None
    properties: Properties = field(default_factory=Properties, repr=False)
    version: Version = 5


@dataclass(frozen=True, slots=True)
class ConnAck:
    """The answer to a `Connect` (§3.2)."""

    session_present: bool = False
    reason_code: ReasonCode | ConnectReturnCode = ReasonCode.SUCCESS
    properties: Properties = field(default_factory=Properties, repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A Topic Filter with its options (§3.8.3.1); 3.1.1 has only ``qos``.

    Attributes:
        qos: the Maximum QoS at which the server sends.
        no_local: do not send what this client published.
        retain_as_published: keep the RETAIN flag as it was.
        retain_handling: send what is retained at once (0), or only if the subscription is new (1),
            or not (2).
    """

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A request for messages (§3.8)."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class SubAck:
    """The answer to a `Subscribe` (§3.9), with a code for each subscription."""

    packet_id: int
    reason_codes: tuple[ReasonCode, ...]
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """A request for no more messages (§3.10)."""

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class UnsubAck:
    """The answer to an `Unsubscribe` (§3.11), with a code for each filter; 3.1.1 has none."""

    packet_id: int
    reason_codes: tuple[ReasonCode, ...] = ()
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class PingReq:
    """A sign of life that asks for one (§3.12)."""


@dataclass(frozen=True, slots=True)
class PingResp:
    """The answer to a `PingReq` (§3.13)."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The last packet of a connection (§3.14)."""

    reason_code: ReasonCode = ReasonCode.NORMAL_DISCONNECTION
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Auth:
    """A step of enhanced authentication (§3.15); only in 5.0."""

    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = field(default_factory=Properties, repr=False)


Packet = (
    Connect
    | ConnAck
    | Publish
    | PubAck
    | PubRec
    | PubRel
    | PubComp
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
    | Auth
)
