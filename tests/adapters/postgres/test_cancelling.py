from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from wirekit.adapters.postgres import _cancelling
from wirekit.adapters.postgres._cancelling import cancel_requests
from wirekit.adapters.postgres._request import Request
from wirekit.protocols.postgres import TransactionStatus


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cancelling, "_SHORTEST_PAUSE", 0.001)
    monkeypatch.setattr(_cancelling, "_LONGEST_PAUSE", 0.004)


class Server:
    """Ends a request when so many CancelRequests came for it."""

    def __init__(self, *needed: int) -> None:
        self.requests = [Request(asyncio.get_running_loop().create_future()) for _ in needed]
        self.needed = list(needed)
        self.cancels: list[int] = []
        self.error: Exception | None = None
        self.before_error: Callable[[], object] = lambda: None
        self.left = [0]

    async def cancel(self) -> None:
        await asyncio.sleep(0)
        first = next(i for i, request in enumerate(self.requests) if not request.ended)
        self.cancels.append(first)
        if self.error is not None:
            self.before_error()
            raise self.error
        self.needed[first] -= 1
        if self.needed[first] == 0:
            asyncio.get_running_loop().call_soon(self.end, first)

    def end(self, number: int) -> None:
        self.requests[number].finish(TransactionStatus.IDLE)

    def unsent(self) -> int:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    async def run(self) -> bool:
        return await cancel_requests(self.requests, self.cancel, self.unsent)


async def test_one_after_the_other() -> None:
    server = Server(1, 1, 1)
    assert await server.run()
    assert server.cancels == [0, 1, 2]


async def test_what_has_ended_is_left_alone() -> None:
    server = Server(1, 1)
    server.end(0)
    assert await server.run()
    assert server.cancels == [1]


async def test_again_if_it_came_too_early() -> None:
    server = Server(3, 2)
    assert await server.run()
    assert server.cancels == [0, 0, 0, 1, 1]


async def test_not_for_ever() -> None:
    server = Server(1000)
    assert not await server.run()
    assert server.cancels == [0] * 6


async def test_longer_while_the_server_takes_what_is_yet_to_be_sent() -> None:
    server = Server(1000)
    server.left = [*range(50, 0, -1), 0]
    assert not await server.run()
    assert len(server.cancels) > 20


async def test_protected_requests_are_waited_for() -> None:
    server = Server(1, 1, 1)
    server.requests[1].protected = True
    running = asyncio.create_task(server.run())
    async with asyncio.timeout(10):
        while server.cancels != [0]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert server.cancels == [0]
        server.end(1)
        assert await running
    assert server.cancels == [0, 2]


async def test_an_error_of_the_canceller_is_for_who_asked() -> None:
    server = Server(1)
    server.error = OSError("no way")
    with pytest.raises(OSError, match="no way"):
        await server.run()


async def test_an_error_does_not_matter_if_it_ended_anyway() -> None:
    server = Server(1)
    server.error = OSError("no way")
    server.before_error = lambda: server.end(0)
    assert await server.run()
