# cython: annotation_typing=False
"""PUBLISH and its acknowledgements (§3.3 to §3.7): the packets of which there are many."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError

from ._reason_codes import ReasonCode
from ._topics import TOPICS, Topic, make_topic

if TYPE_CHECKING:
    from ._properties import Properties

__all__ = [
    "Acknowledgement",
    "PubAck",
    "PubComp",
    "PubRec",
    "PubRel",
    "Publish",
    "received_acknowledgement",
    "received_publish",
]

_PUBACK = 4
_PUBREC = 5
_PUBREL = 6

_SUCCESS = ReasonCode.SUCCESS


class Publish:
    """A message on its way (§3.3): what is published, and what a subscriber receives.

    Attributes:
        topic: the Topic Name. A Topic Alias is resolved already.
        payload: the Application Message.
        qos: 0, 1 or 2.
        retain: whether the server keeps it for the topic, or had kept it.
        duplicate: whether it may have been sent before; may be changed.
        packet_id: its Packet Identifier, None with QoS 0 or before it is sent; may be changed.
        properties: of §3.3.2.3; ``{}`` if there are none, as always in 3.1.1.

    Raises:
        LocalProtocolError: there can be no such packet.
    """

    __slots__ = ("_properties", "duplicate", "packet_id", "payload", "qos", "retain", "topic")

    topic: Topic
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    packet_id: int | None
    _properties: Any  # None until there is a dict; most messages never need one

    def __init__(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        duplicate: bool = False,
        packet_id: int | None = None,
        properties: Properties | None = None,
    ) -> None:
        known = topic if type(topic) is Topic else TOPICS.get(topic)
        self.topic = make_topic(topic) if known is None else known
        self.payload = payload if type(payload) is bytes else bytes(memoryview(payload))
        number = index(qos)
        if number not in (0, 1, 2):
            raise LocalProtocolError("QoS is 0, 1 or 2 [MQTT-3.3.1-4]")
        self.qos = number
        self.retain = bool(retain)
        self.duplicate = duplicate
        self.packet_id = packet_id
        self._properties = _checked(properties)

    @property
    def properties(self) -> Properties:
        if self._properties is None:
            self._properties = {}
        known: Properties = self._properties
        return known

    def __eq__(self, other: object) -> bool:
        if type(other) is not Publish:
            return NotImplemented
        packet = other
        return (
            self.topic == packet.topic
            and self.payload == packet.payload
            and self.qos == packet.qos
            and self.retain == packet.retain
            and self.duplicate == packet.duplicate
            and self.packet_id == packet.packet_id
            and self.properties == packet.properties
        )

    def __repr__(self) -> str:
        # The payload may be nobody else's business, and so may what properties say.
        parts = [f"topic={self.topic!r}", f"payload=<{len(self.payload)} bytes>", f"qos={self.qos}"]
        if self.retain:
            parts.append("retain=True")
        if self.duplicate:
            parts.append("duplicate=True")
        if self.packet_id is not None:
            parts.append(f"packet_id={self.packet_id}")
        if self._properties:
            parts.append(f"properties=<{', '.join(self.properties)}>")
        return f"Publish({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        flags = (self.qos, self.retain, self.duplicate)
        return Publish, (str(self.topic), self.payload, *flags, self.packet_id, self.properties)


class Acknowledgement:
    """Root of the four packets that acknowledge a `Publish` or each other.

    Attributes:
        packet_id: the Packet Identifier of the `Publish`.
        reason_code: what became of it; always SUCCESS in 3.1.1.
        properties: ``{}`` if there are none, as always in 3.1.1.

    Raises:
        LocalProtocolError: there can be no such packet.
    """

    __slots__ = ("_properties", "packet_id", "reason_code")

    packet_id: int
    reason_code: ReasonCode
    _properties: Any

    def __init__(
        self,
        packet_id: int,
        reason_code: ReasonCode = ReasonCode.SUCCESS,
        properties: Properties | None = None,
    ) -> None:
        number = index(packet_id)
        if not 1 <= number <= 65535:
            raise LocalProtocolError("a packet identifier is from 1 to 65535 [MQTT-2.2.1-5]")
        self.packet_id = number
        self.reason_code = reason_code
        self._properties = _checked(properties)

    @property
    def properties(self) -> Properties:
        if self._properties is None:
            self._properties = {}
        known: Properties = self._properties
        return known

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        packet: Any = other
        return bool(
            self.packet_id == packet.packet_id
            and self.reason_code == packet.reason_code
            and self.properties == packet.properties
        )

    def __repr__(self) -> str:
        parts = [f"packet_id={self.packet_id}"]
        if self.reason_code is not _SUCCESS:
            parts.append(f"reason_code={self.reason_code!r}")
        if self._properties:
            parts.append(f"properties={self.properties!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.packet_id, self.reason_code, self.properties)


class PubAck(Acknowledgement):
    """The answer to a `Publish` of QoS 1 (§3.4)."""

    __slots__ = ()


class PubRec(Acknowledgement):
    """The first answer to a `Publish` of QoS 2 (§3.5); a failure ends the exchange."""

    __slots__ = ()


class PubRel(Acknowledgement):
    """The answer to a `PubRec` (§3.6)."""

    __slots__ = ()


class PubComp(Acknowledgement):
    """The answer to a `PubRel`, and the end of a `Publish` of QoS 2 (§3.7)."""

    __slots__ = ()


def received_publish(topic: Topic, first: int, packet_id: int, properties: Any) -> Publish:
    """Return a PUBLISH that came, without its payload; ``first`` is its first byte."""
    packet = Publish.__new__(Publish)
    packet.topic = topic
    packet.qos = first >> 1 & 3
    packet.retain = first & 0x01 != 0
    packet.duplicate = first & 0x08 != 0
    packet.packet_id = packet_id if packet.qos else None
    packet._properties = properties  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return packet


def received_acknowledgement(kind: int, packet_id: int) -> Acknowledgement:
    """Return an acknowledgement that came; ``kind`` is its Control Packet type."""
    packet: Acknowledgement
    if kind == _PUBACK:
        packet = PubAck.__new__(PubAck)
    elif kind == _PUBREC:
        packet = PubRec.__new__(PubRec)
    elif kind == _PUBREL:
        packet = PubRel.__new__(PubRel)
    else:
        packet = PubComp.__new__(PubComp)
    packet.packet_id = packet_id
    packet.reason_code = _SUCCESS
    packet._properties = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return packet


def _checked(properties: Any) -> Any:
    known = properties
    if properties is not None and not isinstance(properties, dict):
        raise LocalProtocolError("properties are a dict")
    return known
