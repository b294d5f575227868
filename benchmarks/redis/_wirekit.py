"""Ours."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.redis._client import RedisLibrary
from wirekit.adapters.redis import Redis
from wirekit.protocols import resp
from wirekit.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address, Role

__all__ = ["Client"]


class Client(RedisLibrary):
    """One client on one socket; commands of many tasks share it."""

    name = "wirekit"
    role: ClassVar[Role] = "ours"
    distributions: ClassVar[tuple[str, ...]] = ("wirekit",)

    @classmethod
    def version(cls) -> str:
        pure = Path(resp.__file__).suffix == ".py"
        return f"{super().version()}, {'pure Python' if pure else 'compiled'}"

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def connect(self, address: Address) -> None:
        self._redis = await self._stack.enter_async_context(Redis(connect(address)))
        self.get = self._redis.get
        self.execute_get = partial(self._redis.execute, "GET")

    async def close(self) -> None:
        await self._stack.aclose()

    async def pipeline(self, keys: Sequence[str]) -> Sequence[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.get(key)
        return await pipe.execute()

    async def lrange(self, key: str) -> Sequence[Any]:
        return await self._redis.lrange(key, 0, -1)

    async def set_value(self, key: str, value: bytes) -> None:
        await self._redis.set(key, value)
