"""Prepared statements on one connection, and the cache of them."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import LocalProtocolError
from wirekit.protocols.postgres import (
    Bind,
    Describe,
    DescribedRowReader,
    Execute,
    InvalidRow,
    InvalidValue,
    Parse,
    PreparedQuery,
    Record,
    RecordKeys,
    RowReader,
    RowWriter,
    Sync,
)

from .exceptions import InterfaceError, QueryArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wirekit.protocols.postgres import (
        Column,
        ExtendedQuery,
        Message,
        RowDescription,
        RowSink,
        TypeCodec,
    )

__all__ = ["BorrowedStatement", "Statement", "StatementCache", "check_record_class"]


class Statement:
    """A statement that the server has parsed and described.

    Args:
        name: at the server; empty for one that is parsed anew each time, which poolers need.
        query: its text.
        parameter_types: by OID.
        parameters: their codecs.
        columns: of its rows; none if it returns no rows.
        codecs: gives the codecs of columns.
    """

    def __init__(
        self,
        name: str,
        query: str,
        parameter_types: Sequence[int],
        parameters: Sequence[TypeCodec],
        columns: Sequence[Column],
        codecs: Callable[[Sequence[Column]], list[TypeCodec]],
    ) -> None:
        self.name = name
        self.query = query
        self.parameter_types = tuple(parameter_types)
        self.columns = tuple(columns)
        self.writer = RowWriter(parameters)
        self.closed = False
        self._find_codecs = codecs
        self._codecs = codecs(columns)
        self._keys = RecordKeys([column.name for column in columns])
        self._readers: dict[type[Record], RowReader] = {}
        self._result_formats = [codec.format for codec in self._codecs]
        self._prepared = PreparedQuery(name, self.writer, self._result_formats)

    def reader(self, record_class: type[Record]) -> RowReader:
        """Return what makes the records; without columns they are empty."""
        reader = self._readers.get(record_class)
        if reader is None:
            check_record_class(record_class)
            reader = self._readers[record_class] = RowReader(self._keys, self._codecs, record_class)
        return reader

    def execution(
        self, values: Sequence[Any], record_class: type[Record], max_rows: int = 0
    ) -> Sequence[Message | ExtendedQuery]:
        """Return the messages that run it once, the Sync among them.

        Raises:
            QueryArgumentError: a value cannot be sent.
            InterfaceError: there are more or fewer than parameters.
        """
        return self.portal(values, self.reader(record_class), max_rows, record_class)

    def portal(
        self,
        values: Sequence[Any],
        sink: RowSink | None,
        max_rows: int = 0,
        record_class: type[Record] = Record,
        *,
        sync: bool = True,
    ) -> Sequence[Message | ExtendedQuery]:
        """Return the messages that run it with ``sink`` for its rows; see `execution`."""
        if not self.name:
            return [*self._parsed_anew(values, sink, max_rows, record_class), *[Sync()] * sync]
        try:
            return (self._prepared.bind(values, sink, max_rows, sync),)
        except LocalProtocolError as error:
            raise argument_error(error, len(self.parameter_types)) from error.__cause__

    def bind(self, portal: str, values: Sequence[Any]) -> list[Message]:
        """Return the messages that make a portal of this name, without a Sync."""
        out = bytearray()
        try:
            self.writer.write(out, values)
        except LocalProtocolError as error:
            raise argument_error(error, len(self.parameter_types)) from error.__cause__
        formats = self.writer.formats
        bind = Bind(portal, self.name, formats, len(formats), out, self._result_formats)
        if self.name:
            return [bind]
        return [self.parse(), bind]

    def leave(self) -> None:
        """Take note that the server is to forget it; whoever still has it has it parsed anew."""
        self.closed = True
        self.name = ""
        self._prepared = PreparedQuery("", self.writer, self._result_formats)

    def parse(self) -> Parse:
        """Return the message that makes the statement."""
        return Parse(self.name, self.query, self.parameter_types)

    def many(
        self, rows: Iterator[Any], sink: RowSink | None, size: int, *, start: int = 0
    ) -> ExtendedQuery:
        """Return executions for rows from an iterator, up to ``size`` bytes; see `PreparedQuery`.

        The first of them has the number ``start``.

        Raises:
            QueryArgumentError, InterfaceError: see `execution`.
        """
        try:
            return self._prepared.bind_many(rows, sink, size, False)
        except LocalProtocolError as error:
            raise argument_error(error, len(self.parameter_types), start) from error.__cause__

    def _parsed_anew(
        self, values: Sequence[Any], sink: RowSink | None, max_rows: int, record_class: type[Record]
    ) -> list[Message]:
        # In one piece, so that no other statement without a name can come between, and a pooler
        # has it on one server. The columns may have changed since they were first described.
        messages = self.bind("", values)
        if sink is not None and isinstance(sink, RowReader):
            sink = DescribedRowReader(self.described(record_class))
        return [*messages, Describe("P", ""), Execute("", max_rows, sink)]

    def described(self, record_class: type[Record]) -> Callable[[RowDescription], RowReader]:
        """Return what makes the reader for columns as they are described once more."""

        def make_reader(description: RowDescription) -> RowReader:
            columns = description.columns
            same = [(column.name, column.type) for column in columns] == [
                (column.name, column.type) for column in self.columns
            ]
            if same:
                return self.reader(record_class)
            keys = RecordKeys([column.name for column in columns])
            return RowReader(keys, self._find_codecs(columns), record_class)

        return make_reader

    def __repr__(self) -> str:
        return f"<Statement {self.name!r}>"


class BorrowedStatement(Statement):
    """A statement of the cache with other codecs; parsed anew once the server has forgotten it."""

    def __init__(
        self,
        lender: Statement,
        parameters: Sequence[TypeCodec],
        codecs: Callable[[Sequence[Column]], list[TypeCodec]],
    ) -> None:
        types, columns = lender.parameter_types, lender.columns
        super().__init__(lender.name, lender.query, types, parameters, columns, codecs)
        self._lender = lender

    def portal(
        self,
        values: Sequence[Any],
        sink: RowSink | None,
        max_rows: int = 0,
        record_class: type[Record] = Record,
        *,
        sync: bool = True,
    ) -> Sequence[Message | ExtendedQuery]:
        if self._lender.closed and not self.closed:
            self.leave()
        return super().portal(values, self._sink(sink), max_rows, record_class, sync=sync)

    def _sink(self, sink: RowSink | None) -> RowSink | None:
        """Return what takes the rows in place of ``sink``."""
        return sink


def check_record_class(record_class: type[Any]) -> None:
    """Check that a class can be made records of.

    Raises:
        InterfaceError: it cannot.
    """
    if not (isinstance(cast("object", record_class), type) and issubclass(record_class, Record)):
        raise InterfaceError("record_class is expected to be a subclass of asyncpg.Record")
    if record_class.__new__ is not Record.__new__ or record_class.__init__ is not Record.__init__:
        raise InterfaceError("record_class must not redefine __new__ or __init__")


def argument_error(error: LocalProtocolError, wanted: int, start: int | None = None) -> Exception:
    """Return the error for arguments that cannot be sent.

    Args:
        error: what the writer says.
        wanted: how many the query has.
        start: the number of the first of executemany's rows that it was given.
    """
    if not isinstance(error, InvalidRow):
        return InterfaceError(str(error))
    element = "" if start is None else f"element #{start + error.row}"
    if isinstance(error, InvalidValue):
        where = f"${error.number + 1}"
        if element:
            where += f" in {element} of executemany() sequence"
        text = f"invalid input for query argument {where}: {error.given} ({error.__cause__})"
        return QueryArgumentError(text)
    given = error.count
    if given is None:
        text = f"invalid input in executemany() argument sequence {element}: {error}"
        return QueryArgumentError(text)
    text = f"the server expects {wanted} argument{'s' * (wanted != 1)} for this query, {given}"
    text += " was passed" if given == 1 else " were passed"
    return InterfaceError(text)


class StatementCache:
    """Statements by their text, the least recently used going first.

    Args:
        size: how many; 0 for none.
        lifetime: seconds after which one is prepared anew; 0 for never.
        max_query_size: characters of the longest text kept; 0 for no limit.
        clock: gives seconds.
        dropped: called with the name of each statement that leaves.
    """

    def __init__(
        self,
        size: int,
        lifetime: float,
        max_query_size: int,
        clock: Callable[[], float],
        dropped: Callable[[str], None],
    ) -> None:
        self._size = size
        self._lifetime = lifetime
        self._max_query_size = max_query_size
        self._clock = clock
        self._dropped = dropped
        self._statements: OrderedDict[str, tuple[Statement, float]] = OrderedDict()
        self._prefix = f"wirekit_{secrets.token_hex(4)}_"
        self._numbers = count(1)

    def keeps(self, query: str) -> bool:
        """Whether a statement of this text would be kept."""
        return self._size > 0 and not 0 < self._max_query_size < len(query)

    def new_name(self) -> str:
        """Return a name that no other connection of a pooler has either."""
        return f"{self._prefix}{next(self._numbers)}"

    def get(self, query: str) -> Statement | None:
        """Return the statement of this text, if it is here."""
        entry = self._statements.get(query)
        if entry is None:
            return None
        statement, expiry = entry
        if statement.closed or (expiry and self._clock() >= expiry):
            self.drop(statement)
            return None
        self._statements.move_to_end(query)
        return statement

    def put(self, statement: Statement) -> None:
        """Keep a statement."""
        expiry = self._clock() + self._lifetime if self._lifetime else 0.0
        self._statements[statement.query] = (statement, expiry)
        while len(self._statements) > self._size:
            _, (oldest, _) = self._statements.popitem(last=False)
            self._leave(oldest)

    def drop(self, statement: Statement) -> None:
        """Forget a statement."""
        entry = self._statements.get(statement.query)
        if entry is not None and entry[0] is statement:
            del self._statements[statement.query]
        self._leave(statement)

    def clear(self) -> None:
        """Forget all."""
        statements, self._statements = self._statements, OrderedDict()
        for statement, _ in statements.values():
            self._leave(statement)

    def _leave(self, statement: Statement) -> None:
        if not statement.closed:
            name = statement.name
            statement.leave()
            self._dropped(name)
