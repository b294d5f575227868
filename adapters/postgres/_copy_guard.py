"""COPY needs the connection for itself; and where nobody expects it, it must do no harm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from wirekit.protocols.postgres import Query

from ._lexing import is_client_copy, may_copy
from ._results import last_tag, raise_error
from ._session import Session
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.postgres import CopyResponse, CopySink, Event

    from ._connection import Connection
    from ._ownership import Hold, Ownership
    from ._request import Request
    from ._statements import Statement

__all__ = ["CopyGuard", "Exchange", "check_width"]


class Exchange:
    """A request that has the connection for itself until its answer is complete.

    Args:
        connection: which.
        request: the request.
        ownership: of the connection.
        hold: what keeps others away.
    """

    def __init__(
        self, connection: Connection, request: Request, ownership: Ownership, hold: Hold
    ) -> None:
        self.connection = connection
        self.request = request
        self._ownership = ownership
        self._hold = hold
        request.future.add_done_callback(lambda _: ownership.release(hold))

    @property
    def is_over(self) -> bool:
        """Whether the answer is complete, or the connection is over."""
        return self.request.future.done()

    async def answer(self) -> list[Event]:
        """Return the events of the answer; whoever is cancelled gives the request up.

        Raises:
            ConnectionDoesNotExistError: the connection is over.
        """
        await self.end()
        return self.request.future.result()

    async def end(self) -> None:
        """Wait until it is over; whoever is cancelled gives the request up."""
        try:
            await asyncio.wait([self.request.future])  # which is never cancelled
        except asyncio.CancelledError:
            self.abandon()
            raise
        self._ownership.release(self._hold)  # now, and not when the callback has its turn

    def abandon(self) -> None:
        """Give the request up; others have the connection when it is over."""
        if self.is_over:
            self._ownership.release(self._hold)
        else:
            self._hold.leave()
            self.request.on_event = None
            self.connection.abandon(self.request)

    def pass_on(self) -> None:
        """Take note that it belongs to the task that runs now."""
        if not self.is_over:
            self._hold.pass_on()


def check_width(response: CopyResponse, width: int | None) -> None:
    """Raise an InterfaceError unless COPY has as many columns as were described, if they were."""
    count = len(response.column_formats)
    if width is not None and count != width:
        text = f"COPY is of {count} columns, and the table has {width}"
        raise InterfaceError(text, hint="Name the columns; generated ones cannot be copied.")


class CopyGuard(Session):
    """The part of the client that keeps other messages away from a COPY.

    A server that waits for the data of a COPY takes any message but CopyData, CopyDone and
    CopyFail for an error, and ends the connection.
    """

    async def _begin_alone(
        self,
        query: str,
        sink: CopySink | None = None,
        on_event: Callable[[Event], None] | None = None,
        *,
        protected: bool = False,
    ) -> Exchange:
        """Wait for the connection, and send commands behind which nobody sends anything."""
        await self._ready()
        hold = await self._ownership.take(exclusive=True)
        try:
            connection = await self._writable()
            request = connection.request(Query(query, sink), on_event=on_event, protected=protected)
        except BaseException:
            self._ownership.release(hold)
            raise
        return Exchange(connection, request, self._ownership, hold)

    async def _query(
        self,
        query: str,
        *,
        protected: bool = False,
        reader: Any = None,
        answered: Callable[[object], None] | None = None,
    ) -> str:
        if answered is not None or not may_copy(query):
            return await super()._query(
                query, protected=protected, reader=reader, answered=answered
            )
        exchange = await self._begin_alone(query, reader, protected=protected)
        events = await exchange.answer()
        raise_error(events, query)
        return last_tag(events)

    async def _make_statement(self, query: str, name: str | None, *, keep: bool) -> Statement:
        if isinstance(cast("object", query), str) and is_client_copy(query):
            raise InterfaceError("COPY is not for this method: use the copy_* ones")
        return await super()._make_statement(query, name, keep=keep)
