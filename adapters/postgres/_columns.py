"""Results by columns: one typed array each, made without a row in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from wirekit.protocols.postgres import (
    ColumnReader,
    DescribedRowReader,
    TransactionStatus,
    new_column,
)

from ._column_formats import COLUMN_FORMATS
from ._results import rows_of
from ._session import Session
from ._statements import BorrowedStatement
from .exceptions import (
    InterfaceError,
    InvalidCachedStatementError,
    InvalidSQLStatementNameError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wirekit.protocols.postgres import Column, RowDescription, RowSink, TypeCodec

    from ._column_formats import ColumnFormat, Columns
    from ._statements import Statement

__all__ = ["ColumnQueries"]

_STALE = (InvalidCachedStatementError, InvalidSQLStatementNameError)


class ColumnQueries(Session):
    """The part of the client that fetches columns."""

    @overload
    async def fetch_columns(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        format: Literal["numpy", "python"] = "numpy",
    ) -> Columns: ...

    @overload
    async def fetch_columns(
        self, query: str, *args: Any, timeout: float | None = None, format: Literal["arrow"]
    ) -> Any: ...

    async def fetch_columns(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        format: Literal["numpy", "arrow", "python"] = "numpy",  # noqa: A002 - what users call it
    ) -> Any:
        """Run a query and return its columns, each as one array of its type.

        Args:
            query: a single command.
            args: its arguments.
            timeout: seconds.
            format: what the arrays are.

        ``"numpy"`` gives `Columns` of ``numpy.ndarray``: ``bool``, ``int16`` to ``int64``,
        ``uint32`` (oid), ``uint64`` (xid8), ``float32``, ``float64``, ``datetime64[D]`` (date) and
        ``datetime64[us]`` (timestamp, and timestamptz in UTC). Only where such a column has nulls,
        it is a ``numpy.ma.MaskedArray``, whose ``filled()`` puts NaN and NaT in their places. All
        other columns are of dtype ``object``, with the values that `fetch` gives, and None.

        ``"arrow"`` gives a ``pyarrow.Table`` on the buffers received: the same types, time as
        ``time64[us]``, uuid as ``fixed_size_binary[16]``, text as ``large_string``, bytea as
        ``large_binary``, and numeric as ``decimal128`` where the column declares up to 38 digits.
        All other columns are the server's text, as ``large_string``, and so are those whose
        values go through functions of the user's.

        ``"python"`` needs no package and gives `Columns` of ``array.array`` for integers and
        floats without nulls; all other columns are lists, with the values that `fetch` gives.

        The infinities of date and timestamp are the ends of Python's calendar, as in `fetch`;
        other values outside of it do stand in arrays.

        Raises:
            UnsupportedClientFeatureError: NumPy or PyArrow is missing.
            OverflowError, ValueError: a value has no place in its array.
        """
        if format not in COLUMN_FORMATS:
            raise InterfaceError(f"format is 'numpy', 'arrow' or 'python', not {format!r}")
        made = COLUMN_FORMATS[format]()
        async with self._limited(timeout):
            return await self._fetch_columns(query, args, made)

    async def _fetch_columns(self, query: str, args: Sequence[Any], made: ColumnFormat) -> Any:
        statement = self._statements.get(query) or await self._prepare(query)
        by_columns = self._by_columns(statement, made)
        try:
            result = await self._execute(query, args, statement=by_columns)
        except _STALE:
            if self._open_connection.status is not TransactionStatus.IDLE:
                raise
            # The schema has changed, or the statement is another server's; nothing has run.
            self._statements.drop(statement)
            by_columns = self._by_columns(await self._prepare(query), made)
            result = await self._execute(query, args, statement=by_columns)
        return made.result(by_columns.columns, rows_of(result))

    def _by_columns(self, statement: Statement, made: ColumnFormat) -> _ColumnStatement:
        parameters = [self._parameter_codec(oid) for oid in statement.parameter_types]

        def find_codecs(columns: Sequence[Column]) -> list[TypeCodec]:
            pairs = zip(columns, self._codecs(columns), strict=True)
            return [made.codec(column, codec) for column, codec in pairs]

        return _ColumnStatement(statement, parameters, find_codecs, made.kinds)


class _ColumnStatement(BorrowedStatement):
    """The same statement, run for columns whatever else it is asked for."""

    def __init__(
        self,
        statement: Statement,
        parameters: Sequence[TypeCodec],
        find_codecs: Callable[[Sequence[Column]], list[TypeCodec]],
        kinds: frozenset[str],
    ) -> None:
        super().__init__(statement, parameters, find_codecs)
        self._kinds = kinds

    def _sink(self, sink: RowSink | None) -> RowSink | None:
        if not self.columns:
            return None
        if self.name:
            return self._reader(self.columns)
        return DescribedRowReader(self._reader_as_described)

    def _reader(self, columns: Sequence[Column]) -> ColumnReader:
        codecs = self._find_codecs(columns)
        return ColumnReader([new_column(codec, self._kinds) for codec in codecs])

    def _reader_as_described(self, description: RowDescription) -> ColumnReader:
        self.columns = description.columns
        return self._reader(self.columns)
