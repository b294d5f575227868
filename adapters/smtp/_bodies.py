"""What a mail carries: bytes, text, a file or a stream, of which never all is in memory."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol, cast

from wirekit.protocols._buffer import Buffer

from ._errors import SMTPArgumentError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["Body", "Source", "make_body"]

_SMALL = 1048576  # bytes of a file that is read at once
_PIECE = 262144  # bytes read from a file at a time


class Readable(Protocol):
    """A file: opened for bytes, of whatever library."""

    def read(self, size: int, /) -> Any:
        """Return so many bytes at most, or an awaitable of them; none at the end."""
        ...


Source = (
    bytes
    | bytearray
    | memoryview
    | str
    | os.PathLike[str]
    | Readable
    | AsyncIterable[Buffer]
    | Iterable[Buffer]
)


class Body:
    """The content of a mail.

    Attributes:
        data: all of it, if it is in memory.
        size: bytes, as near as is known before it is read; None if nothing is known.
        replayable: whether it can be read again.
    """

    __slots__ = ("_open", "data", "replayable", "size")

    def __init__(
        self,
        data: bytes | None = None,
        *,
        open_pieces: Callable[[], AsyncGenerator[Buffer]] | None = None,
        size: int | None = None,
        replayable: bool = True,
    ) -> None:
        self.data = data
        self.size = size if data is None else len(data)
        self.replayable = replayable
        self._open = open_pieces

    async def pieces(self) -> AsyncGenerator[Buffer]:
        """Yield the content piece by piece."""
        if self._open is None:
            yield self.data or b""
            return
        async with aclosing(self._open()) as pieces:
            async for piece in pieces:
                yield piece


async def make_body(source: Source, *, size: int | None = None) -> Body:
    """Return the content that a source has; a small file is read at once.

    Args:
        source: bytes; text, which has to be ASCII; a path; a file that was opened for bytes; or
            an iterable of bytes, asynchronous or not.
        size: bytes that are to come, if the caller knows.

    Raises:
        SMTPArgumentError: it is none of these, or text that is not ASCII.
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return Body(source)
    if isinstance(source, str):
        try:
            return Body(source.encode("ascii"))
        except UnicodeEncodeError:
            text = "a message given as str has to be ASCII; encode it, or pass an EmailMessage"
            raise SMTPArgumentError(text) from None
    if isinstance(source, bytearray | memoryview):
        return Body(bytes(source))  # its owner may go on to change it
    if isinstance(source, os.PathLike):
        return await asyncio.to_thread(_look_at, source)
    if hasattr(source, "read"):
        file = cast("Readable", source)
        return Body(open_pieces=lambda: _file_pieces(file), size=size, replayable=False)
    if isinstance(source, AsyncIterable):
        return Body(open_pieces=lambda: _async_pieces(source), size=size, replayable=False)
    if isinstance(source, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        again = isinstance(source, list | tuple)
        return Body(open_pieces=lambda: _sync_pieces(source), size=size, replayable=again)
    raise SMTPArgumentError(
        "a message is bytes, str, a path, a file or an iterable of bytes,"
        f" not {type(source).__name__}"
    )


def _look_at(path: os.PathLike[str]) -> Body:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _SMALL:
            data = file.read(_SMALL + 1)
            if len(data) <= _SMALL:
                return Body(data)
    return Body(open_pieces=lambda: _path_pieces(path), size=size)


async def _path_pieces(path: os.PathLike[str]) -> AsyncGenerator[Buffer]:
    opening = asyncio.ensure_future(asyncio.to_thread(open, path, "rb"))
    try:
        file = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    try:
        async with aclosing(_file_pieces(file)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        await asyncio.to_thread(file.close)


def _close_unwanted(opening: asyncio.Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _file_pieces(file: Readable) -> AsyncGenerator[Buffer]:
    while True:
        piece = await asyncio.to_thread(file.read, _PIECE)
        if inspect.isawaitable(piece):
            piece = await piece
        if not piece:
            return
        yield _checked(piece)


async def _async_pieces(source: AsyncIterable[Buffer]) -> AsyncGenerator[Buffer]:
    async for piece in source:
        yield _checked(piece)


async def _sync_pieces(source: Iterable[Buffer]) -> AsyncGenerator[Buffer]:
    for piece in source:
        yield _checked(piece)


def _checked(piece: object) -> Buffer:
    if isinstance(piece, bytes | bytearray | memoryview):
        return cast("Buffer", piece)
    raise SMTPArgumentError(f"a message consists of bytes, not of {type(piece).__name__}")
