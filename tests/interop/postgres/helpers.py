from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import wirekit
from wirekit.adapters import postgres

PATIENCE = 20.0  # seconds after which something that was to happen never will


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        await asyncio.sleep(0.005)


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    """Return what each call returned or raised; none may hang."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*calls, return_exceptions=True)


async def outcome(call: Awaitable[Any]) -> Any:
    """Return what a call returned or raised; it may not hang."""
    (result,) = await outcomes(call)
    return result


async def turns(count: int) -> None:
    """Let the event loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def assert_typed(error: object) -> None:
    """It is an error of ours, and those who catch asyncpg's catch it too."""
    assert isinstance(error, wirekit.Error), repr(error)
    theirs = (
        *(postgres.PostgresError, postgres.InterfaceError, postgres.InternalClientError),
        *(OSError,),
    )
    assert isinstance(error, theirs), repr(error)


def assert_over(error: object) -> None:
    """It says that the connection is over."""
    assert_typed(error)
    assert isinstance(error, postgres.ConnectionDoesNotExistError), repr(error)
