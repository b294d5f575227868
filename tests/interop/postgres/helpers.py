from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import wirekit
from tests.interop.waiting import eventually as eventually
from tests.interop.waiting import outcomes as outcomes
from tests.interop.waiting import turns as turns
from wirekit.adapters import postgres


async def outcome(call: Awaitable[Any]) -> Any:
    """Return what a call returned or raised; it may not hang."""
    (result,) = await outcomes(call)
    return result


def assert_typed(error: object) -> None:
    """It is an error of ours, and those who catch asyncpg's catch it too."""
    assert isinstance(error, wirekit.Error), repr(error)
    asyncpgs = (postgres.PostgresError, postgres.InterfaceError, postgres.InternalClientError)
    assert isinstance(error, (*asyncpgs, OSError)), repr(error)


def assert_over(error: object) -> None:
    """It says that the connection is over."""
    assert_typed(error)
    assert isinstance(error, postgres.ConnectionDoesNotExistError), repr(error)
