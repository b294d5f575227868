"""What is asked of the server in one go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.postgres import Event, TransactionStatus

__all__ = ["Request"]


class Request:
    """What is asked up to one ReadyForQuery, and who waits for it.

    Attributes:
        future: gets the events of the answer, an ErrorResponse among them as any other, but for
            the ReadyForQuery that ends it.
        events: those so far.
        on_event: called with each event in place of gathering it, for COPY.
        on_end: called when the answer is complete, or the connection over, even if nobody waits
            any more.
        status: of the transaction, as of the ReadyForQuery; None before.
        abandoned: nobody waits any more.
        protected: is not cancelled on the server even so, as a ROLLBACK.
    """

    __slots__ = (
        "_end_waiter",
        "abandoned",
        "events",
        "future",
        "on_end",
        "on_event",
        "protected",
        "status",
    )

    def __init__(self, future: asyncio.Future[list[Event]]) -> None:
        self.future = future
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] | None = None
        self.on_end: Callable[[object], None] | None = None
        self.status: TransactionStatus | None = None
        self.abandoned = False
        self.protected = False
        self._end_waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether the answer is complete, or the connection over."""
        return self.status is not None

    def finish(self, status: TransactionStatus, error: Exception | None = None) -> None:
        """Take note of the end, and give whoever waits the events, or an error."""
        self.status = status
        if self._end_waiter is not None and not self._end_waiter.done():
            self._end_waiter.set_result(None)
        if self.on_end is not None:
            self.on_end(self)
        if self.future.done():
            return
        if error is None:
            self.future.set_result(self.events)
        else:
            self.future.set_exception(error)
            self.future.exception()  # whoever waits still gets it

    async def end(self, timeout: float | None) -> None:
        """Wait until it has ended, though the future may be cancelled; but not for ever."""
        if not self.ended:
            self._end_waiter = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._end_waiter], timeout=timeout)
