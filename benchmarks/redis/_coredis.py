"""coredis."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

import coredis

from benchmarks.redis._client import RedisLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address

__all__ = ["Client"]


class Client(RedisLibrary):
    """One client with its own pool; commands of many tasks share a connection."""

    name = "coredis"
    distributions: ClassVar[tuple[str, ...]] = ("coredis",)

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def connect(self, address: Address) -> None:
        host, port = address
        redis = coredis.Redis(host=host, port=port)
        self._redis = await self._stack.enter_async_context(redis)
        self.get = self._redis.get
        await self._redis.ping()

    async def close(self) -> None:
        await self._stack.aclose()

    async def pipeline(self, keys: Sequence[str]) -> Sequence[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.get(key)
        return pipe.results or ()

    async def lrange(self, key: str) -> Sequence[Any]:
        return await self._redis.lrange(key, 0, -1)

    async def set_value(self, key: str, value: bytes) -> None:
        await self._redis.set(key, value)
