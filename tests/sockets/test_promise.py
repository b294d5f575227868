from __future__ import annotations

import asyncio
import gc

import pytest

from wirekit.sockets import Promise


async def value_of(promise: Promise[int]) -> int:
    return await promise


async def test_everybody_gets_the_value_at_any_time() -> None:
    promise: Promise[int] = Promise()
    early = [asyncio.create_task(value_of(promise)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not promise.done()
    with pytest.raises(asyncio.InvalidStateError):
        promise.result()
    promise.resolve(7)
    assert await asyncio.gather(*early) == [7, 7, 7]
    assert await promise == 7
    assert await promise == 7
    assert promise.done()
    assert promise.result() == 7
    assert promise.exception() is None


async def test_the_first_outcome_counts() -> None:
    promise: Promise[int] = Promise()
    promise.resolve(1)
    promise.resolve(2)
    promise.reject(ValueError())
    assert await promise == 1
    refused: Promise[int] = Promise()
    refused.reject(ValueError("first"))
    refused.reject(ValueError("second"))
    refused.resolve(3)
    for _ in range(2):
        with pytest.raises(ValueError, match="first"):
            await refused


async def test_an_error_raised_again_and_again_collects_no_traceback() -> None:
    promise: Promise[int] = Promise()
    promise.reject(ValueError())
    lengths: list[int] = []
    for _ in range(3):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the one above
            await promise
        lengths.append(len(caught.traceback))
    assert len(set(lengths)) == 1


async def test_cancelling_one_wait_cancels_no_other() -> None:
    promise: Promise[int] = Promise()
    first, second = (asyncio.create_task(value_of(promise)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    assert first.cancelled()
    promise.resolve(1)
    assert await second == 1


async def test_an_error_that_nobody_asks_for_is_silent() -> None:
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    promise: Promise[int] = Promise()
    waiting = asyncio.create_task(value_of(promise))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    promise.reject(ValueError())
    del promise, waiting
    await asyncio.sleep(0)
    gc.collect()
    assert reports == []


async def test_a_callback_comes_from_the_loop() -> None:
    promise: Promise[int] = Promise()
    calls: list[int] = []
    promise.add_done_callback(lambda: calls.append(1))
    promise.resolve(1)
    assert calls == []
    await asyncio.sleep(0)
    assert calls == [1]
