# cython: annotation_typing=False
"""What a codec keeps of the PUBLISH packets that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit.protocols.mqtt import _primitives

from ._faults import Violation, protocol_error
from ._reason_codes import ReasonCode
from ._topics import read_topic

if TYPE_CHECKING:
    from ._reason_codes import Role
    from ._topics import Topic

__all__ = ["GivenAliases", "KnownTopics", "Unacknowledged"]

_SLOTS = 1024  # a power of two
_LONGEST_KEPT = 128


class KnownTopics:
    """Topic Names by their bytes: those of late need not be decoded and checked again.

    Each has one place by a hash of its bytes, and is driven out by the next one of that place.
    """

    __slots__ = ("_bytes", "_topics")

    def __init__(self) -> None:
        self._bytes: list[bytes] = [b""] * _SLOTS
        self._topics: list[Any] = [None] * _SLOTS

    def find(self, data: bytes, start: int, end: int) -> Topic:
        """Return the Topic Name in ``data[start:end]``, which may be empty.

        Raises:
            Violation: it is not a valid one.
        """
        slot = _primitives.hash_span(data, start, end) & (_SLOTS - 1)
        if start < end and _primitives.same_span(self._bytes[slot], data, start, end):
            known: Topic = self._topics[slot]
            return known
        name = _primitives.read_bytes(data, start, end)
        topic = read_topic(name)
        if len(name) <= _LONGEST_KEPT:
            self._bytes[slot] = name
            self._topics[slot] = topic
        return topic


class GivenAliases:
    """The Topic Aliases that the peer gave (§3.3.2.3.4)."""

    __slots__ = ("_topics",)

    def __init__(self) -> None:
        self._topics: dict[int, Topic] = {}

    def resolve(self, topic: Topic, properties: dict[str, Any], most: int, sender: Role) -> Topic:
        """Return the topic that is meant, and take its alias out of the properties.

        Args:
            topic: what stands in the packet.
            properties: of the packet.
            most: the Topic Alias Maximum that we told.
            sender: of the packet.

        Raises:
            Violation: there is no such alias, or may be none.
        """
        alias = properties.pop("topic_alias", 0)
        if alias > most:
            statement = "MQTT-3.1.2-26" if sender == "server" else "MQTT-3.2.2-17"
            text = f"topic alias {alias}, and the maximum is {most}"
            raise Violation(text, ReasonCode.TOPIC_ALIAS_INVALID, statement)
        if topic:
            if alias:
                self._topics[alias] = topic
            return topic
        if alias == 0:
            raise protocol_error("a topic name without a character", "MQTT-4.7.3-1")
        known = self._topics.get(alias)
        if known is None:
            raise protocol_error(f"topic alias {alias}, which was given to no topic")
        return known


class Unacknowledged:
    """The Packet Identifiers of what the peer published and we did not acknowledge (§4.9)."""

    __slots__ = ("_bits", "_count")

    def __init__(self) -> None:
        self._bits = bytearray()  # one for each identifier, made when there is one
        self._count = 0

    def add(self, packet_id: int, most: int) -> bool:
        """Add one, if there are less than ``most``; return whether it is there.

        What is sent again, although it must not be, counts once.
        """
        if not self._bits:
            self._bits = bytearray(8192)
        place = packet_id >> 3
        bit = 1 << (packet_id & 7)
        if not self._bits[place] & bit:
            if self._count >= most:
                return False
            self._bits[place] |= bit
            self._count += 1
        return True

    def remove(self, packet_id: int) -> None:
        """Remove one, if it is there."""
        place = packet_id >> 3
        bit = 1 << (packet_id & 7)
        if self._bits and self._bits[place] & bit:
            self._bits[place] ^= bit
            self._count -= 1
