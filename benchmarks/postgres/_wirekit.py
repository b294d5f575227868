"""Ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.postgres._asyncpg_api import AsyncpgAPI
from benchmarks.postgres._data import SELECT_ARGUMENT
from benchmarks.postgres._wire import DATABASE, USER
from wirekit.adapters import postgres
from wirekit.protocols.postgres import codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address, Role

__all__ = ["Client"]


class Client(AsyncpgAPI):
    """One connection; the queries of many tasks share it."""

    name = "wirekit"
    role: ClassVar[Role] = "ours"
    distributions: ClassVar[tuple[str, ...]] = ("wirekit",)
    note = "everything on one connection"

    @classmethod
    def version(cls) -> str:
        pure = Path(codec.__file__).suffix == ".py"
        return f"{super().version()}, {'pure Python' if pure else 'compiled'}"

    async def connect(self, address: Address) -> None:
        host, port = address
        self.connection = await postgres.connect(host=host, port=port, user=USER, database=DATABASE)

    async def close(self) -> None:
        await self.connection.close()

    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        fetchval = self.connection.fetchval

        async def one_task(argument: int) -> list[Any]:
            return [await fetchval(SELECT_ARGUMENT, argument) for _ in range(each)]

        return await asyncio.gather(*[one_task(argument) for argument in arguments])

    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        return await self.tasks(arguments, each)

    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        async with self.connection.pipeline() as pipeline:
            fetchval = pipeline.fetchval
            values = [fetchval(SELECT_ARGUMENT, argument) for argument in arguments]
        return [await value for value in values]
