# cython: annotation_typing=False
"""Composites and records.

Source: record_send in src/backend/utils/adt/rowtypes.c. The number of attributes; of each its type,
its length, which is -1 for null, and its value; all these numbers as int32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import TypeCodec
from ._faults import OutdatedType, UnknownType
from ._record import Record, RecordKeys, make_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CompositeCodec", "RecordCodec", "attribute_values"]

# How deep records may nest whose types come with them; all else is as deep as its type.
_MAX_DEPTH = 64


class CompositeCodec(TypeCodec):
    """A composite type: records; sent are records, tuples and mappings by the names.

    Args:
        name: of the type, for errors.
        keys: the names of the attributes.
        codecs: of the attributes.
        types: their OIDs.
    """

    __slots__ = ("_codecs", "_keys", "_types")

    def __init__(
        self, name: str, keys: RecordKeys, codecs: Sequence[TypeCodec], types: Sequence[int]
    ) -> None:
        self.name = name
        self.format = 1
        self._keys = keys
        self._codecs = tuple(codecs)
        self.atomic = all(codec.atomic for codec in self._codecs)
        self._types = tuple(types)

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 4:
            raise _faults.malformed(self.name, "without its number of attributes")
        count = _native.read_int32(data, start)
        if count != len(self._codecs):
            fault = f"{count} attributes where {len(self._codecs)} were known"
            raise OutdatedType(self.name, fault)
        position = start + 4
        items = _native.new_items(count)
        for number in range(count):
            if end - position < 8:
                raise _faults.malformed(self.name, "that ends before its last attribute")
            oid = _native.read_uint32(data, position)
            if oid != self._types[number]:
                fault = f"attribute {number + 1} is of type {oid}, not {self._types[number]}"
                raise OutdatedType(self.name, fault)
            length = _native.read_int32(data, position + 4)
            position += 8
            if length == -1:
                _native.set_item(items, number, None)
                continue
            if length < 0 or length > end - position:
                raise _faults.malformed(self.name, "shorter than one of its attributes")
            codec = self._codecs[number]
            _native.set_item(items, number, codec.read(data, position, position + length))
            position += length
        if position != end:
            raise _faults.malformed(self.name, "longer than its attributes")
        values = _native.to_tuple(items)
        record = make_record(Record, self._keys, values)
        if self.atomic:
            # As in a row: no cycle can go through these.
            _native.untrack(values)
            _native.untrack(record)
        return record

    def write(self, out: bytearray, value: Any) -> None:
        values = attribute_values(self.name, self._keys, value)
        start = len(out)
        _native.append_int32(out, 0)
        _native.append_int32(out, len(self._codecs))
        for number in range(len(self._codecs)):
            _native.append_uint32(out, self._types[number])
            item = values[number]
            if item is None:
                _native.append_int32(out, -1)
            else:
                codec = self._codecs[number]
                codec.write(out, item)
        _native.end_field(out, start)


def attribute_values(name: str, keys: RecordKeys, value: Any) -> tuple[Any, ...]:
    """Return a composite's values in order; attributes that a mapping leaves out are null.

    Raises:
        TypeError: it is nothing with items.
        ValueError: it has other attributes, or more or fewer.
    """
    count = len(keys.names)
    if _is_mapping(value):
        values: list[Any] = [None] * count
        for key in value:
            if key not in keys.positions:
                raise ValueError(f"{key!r} is not a valid element of composite type {name}")
            values[keys.positions[key]] = value[key]
        return tuple(values)
    if not _is_iterable(value):
        raise TypeError(f"a tuple, a record or a mapping expected (got {type(value).__name__!r})")
    items = tuple(value)
    if len(items) != count:
        raise ValueError(f"composite type {name} has {count} elements, and not {len(items)}")
    return items


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_iterable(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray))


class RecordCodec(TypeCodec):
    """record, whose attributes have types but no names: tuples.

    Args:
        name: of the type, for errors.
        find: gives the codec for an OID, or None.
    """

    __slots__ = ("_depth", "_find")

    def __init__(self, name: str, find: Callable[[int], TypeCodec | None]) -> None:
        self.name = name
        self.format = 1
        self.atomic = False
        self._find = find
        self._depth = 0

    def read(self, data: bytes, start: int, end: int) -> Any:
        if self._depth == _MAX_DEPTH:
            raise _faults.malformed(self.name, f"nested deeper than {_MAX_DEPTH}")
        self._depth += 1
        try:
            return self._read_items(data, start, end)
        finally:
            self._depth -= 1

    def _read_items(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 4:
            raise _faults.malformed(self.name, "without its number of attributes")
        count = _native.read_int32(data, start)
        position = start + 4
        if not 0 <= count <= (end - position) // 8:
            raise _faults.malformed(self.name, "too short for its number of attributes")
        items = _native.new_items(count)
        for number in range(count):
            if end - position < 8:
                raise _faults.malformed(self.name, "that ends before its last attribute")
            oid = _native.read_uint32(data, position)
            length = _native.read_int32(data, position + 4)
            position += 8
            if length == -1:
                _native.set_item(items, number, None)
                continue
            if length < 0 or length > end - position:
                raise _faults.malformed(self.name, "shorter than one of its attributes")
            codec = self._find(oid)
            if codec is None:
                raise UnknownType(self.name, oid)
            if codec.format == 0:
                raise _faults.only_text(self.name, codec)
            _native.set_item(items, number, codec.read(data, position, position + length))
            position += length
        if position != end:
            raise _faults.malformed(self.name, "longer than its attributes")
        return _native.to_tuple(items)

    def write(self, out: bytearray, value: Any) -> None:
        raise TypeError("input of anonymous composite types is not supported: cast to a named one")
