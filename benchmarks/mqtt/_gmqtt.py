"""gmqtt."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.mqtt._client import Inbox, MQTTLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Client"]

gmqtt: Any = importlib.import_module("gmqtt")  # which has no types
storage: Any = importlib.import_module("gmqtt.storage")


class Client(MQTTLibrary):
    """Its publish() returns at once and cannot be awaited; its storage tells when all is acked."""

    name = "gmqtt"
    distributions: ClassVar[tuple[str, ...]] = ("gmqtt",)
    note = "MQTT 5.0; messages by its callback; its storage says when everything is acknowledged"

    def __init__(self) -> None:
        super().__init__()
        self._stack = AsyncExitStack()
        self._storage = storage.PersistentStorage()

    async def close(self) -> None:
        await self._stack.aclose()

    async def open_publisher(self) -> None:
        self._publisher = await self._connect(persistent_storage=self._storage)

    async def open_subscriber(self, qos: int, inbox: Inbox) -> None:
        put = inbox.put
        subscribed = asyncio.Event()

        def on_message(client: object, topic: str, payload: bytes, *_: object) -> int:
            put(payload)
            return 0

        def on_subscribe(client: object, *_: object) -> None:
            subscribed.set()

        subscriber = await self._connect()
        subscriber.on_message = on_message
        subscriber.on_subscribe = on_subscribe
        subscriber.subscribe(self.topic, qos=qos)
        await subscribed.wait()

    async def _connect(self, **settings: object) -> Any:
        client = gmqtt.Client("", **settings)  # which chooses an identifier
        host, port = self.address
        self._stack.push_async_callback(client.disconnect)
        await client.connect(host, port)
        return client

    async def publish(self, payloads: Sequence[bytes], qos: int) -> None:
        publish, topic = self._publisher.publish, self.topic
        for payload in payloads:
            publish(topic, payload, qos)
        await self._storage.wait_empty()
