"""aiomqtt, which wraps paho-mqtt for asyncio."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar

import aiomqtt

from benchmarks.mqtt._client import Inbox, MQTTLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Client"]

PUBLISHERS = 10  # tasks; with more it warns


class Client(MQTTLibrary):
    """Messages by its iterator; publish() waits for the acknowledgement, so tasks share it."""

    name = "aiomqtt"
    distributions: ClassVar[tuple[str, ...]] = ("aiomqtt", "paho-mqtt")
    note = (
        "MQTT 5.0, any number of messages in flight; "
        f"above QoS 0 {PUBLISHERS} tasks publish (measured: faster than fewer; with more it warns)"
    )

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

    async def _connect(self) -> aiomqtt.Client:
        host, port = self.address
        client = aiomqtt.Client(
            host, port, protocol=aiomqtt.ProtocolVersion.V5, max_inflight_messages=65535
        )
        return await self._stack.enter_async_context(client)

    async def publish(self, payloads: Sequence[bytes], qos: int) -> None:
        publish, topic = self._publisher.publish, self.topic

        async def publish_some(some: Sequence[bytes]) -> None:
            for payload in some:
                await publish(topic, payload, qos)

        tasks = PUBLISHERS if qos else 1
        await asyncio.gather(*[publish_some(payloads[start::tasks]) for start in range(tasks)])


async def _receive(client: aiomqtt.Client, inbox: Inbox) -> None:
    put = inbox.put
    async for message in client.messages:
        put(message.payload)
