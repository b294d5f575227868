"""What all parts of the client stand on: one connection, its statements, types, and who has it."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Any, Literal

from wirekit.protocols.postgres import (
    Close,
    CopyResponse,
    Describe,
    ErrorResponse,
    NoData,
    ParameterDescription,
    Parse,
    Query,
    Record,
    RowDescription,
    Sync,
    TransactionStatus,
    TypeInfo,
    TypeMap,
)

from ._arguments import check_query, checked_limit, checked_size, checked_timeout
from ._introspection import (
    asks_for_types,
    builtin_codecs,
    builtin_parameter_codecs,
    required_codec,
    type_info,
    types_by_oid,
)
from ._ownership import Hold, Ownership
from ._results import Results, checked_result, copy_error, last_tag, raise_error, rows_of
from ._server_version import parse_server_version
from ._statements import BorrowedStatement, Statement, StatementCache, check_record_class
from .exceptions import (
    ClosedError,
    InterfaceError,
    InvalidCachedStatementError,
    InvalidSQLStatementNameError,
    OutdatedSchemaCacheError,
    UnsupportedClientFeatureError,
    error_from_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wirekit.protocols.postgres import Column, Event, TypeCodec

    from ._connection import Connection
    from ._pipeline import Pipeline
    from ._request import Request
    from ._settings import Opened
    from .types import ServerVersion

__all__ = ["Session"]

_DESCRIBED = frozenset({RowDescription, NoData})
_DEEPEST_TYPE = 100  # how many times a type may be of other types that are not known
_MOST_ARGUMENTS = 65535  # a 16-bit number; of more, the server describes a remainder
_STALE = (InvalidCachedStatementError, InvalidSQLStatementNameError)


class _Preparing:
    """A statement that is being prepared, and how many wait for it."""

    __slots__ = ("callers", "task")

    def __init__(self, task: asyncio.Task[Statement]) -> None:
        self.task = task
        self.callers = 0


class Session:
    """One conversation with a server.

    Args:
        record_class: what rows are made.
        command_timeout: seconds for a call that is given no timeout.
        statement_cache_size: see `StatementCache`; so are the next two.
        max_cached_statement_lifetime: seconds.
        max_cacheable_statement_size: characters.
        known_types: what introspection found, shared with other connections to the database.
    """

    def __init__(
        self,
        *,
        record_class: type[Record] = Record,
        command_timeout: float | None = None,
        statement_cache_size: int = 100,
        max_cached_statement_lifetime: float = 300.0,
        max_cacheable_statement_size: int = 15360,
        known_types: dict[int, TypeInfo] | None = None,
    ) -> None:
        check_record_class(record_class)
        self._record_class = record_class
        self._command_timeout = checked_timeout("command_timeout", command_timeout)
        self._connection: Connection | None = None
        self._server_pid = 0
        self._protocol_version = (3, 0)
        self._ownership = Ownership(self._tell_closed)
        self._closing: list[Close] = []  # what the server is to forget when it can be told
        self._releases = 0  # how often a pool had it back; what was made before is void then
        self._pipeline: Pipeline | None = None
        self._statements = StatementCache(
            checked_size("statement_cache_size", statement_cache_size),
            checked_size("max_cached_statement_lifetime", max_cached_statement_lifetime),
            checked_size("max_cacheable_statement_size", max_cacheable_statement_size),
            asyncio.get_running_loop().time,
            self._statement_dropped,
        )
        self._preparing: dict[tuple[str, Hold | None], _Preparing] = {}
        self._known_types = {} if known_types is None else known_types
        self._types = TypeMap()

    def _use(self, opened: Opened) -> None:
        self._connection = opened.connection
        self._server_pid = opened.key.process_id if opened.key is not None else 0
        self._protocol_version = opened.version
        opened.connection.on_lost = self._lost

    def _lost(self) -> None:
        """Take the end of the connection: whoever waits for it gets the error."""
        self._ownership.end()

    @property
    def _open_connection(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise InterfaceError("the connection is not open yet: use `async with`")
        if connection.error is not None:
            raise connection.lost_error()
        return connection

    @property
    def _server_version(self) -> ServerVersion:
        return parse_server_version(self._open_connection.settings.get("server_version", ""))

    # Waiting

    async def _ready(self) -> Connection:
        """Return the connection when it is this caller's turn.

        Raises:
            InterfaceError, ConnectionDoesNotExistError: there is none any more.
        """
        connection = self._open_connection
        self._refuse_in_pipeline()
        while not self._ownership.is_free or connection.congested:
            if not self._ownership.is_free:
                await self._ownership.wait()
            else:
                await connection.writable()
        return connection

    def _refuse_in_pipeline(self) -> None:
        if self._pipeline is not None and self._pipeline.is_ours:
            raise InterfaceError("only queries can be run inside a pipeline")

    async def _writable(self) -> Connection:
        """Return the connection when it can take something, for who has it for himself."""
        connection = self._open_connection
        if connection.congested:
            await connection.writable()
        return connection

    async def _answer(self, request: Request) -> list[Event]:
        """Return the events of an answer; whoever is cancelled here gives the request up."""
        try:
            return await request.future
        except asyncio.CancelledError:
            if self._connection is not None:
                self._connection.abandon(request)
            raise

    def _limited(self, timeout: float | None) -> asyncio.Timeout:
        """Return the limit of a call, which is the connection's if it is given none."""
        return asyncio.timeout(self._command_timeout if timeout is None else checked_limit(timeout))

    # Queries

    async def _query(
        self,
        query: str,
        *,
        protected: bool = False,
        reader: Any = None,
        answered: Callable[[object], None] | None = None,
    ) -> str:
        """Run commands by the simple protocol and return the tag of the last.

        Args:
            query: the commands.
            protected: see `Request`.
            reader: takes the rows.
            answered: called when the answer has come, even if the caller is gone by then. They are
                sent at once, whoever's turn it is.
        """
        connection = self._open_connection if answered is not None else await self._ready()
        request = connection.request(Query(query, reader), on_end=answered, protected=protected)
        events = await self._answer(request)
        raise_error(events, query)
        return last_tag(events)

    async def _execute(
        self,
        query: str,
        values: Sequence[Any],
        max_rows: int = 0,
        record_class: type[Record] | None = None,
        statement: Statement | None = None,
    ) -> Results:
        """Run a query by the extended protocol, preparing it if need be."""
        record_class = record_class or self._record_class
        if self._pipeline is not None and self._pipeline.is_ours:
            return await self._pipeline.run(query, values, max_rows, record_class, statement)
        prepared = statement
        if prepared is None:
            prepared = self._statements.get(query)
            if prepared is None:
                if len(values) > _MOST_ARGUMENTS:
                    text = f"the number of query arguments cannot exceed {_MOST_ARGUMENTS}"
                    raise InterfaceError(text)
                prepared = await self._prepare(query)
        connection = self._connection
        if connection is None or connection.congested or not self._ownership.is_free:
            connection = await self._ready()
        request = connection.request(*prepared.execution(values, record_class, max_rows))
        try:
            events = await request.future
        except asyncio.CancelledError:
            connection.abandon(request)
            raise
        event = events[-1] if events else None
        if not isinstance(event, ErrorResponse):
            return self._result(event)
        if isinstance(events[0], CopyResponse):
            raise copy_error()
        stale = statement is None and self._drop_stale(prepared, error_from_fields(event.fields))
        if stale and request.status is TransactionStatus.IDLE:
            prepared = await self._prepare(query)
            again = Session._execute  # which is not logged twice
            return await again(self, query, values, max_rows, record_class, prepared)
        raise error_from_fields(event.fields, query)

    def _result(self, event: Event | None) -> Results:
        """Return the event that ended an execution; raise what a decoder of its rows raised."""
        try:
            return checked_result(event)
        except OutdatedSchemaCacheError:
            self._schema_changed()
            raise

    def _drop_stale(self, statement: Statement, error: Exception) -> bool:
        """Forget a statement if the error says that the server no longer has it as it was.

        The schema has changed, or it is another server's by now; in any case nothing has run.
        """
        if not isinstance(error, _STALE):
            return False
        self._statements.drop(statement)
        if isinstance(error, InvalidCachedStatementError):
            self._schema_changed()  # others may know the same table
        return True

    # Statements

    async def _prepare(
        self, query: str, *, name: str | None = None, keep: bool = True
    ) -> Statement:
        """Return the statement of a query, which is prepared once for all who ask meanwhile.

        Args:
            query: its text.
            name: the statement's name at the server; None chooses one.
            keep: whether it goes into the cache.
        """
        if not keep:
            return await self._make_statement(query, name, keep=False)
        self._ownership.refuse_self()  # it will wait in a task of its own
        # Who has the connection for himself must not wait for those who wait for him.
        key = (query, self._ownership.ours)
        preparing = self._preparing.get(key)
        if preparing is None:
            task = asyncio.create_task(self._make_statement(query, name, keep=True))
            preparing = self._preparing[key] = _Preparing(task)
            task.add_done_callback(lambda done: self._prepared(key, done))
        preparing.callers += 1
        try:
            # Whoever is cancelled leaves it to the others; the last one has it cancelled.
            return await asyncio.shield(preparing.task)
        except asyncio.CancelledError:
            if preparing.callers == 1 and not preparing.task.done():
                self._prepared(key, preparing.task)
                preparing.task.cancel()
                await asyncio.wait([preparing.task])
            raise
        except Exception as error:
            raise copy(error) from error.__cause__  # everybody gets one of his own
        finally:
            preparing.callers -= 1

    def _prepared(self, key: tuple[str, Hold | None], task: asyncio.Task[Statement]) -> None:
        preparing = self._preparing.get(key)
        if preparing is not None and preparing.task is task:
            del self._preparing[key]
        if task.done() and not task.cancelled():
            task.exception()  # whoever waits gets it; perhaps nobody does any more

    async def _make_statement(self, query: str, name: str | None, *, keep: bool) -> Statement:
        check_query(query)
        # One that is not kept would stay at the server; of one that the caller keeps he knows.
        named = self._statements.keeps(query if keep else "")
        keep = keep and named
        chosen = name
        if chosen is None:
            chosen = self._statements.new_name() if named else ""
        try:
            statement = await self._learn_statement(query, chosen)
        except BaseException:
            if name is None and chosen:  # the server may have it all the same
                self._close_later("S", chosen)
            raise
        if keep:
            first = self._statements.get(query)
            if first is not None:
                self._statements.drop(statement)
                return first
            self._statements.put(statement)
        return statement

    async def _learn_statement(self, query: str, name: str) -> Statement:
        """Have the server parse a query, and learn about its types."""
        parsing = (Parse(name, query), Describe("S", name))
        pipeline = self._pipeline
        if pipeline is not None and pipeline.is_ours:
            events = await pipeline.ask(query, parsing, _DESCRIBED)
        else:
            connection = await self._ready()
            events = await self._answer(connection.request(*parsing, Sync()))
            raise_error(events, query)
        parameter_types: tuple[int, ...] = ()
        columns: tuple[Column, ...] = ()
        for event in events:
            if isinstance(event, ParameterDescription):
                parameter_types = event.types
            elif isinstance(event, RowDescription):
                columns = event.columns
        if not asks_for_types(query):
            await self._introspect([*parameter_types, *[column.type for column in columns]])
        return Statement(
            name,
            query,
            parameter_types,
            [self._parameter_codec(oid) for oid in parameter_types],
            columns,
            self._codecs,
        )

    def _statement_dropped(self, name: str) -> None:
        if name:
            self._close_later("S", name)

    def _close_later(self, kind: Literal["S", "P"], name: str) -> None:
        """Close a statement or portal at the server, which nobody needs to wait for."""
        self._closing.append(Close(kind, name))
        self._tell_closed()

    def _tell_closed(self) -> None:
        """Close what is to be closed, unless a Sync would come into the middle of something."""
        connection = self._connection
        if not self._closing or connection is None or connection.error is not None:
            return
        if self._ownership.exclusive or self._pipeline is not None or connection.copying:
            return  # it is done when that has ended
        closing, self._closing = self._closing, []
        connection.abandon(connection.request(*closing, Sync(), protected=True))

    # Types

    def _codec(self, oid: int) -> TypeCodec:
        return required_codec(self._types.codec, oid)

    def _parameter_codec(self, oid: int) -> TypeCodec:
        return required_codec(self._types.parameter_codec, oid)

    def _codecs(self, columns: Sequence[Column]) -> list[TypeCodec]:
        return [self._codec(column.type) for column in columns]

    async def _introspect(self, oids: Iterable[int]) -> None:
        """Learn about the types among these that are not known, and what they are made of."""
        wanted = set(oids)
        for _ in range(_DEEPEST_TYPE):
            missing = self._types.missing(wanted)
            if not missing:
                return
            found = {oid: self._known_types[oid] for oid in missing if oid in self._known_types}
            unknown = [oid for oid in missing if oid not in found]
            if unknown:
                query = types_by_oid(self._server_version)
                found.update({info.oid: info for info in await self._catalogue(query, (unknown,))})
            if not found.keys() >= set(missing):
                raise UnsupportedClientFeatureError(f"there are no types with OIDs {unknown}")
            self._types.add(found[oid] for oid in missing)
            self._known_types.update(found)
        raise UnsupportedClientFeatureError("a type that is made of ever more types")

    async def _catalogue(self, query: str, values: Sequence[Any]) -> list[TypeInfo]:
        """Run a query about types; its own values go through no codecs of the user's."""
        prepared = self._statements.get(query) or await self._prepare(query)
        parameters = builtin_parameter_codecs(prepared.parameter_types)
        statement = BorrowedStatement(prepared, parameters, builtin_codecs)
        if self._pipeline is not None and self._pipeline.is_ours:
            found = await self._pipeline.run_now(statement, values)
        else:
            found = await self._execute(query, values, 0, Record, statement)
        try:
            return [type_info(row) for row in rows_of(found)]
        except (KeyError, TypeError, ValueError) as error:
            raise UnsupportedClientFeatureError("the server says odd things about types") from error

    def _forget_types(self) -> None:
        """Forget what is known of types and statements, as they may have changed."""
        self._statements.clear()
        self._known_types.clear()
        self._types.forget()

    def _schema_changed(self) -> None:
        self._forget_types()

    # Guards

    def _check_open(self) -> None:
        if self._connection is None or self._connection.error is not None:
            if self._connection is None:
                raise ClosedError("the connection is not open")
            raise self._connection.lost_error()
