"""What a Redis participant does; for a library most of it is the same loop around its own calls."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from benchmarks._model import Participant, Unsupported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["RedisLibrary", "RedisParticipant"]

# Replies are Any: each library types them in its own way, and all of them are checked by value.


class RedisParticipant(Participant):
    """The work of the Redis rows. All keys are str, all values bytes."""

    @abstractmethod
    async def sequential(self, key: str, count: int) -> list[Any]:
        """Send ``count`` GET, each after the reply to the one before."""

    @abstractmethod
    async def tasks(self, keys: Sequence[str], each: int) -> list[list[Any]]:
        """Run one task for each key, which sends ``each`` GET one after another."""

    @abstractmethod
    async def tasks_by_execute(self, keys: Sequence[str], each: int) -> list[list[Any]]:
        """As `tasks`, by the library's call for any command."""

    @abstractmethod
    async def pipeline(self, keys: Sequence[str]) -> Sequence[Any]:
        """GET every key in one explicit pipeline, not a transaction."""

    @abstractmethod
    async def lrange(self, key: str) -> Sequence[Any]:
        """Fetch a whole list."""

    @abstractmethod
    async def set_value(self, key: str, value: bytes) -> None:
        """SET one value."""

    @abstractmethod
    async def get_value(self, key: str) -> Any:
        """GET one value."""


class RedisLibrary(RedisParticipant):
    """A library. `connect` sets ``get`` and, where there is one, ``execute_get``.

    ``get`` is the library's own bound method, ``execute_get`` sends GET through its call for any
    command: nothing of the harness runs between the loops below and the library.
    """

    get: Callable[[str], Awaitable[Any]]
    execute_get: Callable[[str], Awaitable[Any]] | None = None

    async def sequential(self, key: str, count: int) -> list[Any]:
        get = self.get
        return [await get(key) for _ in range(count)]

    async def tasks(self, keys: Sequence[str], each: int) -> list[list[Any]]:
        return await _in_tasks(self.get, keys, each)

    async def tasks_by_execute(self, keys: Sequence[str], each: int) -> list[list[Any]]:
        if self.execute_get is None:
            raise Unsupported("no public call for any command")
        return await _in_tasks(self.execute_get, keys, each)

    async def get_value(self, key: str) -> Any:
        return await self.get(key)


async def _in_tasks(
    get: Callable[[str], Awaitable[Any]], keys: Sequence[str], each: int
) -> list[list[Any]]:
    async def one_task(key: str) -> list[Any]:
        return [await get(key) for _ in range(each)]

    return await asyncio.gather(*[one_task(key) for key in keys])
