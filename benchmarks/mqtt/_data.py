"""What is published, and the one PUBLISH that the codecs read and write."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.mqtt import _wire

if TYPE_CHECKING:
    from benchmarks._model import Address, Scale

__all__ = ["PACKET", "PUBLISH", "TIMES", "Flow", "Message", "new_topic", "prepare"]

FILLING = b"wirekit!"
TIMES = 1000  # packets that a codec reads or writes in one call


@dataclass(frozen=True)
class Message:
    """A PUBLISH as a codec sees it."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int


PUBLISH = Message("wirekit-benchmark/codec", FILLING * 32, 1, 1234)
PACKET = _wire.publish(PUBLISH.topic, PUBLISH.payload, PUBLISH.qos, PUBLISH.packet_id)


@dataclass(frozen=True)
class Flow:
    """So many messages of one size, from one client to so many others."""

    qos: int
    size: int
    count: int
    subscribers: int

    def payloads(self) -> list[bytes]:
        """Return the payloads, sorted; no two are the same."""
        filling = FILLING * (self.size // len(FILLING))
        return [b"%08d%b" % (number, filling[8:]) for number in range(self.count)]


def new_topic() -> str:
    """Return a topic of its own for each participant, all of one length."""
    return f"wirekit-benchmark/{secrets.token_hex(4)}"


def prepare(address: Address, scale: Scale) -> None:
    """Do nothing: a broker holds no data before somebody publishes."""
