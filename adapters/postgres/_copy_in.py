"""COPY … FROM STDIN: from files, bytes, iterables and records to the server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from wirekit.protocols.postgres import (
    COPY_HEADER,
    COPY_TRAILER,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    InvalidRow,
    InvalidValue,
    Query,
)

from ._copy_files import call, opened
from ._session import last_tag, raise_error
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.postgres import Event, RowWriter

    from ._connection import Connection, Request
    from ._copy_guard import CopyGuard

__all__ = ["CopyIn", "pieces_of", "record_pieces"]

_PIECE = 131072  # bytes sent before others have a turn
_FILE_PIECE = 524288  # bytes read from a file at a time


class CopyIn:
    """One COPY from us.

    Args:
        session: where to.
        query: the command.
        width: how many columns are copied; None if that is not known.
    """

    def __init__(self, session: CopyGuard, query: str, width: int | None = None) -> None:
        self._session = session
        self._query = query
        self._width = width
        self._response: asyncio.Future[CopyInResponse] = (
            asyncio.get_running_loop().create_future()
        )

    async def run(self, pieces: AsyncGenerator[Buffer]) -> str:
        """Send the data, and return the status, such as ``"COPY 5"``.

        Raises:
            Exception: what ``pieces`` raised; then nothing is copied.
            PostgresError: the server refused it.
        """
        session = self._session
        hold, connection = await session._take_alone()
        try:
            request = connection.request(Query(self._query))
        except BaseException:
            session._ownership.release(hold)
            raise
        request.on_event = lambda event: self._take(connection, request, event)
        try:
            async with aclosing(pieces):
                await self._send(connection, request, pieces)
            events = await session._answer_alone(request)
        except BaseException as error:
            await self._give_up(connection, request, error)
            raise
        finally:
            session._release_after(hold, request)
        raise_error(events, self._query)
        return last_tag(events)

    @property
    def _begun(self) -> CopyInResponse | None:
        return self._response.result() if self._response.done() else None

    def _take(self, connection: Connection, request: Request, event: Event) -> None:
        if isinstance(event, CopyInResponse) and not self._response.done():
            request.begun = True
            self._response.set_result(event)
        else:
            connection.take_unasked(request, event)

    async def _send(
        self, connection: Connection, request: Request, pieces: AsyncGenerator[Buffer]
    ) -> None:
        await asyncio.wait([self._response, request.future], return_when=asyncio.FIRST_COMPLETED)
        begun = self._begun
        if begun is None:
            return
        width = len(begun.column_formats)
        if self._width is not None and width != self._width:
            text = f"COPY takes {width} columns, and the table has {self._width}"
            raise InterfaceError(text, hint="Name the columns; generated ones cannot be copied.")
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

    async def _give_up(
        self, connection: Connection, request: Request, error: BaseException
    ) -> None:
        """End the COPY without its data."""
        request.on_event = None  # if it has not begun yet, it is refused when it does
        if connection.copying and connection.error is None:
            connection.send(CopyFail("the data could not be had"))
        if isinstance(error, asyncio.CancelledError):
            connection.abandon(request)
        else:
            await self._session._end_of(request)


# Where the data comes from


def pieces_of(source: object) -> AsyncGenerator[Buffer]:
    """Return the data of a path, a file, an async iterable or a bytes-like object, in pieces."""
    if isinstance(source, (str, os.PathLike)):
        return _pieces_of_path(cast("str | os.PathLike[str]", source))
    if hasattr(source, "read"):
        return _pieces_of_file(cast("Any", source).read)
    if isinstance(source, AsyncIterable):
        return _pieces_of_iterable(cast("AsyncIterable[Any]", source))
    try:
        view = memoryview(cast("Buffer", source)).cast("B")
    except TypeError:
        text = (
            "source is expected to be a path, a file-like object, an async iterable or "
            f"a bytes-like object, not {type(source).__name__}"
        )
        raise TypeError(text) from None
    return _slices(view)


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
        if isinstance(records, AsyncIterable):
            async for record in cast("AsyncIterable[Any]", records):
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
