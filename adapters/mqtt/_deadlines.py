"""Deadlines for many futures that may all take equally long, with one timer for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Deadlines"]


class Deadlines:
    """Gives futures an exception if they are not done in time.

    Cheaper than a timer for each, which a message that is acknowledged at once would feel.

    Args:
        timeout: seconds that each may take; None for no limit.
        error: makes the exception.
    """

    def __init__(self, timeout: float | None, error: Callable[[], Exception]) -> None:
        self._timeout = timeout
        self._error = error
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: dict[asyncio.Future[Any], float] = {}  # in the order of their time
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, future: asyncio.Future[Any]) -> None:
        """Limit the time for a future, until `forget`."""
        if self._timeout is None:
            return
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        due = self._due[future] = loop.time() + self._timeout
        if self._timer is None:
            self._timer = loop.call_at(due, self._expire)

    def forget(self, future: asyncio.Future[Any]) -> None:
        """Take note that a future is done, or that nobody waits for it."""
        self._due.pop(future, None)

    def close(self) -> None:
        """Limit nothing any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        expired: list[asyncio.Future[Any]] = []
        self._timer = None
        for future, due in self._due.items():
            if due > now:
                self._timer = loop.call_at(due, self._expire)
                break
            expired.append(future)
        for future in expired:
            del self._due[future]
            if not future.done():
                future.set_exception(self._error())
