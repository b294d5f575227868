from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest

from tests.interop.waiting import turns
from wirekit.adapters.smtp import Outcome, SendResult, SMTPResponse
from wirekit.adapters.smtp._drafts import Sendable
from wirekit.adapters.smtp._many import send_many

OK = SendResult.of({}, SMTPResponse(250, "ok"))


class FakeJob:
    """A job that is done when it is told to be."""

    def __init__(self, number: int, size: int = 0) -> None:
        self.number = number
        self.size = size
        self.future: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        self.abandoned = False

    async def result(self) -> SendResult:
        return await self.future

    def abandon(self) -> None:
        self.abandoned = True


class Starter:
    """Takes mails, which are numbers here."""

    def __init__(self, size: int = 0) -> None:
        self.jobs: list[FakeJob] = []
        self.size = size
        self.error: Exception | None = None

    async def __call__(self, message: Any) -> FakeJob:
        if self.error is not None:
            raise self.error
        self.jobs.append(FakeJob(message, self.size))
        return self.jobs[-1]


def start(starter: Starter, messages: Any, progress: Any = None) -> AsyncGenerator[Outcome]:
    return send_many(starter, messages, progress)


def numbers(outcomes: list[Outcome]) -> list[Any]:
    return [outcome.message for outcome in outcomes]


async def asynchronous(messages: Iterator[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


@pytest.mark.parametrize("kind", [iter, asynchronous])
async def test_outcomes_come_in_order_whatever_the_order_of_the_results(kind: Any) -> None:
    starter = Starter()
    outcomes = start(starter, kind(iter(range(3))))
    first = asyncio.ensure_future(anext(outcomes))
    await turns(10)
    assert [job.number for job in starter.jobs] == [0, 1, 2]
    failure = ValueError("no")
    starter.jobs[2].future.set_result(OK)
    starter.jobs[1].future.set_exception(failure)
    await turns(3)
    assert not first.done()
    starter.jobs[0].future.set_result(OK)
    got = [await first, *[outcome async for outcome in outcomes]]
    assert numbers(got) == [0, 1, 2]
    assert [outcome.result for outcome in got] == [OK, None, OK]
    assert [outcome.error for outcome in got] == [None, failure, None]


@pytest.mark.parametrize("kind", [iter, asynchronous])
@pytest.mark.parametrize(("size", "most"), [(0, 64), (2_000_000, 3)])
async def test_no_more_are_taken_than_there_is_room_for(kind: Any, size: int, most: int) -> None:
    starter = Starter(size)
    outcomes = start(starter, kind(iter(range(1000))))
    first = asyncio.ensure_future(anext(outcomes))
    await turns(200)
    assert len(starter.jobs) == most
    starter.jobs[0].future.set_result(OK)
    await first
    second = asyncio.ensure_future(anext(outcomes))
    await turns(5)
    assert len(starter.jobs) == most + 1
    starter.jobs[1].future.set_result(OK)
    await second
    await outcomes.aclose()
    assert all(job.abandoned for job in starter.jobs[2:])


async def test_a_slow_source_holds_up_no_outcome() -> None:
    starter = Starter()

    async def slow() -> AsyncIterator[Any]:
        yield 1
        await asyncio.Event().wait()

    outcomes = start(starter, slow())
    first = asyncio.ensure_future(anext(outcomes))
    await turns(5)
    starter.jobs[0].future.set_result(OK)
    assert (await first).result is OK
    second = asyncio.ensure_future(anext(outcomes))
    await turns(5)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    with pytest.raises(StopAsyncIteration):
        await anext(outcomes)


@pytest.mark.parametrize("kind", [iter, asynchronous])
async def test_a_source_that_fails(kind: Any) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    starter = Starter()
    outcomes = start(starter, kind(failing()))
    first = asyncio.ensure_future(anext(outcomes))
    await turns(5)
    starter.jobs[0].future.set_result(OK)
    assert numbers([await first]) == [1]
    with pytest.raises(ValueError, match="no more"):
        await anext(outcomes)


@pytest.mark.parametrize("kind", [iter, asynchronous])
async def test_no_mail_is_taken_when_it_is_over(kind: Any) -> None:
    starter = Starter()
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(5):
            if number == 2:
                starter.error = ConnectionError("over")
            taken.append(number)
            yield number

    outcomes = start(starter, kind(source()))
    got: list[Outcome] = []
    first = asyncio.ensure_future(anext(outcomes))
    await turns(10)
    for job in starter.jobs:
        job.future.set_result(OK)
    got.append(await first)
    got.append(await anext(outcomes))
    with pytest.raises(ConnectionError, match="over"):
        await anext(outcomes)
    assert (numbers(got), taken) == ([0, 1], [0, 1, 2])


async def test_progress() -> None:
    starter = Starter()
    calls: list[tuple[int, int | None]] = []

    def note(done: int, total: int | None) -> None:
        calls.append((done, total))

    async def run(messages: Any) -> None:
        outcomes = start(starter, messages, note)
        task = asyncio.ensure_future(collect(outcomes))
        await turns(10)
        for job in starter.jobs:
            if not job.future.done():
                job.future.set_result(OK)
        await task

    await run([1, 2])
    await run(iter([1, 2]))
    assert calls == [(1, 2), (2, 2), (1, None), (2, None)]


async def collect(outcomes: AsyncGenerator[Outcome]) -> list[Outcome]:
    return [outcome async for outcome in outcomes]


async def test_nothing_to_send() -> None:
    assert await collect(start(Starter(), [])) == []
    nothing: list[Sendable] = []
    assert await collect(start(Starter(), asynchronous(iter(nothing)))) == []
