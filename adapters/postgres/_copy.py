"""COPY, as asyncpg's users write it, and binary COPY to us as records."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import CopyChunks, CopyRows, Record, RecordKeys, RowWriter

from ._copy_guard import CopyGuard
from ._copy_in import CopyIn, pieces_of, record_pieces
from ._copy_out import CopyIterator, CopyOut, copy_to
from ._copy_statements import copy_from as copy_from_statement
from ._copy_statements import copy_to as copy_to_statement
from ._copy_statements import described, table
from ._lexing import quote_identifier, with_literals
from ._results import decoding_error, rows_of
from .exceptions import (
    InternalClientError,
    OutdatedSchemaCacheError,
    UnsupportedServerFeatureError,
)

if TYPE_CHECKING:
    import os
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Awaitable,
        Callable,
        Iterable,
        Sequence,
    )
    from typing import Protocol, Unpack

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.postgres import Column, TypeCodec

    from ._copy_statements import CopyOptions, CopyOutOptions
    from ._statements import Statement

    class Readable(Protocol):
        """What COPY reads from."""

        def read(self, size: int, /) -> Any: ...

    class Writable(Protocol):
        """What COPY writes to."""

        def write(self, data: bytes, /) -> Any: ...

    Path = str | os.PathLike[str]
    Source = Path | Readable | AsyncIterable[Buffer] | Buffer
    Output = Path | bytes | Writable | Callable[[bytes], Awaitable[Any]]

__all__ = ["Copying"]

_BINARY: CopyOptions = {"format": "binary"}


class Copying(CopyGuard):
    """The part of the client that copies.

    A COPY has the connection for itself until its end. Data that a file gives or takes is read and
    written in a thread.
    """

    async def copy_from_table(
        self,
        table_name: str,
        *,
        output: Output,
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
        timeout: float | None = None,
        format: str | None = None,  # noqa: A002 - SQL's word, as those below
        oids: bool | None = None,
        delimiter: str | None = None,
        null: str | None = None,
        header: bool | str | None = None,
        quote: str | None = None,
        escape: str | None = None,
        force_quote: bool | Iterable[str] | None = None,
        encoding: str | None = None,
    ) -> str:
        """Copy a table to a path, a file, or a coroutine function that takes `bytes`.

        Returns the status, such as ``"COPY 5"``.

        Args:
            table_name: the table.
            output: where to.
            columns: which, by default all but generated ones.
            schema_name: of the table.
            timeout: seconds.
            format: ``"text"``, ``"csv"`` or ``"binary"``; this and all below are COPY's options.
            oids: an option of PostgreSQL before 12.
            delimiter: between columns.
            null: stands for null.
            header: whether there is a line of names.
            quote: around values.
            escape: before what is special.
            force_quote: columns that are always quoted; True for all.
            encoding: of the text.
        """
        options: CopyOutOptions = {
            "format": format,
            "oids": oids,
            "delimiter": delimiter,
            "null": null,
            "header": header,
            "quote": quote,
            "escape": escape,
            "force_quote": force_quote,
            "encoding": encoding,
        }
        statement = copy_to_statement(table(table_name, schema_name), columns, options)
        async with self._limited(timeout):
            return await copy_to(self._begin_alone, statement, output)

    async def copy_from_query(
        self,
        query: str,
        *args: Any,
        output: Output,
        timeout: float | None = None,
        format: str | None = None,  # noqa: A002
        oids: bool | None = None,
        delimiter: str | None = None,
        null: str | None = None,
        header: bool | str | None = None,
        quote: str | None = None,
        escape: str | None = None,
        force_quote: bool | Iterable[str] | None = None,
        encoding: str | None = None,
    ) -> str:
        """Copy the rows of a query to a path, a file, or a coroutine function that takes `bytes`.

        Returns the status, such as ``"COPY 5"``. COPY knows no parameters: the server spells the
        arguments as literals first. For the others see `copy_from_table`.
        """
        options: CopyOutOptions = {
            "format": format,
            "oids": oids,
            "delimiter": delimiter,
            "null": null,
            "header": header,
            "quote": quote,
            "escape": escape,
            "force_quote": force_quote,
            "encoding": encoding,
        }
        async with self._limited(timeout):
            query = await self._inlined(query, args)
            return await copy_to(self._begin_alone, _copy_query(query, options), output)

    async def copy_to_table(
        self,
        table_name: str,
        *,
        source: Source,
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
        timeout: float | None = None,
        format: str | None = None,  # noqa: A002
        oids: bool | None = None,
        freeze: bool | None = None,
        delimiter: str | None = None,
        null: str | None = None,
        header: bool | str | None = None,
        quote: str | None = None,
        escape: str | None = None,
        force_quote: bool | Iterable[str] | None = None,
        force_not_null: bool | Iterable[str] | None = None,
        force_null: bool | Iterable[str] | None = None,
        encoding: str | None = None,
        where: str | None = None,
    ) -> str:
        """Copy a path, a file, an async iterable of bytes or a bytes-like object to a table.

        Returns the status, such as ``"COPY 5"``. Nothing is copied if ``source`` raises.

        Args:
            table_name: the table.
            source: where from; `bytes` are the data, and no path.
            columns: which, by default all but generated ones.
            schema_name: of the table.
            timeout: seconds.
            format: ``"text"``, ``"csv"`` or ``"binary"``; this and all below are COPY's options.
            oids: an option of PostgreSQL before 12.
            freeze: as VACUUM FREEZE would leave the rows.
            delimiter: between columns.
            null: stands for null.
            header: whether there is a line of names; ``"match"`` compares them.
            quote: around values.
            escape: before what is special.
            force_quote: for COPY to a file.
            force_not_null: columns that are never null.
            force_null: columns in which quoted values may be null.
            encoding: of the text.
            where: a condition on the rows.
        """
        options: CopyOptions = {
            "format": format,
            "oids": oids,
            "freeze": freeze,
            "delimiter": delimiter,
            "null": null,
            "header": header,
            "quote": quote,
            "escape": escape,
            "force_quote": force_quote,
            "force_not_null": force_not_null,
            "force_null": force_null,
            "encoding": encoding,
        }
        self._check_where(where)
        name = table(table_name, schema_name)
        async with self._limited(timeout):
            copying = CopyIn(self._begin_alone, copy_from_statement(name, columns, options, where))
            return await copying.run(pieces_of(source))

    async def copy_records_to_table(
        self,
        table_name: str,
        *,
        records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
        timeout: float | None = None,
        where: str | None = None,
    ) -> str:
        """Copy an iterable or async iterable of sequences to a table, in the binary format.

        Returns the status, such as ``"COPY 5"``. Nothing is copied if ``records`` raises, or holds
        what the table cannot.

        Args:
            table_name: the table.
            records: of as many values as columns each.
            columns: which, by default all.
            schema_name: of the table.
            timeout: seconds.
            where: a condition on the rows.

        Raises:
            InternalClientError: a column's type has no binary format that is known.
            TypeError, ValueError, OverflowError: a value is none of its column's type.
        """
        self._check_where(where)
        name = table(table_name, schema_name)
        columns = columns and tuple(columns)
        async with self._limited(timeout), self._holding():
            found = (await self._describe_anew(described(name, columns))).columns
            codecs = [
                _binary_codec(self._parameter_codec(column.type), column, "encoder")
                for column in found
            ]
            names = [column.name for column in found]
            statement = copy_from_statement(name, columns, _BINARY, where)
            copying = CopyIn(self._begin_alone, statement, len(found))
            return await copying.run(record_pieces(RowWriter(codecs), names, records))

    # To iterators

    def copy_records_from_table(
        self,
        table_name: str,
        *,
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> CopyIterator[Any]:
        """Iterate over the rows of a table as `Record` objects, by COPY in the binary format.

        It takes a bounded amount of memory, and holds the connection while it lasts.

        Args:
            table_name: the table.
            columns: which, by default all.
            schema_name: of the table.
            timeout: seconds to wait for more of it.
            record_class: what the rows are made.

        Raises:
            InternalClientError: when iterated, a column's type has no binary format that is known.
        """
        name = table(table_name, schema_name)
        columns = columns and tuple(columns)

        async def begin() -> CopyOut:
            statement = copy_to_statement(name, columns, _BINARY)
            return await self._begin_records(statement, described(name, columns), record_class)

        return CopyIterator(begin, _all, partial(self._limited, timeout))

    def copy_records_from_query(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> CopyIterator[Any]:
        """Iterate over the rows of a query as `copy_records_from_table` does over a table's."""

        async def begin() -> CopyOut:
            inlined = await self._inlined(query, args)
            statement = _copy_query(inlined, _BINARY)
            return await self._begin_records(statement, inlined, record_class)

        return CopyIterator(begin, _all, partial(self._limited, timeout))

    def copy_chunks_from_table(
        self,
        table_name: str,
        *,
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
        timeout: float | None = None,
        **options: Unpack[CopyOutOptions],
    ) -> CopyIterator[bytes]:
        """Iterate over the data of a table as `bytes`; for the options see `copy_from_table`.

        A chunk has the data of many rows, and none in part.
        """
        statement = copy_to_statement(table(table_name, schema_name), columns, options)

        async def begin() -> CopyOut:
            return await self._begin_chunks(statement)

        return CopyIterator(begin, _one, partial(self._limited, timeout))

    def copy_chunks_from_query(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        **options: Unpack[CopyOutOptions],
    ) -> CopyIterator[bytes]:
        """Iterate over the data of a query's rows as `copy_chunks_from_table` does."""

        async def begin() -> CopyOut:
            inlined = await self._inlined(query, args)
            return await self._begin_chunks(_copy_query(inlined, options))

        return CopyIterator(begin, _one, partial(self._limited, timeout))

    async def _begin_chunks(self, statement: str) -> CopyOut:
        copying = CopyOut(statement, CopyChunks())
        await copying.begin(self._begin_alone)
        return copying

    async def _begin_records(
        self, statement: str, description: str, record_class: type[Record] | None
    ) -> CopyOut:
        async with self._holding():
            columns = (await self._describe_anew(description)).columns
            codecs = [_binary_codec(self._codec(each.type), each, "decoder") for each in columns]
            keys = RecordKeys([column.name for column in columns])
            sink = CopyRows(keys, codecs, record_class or self._record_class)
            copying = CopyOut(statement, sink, len(columns), self._decoding_failed)
            await copying.begin(self._begin_alone)
        return copying

    # What COPY needs

    @asynccontextmanager
    async def _holding(self) -> AsyncGenerator[None]:
        """Let nobody change the table between its description and its COPY."""
        await self._ready()
        async with self._ownership.holding():
            yield

    def _decoding_failed(self, error: Exception) -> Exception:
        made = decoding_error(error)
        if isinstance(made, OutdatedSchemaCacheError):
            self._schema_changed()
        return made

    async def _describe_anew(self, query: str) -> Statement:
        # Always anew: another session may have changed the table since.
        return await self._prepare(query, name="", keep=False)

    async def _inlined(self, query: str, args: Sequence[Any]) -> str:
        """Return a query with literals in place of its parameters."""
        if not args:
            return query
        statement = self._statements.get(query) or await self._prepare(query)
        types = [self._type_name(oid) for oid in statement.parameter_types]
        spelled = [
            f"pg_catalog.quote_nullable(${number}::{name}::pg_catalog.text)"
            for number, name in enumerate(types, 1)
        ]
        found = await self._execute(f"SELECT ARRAY[{', '.join(spelled)}]::text[]", args)
        (row,) = rows_of(found)
        pairs = zip(row[0], types, strict=True)
        return with_literals(query, [f"({literal}::{name})" for literal, name in pairs])

    def _type_name(self, oid: int) -> str:
        info = self._types.info(oid)
        assert info is not None  # it was introspected with its statement
        return f"{quote_identifier(info.schema)}.{quote_identifier(info.name)}"

    def _check_where(self, where: str | None) -> None:
        if where and self._server_version < (12,):
            text = "the `where` parameter requires PostgreSQL 12 or later"
            raise UnsupportedServerFeatureError(text)


def _copy_query(query: str, options: CopyOutOptions) -> str:
    # In lines of their own, as the query may end with a comment.
    return copy_to_statement(f"(\n{query}\n)", None, options)


def _binary_codec(codec: TypeCodec, column: Column, what: str) -> TypeCodec:
    if codec.format != 1:
        text = f"no binary format {what} for type {codec.name} (OID {column.type})"
        raise InternalClientError(text)
    return codec


def _all(records: list[Any]) -> list[Any]:
    return records


def _one(chunk: bytes) -> tuple[bytes]:
    return (chunk,)
