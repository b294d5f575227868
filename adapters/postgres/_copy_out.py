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
)

from ._copy_files import opened, write_all
from ._copy_guard import check_width
from ._results import decoding_error, last_tag, raise_error
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.postgres import CopySink, Event

    from ._copy_guard import Exchange

    Begin = Callable[[str, CopySink | None, Callable[[Event], None]], Awaitable[Exchange]]

__all__ = ["CopyIterator", "CopyOut", "copy_to"]

_Item = TypeVar("_Item")

_LIMIT = 1048576  # bytes that wait for a slow consumer, after which the server has to wait


class CopyOut:
    """One COPY to us.

    Args:
        query: the command.
        sink: makes of the data what is wanted.
        width: how many columns there are; None if that is not known.
        failed: gives the error for what a decoder raised.
    """

    def __init__(
        self,
        query: str,
        sink: CopySink,
        width: int | None = None,
        failed: Callable[[Exception], Exception] = decoding_error,
    ) -> None:
        self.tag = ""  # the status, once it is complete
        self._query = query
        self._sink = sink
        self._width = width
        self._failed = failed
        self._response: CopyOutResponse | None = None
        self._loop = asyncio.get_running_loop()
        self._exchange: Exchange | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False

    async def begin(self, begin: Begin) -> None:
        """Send the command by a `CopyGuard`."""
        self._exchange = await begin(self._query, self._sink, self._take)
        self._exchange.request.future.add_done_callback(self._wake)

    async def next(self) -> Any:
        """Wait for more of the data and return it, None at the end.

        Raises:
            Exception: a decoder's; or what ended the COPY.
        """
        exchange = self._exchange
        assert exchange is not None
        exchange.pass_on()
        while not self._sink.size:
            if self._response is not None:
                check_width(self._response, self._width)
            if self._sink.error is not None:
                raise self._failed(self._sink.error)
            if exchange.is_over:
                events = await exchange.answer()
                raise_error(events, self._query)
                self.tag = last_tag(events)
                return None
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._sink.take_copy()
        self._resume()
        return data

    def _resume(self) -> None:
        if self._paused and self._exchange is not None:
            self._paused = False
            self._exchange.connection.resume_reading()

    def stop(self) -> None:
        """Have the server end it, if it has not yet."""
        if self._exchange is not None:
            self._sink.drop()
            self._resume()
            self._exchange.abandon()

    def _take(self, event: Event) -> None:
        exchange = self._exchange
        assert exchange is not None
        if isinstance(event, CopyProgress):
            if self._sink.size > _LIMIT and not self._paused:
                self._paused = True
                exchange.connection.pause_reading()
            self._wake()
        elif isinstance(event, CopyOutResponse):
            self._response = event
        else:
            exchange.connection.take_unasked(exchange.request, event)

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class CopyIterator(Generic[_Item]):
    """What comes of a COPY, for ``async for``.

    The server sends no faster than it is taken. The connection belongs to the COPY until its end;
    whoever stops before, by leaving the loop, by ``aclose()`` or by being cancelled, ends it.

    Args:
        begin: begins it, when the first item is wanted.
        unpack: gives the items of what `CopyOut.next` returns.
        limited: gives the limit of a wait for more of it.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[CopyOut]],
        unpack: Callable[[Any], Iterable[_Item]],
        limited: Callable[[], asyncio.Timeout],
    ) -> None:
        self._begin = begin
        self._unpack = unpack
        self._limited = limited
        self._loop = asyncio.get_running_loop()
        self._items: Iterator[_Item] = iter(())
        self._copying: CopyOut | None = None
        self._waiting = False
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        for item in self._items:
            return item
        if self._waiting:
            raise InterfaceError("another task waits for the next of this COPY")
        self._waiting = True
        try:
            async with self._limited():
                return await self._next()
        except BaseException:
            self._stop()
            raise
        finally:
            self._waiting = False

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


async def copy_to(begin: Begin, query: str, output: object) -> str:
    """Copy to a path, a file or what a coroutine function takes, and return the status."""
    if isinstance(output, (str, bytes, os.PathLike)):
        async with opened(cast("str | bytes | os.PathLike[str]", output), "wb") as file:
            return await _copy_to(begin, query, partial(write_all, file.write))
    if hasattr(output, "write"):
        return await _copy_to(begin, query, partial(write_all, cast("Any", output).write))
    if callable(output):
        return await _copy_to(begin, query, cast("Callable[[bytes], Awaitable[Any]]", output))
    text = (
        "output is expected to be a file-like object, a path-like object or "
        f"a coroutine function, not {type(output).__name__}"
    )
    raise TypeError(text)


async def _copy_to(begin: Begin, query: str, write: Callable[[bytes], Awaitable[Any]]) -> str:
    copying = CopyOut(query, CopyChunks())
    await copying.begin(begin)
    try:
        while (data := await copying.next()) is not None:
            await write(data)
    finally:
        copying.stop()
    return copying.tag
