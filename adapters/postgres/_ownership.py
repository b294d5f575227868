"""Who may use a connection: everybody, or while a transaction or COPY lasts, only its own code."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from contextvars import ContextVar
from copy import copy
from typing import TYPE_CHECKING, Any

from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["Hold", "Ownership"]

_held: ContextVar[frozenset[Hold]] = ContextVar("wirekit postgres holds", default=frozenset())


class Hold:
    """A connection that belongs to one piece of code for a while.

    That is the task that took it, with all tasks that it starts meanwhile. If that task ends and
    the hold does not (a transaction begun in a test's fixture, or under ``asyncio.wait_for``),
    nobody could be told apart, and it belongs to whoever comes.

    Attributes:
        exclusive: no call at all may use the connection, such as during COPY.
        released: it is over.
    """

    __slots__ = ("_task", "_watcher", "exclusive", "released")

    def __init__(self, *, exclusive: bool) -> None:
        self.exclusive = exclusive
        self.released = False
        self._task = asyncio.current_task()
        self._watcher: Callable[[asyncio.Task[Any]], None] | None = None

    @property
    def is_held_here(self) -> bool:
        """Whether it was taken by the code that runs now, or by what started that."""
        return self in _held.get()

    @property
    def is_orphaned(self) -> bool:
        """Whether the task that took it is over."""
        return self._task is None or self._task.done()

    @property
    def is_ours(self) -> bool:
        """Whether the code that runs now may use what is held."""
        return not self.exclusive and (self.is_held_here or self.is_orphaned)

    def refuse_self(self) -> None:
        """Raise an InterfaceError if who took it would wait for himself."""
        if self.exclusive and self._task is asyncio.current_task():
            raise InterfaceError("this task has a COPY under way: end that, or aclose() it")

    def pass_on(self) -> None:
        """Take note that it belongs to the task that runs now."""
        self._unwatch()
        self._task = asyncio.current_task()

    def leave(self) -> None:
        """Take note that it lasts a while longer, and belongs to no task."""
        self._unwatch()
        self._task = None

    def watch(self, orphaned: Callable[[], None]) -> None:
        """Have a function called when the task that took it ends."""
        if self._watcher is None and self._task is not None:
            self._watcher = lambda _: orphaned()
            self._task.add_done_callback(self._watcher)

    def end(self) -> None:
        """Take note that it is over."""
        self.released = True
        self._unwatch()
        self._task = None

    def _unwatch(self) -> None:
        if self._watcher is not None and self._task is not None:
            self._task.remove_done_callback(self._watcher)
        self._watcher = None


class _Waiter:
    """Someone who waits for the connection."""

    __slots__ = ("future", "held", "inside", "takes", "woken")

    def __init__(self, held: frozenset[Hold], inside: Hold | None, *, takes: bool) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held = held  # by who waits
        self.inside = inside
        self.takes = takes
        self.woken = False


class Ownership:
    """The holds on one connection, each inside the one before, and who waits for them.

    Args:
        released: called each time that a hold is over.
    """

    __slots__ = ("_holds", "_over", "_released", "_waiters", "_woken")

    def __init__(self, released: Callable[[], None] = lambda: None) -> None:
        self._released = released
        self._holds: list[Hold] = []
        self._waiters: deque[_Waiter] = deque()
        self._woken = 0  # how many may go on, and have not done so yet
        self._over = False

    @property
    def held(self) -> bool:
        """Whether someone has the connection for himself."""
        return bool(self._holds)

    @property
    def exclusive(self) -> bool:
        """Whether what is under way must not be disturbed, even by who has the connection."""
        return any(hold.exclusive for hold in self._holds)

    @property
    def is_free(self) -> bool:
        """Whether the code that runs now may use the connection."""
        return not self._holds or self._obstacle(_held.get()) is None

    @property
    def ours(self) -> Hold | None:
        """The hold of the code that runs now, None if it has none."""
        return self._holds[-1] if self._holds and self.is_free else None

    def _obstacle(self, held: frozenset[Hold], inside: Hold | None = None) -> Hold | None:
        """Return the hold that keeps out who has ``held``; see `wait`."""
        if self._over:
            return None
        for hold in reversed(self._holds):
            if hold is inside:
                return None
            if hold.exclusive:
                return hold
            if hold in held:
                return None
            if not hold.is_orphaned:
                return hold
        return None

    def refuse_self(self) -> None:
        """Raise an InterfaceError if the task that runs now would wait for itself."""
        for hold in self._holds:
            hold.refuse_self()

    async def wait(self, *, inside: Hold | None = None, takes: bool = False) -> bool:
        """Wait until the code that runs now may use the connection; return whether it had to.

        Args:
            inside: wait only for those who came into this hold.
            takes: it will be for ourselves, so nobody behind us has to look.
        """
        held = _held.get()
        waited = False
        while (obstacle := self._obstacle(held, inside)) is not None:
            obstacle.refuse_self()
            obstacle.watch(self.wake)
            waiter = _Waiter(held, inside, takes=takes)
            if waited:
                self._waiters.appendleft(waiter)
            else:
                self._waiters.append(waiter)
            waited = True
            await self._turn(waiter)
        return waited

    async def _turn(self, waiter: _Waiter) -> None:
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.woken:  # it was its turn, and is now someone else's
                self._woken -= 1
                self.wake()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise
        self._woken -= 1

    async def take(self, *, exclusive: bool = False) -> Hold:
        """Wait for the connection, and have it until `release`."""
        if not await self.wait(takes=True) and self._woken:
            # Whoever takes it again and again must not be before those who wait.
            await asyncio.sleep(0)
            await self.wait(takes=True)
        hold = Hold(exclusive=exclusive)
        self._holds.append(hold)
        _held.set(frozenset([known for known in _held.get() if not known.released]) | {hold})
        if self._waiters:
            hold.watch(self.wake)
        return hold

    @asynccontextmanager
    async def holding(self) -> AsyncGenerator[None]:
        """Wait for the connection, and have it while the block lasts."""
        hold = await self.take()
        try:
            yield
        finally:
            self.release(hold)

    def release(self, hold: Hold) -> None:
        """Give the connection back; a second time does nothing."""
        if hold not in self._holds:
            return
        self._holds.remove(hold)
        hold.end()
        self.wake()
        self._released()

    def give_up(self) -> None:
        """End what the code that runs now has, because all of it was rolled back."""
        while self._holds and self.is_free:
            self.release(self._holds[-1])

    def wake(self) -> None:
        """Let those go on who may now, in order, up to one who takes the connection."""
        waiters = self._waiters
        others: list[_Waiter] = []
        while waiters:
            waiter = waiters.popleft()
            obstacle = self._obstacle(waiter.held, waiter.inside)
            if obstacle is not None:
                obstacle.watch(self.wake)
                others.append(waiter)
            elif not waiter.future.done():
                self._woken += 1
                waiter.woken = True
                waiter.future.set_result(None)
                if waiter.takes and not self._over:
                    break
        waiters.extendleft(reversed(others))

    def clear(self, error: Exception) -> None:
        """Take the connection from whoever has it; those who wait for it get an error."""
        holds, self._holds = self._holds, []
        for hold in holds:
            hold.end()
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(copy(error))
                waiter.future.exception()  # whoever waits still gets it
        self._released()

    def end(self) -> None:
        """Let everybody pass: the connection is over, and its errors are for all."""
        self._over = True
        self.wake()

    def __repr__(self) -> str:
        return f"<Ownership {len(self._holds)} holds, {len(self._waiters)} wait>"
