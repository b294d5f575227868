"""asyncpg."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks._model import Unsupported
from benchmarks.postgres._asyncpg_api import AsyncpgAPI
from benchmarks.postgres._client import POOL_SIZE
from benchmarks.postgres._data import SELECT_ARGUMENT
from benchmarks.postgres._wire import DATABASE, USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address

__all__ = ["Client"]

asyncpg: Any = importlib.import_module("asyncpg")  # which has no types


class Client(AsyncpgAPI):
    """A connection, and for the tasks a pool."""

    name = "asyncpg"
    distributions: ClassVar[tuple[str, ...]] = ("asyncpg",)
    note = (
        f"one query at a time on a connection, so the tasks share a pool of {POOL_SIZE}, which "
        "resets a connection when it gets it back"
    )

    _pool: Any

    async def connect(self, address: Address) -> None:
        host, port = address
        where: dict[str, Any] = {"host": host, "port": port, "user": USER, "database": DATABASE}
        self.connection = await asyncpg.connect(**where)
        self._pool = await asyncpg.create_pool(**where, min_size=POOL_SIZE, max_size=POOL_SIZE)

    async def close(self) -> None:
        await self._pool.close()
        await self.connection.close()

    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        async def one_task(argument: int) -> list[Any]:
            async with self._pool.acquire() as connection:
                fetchval = connection.fetchval
                return [await fetchval(SELECT_ARGUMENT, argument) for _ in range(each)]

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        fetchval = self._pool.fetchval

        async def one_task(argument: int) -> list[Any]:
            return [await fetchval(SELECT_ARGUMENT, argument) for _ in range(each)]

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        raise Unsupported("no pipeline")
