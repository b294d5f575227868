"""redis-py's asyncio client, with the hiredis parser."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from redis.asyncio import Redis

from benchmarks.redis._client import RedisLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address

__all__ = ["Client"]


class Client(RedisLibrary):
    """One client; it needs a connection for every command in flight."""

    name = "redis-py"
    distributions: ClassVar[tuple[str, ...]] = ("redis", "hiredis")
    note = (
        "one command at a time on a connection, so each task has one of its pool (measured: faster "
        "than a shared one); no socket timeout, which is faster too"
    )

    # Any: its commands are typed for both its sync and its async client, and in part not at all.
    _redis: Any

    async def connect(self, address: Address) -> None:
        host, port = address
        self._redis = Redis(host=host, port=port, max_connections=1000, socket_timeout=None)
        self.get = self._redis.get
        self.execute_get = partial(self._redis.execute_command, "GET")
        await self._redis.ping()

    async def close(self) -> None:
        await self._redis.aclose()

    async def pipeline(self, keys: Sequence[str]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.get(key)
        replies: list[Any] = await pipe.execute()
        return replies

    async def lrange(self, key: str) -> list[Any]:
        replies: list[Any] = await self._redis.lrange(key, 0, -1)
        return replies

    async def set_value(self, key: str, value: bytes) -> None:
        await self._redis.set(key, value)
