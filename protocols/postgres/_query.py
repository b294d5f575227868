# cython: annotation_typing=False
"""The hot path: Bind, Execute and Sync of a prepared statement as one message."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError
from wirekit.protocols import _native

from ._frontend import Bind
from ._rows import InvalidRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._rows import RowSink, RowWriter

__all__ = ["ExtendedQuery", "PreparedQuery"]

_MAX_LENGTH = 0x3FFFFFFF  # MaxAllocSize: the server takes no longer message
_EXECUTE = b"E\0\0\0\x09\0"  # of the unnamed portal; the row limit follows
_SYNC = b"S\0\0\0\x04"


class ExtendedQuery:
    """One or more pairs of Bind and Execute, and perhaps a Sync; `PreparedQuery` makes it.

    It is answered by a single `CommandComplete` (`PortalSuspended`, `EmptyQueryResponse`): the
    last pair's, with the rows of all.

    Attributes:
        data: as it stands on the wire.
        count: number of pairs.
        sink: takes the rows, None drops them.
        sync: whether a Sync ends it.
    """

    __slots__ = ("count", "data", "sink", "sync")

    data: bytearray
    count: int
    sink: RowSink | None
    sync: bool

    def encode(self) -> bytes:
        """Return the messages as they stand on the wire."""
        return bytes(self.data)


class PreparedQuery:
    """What is the same in every execution of a prepared statement.

    Args:
        statement: its name.
        writer: writes its parameters.
        result_formats: of its columns, as in `Bind`.
    """

    __slots__ = ("_head", "_tail", "_writer")

    def __init__(
        self, statement: str, writer: RowWriter, result_formats: Sequence[int] = (1,)
    ) -> None:
        bind = Bind("", statement, writer.formats, 0, b"", result_formats).encode()
        tail = pack(f"!H{len(result_formats)}H", len(result_formats), *result_formats)
        self._head = bind[: len(bind) - len(tail) - 2] + pack("!H", len(writer.formats))
        self._tail = tail
        self._writer = writer

    def bind(
        self, values: Any, sink: RowSink | None, max_rows: int = 0, sync: bool = True
    ) -> ExtendedQuery:
        """Return one execution, for at most ``max_rows`` rows, 0 for all.

        Raises:
            InvalidValue: a value cannot be sent.
            LocalProtocolError: there are more or fewer values than parameters, or too large ones;
                or the row limit is none.
        """
        if not 0 <= max_rows < 2**31:
            raise LocalProtocolError(f"a row limit of {max_rows}; from 0 to 2147483647 goes")
        out = bytearray()
        self._append(out, values, max_rows)
        return _finish(out, sink, 1, sync)

    def bind_many(
        self, rows: Iterable[Any], sink: RowSink | None, size: int, sync: bool = True
    ) -> ExtendedQuery:
        """Return executions for rows from an iterator, until they are ``size`` bytes or more.

        The ``count`` of what is returned is 0 when there are no more rows.

        Raises:
            InvalidValue, LocalProtocolError: as `bind`; the ``row`` of an InvalidRow says which.
        """
        out = bytearray()
        count = 0
        for values in rows:
            try:
                self._append(out, values, 0)
            except InvalidRow as exc:
                exc.row = count
                raise
            count += 1
            if len(out) >= size:
                break
        return _finish(out, sink, count, sync)

    def _append(self, out: bytearray, values: Any, max_rows: int) -> None:
        start = len(out)
        _native.append_bytes(out, self._head)
        self._writer.write(out, values)
        _native.append_bytes(out, self._tail)
        length = len(out) - start - 1
        if length > _MAX_LENGTH:
            raise LocalProtocolError("parameters of more than 1 GiB")
        _native.put_int32(out, start + 1, length)
        _native.append_bytes(out, _EXECUTE)
        _native.append_int32(out, max_rows)


def _finish(out: bytearray, sink: RowSink | None, count: int, sync: bool) -> ExtendedQuery:
    if sync:
        _native.append_bytes(out, _SYNC)
    query = ExtendedQuery()
    query.data = out
    query.count = count
    query.sink = sink
    query.sync = sync
    return query
