# cython: annotation_typing=False
"""Columns in place of rows: DataRow to one buffer per column, as NumPy and Arrow hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import RemoteProtocolError
from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import (
    BoolCodec,
    ByteaCodec,
    Float4Codec,
    Float8Codec,
    Int2Codec,
    Int4Codec,
    Int8Codec,
    TextCodec,
    UInt4Codec,
    UInt8Codec,
)
from ._numeric import NumericCodec
from ._rows import RowSink
from ._scalars import PlainTextCodec, UUIDCodec
from ._temporal import DateCodec, TimeCodec, TimestampCodec, TimestamptzCodec

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from ._codecs import TypeCodec

__all__ = ["ColumnBuffer", "ColumnReader", "column_kind", "new_column"]

# From 1970-01-01, which NumPy and Arrow count from, to 2000-01-01.
_EPOCH_DAYS = 10957
_EPOCH_MICROSECONDS = 946684800000000
_DAY = 86400000000

_MAX_INT32 = 0x7FFFFFFF
_MIN_INT32 = -0x80000000
_MAX_INT64 = 0x7FFFFFFFFFFFFFFF
_MIN_INT64 = ~_MAX_INT64

# For the infinities, as in rows: the ends of Python's calendar.
_MIN_DATE = -719162
_MAX_DATE = 2932896
_MIN_TIMESTAMP = -62135596800000000
_MAX_TIMESTAMP = 253402300799999999


class ColumnBuffer:
    """The values of one column, one after the other.

    Args:
        kind: see `column_kind`.
        codec: of the column.

    Attributes:
        kind: see `column_kind`.
        count: of the rows, those with null among them.
        validity: a bit for each row, from the lowest of the first byte on, 0 for null; None if
            there are no nulls.
        values: the values in the machine's byte order, zeros for null; of ``"text"`` and
            ``"bytea"`` the bytes of all together; empty if there are ``objects``.
        offsets: where in ``values`` each begins, and behind the last where that ends, 8 bytes
            each; None but for ``"text"`` and ``"bytea"``.
        objects: what the codec made of the values, and None for null; or None.
    """

    __slots__ = ("_codec", "count", "kind", "objects", "offsets", "validity", "values")

    def __init__(self, kind: str, codec: TypeCodec) -> None:
        self.kind = kind
        self.count = 0
        self.validity: bytearray | None = None
        self.values = bytearray()
        self.offsets: bytearray | None = None
        self.objects: list[Any] | None = None
        self._codec = codec

    def append(self, data: bytes, start: int, end: int) -> None:
        """Append the field ``data[start:end]``; ``count`` is the caller's to raise.

        Raises:
            RemoteProtocolError: these bytes are no value of the type.
            OverflowError, ValueError: there is no such value here.
        """
        raise NotImplementedError

    def append_null(self) -> None:
        """Append what stands for null."""
        raise NotImplementedError

    def mark_null(self) -> None:
        """Note that the row number ``count`` is null."""
        self.pad(self.count + 1)
        validity = self.validity
        assert validity is not None
        validity[self.count >> 3] &= ~(1 << (self.count & 7)) & 0xFF

    def pad(self, count: int) -> None:
        """Make the bits those of so many rows; a row that was not marked has a value."""
        if self.validity is None:
            self.validity = bytearray()
        missing = ((count + 7) >> 3) - len(self.validity)
        if missing > 0:
            self.validity += b"\xff" * missing


class _BoolColumn(ColumnBuffer):
    """One byte each, 0 or 1."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 1:
            raise _faults.wrong_length(self._codec.name, end - start)
        self.values.append(1 if data[start] else 0)

    def append_null(self) -> None:
        self.mark_null()
        self.values.append(0)


class _Column2(ColumnBuffer):
    """Two bytes each."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 2:
            raise _faults.wrong_length(self._codec.name, end - start)
        _native.append_native16(self.values, _native.read_int16(data, start))

    def append_null(self) -> None:
        self.mark_null()
        _native.append_native16(self.values, 0)


class _Column4(ColumnBuffer):
    """Four bytes each."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 4:
            raise _faults.wrong_length(self._codec.name, end - start)
        _native.append_native32(self.values, _native.read_int32(data, start))

    def append_null(self) -> None:
        self.mark_null()
        _native.append_native32(self.values, 0)


class _Column8(ColumnBuffer):
    """Eight bytes each."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 8:
            raise _faults.wrong_length(self._codec.name, end - start)
        _native.append_native64(self.values, _native.read_int64(data, start))

    def append_null(self) -> None:
        self.mark_null()
        _native.append_native64(self.values, 0)


class _Column16(ColumnBuffer):
    """Sixteen bytes each, as they come."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 16:
            raise _faults.wrong_length(self._codec.name, end - start)
        _native.append_span(self.values, data, start, end)

    def append_null(self) -> None:
        self.mark_null()
        _native.append_native64(self.values, 0)
        _native.append_native64(self.values, 0)


class _DateColumn(_Column4):
    """Days from 1970-01-01 on, 4 bytes each."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 4:
            raise _faults.wrong_length(self._codec.name, end - start)
        days = _native.read_int32(data, start)
        if days == _MAX_INT32:
            days = _MAX_DATE
        elif days == _MIN_INT32:
            days = _MIN_DATE
        elif days > _MAX_INT32 - _EPOCH_DAYS:
            raise OverflowError(f"a value of type {self._codec.name} beyond what a column can hold")
        else:
            days += _EPOCH_DAYS
        _native.append_native32(self.values, days)


class _TimestampColumn(_Column8):
    """Microseconds from 1970-01-01 on, 8 bytes each."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 8:
            raise _faults.wrong_length(self._codec.name, end - start)
        microseconds = _native.read_int64(data, start)
        if microseconds == _MAX_INT64:
            microseconds = _MAX_TIMESTAMP
        elif microseconds == _MIN_INT64:
            microseconds = _MIN_TIMESTAMP
        elif microseconds > _MAX_INT64 - _EPOCH_MICROSECONDS:
            raise OverflowError(f"a value of type {self._codec.name} beyond what a column can hold")
        else:
            microseconds += _EPOCH_MICROSECONDS
        _native.append_native64(self.values, microseconds)


class _TimeColumn(_Column8):
    """Microseconds from midnight on, 8 bytes each."""

    __slots__ = ()

    def append(self, data: bytes, start: int, end: int) -> None:
        if end - start != 8:
            raise _faults.wrong_length(self._codec.name, end - start)
        microseconds = _native.read_int64(data, start)
        if not 0 <= microseconds < _DAY:
            if microseconds == _DAY:
                raise ValueError("a column has no room for the time 24:00:00")
            raise _faults.malformed(self._codec.name, "outside the day")
        _native.append_native64(self.values, microseconds)


class _BytesColumn(ColumnBuffer):
    """Any number of bytes each; whether text is UTF-8 is not looked at."""

    __slots__ = ()

    def __init__(self, kind: str, codec: TypeCodec) -> None:
        super().__init__(kind, codec)
        self.offsets = bytearray(8)

    def append(self, data: bytes, start: int, end: int) -> None:
        assert self.offsets is not None
        _native.append_span(self.values, data, start, end)
        _native.append_native64(self.offsets, len(self.values))

    def append_null(self) -> None:
        assert self.offsets is not None
        self.mark_null()
        _native.append_native64(self.offsets, len(self.values))


class _ObjectColumn(ColumnBuffer):
    """What the codec makes of the values, and None."""

    __slots__ = ()

    def __init__(self, kind: str, codec: TypeCodec) -> None:
        super().__init__(kind, codec)
        self.objects = []

    def append(self, data: bytes, start: int, end: int) -> None:
        assert self.objects is not None
        self.objects.append(self._codec.read(data, start, end))

    def append_null(self) -> None:
        assert self.objects is not None
        self.objects.append(None)


class ColumnReader(RowSink):
    """Appends each row to columns, once; `take` returns them.

    Args:
        columns: empty ones.
    """

    __slots__ = ("_columns", "_width")

    def __init__(self, columns: Sequence[ColumnBuffer]) -> None:
        self._columns = tuple(columns)
        self._width = len(self._columns)

    def read_row(self, data: bytes, start: int, end: int) -> None:
        if end - start < 2:
            raise RemoteProtocolError("a row too short for its column count")
        count = _native.read_uint16(data, start)
        if count != self._width:
            text = f"a row of {count} columns where {self._width} were described"
            raise RemoteProtocolError(text)
        position = start + 2
        for number in range(count):
            if end - position < 4:
                raise RemoteProtocolError("a row that ends before its last column")
            length = _native.read_int32(data, position)
            position += 4
            column = self._columns[number]
            if length >= 0:
                if length > end - position:
                    raise RemoteProtocolError("a column longer than its row")
                column.append(data, position, position + length)
                position += length
            elif length == -1:
                column.append_null()
            else:
                raise RemoteProtocolError("a column of negative length")
            column.count += 1
        if position != end:
            raise RemoteProtocolError("a row longer than its columns")

    def take(self) -> Any:
        columns = self._columns
        self._columns = ()
        for column in columns:
            if column.validity is not None:
                column.pad(column.count)
        return list(columns)


_KINDS: dict[type[TypeCodec], tuple[str, type[ColumnBuffer]]] = {
    BoolCodec: ("bool", _BoolColumn),
    Int2Codec: ("int2", _Column2),
    Int4Codec: ("int4", _Column4),
    Int8Codec: ("int8", _Column8),
    UInt4Codec: ("uint4", _Column4),
    UInt8Codec: ("uint8", _Column8),
    Float4Codec: ("float4", _Column4),
    Float8Codec: ("float8", _Column8),
    DateCodec: ("date", _DateColumn),
    TimeCodec: ("time", _TimeColumn),
    TimestampCodec: ("timestamp", _TimestampColumn),
    TimestamptzCodec: ("timestamptz", _TimestampColumn),
    UUIDCodec: ("uuid", _Column16),
    TextCodec: ("text", _BytesColumn),
    PlainTextCodec: ("text", _BytesColumn),
    ByteaCodec: ("bytea", _BytesColumn),
    NumericCodec: ("numeric", _ObjectColumn),
}


def column_kind(codec: TypeCodec) -> str:
    """Return what kind of values a codec makes: a type's name, or ``"object"`` for all others.

    ``"uint4"`` is oid and the like, ``"uint8"`` xid8 and the like; domains are as their base type.
    """
    return _KINDS.get(type(codec), ("object", _ObjectColumn))[0]


def new_column(codec: TypeCodec, kinds: Container[str]) -> ColumnBuffer:
    """Return an empty column; if its kind is not among these, it is of objects."""
    kind, column_class = _KINDS.get(type(codec), ("object", _ObjectColumn))
    return column_class(kind, codec) if kind in kinds else _ObjectColumn("object", codec)
