"""One place of a pool; what happens to all of them together is in test_pool_core.py."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adapters.postgres.test_pool_core import Played, make_core, played, settle
from wirekit.adapters.postgres.exceptions import ConnectionDoesNotExistError


async def test_a_connection_joins_the_pool() -> None:
    core, made = make_core()
    core.known_types = {}
    await core.open()
    proxy = await core.acquire(None)
    assert made[0].known_types is core.known_types
    assert made[0].on_lost is not None
    core.forget_schema()
    assert made[0].forgotten == 1
    await core.release(proxy, None)
    assert made[0].resets == 1
    await core.close()


async def test_a_connection_that_is_closed_at_once() -> None:
    async def connect() -> Any:
        connection = Played()
        connection.terminate()
        return connection

    core, _ = make_core()
    core.new_connection = connect
    await core.open()
    with pytest.raises(ConnectionDoesNotExistError, match="closed during pool initialization"):
        await core.acquire(None)
    assert core.size == 0
    await core.close()


async def test_a_loss_frees_the_place_of_who_has_it() -> None:
    core, made = make_core(max_size=1)
    await core.open()
    proxy = await core.acquire(None)
    made[0].terminate()
    assert proxy.holder.is_free
    assert played(proxy) is made[0]  # whose errors say what happened
    again = await core.acquire(None)
    assert played(again) is made[1]
    await core.release(proxy, None)
    assert again.holder.proxy is again
    await core.release(again, None)
    await core.close()


async def test_a_connection_that_is_worn_out_or_expired_is_not_reset() -> None:
    core, made = make_core(max_size=1, max_queries=3)
    await core.open()
    proxy = await core.acquire(None)
    made[0].request_count = 3
    await core.release(proxy, None)
    assert (made[0].closed, made[0].resets, core.size) == (True, 0, 0)
    proxy = await core.acquire(None)
    core.generation += 1
    await core.release(proxy, None)
    assert (made[1].closed, made[1].resets, core.size) == (True, 0, 0)
    await core.release(await core.acquire(None), None)
    core.generation += 1
    await core.release(await core.acquire(None), None)
    assert made[2].closed
    assert len(made) == 4
    await core.close()


async def test_a_reset_that_takes_too_long() -> None:
    core, made = make_core(max_size=1)
    await core.open()

    async def hang() -> None:
        await settle(10**9)

    async def connect() -> Any:
        made.append(Played(hang))
        return made[-1]

    core.new_connection = connect
    # The limit is that of acquiring, if there is none of its own.
    for acquired, released in ((0.01, None), (None, 0.01)):
        proxy = await core.acquire(acquired)
        with pytest.raises(TimeoutError):
            await core.release(proxy, released)
        assert made[-1].closed
        assert core.size == 0
    await core.close()


async def test_a_setup_that_loses_the_connection() -> None:
    async def setup(connection: Any) -> None:
        connection.unwrap("").terminate()

    core, made = make_core(max_size=1, setup=setup)
    await core.open()
    for _ in range(2):
        with pytest.raises(ConnectionDoesNotExistError, match="closed during its setup"):
            await core.acquire(None)
    assert len(made) == 2
    await core.close()


async def test_a_setup_that_fails_leaves_only_a_closed_connection() -> None:
    kept: list[Any] = []

    async def setup(connection: Any) -> None:
        kept.append(connection)
        raise ZeroDivisionError

    core, made = make_core(max_size=1, setup=setup)
    await core.open()
    with pytest.raises(ZeroDivisionError):
        await core.acquire(None)
    assert made[0].closed
    assert kept[0].is_closed()
    await core.release(kept[0], None)
    assert core.size == 0
    await core.close()
