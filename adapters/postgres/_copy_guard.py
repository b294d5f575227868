"""COPY needs the connection for itself; and where nobody expects it, it must do no harm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import Query

from ._lexing import is_client_copy, may_copy
from ._session import Session, last_tag, raise_error
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from wirekit.protocols.postgres import Event

    from ._connection import Connection, Request
    from ._ownership import Hold
    from ._statements import Statement

__all__ = ["CopyGuard"]


class CopyGuard(Session):
    """The part of the client that keeps other messages away from a COPY.

    A server that waits for the data of a COPY takes any message but CopyData, CopyDone and
    CopyFail for an error, and ends the connection.
    """

    async def _take_alone(self) -> tuple[Hold, Connection]:
        """Wait for the connection, and let nobody else send anything to the server."""
        await self._ready()
        hold = await self._ownership.take(exclusive=True)
        try:
            return hold, await self._writable()
        except BaseException:
            self._ownership.release(hold)
            raise

    async def _answer_alone(self, request: Request) -> list[Event]:
        """Return the events of an answer; who is cancelled gives the request up."""
        await self._end_of(request)
        return request.future.result()

    async def _end_of(self, request: Request) -> None:
        """Wait until an answer is complete, or the connection is over."""
        try:
            await asyncio.wait([request.future])  # which is never cancelled
        except asyncio.CancelledError:
            if self._connection is not None:
                self._connection.abandon(request)
            raise

    def _release_after(self, hold: Hold, request: Request) -> None:
        """Let others have the connection as soon as an answer is complete, which may be now."""
        if request.future.done():
            self._ownership.release(hold)
        else:
            hold.leave()
            request.future.add_done_callback(lambda _: self._ownership.release(hold))

    def _query(
        self,
        query: str,
        *,
        protected: bool = False,
        reader: Any = None,
        answered: Callable[[object], None] | None = None,
    ) -> Coroutine[Any, Any, str]:
        if answered is None and may_copy(query):
            return self._query_alone(query, protected, reader)
        return super()._query(query, protected=protected, reader=reader, answered=answered)

    async def _query_alone(self, query: str, protected: bool, reader: Any) -> str:
        hold, connection = await self._take_alone()
        try:
            request = connection.request(Query(query, reader), protected=protected)
        except BaseException:
            self._ownership.release(hold)
            raise
        try:
            events = await self._answer_alone(request)
        finally:
            self._release_after(hold, request)
        raise_error(events, query)
        return last_tag(events)

    async def _make_statement(self, query: str, name: str | None, *, keep: bool) -> Statement:
        if isinstance(query, str) and is_client_copy(query):
            raise InterfaceError("COPY is not for this method: use the copy_* ones")
        return await super()._make_statement(query, name, keep=keep)
