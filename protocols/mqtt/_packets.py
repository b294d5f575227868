# cython: annotation_typing=False
"""PUBLISH and its acknowledgements (§3.3–§3.7): the packets of which there are many."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import LocalProtocolError

from ._reason_codes import ReasonCode
from ._topics import TOPICS, Topic, make_topic

if TYPE_CHECKING:
    from ._properties import Properties

__all__ = ["Acknowledgement", "PubAck", "PubComp", "PubRec", "PubRel", "Publish"]

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

    __slots__ = (
        "_duplicate",
        "_packet_id",
        "_properties",
        "payload",
        "qos",
        "retain",
        "topic",
    )

    topic: Topic
    payload: bytes
    qos: int
    retain: bool
    _duplicate: bool
    _packet_id: int  # 0 is none
    _properties: Any  # a dict, made when it is asked for

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
        if type(payload) is not bytes:
            payload = bytes(memoryview(payload))
        self.payload = payload
        number = index(qos)
        if number not in (0, 1, 2):
            raise LocalProtocolError("QoS is 0, 1 or 2 [MQTT-3.3.1-4]")
        self.qos = number
        self.retain = bool(retain)
        self._duplicate = bool(duplicate)
        self._packet_id = 0 if packet_id is None else _packet_id(packet_id)
        self._properties = properties

    @property
    def duplicate(self) -> bool:
        return self._duplicate

    @duplicate.setter
    def duplicate(self, value: bool) -> None:
        self._duplicate = bool(value)

    @property
    def packet_id(self) -> int | None:
        return self._packet_id or None

    @packet_id.setter
    def packet_id(self, value: int | None) -> None:
        self._packet_id = 0 if value is None else _packet_id(value)

    @property
    def properties(self) -> Properties:
        if self._properties is None:
            self._properties = {}
        return cast("Properties", self._properties)

    def __eq__(self, other: object) -> bool:
        if type(other) is not Publish:
            return NotImplemented
        packet = other
        return (
            self.topic == packet.topic
            and self.payload == packet.payload
            and self.qos == packet.qos
            and self.retain == packet.retain
            and self._duplicate == packet._duplicate
            and self._packet_id == packet._packet_id
            and (self._properties or {}) == (packet._properties or {})
        )

    def __repr__(self) -> str:
        # A payload, or a property, may be nobody else's business.
        parts = [f"topic={str(self.topic)!r}", f"payload=<{len(self.payload)} bytes>"]
        parts.append(f"qos={self.qos}")
        if self.retain:
            parts.append("retain=True")
        if self._duplicate:
            parts.append("duplicate=True")
        if self._packet_id:
            parts.append(f"packet_id={self._packet_id}")
        if self._properties:
            parts.append(f"properties=<{', '.join(self._properties)}>")
        return f"Publish({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        values = (self.topic.value, self.payload, self.qos, self.retain, self._duplicate)
        return Publish, (*values, self.packet_id, self._properties)


class Acknowledgement:
    """Root of the four packets that acknowledge a `Publish` or each other.

    Attributes:
        packet_id: the Packet Identifier of the `Publish`.
        reason_code: what became of it; always SUCCESS in 3.1.1.
        properties: ``{}`` if there are none, as always in 3.1.1.

    Raises:
        LocalProtocolError: the packet identifier is not from 1 to 65535.
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
        self.packet_id = _packet_id(packet_id)
        self.reason_code = reason_code
        self._properties = properties

    @property
    def properties(self) -> Properties:
        if self._properties is None:
            self._properties = {}
        return cast("Properties", self._properties)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        packet = cast("Acknowledgement", other)
        return (
            self.packet_id == packet.packet_id
            and self.reason_code == packet.reason_code
            and self.properties == packet.properties
        )

    def __repr__(self) -> str:
        parts = [f"packet_id={self.packet_id}"]
        if self.reason_code is not _SUCCESS:
            parts.append(f"reason_code={self.reason_code!r}")
        if self._properties:
            parts.append(f"properties={self._properties!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.packet_id, self.reason_code, self._properties)


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


def _packet_id(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= 65535:
        raise LocalProtocolError("a packet identifier is from 1 to 65535 [MQTT-2.2.1-3]")
    return int(value)
