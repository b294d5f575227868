# cython: annotation_typing=False
"""PUBLISH and its plain acknowledgements into bytes, each into one new byte string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit.protocols.mqtt import _primitives

if TYPE_CHECKING:
    from ._packets import Publish

__all__ = [
    "integer_size",
    "publish_length",
    "write_acknowledgement",
    "write_publish",
]

_PUBLISH = 3
_TOPIC_ALIAS = 0x23  # §3.3.2.3.4
_ALIAS_SIZE = 3


def integer_size(number: int) -> int:
    """Return how many bytes a Variable Byte Integer has (§1.5.5)."""
    if number < 0x80:
        return 1
    if number < 0x4000:
        return 2
    return 3 if number < 0x200000 else 4


def publish_length(packet: Publish, version: int, alias: int, block: bytes) -> int:
    """Return the Remaining Length of a PUBLISH; for the arguments see `write_publish`."""
    length = 2 + len(packet.payload)
    if alias <= 0:
        length += _primitives.text_size(packet.topic)
    if packet.qos:
        length += 2
    if version == 5:
        properties = len(block)
        if alias:
            properties += _ALIAS_SIZE
        length += properties + integer_size(properties)
    return length


def write_publish(
    packet: Publish,
    version: int,
    alias: int,
    block: bytes,
    packet_id: int,
    length: int,
    whole: bool,
) -> bytes:
    """Return a PUBLISH (§3.3).

    Args:
        packet: what was checked.
        version: 5 or 4.
        alias: the Topic Alias that stands for the topic; below 0 one that is given to it; or 0.
        block: the other properties.
        packet_id: the packet identifier, if it has one.
        length: what `publish_length` says.
        whole: with the payload, or without it.
    """
    payload = packet.payload
    size = 1 + integer_size(length) + length
    if not whole:
        size -= len(payload)
    room = _primitives.new_bytes(size)
    place = _primitives.place_of(room)
    first = _PUBLISH << 4 | packet.qos << 1
    if packet.retain:
        first |= 0x01
    if packet.duplicate:
        first |= 0x08
    place[0] = first
    position = _put_integer(place, 1, length)
    if alias > 0:
        position = _put_uint16(place, position, 0)
    else:
        topic = packet.topic
        position = _put_uint16(place, position, _primitives.text_size(topic))
        position = _primitives.put_text(place, position, topic)
    if packet.qos:
        position = _put_uint16(place, position, packet_id)
    if version == 5:
        properties = len(block)
        if alias:
            properties += _ALIAS_SIZE
        position = _put_integer(place, position, properties)
        if alias:
            place[position] = _TOPIC_ALIAS
            position = _put_uint16(place, position + 1, abs(alias))
        position = _primitives.put_bytes(place, position, block)
    if whole:
        _primitives.put_bytes(place, position, payload)
    return _primitives.to_bytes(room)


def write_acknowledgement(first: int, packet_id: int) -> bytes:
    """Return an acknowledgement that is no more than a packet identifier (§3.4 to §3.7)."""
    room = _primitives.new_bytes(4)
    place = _primitives.place_of(room)
    place[0] = first
    place[1] = 2
    _put_uint16(place, 2, packet_id)
    return _primitives.to_bytes(room)


def _put_integer(place: Any, position: int, number: int) -> int:
    """Put a Variable Byte Integer; return where it ends."""
    while number >= 0x80:
        place[position] = number & 0x7F | 0x80
        number >>= 7
        position += 1
    place[position] = number
    return position + 1


def _put_uint16(place: Any, position: int, number: int) -> int:
    """Put a Two Byte Integer (§1.5.2); return where it ends."""
    place[position] = number >> 8
    place[position + 1] = number & 0xFF
    return position + 2
