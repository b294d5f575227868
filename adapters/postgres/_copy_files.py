"""Files without blocking the event loop."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable
    from typing import BinaryIO

__all__ = ["call", "opened", "write_all"]


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a file's method in a thread; await its result if it is an asynchronous file's."""
    result = await asyncio.to_thread(function, *args)
    return await result if inspect.isawaitable(result) else result


async def write_all(write: Callable[[Any], Any], data: bytes) -> None:
    """Write to a file, which may take less at a time."""
    while data:
        count = await call(write, data)
        data = data[count:] if isinstance(count, int) else b""


@asynccontextmanager
async def opened(
    path: str | bytes | os.PathLike[str], mode: Literal["rb", "wb"]
) -> AsyncGenerator[BinaryIO]:
    """Open a file for a block of code."""
    opening = asyncio.ensure_future(asyncio.to_thread(open, path, mode))
    try:
        file = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    try:
        yield file
    finally:
        # In the same thread pool: it waits until a write whose caller was cancelled is done.
        await asyncio.to_thread(file.close)


def _close_unwanted(opening: asyncio.Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
