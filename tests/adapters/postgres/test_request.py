from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wirekit.adapters.postgres._request import Request
from wirekit.protocols.postgres import CommandComplete, TransactionStatus


def new_request() -> Request:
    return Request(asyncio.get_running_loop().create_future())


async def test_it_ends_with_its_events() -> None:
    request = new_request()
    ends: list[Any] = []
    request.on_end = ends.append
    assert not request.ended
    request.events.append(CommandComplete("SELECT 1", [], None))
    request.finish(TransactionStatus.IN_TRANSACTION)
    assert request.ended
    assert request.status is TransactionStatus.IN_TRANSACTION
    assert await request.future is request.events
    assert ends == [request]


async def test_it_ends_with_an_error_that_nobody_has_to_fetch() -> None:
    request = new_request()
    request.finish(TransactionStatus.IDLE, ValueError("lost"))
    assert request.ended
    with pytest.raises(ValueError, match="lost"):
        await request.future


async def test_its_caller_is_gone() -> None:
    request = new_request()
    waiting = asyncio.create_task(request.end(None))
    await asyncio.sleep(0)
    request.future.cancel()
    assert not request.ended
    request.finish(TransactionStatus.IDLE)
    await waiting
    await request.end(None)  # at once
    assert request.future.cancelled()


async def test_waiting_is_limited() -> None:
    request = new_request()
    await request.end(0.001)
    assert not request.ended
    request.finish(TransactionStatus.IDLE)  # nobody waits any more
    assert request.ended


async def test_waiting_is_cancelled() -> None:
    request = new_request()
    waiting = asyncio.create_task(request.end(None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    request.finish(TransactionStatus.IDLE)
    assert request.ended
