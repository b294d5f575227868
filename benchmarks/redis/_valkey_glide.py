"""valkey-glide's async client over its Rust core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from glide import Batch, GlideClient, GlideClientConfiguration, NodeAddress

from benchmarks.redis._client import RedisLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address

__all__ = ["Client"]

REQUEST_TIMEOUT = 120_000  # milliseconds; the default of 250 is too short for the big value


class Client(RedisLibrary):
    """One client; commands of many tasks share its connection."""

    name = "valkey-glide"
    distributions: ClassVar[tuple[str, ...]] = ("valkey-glide",)
    note = "request timeout raised from 250 ms to 120 s"

    _glide: Any  # its replies are unions, in part of unknown types

    async def connect(self, address: Address) -> None:
        self._glide = await GlideClient.create(
            GlideClientConfiguration([NodeAddress(*address)], request_timeout=REQUEST_TIMEOUT)
        )
        self.get = self._glide.get
        self.execute_get = self._custom_get
        await self._glide.ping()

    async def close(self) -> None:
        await self._glide.close()

    def _custom_get(self, key: str) -> Any:
        return self._glide.custom_command(["GET", key])

    async def pipeline(self, keys: Sequence[str]) -> Sequence[Any]:
        batch = Batch(is_atomic=False)
        for key in keys:
            batch.get(key)
        replies: list[Any] = await self._glide.exec(batch, raise_on_error=True)
        return replies

    async def lrange(self, key: str) -> Sequence[Any]:
        replies: list[Any] = await self._glide.lrange(key, 0, -1)
        return replies

    async def set_value(self, key: str, value: bytes) -> None:
        await self._glide.set(key, value)
