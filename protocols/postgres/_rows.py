# cython: annotation_typing=False
"""Rows in and out: DataRow to `Record` in place, and values to Bind's parameters or COPY's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, RemoteProtocolError
from wirekit.protocols import _native

from ._codecs import Float8Codec, Int4Codec, Int8Codec, TextCodec, TypeCodec
from ._record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._backend import RowDescription
    from ._record import RecordKeys

__all__ = [
    "DescribedRowReader",
    "InvalidRow",
    "InvalidValue",
    "RowReader",
    "RowSink",
    "RowWriter",
    "TextRowReader",
]


# The commonest types are read where the row is, without a call for each value.
_ANY = 0
_INT4 = 1
_INT8 = 2
_FLOAT8 = 3
_TEXT = 4
_KINDS: dict[type[TypeCodec], int] = {
    Int4Codec: _INT4,
    Int8Codec: _INT8,
    Float8Codec: _FLOAT8,
    TextCodec: _TEXT,
}


class InvalidRow(LocalProtocolError):
    """Values cannot be sent as a row.

    Attributes:
        row: which of many rows, from 0.
        count: how many values were given; None if they are in no order.
    """

    row = 0
    count: int | None = None


class InvalidValue(InvalidRow):
    """A value cannot be sent as the type it is wanted as; ``__cause__`` says why.

    Attributes:
        number: which of the values, from 0.
        given: the name of its Python type. The value itself belongs in no error.
    """

    def __init__(self, number: int, type_name: str, given: str) -> None:
        super().__init__(f"value {number + 1}, of type {given}, is no {type_name}")
        self.number = number
        self.given = given


class RowSink:
    """What a codec gives each DataRow of a result to, in place."""

    __slots__ = ()

    def describe(self, description: RowDescription) -> None:
        """Take the description that came before the rows, if one was asked for."""

    def read_row(self, data: bytes, start: int, end: int) -> None:
        """Take the body of a DataRow, ``data[start:end]``.

        Raises:
            RemoteProtocolError: it is not what was described.
            Exception: what a decoder of the user's raised.
        """
        raise NotImplementedError

    def take(self) -> Any:
        """Return what became of the rows so far, and forget them."""
        raise NotImplementedError


class RowReader(RowSink):
    """Makes `Record` objects, or of a subclass.

    Args:
        keys: the names of the columns.
        codecs: of the columns.
        record_class: what to make.
    """

    __slots__ = (
        "_atomic",
        "_codecs",
        "_exact",
        "_keys",
        "_kinds",
        "_record_class",
        "_rows",
        "_width",
    )

    def __init__(
        self,
        keys: RecordKeys,
        codecs: Sequence[TypeCodec],
        record_class: type[Record] = Record,
    ) -> None:
        self._keys = keys
        self._codecs = tuple(codecs)
        self._kinds = bytes([_KINDS.get(type(codec), _ANY) for codec in self._codecs])
        self._width = len(self._codecs)
        if len(keys.names) != self._width:
            raise ValueError("as many names as codecs are needed")
        self._record_class = record_class
        self._exact = record_class is Record
        self._atomic = self._exact and _all_atomic(self._codecs)
        self._rows = _untracked_list()

    def read_row(self, data: bytes, start: int, end: int) -> None:  # noqa: C901 - the hot loop
        if end - start < 2:
            raise RemoteProtocolError("a row too short for its column count")
        count = _native.read_uint16(data, start)
        if count != self._width:
            text = f"a row of {count} columns where {self._width} were described"
            raise RemoteProtocolError(text)
        position = start + 2
        kinds = self._kinds
        items = _native.new_items(count)
        for number in range(count):
            if end - position < 4:
                raise RemoteProtocolError("a row that ends before its last column")
            length = _native.read_int32(data, position)
            position += 4
            if length >= 0:
                if length > end - position:
                    raise RemoteProtocolError("a column longer than its row")
                kind = kinds[number]
                if length == 4 and kind == _INT4:
                    _native.set_item(items, number, _native.read_int32(data, position))
                elif kind == _TEXT:
                    text = _native.read_text(data, position, position + length)
                    _native.set_item(items, number, text)
                elif length == 8 and kind == _INT8:
                    _native.set_item(items, number, _native.read_int64(data, position))
                elif length == 8 and kind == _FLOAT8:
                    _native.set_item(items, number, _native.read_float8(data, position))
                else:
                    codec = self._codecs[number]
                    _native.set_item(items, number, codec.read(data, position, position + length))
                position += length
            elif length == -1:
                _native.set_item(items, number, None)
            else:
                raise RemoteProtocolError("a column of negative length")
        if position != end:
            raise RemoteProtocolError("a row longer than its columns")
        values = _native.to_tuple(items)
        if self._exact:
            record = Record.__new__(Record)
        else:
            record = self._record_class.__new__(self._record_class)
        # A record is made in place.
        record._keys = self._keys  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        record._values = values  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if self._exact:
            # While rows gather, the garbage collector need not go through them again and again.
            _native.untrack(values)
            _native.untrack(record)
        self._rows.append(record)

    def take(self) -> list[Any]:
        rows = self._rows
        self._rows = _untracked_list()
        _native.track(rows)
        if self._exact and not self._atomic:
            for row in rows:
                record = row
                _native.track(record._values)  # noqa: SLF001
                _native.track(record)
        return rows


def _untracked_list() -> list[Any]:
    """Return an empty list that the garbage collector need not go through while it grows."""
    rows: list[Any] = []
    _native.untrack(rows)
    return rows


def _all_atomic(codecs: Sequence[TypeCodec]) -> bool:
    return all(codec.atomic for codec in codecs)


class DescribedRowReader(RowSink):
    """Makes of each result what the reader for its description makes.

    Args:
        make_reader: gives that reader.
    """

    __slots__ = ("_make_reader", "_reader")

    def __init__(self, make_reader: Callable[[RowDescription], RowSink]) -> None:
        self._make_reader = make_reader
        self._reader: RowSink | None = None

    def describe(self, description: RowDescription) -> None:
        self._reader = self._make_reader(description)

    def read_row(self, data: bytes, start: int, end: int) -> None:
        if self._reader is None:
            raise RemoteProtocolError("a row without a description")
        self._reader.read_row(data, start, end)

    def take(self) -> Any:
        reader = self._reader
        self._reader = None
        return [] if reader is None else reader.take()


class TextRowReader(RowSink):
    """Makes tuples of ``str | None``, whatever the columns: for the simple protocol's rows."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[Any] = []

    def read_row(self, data: bytes, start: int, end: int) -> None:
        if end - start < 2:
            raise RemoteProtocolError("a row too short for its column count")
        position = start + 2
        values: list[Any] = []
        for _ in range(_native.read_uint16(data, start)):
            if end - position < 4:
                raise RemoteProtocolError("a row that ends before its last column")
            length = _native.read_int32(data, position)
            position += 4
            if length == -1:
                values.append(None)
                continue
            if length < 0 or length > end - position:
                raise RemoteProtocolError("a column longer than its row")
            values.append(_native.read_text(data, position, position + length))
            position += length
        if position != end:
            raise RemoteProtocolError("a row longer than its columns")
        self._rows.append(tuple(values))

    def take(self) -> list[Any]:
        rows = self._rows
        self._rows = []
        return rows


class RowWriter:
    """Writes values by their codecs.

    Args:
        codecs: of the parameters or columns.
    """

    __slots__ = ("_codecs", "formats")

    def __init__(self, codecs: Sequence[TypeCodec]) -> None:
        self._codecs = tuple(codecs)
        self.formats = tuple([codec.format for codec in self._codecs])

    def write(self, out: bytearray, values: Any) -> None:
        """Append a field for each value, as Bind has them.

        Raises:
            InvalidValue: one of them cannot be sent; nothing is appended then.
            InvalidRow: there are more or fewer than codecs, or they are in no order.
        """
        values = _in_order(values)
        count = len(self._codecs)
        if len(values) != count:
            wrong = InvalidRow(f"{count} values are wanted, and {len(values)} were given")
            wrong.count = len(values)
            raise wrong
        size = len(out)
        number = 0
        try:
            for number in range(count):
                value = values[number]
                if value is None:
                    _native.append_int32(out, -1)
                else:
                    codec = self._codecs[number]
                    codec.write(out, value)
        except BaseException as exc:
            del out[size:]
            if not isinstance(exc, Exception):
                raise
            given = type(values[number]).__name__
            raise InvalidValue(number, self._codecs[number].name, given) from exc

    def write_row(self, out: bytearray, values: Any) -> None:
        """Append a row of binary COPY: the number of fields, and the fields.

        Raises:
            InvalidValue, InvalidRow: as `write`.
        """
        size = len(out)
        _native.append_int16(out, len(self._codecs))
        try:
            self.write(out, values)
        except BaseException:
            del out[size:]
            raise

    def write_rows(self, out: bytearray, rows: Any, size: int) -> int:
        """Append rows of binary COPY from an iterator until there are ``size`` bytes or more.

        Returns how many.

        Raises:
            InvalidValue, InvalidRow: as `write`; ``row`` says which, from 0.
        """
        count = 0
        try:
            for values in rows:
                self.write_row(out, values)
                count += 1
                if len(out) >= size:
                    break
        except InvalidRow as exc:
            exc.row = count
            raise
        return count


def _in_order(values: Any) -> Any:
    """Return values as a tuple or list."""
    ordered = values
    if type(values) is tuple or type(values) is list:
        return ordered
    name = type(ordered).__name__
    if isinstance(values, (dict, set, frozenset)) or not hasattr(ordered, "__iter__"):
        raise InvalidRow(f"expected a sequence, got {name}")
    return tuple(ordered)
