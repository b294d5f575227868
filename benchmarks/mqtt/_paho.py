"""paho-mqtt, with its thread for each client."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.mqtt._client import Inbox, MQTTLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Client"]


class ThreadInbox(Inbox):
    """Filled by another thread."""

    def fill(self) -> None:
        self._loop.call_soon_threadsafe(super().fill)


class Client(MQTTLibrary):
    """Its clients run in threads of their own; callbacks come from there."""

    name = "paho-mqtt"
    distributions: ClassVar[tuple[str, ...]] = ("paho-mqtt",)
    note = "MQTT 5.0, loop_start(), any number of messages in flight and queued"
    inbox = ThreadInbox

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()

    async def close(self) -> None:
        await asyncio.to_thread(self._stack.close)

    async def open_publisher(self) -> None:
        self._publisher = await self._connect()

    async def open_subscriber(self, qos: int, inbox: Inbox) -> None:
        put = inbox.put

        def on_message(client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
            put(bytes(message.payload))  # bytes already, though its types do not say so

        subscriber = await self._connect()
        subscriber.on_message = on_message
        subscribed = asyncio.Event()
        subscriber.on_subscribe = _setting(subscribed)
        subscriber.subscribe(self.topic, qos)
        await subscribed.wait()

    async def _connect(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(0)
        connected = asyncio.Event()
        client.on_connect = _setting(connected)
        host, port = self.address
        client.connect(host, port)
        client.loop_start()
        self._stack.callback(client.loop_stop)
        self._stack.callback(client.disconnect)
        await connected.wait()
        return client

    async def publish(self, payloads: Sequence[bytes], qos: int) -> None:
        publish, topic = self._publisher.publish, self.topic
        sent = [publish(topic, payload, qos) for payload in payloads]
        if qos:
            await asyncio.to_thread(_wait_for, sent)


def _setting(event: asyncio.Event) -> Callable[..., None]:
    """Return a callback for another thread that sets the event."""
    loop = asyncio.get_running_loop()

    def callback(*_: Any) -> None:
        loop.call_soon_threadsafe(event.set)

    return callback


def _wait_for(sent: Sequence[paho.MQTTMessageInfo]) -> None:
    for info in sent:
        info.wait_for_publish(60)
