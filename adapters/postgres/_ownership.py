"""Who may use a connection: everybody, or while a transaction or COPY lasts, only its own code."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar

__all__ = ["Hold", "Ownership"]

_held: ContextVar[frozenset[Hold]] = ContextVar("wirekit postgres holds", default=frozenset())


class Hold:
    """A connection that belongs to one piece of code for a while.

    That is the task that took it, with all tasks that it starts meanwhile. If that task ends and
    the hold does not (a transaction begun in a test's fixture, or under ``asyncio.wait_for``),
    nobody could be told apart, and it belongs to whoever comes.
    """

    __slots__ = ("_task", "exclusive")

    def __init__(self, *, exclusive: bool) -> None:
        self._task = asyncio.current_task()
        self.exclusive = exclusive  # no other call at all, such as during COPY

    @property
    def is_ours(self) -> bool:
        """Whether the code that runs now may use what is held."""
        if self.exclusive:
            return False
        return self in _held.get() or self._task is None or self._task.done()


class Ownership:
    """The holds on one connection; the last taken counts."""

    __slots__ = ("_holds", "_waiters")

    def __init__(self) -> None:
        self._holds: list[Hold] = []
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def held(self) -> bool:
        """Whether someone has the connection for himself."""
        return bool(self._holds)

    @property
    def is_free(self) -> bool:
        """Whether the code that runs now may use the connection."""
        return not self._holds or self._holds[-1].is_ours

    @property
    def ours(self) -> Hold | None:
        """The hold of the code that runs now, None if it has none."""
        return self._holds[-1] if self._holds and self._holds[-1].is_ours else None

    async def wait(self) -> None:
        """Wait until the code that runs now may use the connection."""
        while not self.is_free:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                raise

    async def take(self, *, exclusive: bool = False) -> Hold:
        """Wait for the connection, and have it until `release`."""
        await self.wait()
        hold = Hold(exclusive=exclusive)
        self._holds.append(hold)
        _held.set(_held.get() | {hold})
        return hold

    def release(self, hold: Hold) -> None:
        """Give the connection back; a second time does nothing."""
        if hold not in self._holds:
            return
        self._holds.remove(hold)
        _held.set(_held.get() - {hold})
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def __repr__(self) -> str:
        return f"<Ownership {len(self._holds)} holds, {len(self._waiters)} wait>"
