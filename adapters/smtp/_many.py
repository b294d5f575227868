"""Sending many mails: as many on the way at once as the server's extensions allow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from ._drafts import Sendable
    from ._results import SendResult

__all__ = ["Outcome", "send_many"]

_AHEAD = 64  # mails that are taken before the first of them has its result
_AHEAD_BYTES = 4194304  # of those in memory, if they are more than two


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one of many mails.

    Attributes:
        message: the mail as it was given.
        result: as `SMTP.send` returns it; None if it was not accepted.
        error: why; `Uncertain` if it may have been accepted all the same.
    """

    message: Sendable = field(repr=False)
    result: SendResult | None = None
    error: Exception | None = None


class Job(Protocol):
    """A mail that was taken, and is on its way or waits to be."""

    @property
    def size(self) -> int:
        """Bytes of content that it holds in memory, as far as that is known."""
        ...

    async def result(self) -> SendResult:
        """Wait for the result."""
        ...

    def abandon(self) -> None:
        """Give it up, unless it is done."""
        ...


async def send_many(
    start: Callable[[Sendable], Awaitable[Job]],
    messages: Iterable[Sendable] | AsyncIterable[Sendable],
    progress: Callable[[int, int | None], object] | None,
) -> AsyncGenerator[Outcome]:
    """Yield what became of each mail, in their order.

    Args:
        start: takes a mail; what it raises ends it all, what a job raises is that mail's outcome.
        messages: the mails; taken as there is room for them.
        progress: called with the number of mails that are done and, if known, of all.

    Raises:
        Exception: what ``start`` or ``messages`` raised; all mails taken have had their outcome.
    """
    total = len(cast("Any", messages)) if hasattr(messages, "__len__") else None
    done = 0
    batch = _Batch(start, messages)
    try:
        while (outcome := await batch.next_outcome()) is not None:
            done += 1
            if progress is not None:
                progress(done, total)
            yield outcome
    finally:
        await batch.aclose()


class _Batch:
    """The mails that were taken and have not had their outcome.

    Those of an asynchronous source are taken by a task, so that a slow source holds up no outcome.
    """

    def __init__(
        self,
        start: Callable[[Sendable], Awaitable[Job]],
        messages: Iterable[Sendable] | AsyncIterable[Sendable],
    ) -> None:
        self._start = start
        self._jobs: deque[tuple[Sendable, Job, int]] = deque()
        self._bytes = 0
        self._source: Iterator[Sendable] | None = None  # None when there are no more
        self._feeder: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._error: Exception | None = None  # why no more are taken
        if isinstance(messages, AsyncIterable):
            feeding = self._feed(messages)
            self._feeder = asyncio.create_task(feeding, name="wirekit smtp send_many")
        else:
            self._source = iter(messages)

    async def next_outcome(self) -> Outcome | None:
        """Return the outcome of the next mail; None if there are no more."""
        await self._fill()
        while not self._jobs and self._feeder is not None and not self._feeder.done():
            self._changed.clear()
            await self._changed.wait()
        if not self._jobs:
            if self._error is not None:
                raise self._error
            return None
        message, job, size = self._jobs[0]
        result: SendResult | None = None
        error: Exception | None = None
        try:
            result = await job.result()
        except Exception as failure:
            error = failure
        self._jobs.popleft()
        self._bytes -= size
        self._changed.set()
        return Outcome(message, result, error)

    async def _fill(self) -> None:
        """Take from a source that is not asynchronous, as long as there is room."""
        while self._source is not None and self._has_room():
            try:
                message = next(self._source, None)
                if message is not None:
                    await self._take(message)
                    continue
            except Exception as error:
                self._error = error
            self._source = None

    async def _feed(self, messages: AsyncIterable[Sendable]) -> None:
        try:
            async for message in messages:
                await self._take(message)
                self._changed.set()
                while not self._has_room():
                    self._changed.clear()
                    await self._changed.wait()
        except Exception as error:
            self._error = error
        finally:
            self._changed.set()

    def _has_room(self) -> bool:
        count = len(self._jobs)
        return count < 2 or (count < _AHEAD and self._bytes < _AHEAD_BYTES)

    async def _take(self, message: Sendable) -> None:
        job = await self._start(message)
        size = job.size
        self._jobs.append((message, job, size))
        self._bytes += size

    async def aclose(self) -> None:
        """Take no more, and give up what has had no outcome."""
        self._source = None
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.wait([self._feeder])
        for _, job, _ in self._jobs:
            job.abandon()
