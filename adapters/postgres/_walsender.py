"""The connection to a walsender, the server's process for replication."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from wirekit.protocols.postgres import (
    CommandComplete,
    CopyBothResponse,
    CopyDone,
    Query,
    TextRowReader,
    TypeMap,
)

from ._client import Dialler, Postgres
from ._results import raise_error
from .exceptions import InterfaceError, UnsupportedClientFeatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wirekit.protocols.postgres import Event
    from wirekit.sockets import SocketLike

    from ._connection import Connection
    from ._request import Request
    from ._settings import Settings

__all__ = ["Walsender"]

_OWN_TEMPORARY = """
SELECT 1 FROM pg_catalog.pg_replication_slots WHERE temporary AND active_pid = pg_backend_pid()
"""
_START_NOWHERE = "START_REPLICATION PHYSICAL FFFFFFFF/FFFFFFFF"
_TIMEOUT = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'"


class _Stream(Protocol):
    """What is on the connection from START_REPLICATION to the end of its answer."""

    @property
    def is_ending(self) -> bool:
        """Whether its end was asked for."""
        ...

    async def aclose(self) -> None:
        """Ask for its end, and wait for that."""
        ...


class Walsender(Postgres):
    """A client that asks for replication: it is let run simple queries only.

    Attributes:
        types: how values of columns are decoded.
    """

    def __init__(self, socket: SocketLike | None = None, **options: Any) -> None:
        super().__init__(socket, **options)
        self._settings = replace(self._settings, replication="database")
        self._stream: _Stream | None = None
        self._has_streamed = False
        self._forgetting: asyncio.Future[list[Event]] | None = None
        self._unknown: set[int] = set()

    @property
    def types(self) -> TypeMap:
        """How the values of columns are decoded."""
        return self._types

    async def rows(self, command: str) -> list[tuple[str | None, ...]]:
        """Run commands and return their rows as text."""
        async with self._limited(None):
            connection = await self._turn()
            request = connection.request(Query(command, TextRowReader()))
            events = await self._answer(request)
        raise_error(events, command)
        return [row for event in events if isinstance(event, CommandComplete) for row in event.rows]

    async def fetchval(
        self, query: str, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any:
        """Run a query without arguments and return a value of its first row as text."""
        rows = await self.rows(query)
        return rows[0][column] if rows else None

    async def reply_timeout(self) -> float:
        """Return after how many seconds without a word from us the server gives up; 0 is never."""
        return int(await self.fetchval(_TIMEOUT) or 0) / 1000

    async def _turn(self) -> Connection:
        """Return the connection when no stream is on it, or none that is not ending."""
        while True:
            connection = await self._ready()
            if self._forgetting is not None:
                await asyncio.shield(self._forgetting)
            elif self._stream is None:
                return connection
            elif self._stream.is_ending:
                await self._stream.aclose()
            else:
                text = "a stream is under way on this connection: close it first"
                raise InterfaceError(text)

    # Streaming

    async def start_streaming(
        self, command: str, stream: _Stream, on_event: Callable[[Event], None]
    ) -> tuple[Connection, Request]:
        """Send START_REPLICATION; nothing else can be sent until `streaming_ended`.

        Args:
            command: the command.
            stream: ends it.
            on_event: gets the events of the answer.
        """
        if self._has_streamed:
            await self._forget_stream()
        connection = await self._turn()
        request = connection.request(Query(command), on_event=on_event)
        self._stream = stream
        self._has_streamed = True
        return connection, request

    def streaming_ended(self) -> None:
        """Take note that the answer to START_REPLICATION is complete."""
        self._stream = None

    async def _forget_stream(self) -> None:
        """Have the server forget that a stream was ended.

        At least up to PostgreSQL 18, a logical stream on a connection on which one was ended before
        ends at once (PostgreSQL's bug #18754): what is remembered is forgotten only when physical
        replication starts. That is refused then, for nobody has come as far as the last LSN.
        """
        if await self.rows(_OWN_TEMPORARY):
            text = "a second stream on a connection is not possible without an error at the server"
            raise InterfaceError(f"{text}, by which it loses its temporary slots: open another")
        connection = await self._turn()

        def take(event: Event) -> None:
            if isinstance(event, CopyBothResponse) and connection.copying:
                connection.send(CopyDone())

        request = connection.request(Query(_START_NOWHERE), on_event=take, protected=True)
        self._forgetting = request.future
        request.future.add_done_callback(self._forgot)
        await asyncio.shield(request.future)

    def _forgot(self, answer: object) -> None:
        self._forgetting = None
        self._has_streamed = False

    async def aclose(self) -> None:
        """End a stream that is under way, say goodbye and close."""
        try:
            if self._stream is not None:
                await self._stream.aclose()
        except asyncio.CancelledError:
            self.terminate()
            raise
        await super().aclose()

    # Types

    async def learn(self, oids: Iterable[int]) -> None:
        """Learn about types that are not known, by another connection if one can be made."""
        wanted = set(oids) - self._unknown
        if not self._types.missing(wanted):
            return
        if self._dialler is None:
            self._unknown |= self._types.missing(wanted)
            return
        ordinary = _Ordinary(self._settings, self._dialler)
        async with ordinary:
            for oid in wanted:
                if not await ordinary.learn(oid):
                    self._unknown.add(oid)
        self._types.add(self._known_types.values())


class _Ordinary(Postgres):
    """The same, without replication, to ask about types."""

    def __init__(self, settings: Settings, dialler: Dialler) -> None:
        super().__init__(user=settings.user, connector=dialler, address="")
        self._settings = replace(settings, replication=None)

    async def learn(self, oid: int) -> bool:
        """Learn about a type; False if there is none any more."""
        try:
            await self._introspect([oid])
        except UnsupportedClientFeatureError:
            return False
        return True
