"""Redis and Valkey: redis-py's asyncio commands on any socket.

async with Redis(socket) as client:
await client.set("key", "value")
await client.get("key")
"""

from __future__ import annotations

from ._cache import Cache
from ._client import Redis, connect
from ._errors import DataError, ResponseError
from ._monitor import Monitor
from ._pipeline import Pipeline
from ._pubsub import PubSub
from ._url import parse_url

__all__ = [
    "Cache",
    "DataError",
    "Monitor",
    "Pipeline",
    "PubSub",
    "Redis",
    "ResponseError",
    "connect",
    "parse_url",
]
