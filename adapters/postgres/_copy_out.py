"""COPY … TO STDOUT: from the server to files, callables and iterators."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from wirekit.protocols.postgres import (
    CopyChunks,
    CopyOutResponse,
    CopyProgress,
    Query,
)

from ._copy_files import opened, write_all
from ._session import last_tag, raise_error
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.postgres import CopySink, Event

    from ._connection import Connection, Request
    from ._copy_guard import CopyGuard
    from ._ownership import Hold

__all__ = ["CopyIterator", "CopyOut", "copy_to"]

_Item = TypeVar("_Item")

_LIMIT = 1048576  # bytes that wait for a slow consumer, after which the server has to wait


class CopyOut:
    """One COPY to us.

    Args:
        session: where from.
        query: the command.
        sink: makes of the data what is wanted.
    """

    def __init__(self, session: CopyGuard, query: str, sink: CopySink) -> None:
        self.tag = ""  # the status, once it is complete
        self._session = session
        self._query = query
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._hold: Hold | None = None
        self._request: Request | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False

    async def begin(self) -> None:
        """Wait for the connection, and send the command."""
        session = self._session
        hold, connection = await session._take_alone()
        try:
            request = connection.request(Query(self._query, self._sink), on_event=self._take)
        except BaseException:
            session._ownership.release(hold)
            raise
        self._hold, self._connection, self._request = hold, connection, request
        request.future.add_done_callback(self._wake)

    async def next(self) -> Any:
        """Wait for more of the data and return it, None at the end.

        Raises:
            Exception: a decoder's; or what ended the COPY.
        """
        request, connection, hold = self._request, self._connection, self._hold
        assert request is not None
        assert connection is not None
        assert hold is not None
        if self._waiter is not None:
            raise InterfaceError("another task waits for the data of this COPY")
        hold.pass_on()
        while not self._sink.size:
            if self._sink.error is not None:
                raise self._sink.error
            if request.future.done():
                self._end(request)
                return None
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._sink.take_copy()
        if self._paused:
            self._paused = False
            connection.resume_reading()
        return data

    def _end(self, request: Request) -> None:
        self.stop()
        events = request.future.result()
        raise_error(events, self._query)
        self.tag = last_tag(events)

    def stop(self) -> None:
        """Have the server end it, unless it is complete; a second time does nothing."""
        request, connection, hold = self._request, self._connection, self._hold
        if request is None or connection is None or hold is None:
            return
        self._hold = None
        if not request.future.done():
            request.on_event = None
            self._sink.drop()
            if self._paused:
                connection.resume_reading()
            connection.abandon(request)
        self._session._release_after(hold, request)

    def _take(self, event: Event) -> None:
        request, connection = self._request, self._connection
        assert request is not None
        assert connection is not None
        if isinstance(event, CopyProgress):
            if self._sink.size > _LIMIT and not self._paused:
                self._paused = True
                connection.pause_reading()
            self._wake()
        elif isinstance(event, CopyOutResponse):
            request.begun = True
        else:
            connection.take_unasked(request, event)

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class CopyIterator(Generic[_Item]):
    """What comes of a COPY, for ``async for``.

    The server sends no faster than it is taken. The connection belongs to the COPY until its end;
    whoever stops before, by leaving the loop, by ``aclose()`` or by being cancelled, ends it.

    Args:
        session: where from.
        begin: begins it, when the first item is wanted.
        unpack: gives the items of what `CopyOut.next` returns.
        timeout: seconds to wait for more of it.
    """

    def __init__(
        self,
        session: CopyGuard,
        begin: Callable[[], Awaitable[CopyOut]],
        unpack: Callable[[Any], Iterable[_Item]],
        timeout: float | None,
    ) -> None:
        self._session = session
        self._begin = begin
        self._unpack = unpack
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._items: Iterator[_Item] = iter(())
        self._copying: CopyOut | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        for item in self._items:
            return item
        try:
            async with self._session._limited(self._timeout):
                return await self._next()
        except BaseException:
            self._stop()
            raise

    async def _next(self) -> _Item:
        if self._copying is None and not self._over:
            self._copying = await self._begin()
        while not self._over:
            assert self._copying is not None
            data = await self._copying.next()
            if data is None:
                break
            self._items = iter(self._unpack(data))
            for item in self._items:
                return item
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the COPY."""
        self._items = iter(())
        self._stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _stop(self) -> None:
        self._over = True
        if self._copying is not None:
            self._copying.stop()

    def __del__(self) -> None:
        if self._copying is None or self._over or self._loop.is_closed():
            return
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            self._stop()
        else:  # the garbage collector came to it in another thread
            self._loop.call_soon_threadsafe(self._copying.stop)


async def copy_to(session: CopyGuard, query: str, output: object) -> str:
    """Copy to a path, a file or what a coroutine function takes, and return the status."""
    if isinstance(output, (str, bytes, os.PathLike)):
        async with opened(cast("str | bytes | os.PathLike[str]", output), "wb") as file:
            return await _copy_to(session, query, partial(write_all, file.write))
    if hasattr(output, "write"):
        return await _copy_to(session, query, partial(write_all, cast("Any", output).write))
    if callable(output):
        return await _copy_to(session, query, cast("Callable[[bytes], Awaitable[Any]]", output))
    text = (
        "output is expected to be a file-like object, a path-like object or "
        f"a coroutine function, not {type(output).__name__}"
    )
    raise TypeError(text)


async def _copy_to(
    session: CopyGuard, query: str, write: Callable[[bytes], Awaitable[Any]]
) -> str:
    copying = CopyOut(session, query, CopyChunks())
    await copying.begin()
    try:
        while (data := await copying.next()) is not None:
            await write(data)
    finally:
        copying.stop()
    return copying.tag
