from __future__ import annotations

import asyncio

import pytest

from wirekit.adapters.mqtt._deadlines import Deadlines


def new_future() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


async def test_what_is_not_done_in_time_gets_the_error() -> None:
    deadlines = Deadlines(0.01, lambda: ValueError("late"))
    futures = [new_future(), new_future()]
    for future in futures:
        deadlines.watch(future)
    for future in futures:
        with pytest.raises(ValueError, match="late"):
            await future


async def test_what_is_forgotten_or_done_is_left_alone() -> None:
    deadlines = Deadlines(0.01, lambda: ValueError("late"))
    forgotten, done, cancelled, late = (new_future() for _ in range(4))
    for future in (forgotten, done, cancelled, late):
        deadlines.watch(future)
    deadlines.forget(forgotten)
    done.set_result(1)
    cancelled.cancel()
    with pytest.raises(ValueError, match="late"):
        await late
    assert not forgotten.done()
    assert done.result() == 1


async def test_later_ones_have_their_own_time() -> None:
    deadlines = Deadlines(0.02, lambda: ValueError("late"))
    first, second = new_future(), new_future()
    deadlines.watch(first)
    await asyncio.sleep(0.01)
    deadlines.watch(second)
    with pytest.raises(ValueError, match="late"):
        await first
    assert not second.done()
    with pytest.raises(ValueError, match="late"):
        await second


async def test_no_limit_and_none_any_more() -> None:
    unlimited = Deadlines(None, lambda: ValueError("late"))
    closed = Deadlines(0.01, lambda: ValueError("late"))
    futures = [new_future(), new_future()]
    unlimited.watch(futures[0])
    closed.watch(futures[1])
    closed.close()
    await asyncio.sleep(0.02)
    assert not any(future.done() for future in futures)
