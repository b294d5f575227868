"""wirekit."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmarks.mqtt._client import Inbox, MQTTLibrary
from benchmarks.mqtt._data import Message
from wirekit.adapters.mqtt import MQTT
from wirekit.protocols.mqtt import Codec, ConnAck, Connect, Publish, codec
from wirekit.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Role

__all__ = ["Client"]

PUBLISHERS = 100  # tasks


class Client(MQTTLibrary):
    """Messages by the iterator; publish() waits for the acknowledgement, so tasks share it."""

    name = "wirekit"
    role: ClassVar[Role] = "ours"
    distributions: ClassVar[tuple[str, ...]] = ("wirekit",)
    note = f"MQTT 5.0; messages by its iterator; above QoS 0 {PUBLISHERS} tasks publish"

    @classmethod
    def version(cls) -> str:
        pure = Path(codec.__file__).suffix == ".py"
        return f"{super().version()}, {'pure Python' if pure else 'compiled'}"

    def __init__(self) -> None:
        super().__init__()
        self._stack = AsyncExitStack()

    async def close(self) -> None:
        await self._stack.aclose()

    async def open_publisher(self) -> None:
        self._publisher = await self._connect()

    async def open_subscriber(self, qos: int, inbox: Inbox) -> None:
        subscriber = await self._connect()
        await subscriber.subscribe(self.topic, qos)
        receiving = asyncio.create_task(_receive(subscriber, inbox))
        self._stack.callback(receiving.cancel)

    async def _connect(self) -> MQTT:
        return await self._stack.enter_async_context(MQTT(connect(self.address)))

    async def publish(self, payloads: Sequence[bytes], qos: int) -> None:
        publish, topic = self._publisher.publish, self.topic

        async def publish_some(some: Sequence[bytes]) -> None:
            for payload in some:
                await publish(topic, payload, qos)

        if not qos:
            await publish_some(payloads)  # no call waits
            return
        shares = [payloads[start::PUBLISHERS] for start in range(PUBLISHERS)]
        await asyncio.gather(*[publish_some(share) for share in shares if share])

    def read(self, packet: bytes, times: int) -> Message:
        receive_data = _connected_codec().receive_data
        packets = receive_data(packet)
        for _ in range(times - 1):
            packets = receive_data(packet)
        [found] = packets
        assert isinstance(found, Publish)
        return Message(str(found.topic), found.payload, found.qos, found.packet_id or 0)

    def write(self, message: Message, times: int) -> bytes:
        send = _connected_codec().send
        topic, payload, qos = message.topic, message.payload, message.qos
        packet_id = message.packet_id
        written = b""
        for _ in range(times):
            written = send(Publish(topic, payload, qos, packet_id=packet_id))
        return written


async def _receive(client: MQTT, inbox: Inbox) -> None:
    put = inbox.put
    async for message in client.messages:
        put(message.payload)


def _connected_codec() -> Codec:
    client, server = Codec("client"), Codec("server")
    server.receive_data(client.send(Connect("benchmark")))
    client.receive_data(server.send(ConnAck()))
    return client
