"""The inner part of a pool: which places are free, who waits for one, how many connections."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._pool_holder import PoolConnectionHolder
from ._pool_proxy import PoolConnectionProxy
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from wirekit.protocols.postgres import TypeInfo

    from ._client import Postgres

__all__ = ["PoolCore", "PoolOptions"]

logger = logging.getLogger(__name__)

_GOODBYE = 10.0  # seconds for a connection to close
_LONG_CLOSE = 60.0  # seconds after which it is worth a warning that connections are not released
_FIRST_PAUSE = 1.0  # seconds before a lost connection is tried again, doubled each time
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class PoolOptions:
    """How many connections a pool has, and what is done to them; see `create_pool`.

    Raises:
        ValueError: they do not go together.
    """

    init_size: int
    min_size: int
    max_size: int
    max_queries: int
    max_inactive_connection_lifetime: float
    setup: Callable[[Any], Awaitable[object]] | None
    reset: Callable[[Any], Awaitable[object]] | None

    def __post_init__(self) -> None:
        lifetime = self.max_inactive_connection_lifetime
        for wrong, text in (
            (self.max_size <= 0, "max_size is expected to be greater than zero"),
            (self.min_size < 0, "min_size is expected to be greater or equal to zero"),
            (self.min_size > self.max_size, "min_size is greater than max_size"),
            (self.init_size < 0, "init_size is expected to be greater or equal to zero"),
            (self.init_size > self.max_size, "init_size is greater than max_size"),
            (self.init_size < self.min_size, "init_size is smaller than min_size"),
            (self.max_queries <= 0, "max_queries is expected to be greater than zero"),
            (
                lifetime < 0,
                "max_inactive_connection_lifetime is expected to be greater or equal to zero",
            ),
        ):
            if wrong:
                raise ValueError(text)


class PoolCore:
    """The places of a pool.

    Whoever takes a place has it until `give_back`. A free one goes to who has waited longest.

    Args:
        options: see there.
        new_connection: makes a connection, opened and initialised.

    Attributes:
        generation: connections of an earlier one are replaced when they are next asked for.
        known_types: what introspection found, for all connections; None if that is not to be.
    """

    def __init__(
        self, options: PoolOptions, new_connection: Callable[[], Awaitable[Postgres]]
    ) -> None:
        self.options = options
        self.new_connection = new_connection
        self.generation = 0
        self.known_types: dict[int, TypeInfo] | None = None
        self.is_closed = False
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop  # from when it is opened
        self._opening = False
        self._closing = False
        self._holders: list[PoolConnectionHolder] = []
        self._free: deque[PoolConnectionHolder] = deque()  # connected ones at the right
        self._waiters: OrderedDict[asyncio.Future[PoolConnectionHolder], None] = OrderedDict()
        self._all_free: set[asyncio.Future[None]] = set()  # of those who close
        self._maintenance: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._releases: set[asyncio.Task[None]] = set()

    @property
    def is_closing(self) -> bool:
        """Whether the pool is about to be closed, or is."""
        return self._closing or self.is_closed

    @property
    def size(self) -> int:
        """How many connections there are."""
        return sum(holder.is_connected for holder in self._holders)

    @property
    def idle_size(self) -> int:
        """How many of them are not in use."""
        return sum(holder.is_connected for holder in self._free)

    # Opening and closing

    async def open(self) -> None:
        """Make the first connections; a second time does nothing."""
        if self.is_closed:
            raise InterfaceError("pool is closed")
        if self._is_open:
            return
        if self._opening:
            raise InterfaceError("pool is being initialized in another task")
        self._opening = True
        self._loop = asyncio.get_running_loop()
        holders = [PoolConnectionHolder(self) for _ in range(self.options.max_size)]
        self._holders = holders
        try:
            first = holders[: self.options.init_size]
            if first:
                await first[0].connect()  # so that what is wrong shows before the others try
                await _all_of(holder.connect() for holder in first[1:])
        except BaseException:
            self.is_closed = True
            for holder in holders:
                holder.terminate()
            raise
        finally:
            self._opening = False
            self._is_open = True
        for holder in holders:
            self.give_back(holder)

    def check_open(self) -> None:
        """Raise an `InterfaceError` unless the pool is open."""
        if self._opening:
            raise InterfaceError(
                "pool is being initialized, but not yet ready: "
                "likely there is a race between creating a pool and using it"
            )
        if not self._is_open:
            raise InterfaceError("pool is not initialized")
        if self.is_closed:
            raise InterfaceError("pool is closed")

    async def close(self) -> None:
        """Wait until all connections are given back, and close them; see `Pool.close`."""
        if self.is_closed:
            return
        self.check_open()
        self._closing = True
        self._refuse_waiters("pool is closing")
        warning = self._loop.call_later(_LONG_CLOSE, _warn_of_long_close)
        try:
            self._stop_upkeep()
            while len(self._free) < self.options.max_size:
                waiter: asyncio.Future[None] = self._loop.create_future()
                self._all_free.add(waiter)
                await waiter
            await _all_of(holder.close(_GOODBYE) for holder in self._holders)
        except BaseException:
            self.terminate()
            raise
        finally:
            warning.cancel()
            self.is_closed = True
            self._closing = False

    def terminate(self) -> None:
        """Close all connections at once, lent out or not."""
        if self.is_closed:
            return
        self.check_open()
        self.is_closed = True
        self._refuse_waiters("pool is closed")
        self._stop_upkeep()
        for holder in self._holders:
            holder.terminate()

    def _refuse_waiters(self, text: str) -> None:
        waiters, self._waiters = self._waiters, OrderedDict()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(InterfaceError(text))

    # Acquiring and releasing

    async def acquire(self, timeout: float | None) -> PoolConnectionProxy:
        """Return a connection for the caller alone.

        Raises:
            InterfaceError: the pool is not open.
            TimeoutError: there was none in time.
        """
        if self._closing:
            raise InterfaceError("pool is closing")
        self.check_open()
        if timeout is None:
            return await self._acquire(None)
        async with asyncio.timeout(timeout):
            return await self._acquire(timeout)

    async def _acquire(self, timeout: float | None) -> PoolConnectionProxy:
        holder = await self._take()
        try:
            return await holder.lend(timeout)
        except BaseException:
            self.give_back(holder)
            raise

    async def release(self, proxy: object, timeout: float | None) -> None:
        """Take a connection back; a second time does nothing.

        Whoever is cancelled here does not wait any more; the connection goes back all the same.
        """
        if type(proxy) is not PoolConnectionProxy or proxy.holder.core is not self:
            text = f"Pool.release() received invalid connection: {proxy!r} is not a member of this "
            raise InterfaceError(text + "pool")
        holder = proxy.holder
        connection = proxy.detach()
        if connection is None or holder.proxy is not proxy:
            return  # it was given back, or its connection was lost
        holder.proxy = None
        if timeout is None:
            timeout = holder.timeout
        task = self._loop.create_task(holder.take_back(connection, timeout))
        self._releases.add(task)
        # In no case can the place get lost: a task that is cancelled may not even have begun.
        task.add_done_callback(lambda done: self._released(holder, connection, done))
        connection.check_listeners()
        await asyncio.shield(task)

    def _released(
        self, holder: PoolConnectionHolder, connection: Postgres, task: asyncio.Task[None]
    ) -> None:
        self._releases.discard(task)
        if task.cancelled() or task.exception() is not None:
            connection.terminate()
        self.give_back(holder)

    async def _take(self) -> PoolConnectionHolder:
        """Wait for a place; the last that was given back comes first."""
        if self._free:
            holder = self._free.pop()
            holder.is_free = False
            return holder
        waiter: asyncio.Future[PoolConnectionHolder] = self._loop.create_future()
        self._waiters[waiter] = None
        try:
            return await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())  # it came too late
            raise

    def give_back(self, holder: PoolConnectionHolder) -> None:
        """Have a place back, or find a new one in the order for one whose connection was lost."""
        if holder.is_free:
            self._free.remove(holder)
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(holder)
                return
        holder.is_free = True
        if holder.is_connected:
            holder.idle_since = self._loop.time()
            self._free.append(holder)
            self._await_inactivity(self.options.max_inactive_connection_lifetime)
        else:
            self._free.appendleft(holder)
            self._keep_min_size()
        if self._all_free and len(self._free) == self.options.max_size:
            for closer in self._all_free:
                if not closer.done():
                    closer.set_result(None)
            self._all_free.clear()

    # Upkeep

    def _await_inactivity(self, seconds: float) -> None:
        if seconds and self._sweeper is None and not self.is_closing:
            self._sweeper = self._loop.call_later(seconds, self._close_inactive)

    def _close_inactive(self) -> None:
        """Close connections that nobody wanted for long, down to the least number."""
        self._sweeper = None
        now = self._loop.time()
        lifetime = self.options.max_inactive_connection_lifetime
        size = self.size
        youngest: float | None = None
        for holder in list(self._free):
            if not holder.is_connected:
                continue
            left = holder.idle_since + lifetime - now
            if left > 0:
                youngest = left if youngest is None else min(left, youngest)
            elif size > self.options.min_size:
                size -= 1
                holder.terminate()
        if youngest is not None:
            self._await_inactivity(youngest)

    def _keep_min_size(self) -> None:
        if self._maintenance is not None or self.is_closing or self._opening:
            return
        if self.size < self.options.min_size:
            self._maintenance = self._loop.create_task(self._restore_min_size())

    async def _restore_min_size(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while not self.is_closing and self.size < self.options.min_size:
                if not self._free or self._free[0].is_connected:
                    return  # those who have the places without a connection make one
                holder = self._free.popleft()
                holder.is_free = False
                try:
                    await holder.connect()
                except Exception:
                    if self.is_closing:
                        return
                    logger.warning("a pool's lost connection cannot be replaced", exc_info=True)
                finally:
                    self.give_back(holder)
                if holder.is_connected:
                    pause = _FIRST_PAUSE
                else:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            self._maintenance = None

    def _stop_upkeep(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._maintenance is not None:
            self._maintenance.cancel()  # it gives back what it has

    # For all connections

    def forget_schema(self) -> None:
        """Forget what is known of types and statements, as they may have changed."""
        for holder in self._holders:
            holder.forget_schema()


async def _all_of(coroutines: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Wait for all; if one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _warn_of_long_close() -> None:
    logger.warning(
        "Pool.close() is taking over 60 seconds to complete. "
        "Check if you have any unreleased connections left. "
        "Use asyncio.wait_for() to set a timeout for Pool.close()."
    )
