"""mqtt5, a codec in Rust."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import mqtt5

from benchmarks._model import Unsupported
from benchmarks.mqtt._client import MQTTParticipant
from benchmarks.mqtt._data import Message

if TYPE_CHECKING:
    from benchmarks._model import Address
    from benchmarks.mqtt._data import Flow

__all__ = ["Client"]


class Client(MQTTParticipant):
    """No client at all: packets from bytes and into bytes."""

    name = "mqtt5"
    distributions: ClassVar[tuple[str, ...]] = ("mqtt5",)
    note = "a codec without a client, called as its own benchmark does"

    async def connect(self, address: Address) -> None:
        """There is nothing to connect."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def deliver(self, flow: Flow) -> list[list[bytes]]:
        raise Unsupported("a codec, without a client")

    def read(self, packet: bytes, times: int) -> Message:
        read, buffer = mqtt5.read, memoryview(packet)
        found: object = None
        for _ in range(times):
            found, _ = read(buffer)
        assert isinstance(found, mqtt5.PublishPacket)
        return Message(found.topic, found.payload, found.qos, found.packet_id or 0)

    def write(self, message: Message, times: int) -> bytes:
        topic, payload, packet_id = message.topic, message.payload, message.packet_id
        packet, qos = mqtt5.PublishPacket, mqtt5.QoS(message.qos)
        written = b""
        for _ in range(times):
            written = packet(topic, payload, qos=qos, packet_id=packet_id).write()
        return written
