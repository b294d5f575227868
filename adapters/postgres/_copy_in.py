"""COPY … FROM STDIN: from files, bytes, iterables and records to the server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from wirekit.protocols.postgres import (
    COPY_HEADER,
    COPY_TRAILER,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    InvalidRow,
    InvalidValue,
)

from ._copy_files import call, opened
from ._copy_guard import check_width
from ._results import last_tag, raise_error
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.postgres import CopySink, Event, RowWriter

    from ._copy_guard import Exchange

    Begin = Callable[[str, CopySink | None, Callable[[Event], None]], Awaitable[Exchange]]

__all__ = ["CopyIn", "pieces_of", "record_pieces"]

_PIECE = 131072  # bytes sent before others have a turn
_FILE_PIECE = 524288  # bytes read from a file at a time


class CopyIn:
    """One COPY from us.

    Args:
        begin: sends the command; see `CopyGuard`.
        query: the command.
        width: how many columns there are; None if that is not known.
    """

    def __init__(self, begin: Begin, query: str, width: int | None = None) -> None:
        self._begin = begin
        self._query = query
        self._width = width
        self._exchange: Exchange | None = None
        self._response: asyncio.Future[CopyInResponse] = asyncio.get_running_loop().create_future()

    async def run(self, pieces: AsyncGenerator[Buffer]) -> str:
        """Send the data, and return the status, such as ``"COPY 5"``.

        Raises:
            Exception: what ``pieces`` raised; then nothing is copied.
            PostgresError: the server refused it.
        """
        exchange = self._exchange = await self._begin(self._query, None, self._take)
        try:
            async with aclosing(pieces):
                await self._send(exchange, pieces)
            events = await exchange.answer()
        except BaseException as error:
            await self._give_up(exchange, error)
            raise
        raise_error(events, self._query)
        return last_tag(events)

    def _take(self, event: Event) -> None:
        exchange = self._exchange
        assert exchange is not None
        if isinstance(event, CopyInResponse) and not self._response.done():
            self._response.set_result(event)
        else:
            exchange.connection.take_unasked(exchange.request, event)

    async def _send(self, exchange: Exchange, pieces: AsyncGenerator[Buffer]) -> None:
        first: list[asyncio.Future[Any]] = [self._response, exchange.request.future]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not self._response.done():
            return
        check_width(self._response.result(), self._width)
        connection = exchange.connection
        size = 0
        async for piece in pieces:
            if not connection.copying:  # the server found an error, or the connection is over
                return
            connection.send(CopyData(piece))
            size += len(piece)
            if size >= _PIECE:
                size = 0
                await connection.written()
        if connection.copying:
            connection.send(CopyDone())

    async def _give_up(self, exchange: Exchange, error: BaseException) -> None:
        """End the COPY without its data; if it has not begun yet, it will be refused."""
        connection = exchange.connection
        if connection.error is None and connection.copying:
            connection.send(CopyFail("the data could not be had"))
        if isinstance(error, asyncio.CancelledError):
            exchange.abandon()
        else:
            await exchange.end()


# Where the data comes from


def pieces_of(source: object) -> AsyncGenerator[Buffer]:
    """Return the data of a path, a file, an async iterable or a bytes-like object, in pieces."""
    if isinstance(source, (str, os.PathLike)):
        return _pieces_of_path(cast("str | os.PathLike[str]", source))
    if hasattr(source, "read"):
        return _pieces_of_file(cast("Any", source).read)
    if _is_async_iterable(source):
        return _pieces_of_iterable(source)
    try:
        view = memoryview(cast("Buffer", source)).cast("B")
    except TypeError:
        text = (
            "source is expected to be a path, a file-like object, an async iterable or "
            f"a bytes-like object, not {type(source).__name__}"
        )
        raise TypeError(text) from None
    return _slices(view)


def _is_async_iterable(source: object) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(source, AsyncIterable)


async def _slices(data: Buffer) -> AsyncGenerator[Buffer]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


async def _pieces_of_path(path: str | os.PathLike[str]) -> AsyncGenerator[Buffer]:
    async with opened(path, "rb") as file, aclosing(_pieces_of_file(file.read)) as pieces:
        async for piece in pieces:
            yield piece


async def _pieces_of_file(read: Callable[[int], Any]) -> AsyncGenerator[Buffer]:
    while data := _as_bytes(await call(read, _FILE_PIECE)):
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]


async def _pieces_of_iterable(source: AsyncIterable[Any]) -> AsyncGenerator[Buffer]:
    async for chunk in source:
        data = _as_bytes(chunk)
        if len(data) <= _PIECE:
            if data:
                yield data
            continue
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]


def _as_bytes(data: object) -> bytes:
    """Return what can be sent after whoever made it uses its memory for the next."""
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(cast("Buffer", data)).tobytes()
    except TypeError:
        text = f"COPY takes bytes-like objects, not {type(data).__name__}"
        raise TypeError(text) from None


async def record_pieces(
    writer: RowWriter, columns: Sequence[str], records: object
) -> AsyncGenerator[Buffer]:
    """Give records in the binary format.

    Args:
        writer: writes their values.
        columns: the names of these, for errors.
        records: an iterable or async iterable of sequences.
    """
    out = bytearray(COPY_HEADER)
    count = 0
    try:
        if _is_async_iterable(records):
            async for record in records:
                writer.write_row(out, record)
                count += 1
                if len(out) >= _PIECE:
                    yield out
                    out = bytearray()
        else:
            rows = iter(cast("Iterable[Any]", records))
            while True:
                count += writer.write_rows(out, rows, _PIECE)
                if len(out) < _PIECE:
                    break
                yield out
                out = bytearray()
    except InvalidRow as error:
        raise _record_error(error, count + error.row, columns) from error.__cause__
    out += COPY_TRAILER
    yield out


def _record_error(error: InvalidRow, number: int, columns: Sequence[str]) -> BaseException:
    """Return what a codec raised, with a note on which value it was."""
    cause = error.__cause__
    if not isinstance(error, InvalidValue) or cause is None:
        return InterfaceError(f"records[{number}]: {error}")
    cause.add_note(f"records[{number}], column {columns[error.number]!r}")
    return cause
