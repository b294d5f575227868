"""Packet identifiers: 1 to 65 535, none of them used twice at once.

Source: MQTT 5.0, section 2.2.1.
"""

from __future__ import annotations

__all__ = ["PacketIds"]

_LARGEST = 65535


class PacketIds:
    """The identifiers that this client uses, for PUBLISH, SUBSCRIBE and UNSUBSCRIBE alike.

    They are taken in a circle, so that a late acknowledgement meets no new packet.
    """

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._last = 0

    def __contains__(self, packet_id: int) -> bool:
        return packet_id in self._used

    def __len__(self) -> int:
        return len(self._used)

    def take(self, *, spare: int = 0) -> int | None:
        """Return one that is not in use; None if no more than ``spare`` are left."""
        used = self._used
        if len(used) >= _LARGEST - spare:
            return None
        packet_id = self._last + 1
        while packet_id in used or packet_id > _LARGEST:
            packet_id = packet_id + 1 if packet_id < _LARGEST else 1
        used.add(packet_id)
        self._last = packet_id
        return packet_id

    def use(self, packet_id: int) -> None:
        """Take this one."""
        self._used.add(packet_id)

    def release(self, packet_id: int) -> None:
        """Give one back."""
        self._used.discard(packet_id)
