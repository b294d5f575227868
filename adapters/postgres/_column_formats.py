"""What arrays columns become: NumPy's, Arrow's, or Python's own."""

from __future__ import annotations

from array import array
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from wirekit.protocols.postgres import PlainTextCodec, column_kind

from .exceptions import UnsupportedClientFeatureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wirekit.protocols.postgres import Column, ColumnBuffer, TypeCodec

__all__ = ["COLUMN_FORMATS", "ColumnFormat", "Columns"]

_MAX_DECIMAL128 = 38  # digits


class Columns:
    """The columns of a result: ``columns["name"]``, ``columns[0]``, ``dict(columns)``.

    Its length is the number of rows, whereas iterating goes by the names, as with a data frame.

    Attributes:
        names: of the columns in order. Of columns of the same name, the name finds the last, as in
            a `Record`.
    """

    def __init__(self, names: Sequence[str], arrays: Sequence[Any], count: int) -> None:
        self.names = tuple(names)
        self._arrays = tuple(arrays)
        self._positions = {name: number for number, name in enumerate(self.names)}
        self._count = count

    def __getitem__(self, key: str | int) -> Any:
        return self._arrays[self._positions[key] if isinstance(key, str) else key]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def keys(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names)

    def values(self) -> Iterator[Any]:
        """Iterate over the arrays."""
        return iter(self._arrays)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over pairs of name and array."""
        return zip(self.names, self._arrays, strict=True)

    def __repr__(self) -> str:
        return f"<Columns {', '.join(self.names)}: {self._count} rows>"


class ColumnFormat:
    """One of the formats.

    Attributes:
        kinds: of columns that are wanted as bytes, all others as objects.
    """

    kinds: ClassVar[frozenset[str]]

    def codec(self, column: Column, codec: TypeCodec) -> TypeCodec:
        """Return what is to be used for a column, whose own codec is ``codec``."""
        return codec

    def result(self, columns: Sequence[Column], buffers: Sequence[ColumnBuffer]) -> Any:
        """Return what the caller gets."""
        pairs = zip(columns, buffers, strict=True)
        arrays = [self.array(column, buffer) for column, buffer in pairs]
        count = buffers[0].count if buffers else 0
        return Columns([column.name for column in columns], arrays, count)

    def array(self, column: Column, buffer: ColumnBuffer) -> Any:
        """Return the array of a column."""
        raise NotImplementedError


class _Python(ColumnFormat):
    _TYPECODES: ClassVar = {
        "int2": "h",
        "int4": "i",
        "int8": "q",
        "uint4": "I",
        "uint8": "Q",
        "float4": "f",
        "float8": "d",
    }
    kinds = frozenset(_TYPECODES)

    def array(self, column: Column, buffer: ColumnBuffer) -> Any:
        if buffer.objects is not None:
            return buffer.objects
        numbers: array[Any] = array(self._TYPECODES[buffer.kind])
        numbers.frombytes(buffer.values)
        validity = buffer.validity
        if validity is None:
            return numbers
        return [
            number if validity[row >> 3] >> (row & 7) & 1 else None
            for row, number in enumerate(numbers)
        ]


class _NumPy(ColumnFormat):
    _DTYPES: ClassVar = {
        "bool": "?",
        "int2": "i2",
        "int4": "i4",
        "int8": "i8",
        "uint4": "u4",
        "uint8": "u8",
        "float4": "f4",
        "float8": "f8",
        "date": "i4",
        "timestamp": "M8[us]",
        "timestamptz": "M8[us]",
    }
    kinds = frozenset(_DTYPES)

    def __init__(self) -> None:
        self._numpy = _load("numpy", "NumPy", "numpy")

    def array(self, column: Column, buffer: ColumnBuffer) -> Any:
        numpy = self._numpy
        if buffer.objects is not None:
            # numpy.array() would look for further dimensions in lists and records.
            return numpy.fromiter(buffer.objects, dtype=object, count=buffer.count)
        values = numpy.frombuffer(buffer.values, dtype=self._DTYPES[buffer.kind])
        if buffer.kind == "date":
            values = values.astype("M8[D]")
        if buffer.validity is None:
            return values
        bits = numpy.frombuffer(buffer.validity, dtype="u1")
        valid = numpy.unpackbits(bits, count=buffer.count, bitorder="little").view("?")
        missing = numpy.nan if values.dtype.kind == "f" else None
        return numpy.ma.MaskedArray(values, mask=~valid, fill_value=missing)


class _Arrow(ColumnFormat):
    kinds = frozenset(
        "bool int2 int4 int8 uint4 uint8 float4 float8 numeric date time timestamp timestamptz"
        " uuid text bytea".split()
    )

    def __init__(self) -> None:
        self._arrow = arrow = _load("pyarrow", "PyArrow", "arrow")
        self._types = {
            "bool": arrow.uint8(),
            "int2": arrow.int16(),
            "int4": arrow.int32(),
            "int8": arrow.int64(),
            "uint4": arrow.uint32(),
            "uint8": arrow.uint64(),
            "float4": arrow.float32(),
            "float8": arrow.float64(),
            "date": arrow.date32(),
            "time": arrow.time64("us"),
            "timestamp": arrow.timestamp("us"),
            "timestamptz": arrow.timestamp("us", tz="UTC"),
            "uuid": arrow.binary(16),
            "text": arrow.large_string(),
            "bytea": arrow.large_binary(),
        }

    def codec(self, column: Column, codec: TypeCodec) -> TypeCodec:
        kind = column_kind(codec)
        if kind not in self.kinds or (kind == "numeric" and _decimal_digits(column) is None):
            return PlainTextCodec(codec.name)
        return codec

    def result(self, columns: Sequence[Column], buffers: Sequence[ColumnBuffer]) -> Any:
        pairs = zip(columns, buffers, strict=True)
        arrays = [self.array(column, buffer) for column, buffer in pairs]
        return self._arrow.Table.from_arrays(arrays, names=[column.name for column in columns])

    def array(self, column: Column, buffer: ColumnBuffer) -> Any:
        arrow = self._arrow
        if buffer.objects is not None:
            return self._decimals(column, buffer.objects)
        parts = [buffer.validity, buffer.offsets, buffer.values]
        if buffer.offsets is None:
            del parts[1]
        buffers = [None if part is None else arrow.py_buffer(part) for part in parts]
        values = arrow.Array.from_buffers(self._types[buffer.kind], buffer.count, buffers)
        if buffer.kind == "bool":
            return values.cast(arrow.bool_())
        if buffer.kind == "text":
            try:
                values.validate(full=True)
            except arrow.ArrowInvalid:
                raise ValueError(f"column {column.name!r} has text that is not UTF-8") from None
        return values

    def _decimals(self, column: Column, values: list[Any]) -> Any:
        digits = _decimal_digits(column)
        assert digits is not None
        try:
            return self._arrow.array(values, type=self._arrow.decimal128(*digits))
        except self._arrow.ArrowInvalid:
            text = f"column {column.name!r} has a NaN, for which a decimal128 has no place"
            raise ValueError(f"{text}: cast it to text or float8 in the query") from None


def _decimal_digits(column: Column) -> tuple[int, int] | None:
    """Return precision and scale of a numeric column if a decimal128 is as large."""
    if column.type_modifier < 4:
        return None  # it declares none
    precision, scale = (column.type_modifier - 4) >> 16, (column.type_modifier - 4) & 0x7FF
    return (precision, scale) if scale <= precision <= _MAX_DECIMAL128 else None


def _load(package: str, name: str, column_format: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        text = f"fetch_columns(format={column_format!r}) needs {name}: install {package}"
        raise UnsupportedClientFeatureError(f"{text}, or use format='python'") from error


COLUMN_FORMATS: Mapping[str, type[ColumnFormat]] = {
    "numpy": _NumPy,
    "arrow": _Arrow,
    "python": _Python,
}
