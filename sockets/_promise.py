"""A result that settles once and that anyone may await."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Promise"]

T = TypeVar("T")


class Promise(Generic[T]):
    """A result that settles once and can be awaited by anyone, any number of times.

    Cancelling a task that awaits it cancels nothing but that task's wait, and an error that nobody
    asks for is no fault of the program's.
    """

    def __init__(self) -> None:
        self._future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[object, None, T]:
        # Not asyncio.shield: since Python 3.14 it reports errors that follow a cancelled wait.
        if not self._future.done():
            waiter: asyncio.Future[None] = self._future.get_loop().create_future()

            def wake(_: object) -> None:
                if not waiter.done():
                    waiter.set_result(None)

            self._future.add_done_callback(wake)
            try:
                yield from waiter.__await__()
            finally:
                self._future.remove_done_callback(wake)
        return self._future.result()

    def done(self) -> bool:
        """Whether it has settled."""
        return self._future.done()

    def result(self) -> T:
        """Return or raise the outcome; `asyncio.InvalidStateError` before there is one."""
        return self._future.result()

    def exception(self) -> BaseException | None:
        """Return the error it settled with, or None."""
        return self._future.exception()

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` from the event loop once it has settled."""
        self._future.add_done_callback(lambda _: callback())

    def resolve(self, value: T) -> None:
        """Settle with a value, unless it has settled."""
        if not self._future.done():
            self._future.set_result(value)

    def reject(self, error: BaseException) -> None:
        """Settle with an error, unless it has settled."""
        if not self._future.done():
            self._future.set_exception(error)
            self._future.exception()  # marks it as asked for
