"""What transactions, cursors and prepared statements have in common: they live on a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from wirekit._errors import SocketClosed

from .exceptions import ClosedError, InterfaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from wirekit.protocols.postgres import Event, Record, TypeMap

    from ._connection import Connection
    from ._ownership import Ownership
    from ._request import Request
    from ._results import Results
    from ._statements import Statement
    from ._transaction import Transaction

__all__ = ["Access", "Resource"]


@dataclass(eq=False, slots=True, kw_only=True)
class Access:
    """What they may ask of the client that made them.

    Attributes:
        connection: the client's.
        ownership: who may use it.
        types: what is known of types.
        record_class: what rows are made if nothing else is said.
        releases: how often a pool had the connection back.
        refuse_in_pipeline: raises an InterfaceError inside a pipeline.
        ready: waits for one's turn.
        answer: waits for an answer.
        limited: makes the limit of a call.
        command: sends a command at once, whoever's turn it is; the function is called when it is
            answered, even if the caller is gone by then.
        find_statement: gives the statement of a query, from the cache if it is there.
        execute: runs a query.
        result: gives the result of an execution, or raises what its decoders did.
        run_many: runs a statement many times.
        close_later: closes a statement ('S') or portal ('P') at the server.
        close_anyhow: the same from any thread, even if the event loop is closed.
        transactions: those that are open, the outermost first.
        tasks: what goes on without anybody waiting for it.
        numbers: for names.
    """

    connection: Connection
    ownership: Ownership
    types: TypeMap
    record_class: type[Record]
    releases: Callable[[], int]
    refuse_in_pipeline: Callable[[], None]
    ready: Callable[[], Coroutine[Any, Any, Connection]]
    answer: Callable[[Request], Coroutine[Any, Any, list[Event]]]
    limited: Callable[[float | None], asyncio.Timeout]
    command: Callable[[str, Callable[[object], None]], Coroutine[Any, Any, str]]
    find_statement: Callable[[str], Coroutine[Any, Any, Statement]]
    execute: Callable[
        [str, Sequence[Any], int, type[Record] | None, Statement | None],
        Coroutine[Any, Any, Results],
    ]
    result: Callable[[Event | None], Results]
    run_many: Callable[
        [Statement, Iterable[Sequence[Any]], type[Record] | None], Coroutine[Any, Any, list[Any]]
    ]
    close_later: Callable[[Literal["S", "P"], str], None]
    close_anyhow: Callable[[Literal["S", "P"], str], None]
    transactions: list[Transaction] = field(default_factory=list["Transaction"])
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    numbers: Iterator[int] = field(default_factory=count)


class Resource:
    """Something that is of no use any more when its connection is closed, or back in its pool."""

    __slots__ = ("_access", "_releases")

    def __init__(self, access: Access) -> None:
        self._access = access
        self._releases = access.releases()

    def _check(self, method: str) -> None:
        """Raise the error for a call of a method if the connection is of no use any more."""
        access = self._access
        error = access.connection.error
        if access.releases() == self._releases and error is None:
            return
        call = f"cannot call {type(self).__name__}.{method}(): the underlying connection"
        if access.releases() != self._releases:
            raise InterfaceError(f"{call} has been released back to the pool")
        if isinstance(error, SocketClosed):
            raise ClosedError(f"{call} is closed")
        raise access.connection.lost_error()
