"""The pool's book-keeping with connections that are only played, and fail in every way."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from wirekit.adapters.postgres._pool_core import PoolCore, PoolOptions
from wirekit.adapters.postgres._pool_proxy import PoolConnectionProxy
from wirekit.adapters.postgres.exceptions import ConnectionDoesNotExistError, InterfaceError


class Played:
    """A connection as far as a pool can see."""

    def __init__(self, reset: Callable[[], Any] | None = None) -> None:
        self.closed = False
        self.request_count = 0
        self.users = 0
        self.resets = 0
        self.on_lost: Callable[[], None] | None = None
        self.known_types: object = None
        self.forgotten = 0
        self._reset = reset

    def is_closed(self) -> bool:
        return self.closed

    def join_pool(
        self, known_types: object, on_lost: Callable[[], None], forget_schema: object
    ) -> None:
        self.known_types = known_types
        self.on_lost = on_lost

    def lend(self, proxy: object) -> None:
        assert self.users == 0
        self.users += 1

    async def take_back(self) -> None:
        self.users -= 1

    def check_listeners(self) -> None:
        pass

    def forget_schema(self) -> None:
        self.forgotten += 1

    async def clean_up(self) -> None:
        await asyncio.sleep(0)

    async def reset(self) -> None:
        self.resets += 1
        await asyncio.sleep(0)
        if self._reset is not None:
            await self._reset()

    async def close(self, *, timeout: float) -> None:
        await asyncio.sleep(0)
        self.terminate()

    def terminate(self) -> None:
        if not self.closed:
            self.closed = True
            if self.on_lost is not None:
                self.on_lost()


def options(**changes: Any) -> PoolOptions:
    chosen: dict[str, Any] = {
        "min_size": 0,
        "max_size": 2,
        "max_queries": 1000,
        "max_inactive_connection_lifetime": 0.0,
        "setup": None,
        "reset": None,
    }
    chosen.update(changes)
    chosen.setdefault("init_size", chosen["min_size"])
    return PoolOptions(**chosen)


def make_core(**changes: Any) -> tuple[PoolCore, list[Played]]:
    made: list[Played] = []

    async def connect() -> Any:
        await asyncio.sleep(0)
        made.append(Played())
        return made[-1]

    return PoolCore(options(**changes), connect), made


def played(proxy: PoolConnectionProxy) -> Played:
    connection: Any = proxy.unwrap("")
    assert isinstance(connection, Played)
    return connection


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.001)


async def settle(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"max_size": 0}, "max_size is expected to be greater than zero"),
        ({"min_size": -1}, "min_size is expected to be greater or equal to zero"),
        ({"min_size": 3}, "min_size is greater than max_size"),
        ({"init_size": -1}, "init_size is expected to be greater or equal to zero"),
        ({"init_size": 3}, "init_size is greater than max_size"),
        ({"min_size": 2, "init_size": 1}, "init_size is smaller than min_size"),
        ({"max_queries": 0}, "max_queries is expected to be greater than zero"),
        (
            {"max_inactive_connection_lifetime": -1},
            "max_inactive_connection_lifetime is expected to be greater or equal to zero",
        ),
    ],
)
def test_options_that_do_not_go_together(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        options(**changes)


async def test_before_it_is_open_and_after_it_is_closed() -> None:
    core, made = make_core(min_size=1)
    with pytest.raises(InterfaceError, match="pool is not initialized"):
        await core.acquire(None)
    with pytest.raises(InterfaceError, match="pool is not initialized"):
        core.terminate()
    opening = asyncio.create_task(core.open())
    await asyncio.sleep(0)
    with pytest.raises(InterfaceError, match="pool is being initialized, but not yet ready"):
        await core.acquire(None)
    with pytest.raises(InterfaceError, match="pool is being initialized in another task"):
        await core.open()
    await opening
    await core.open()
    assert (core.size, core.idle_size, len(made)) == (1, 1, 1)
    await core.close()
    await core.close()
    core.terminate()
    assert made[0].closed
    with pytest.raises(InterfaceError, match="pool is closed"):
        await core.acquire(None)
    assert core.is_closing


async def test_an_opening_that_fails_leaves_no_connection() -> None:
    made: list[Played] = []

    async def connect() -> Any:
        if len(made) == 2:
            raise OSError("refused")
        made.append(Played())
        await asyncio.sleep(0)
        return made[-1]

    core = PoolCore(options(min_size=3, max_size=4), connect)
    with pytest.raises(OSError, match="refused"):
        await core.open()
    await settle()
    assert core.size == 0
    assert all(connection.closed for connection in made if connection.on_lost is not None)
    with pytest.raises(InterfaceError, match="pool is closed"):
        await core.acquire(None)


async def test_the_last_that_was_given_back_comes_first() -> None:
    core, made = make_core(max_size=3)
    await core.open()
    proxies = [await core.acquire(None) for _ in range(3)]
    for number in (1, 0, 2):
        await core.release(proxies[number], None)
    assert [played(await core.acquire(None)) for _ in range(3)] == [made[2], made[0], made[1]]
    core.terminate()


async def test_a_live_connection_comes_before_a_place_without() -> None:
    core, made = make_core(max_size=3)
    await core.open()
    proxies = [await core.acquire(None) for _ in range(2)]
    for proxy in proxies:
        await core.release(proxy, None)
    made[1].terminate()
    assert (core.size, core.idle_size) == (1, 1)
    assert played(await core.acquire(None)) is made[0]
    assert len(made) == 2
    core.terminate()


async def test_who_waits_longest_comes_first() -> None:
    core, _ = make_core(max_size=1)
    await core.open()
    order: list[int] = []

    async def use(number: int) -> None:
        proxy = await core.acquire(None)
        order.append(number)
        await asyncio.sleep(0)
        await core.release(proxy, None)

    await asyncio.gather(*[use(number) for number in range(20)])
    assert order == list(range(20))
    await core.close()


async def test_a_place_that_comes_too_late_goes_to_the_next() -> None:
    core, _ = make_core(max_size=1)
    await core.open()
    proxy = await core.acquire(None)
    waiting = [asyncio.create_task(core.acquire(None)) for _ in range(3)]
    await settle()
    waiting[1].cancel()
    await settle()
    # It is given to the first in this very turn of the loop, which is cancelled before it runs.
    holder = proxy.holder
    await played(proxy).take_back()
    holder.proxy = None
    core.give_back(holder)
    waiting[0].cancel()
    assert isinstance(await waiting[2], PoolConnectionProxy)
    assert [task.cancelled() for task in waiting[:2]] == [True, True]
    core.terminate()


async def test_lost_connections_are_replaced_up_to_the_least_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wirekit.adapters.postgres._pool_core._FIRST_PAUSE", 0.001)
    made: list[Played] = []
    failures = 0

    async def connect() -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError("refused")
        made.append(Played())
        return made[-1]

    core = PoolCore(options(min_size=2, max_size=3), connect)
    await core.open()
    failures = 3
    with caplog.at_level(logging.WARNING):
        for connection in made:
            connection.terminate()
        assert core.size == 0
        await until(lambda: core.size == 2)
    assert [record.message for record in caplog.records] == [
        "a pool's lost connection cannot be replaced"
    ] * 3
    await settle()
    assert (core.size, core.idle_size, len(made)) == (2, 2, 4)
    proxies = [await core.acquire(None) for _ in range(3)]
    for proxy in proxies:
        await core.release(proxy, None)
    await core.close()
    assert all(connection.closed for connection in made)


async def test_connections_that_nobody_wants_are_closed() -> None:
    core, made = make_core(min_size=1, max_size=4, max_inactive_connection_lifetime=0.02)
    await core.open()
    proxies = [await core.acquire(None) for _ in range(4)]
    assert core.size == 4
    for proxy in proxies[1:]:
        await core.release(proxy, None)
    await until(lambda: core.size == 1)
    assert not played(proxies[0]).closed
    await core.release(proxies[0], None)
    await asyncio.sleep(0.06)
    assert (core.size, core.idle_size) == (1, 1)
    assert sum(not connection.closed for connection in made) == 1
    await core.close()


async def test_close_waits_for_all_and_terminate_does_not() -> None:
    core, made = make_core(max_size=2)
    await core.open()
    proxy = await core.acquire(None)
    closing = [asyncio.create_task(core.close()) for _ in range(2)]
    await settle()
    with pytest.raises(InterfaceError, match="pool is closing"):
        await core.acquire(None)
    assert not closing[0].done()
    await core.release(proxy, None)
    await asyncio.gather(*closing)
    assert made[0].closed
    assert core.is_closed

    core, made = make_core(max_size=1)
    await core.open()
    proxy = await core.acquire(None)
    waiting = asyncio.create_task(core.acquire(None))
    await settle()
    core.terminate()
    assert made[0].closed
    with pytest.raises(InterfaceError, match="pool is closed"):
        await waiting
    await core.release(proxy, None)


async def test_who_waits_when_it_closes_gets_an_error() -> None:
    core, _ = make_core(max_size=1)
    await core.open()
    proxy = await core.acquire(None)
    waiting = asyncio.create_task(core.acquire(None))
    await settle()
    closing = asyncio.create_task(core.close())
    with pytest.raises(InterfaceError, match="pool is closing"):
        await waiting
    await core.release(proxy, None)
    await closing


async def test_a_cancelled_close_terminates() -> None:
    core, made = make_core(max_size=1)
    await core.open()
    await core.acquire(None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await core.close()
    assert made[0].closed
    assert core.is_closed


async def test_closing_while_somebody_connects() -> None:
    release = asyncio.Event()
    made: list[Played] = []

    async def connect() -> Any:
        await release.wait()
        made.append(Played())
        return made[-1]

    core = PoolCore(options(), connect)
    await core.open()
    waiting = asyncio.create_task(core.acquire(None))
    await settle()
    closing = asyncio.create_task(core.close())
    await settle()
    release.set()
    with pytest.raises(InterfaceError, match="pool is closing"):
        await waiting
    await closing
    assert made[0].closed


async def test_what_takes_long_to_close_is_worth_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wirekit.adapters.postgres._pool_core._LONG_CLOSE", 0.0)
    core, _ = make_core()
    await core.open()
    proxy = await core.acquire(None)
    closing = asyncio.create_task(core.close())
    await asyncio.sleep(0.01)
    assert "Pool.close() is taking over 60 seconds to complete." in caplog.text
    await core.release(proxy, None)
    await closing


async def test_only_connections_of_the_pool_can_be_released() -> None:
    core, _ = make_core()
    other, _ = make_core()
    await core.open()
    await other.open()
    proxy = await other.acquire(None)
    for wrong in (proxy, object(), None):
        with pytest.raises(InterfaceError, match="is not a member of this pool"):
            await core.release(wrong, None)
    await other.release(proxy, None)
    await other.release(proxy, None)
    assert (other.size, other.idle_size) == (1, 1)
    await core.close()
    await other.close()


class Stress:
    """Tasks that use a pool of five, while anything may fail and any of them be cancelled."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.made: list[Played] = []
        self.in_use: set[Played] = set()
        self.done = 0
        self.failing = False
        chance = self.chance
        self.core = PoolCore(
            options(
                min_size=chance.randrange(3),
                max_size=5,
                max_queries=20,
                max_inactive_connection_lifetime=chance.choice([0.0, 0.001]),
                setup=self.hook if chance.random() < 0.5 else None,
                reset=self.hook if chance.random() < 0.3 else None,
            ),
            self.connect,
        )

    async def pause(self) -> None:
        await settle(self.chance.randrange(4))
        if self.failing and self.chance.random() < 0.1:
            raise OSError("played")

    async def connect(self) -> Any:
        await self.pause()
        self.made.append(Played(self.pause))
        return self.made[-1]

    async def hook(self, connection: Any) -> None:
        await self.pause()
        if self.failing and self.chance.random() < 0.05:
            connection.terminate()

    async def use(self) -> None:
        proxy = await self.core.acquire(self.chance.choice([None, None, 0.001]))
        connection = played(proxy)
        assert connection not in self.in_use  # nobody else has it
        self.in_use.add(connection)
        try:
            connection.request_count += 1
            await settle(self.chance.randrange(4))
            if self.chance.random() < 0.05:
                connection.terminate()
            if self.chance.random() < 0.05:
                self.core.generation += 1
        finally:
            self.in_use.discard(connection)
            await self.core.release(proxy, None)
            self.done += 1

    async def run(self, count: int) -> list[BaseException]:
        """Return what no task is to fail with."""
        tasks: list[asyncio.Task[None]] = []
        for _ in range(count):
            tasks.append(asyncio.create_task(self.use()))
            while self.chance.random() < 0.5:
                self.chance.choice(tasks).cancel()
            if self.chance.random() < 0.3:
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        expected = (OSError, TimeoutError, asyncio.CancelledError, ConnectionDoesNotExistError)
        return [error for error in results if error is not None and not isinstance(error, expected)]


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_ever_lost(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.postgres._pool_core._FIRST_PAUSE", 0.001)
    stress = Stress(seed)
    core = stress.core
    await core.open()
    stress.failing = True
    assert await stress.run(1000) == []
    assert stress.done > 100
    stress.failing = False
    async with asyncio.timeout(10):
        proxies = [await core.acquire(None) for _ in range(5)]
        assert len({proxy.holder for proxy in proxies}) == 5
        waiting = asyncio.create_task(core.acquire(None))
        await settle()
        assert not waiting.done()  # there are no more than these
        waiting.cancel()
        for proxy in proxies:
            await core.release(proxy, None)
        await core.close()
    assert all(connection.closed for connection in stress.made)
