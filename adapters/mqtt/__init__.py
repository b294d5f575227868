"""MQTT 5.0 and 3.1.1: a client with aiomqtt's habits on any socket.

async with MQTT(socket) as client:
await client.subscribe("lamps/#", qos=1)
await client.publish("lamps/kitchen", "on", qos=1)
async for message in client.messages:
...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit.protocols.mqtt import (
    ConnectReturnCode,
    Properties,
    Publish,
    ReasonCode,
    Subscription,
    Topic,
    Will,
)

from ._authentication import Authentication
from ._client import MQTT, connect
from ._errors import MessageExpired, MqttCodeError, MqttError, SessionLost, StoreError
from ._messages import Messages
from ._store import MemoryStore, SessionStore
from ._url import parse_url

if TYPE_CHECKING:
    from ._sqlite_store import SQLiteStore

Message = Publish

__all__ = [
    "MQTT",
    "Authentication",
    "ConnectReturnCode",
    "MemoryStore",
    "Message",
    "MessageExpired",
    "Messages",
    "MqttCodeError",
    "MqttError",
    "Properties",
    "Publish",
    "ReasonCode",
    "SQLiteStore",
    "SessionLost",
    "SessionStore",
    "StoreError",
    "Subscription",
    "Topic",
    "Will",
    "connect",
    "parse_url",
]


def __getattr__(name: str) -> Any:
    if name == "SQLiteStore":  # here, as few need SQLite, which takes its time to load
        from ._sqlite_store import SQLiteStore

        return SQLiteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
