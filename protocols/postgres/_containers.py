# cython: annotation_typing=False
"""Values made of other values: arrays, composites, ranges and multiranges.

Source: array_send, record_send, range_send and multirange_send in src/backend/utils/adt. All
numbers are an int32; a value within has its length before it, which is -1 for null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, RemoteProtocolError

from .. import _native
from . import _record
from ._codecs import TypeCodec
from ._record import Record, RecordKeys
from ._values import Range

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AnyArrayCodec",
    "ArrayCodec",
    "CompositeCodec",
    "MultirangeCodec",
    "OutdatedType",
    "RangeCodec",
    "RecordCodec",
    "UnknownType",
]

# MAXDIM in src/include/c.h
_MAX_DIMENSIONS = 6
_MAX_LENGTH = 0x7FFFFFFF
# How deep records may nest whose types come with them; all others are as deep as their types.
_MAX_DEPTH = 64

_EMPTY = 0x01
_LOWER_INCLUSIVE = 0x02
_UPPER_INCLUSIVE = 0x04
_LOWER_INFINITE = 0x08
_UPPER_INFINITE = 0x10


# Range.__init__ takes longer than all the rest of a range; the slots are what it sets.
_RANGE_EMPTY = Range.__dict__["_empty"]
_RANGE_LOWER = Range.__dict__["_lower"]
_RANGE_LOWER_INC = Range.__dict__["_lower_inc"]
_RANGE_UPPER = Range.__dict__["_upper"]
_RANGE_UPPER_INC = Range.__dict__["_upper_inc"]


class OutdatedType(LocalProtocolError):
    """A value is not of the parts that its type was known to have; the type was changed.

    Attributes:
        type_name: which type.
    """

    def __init__(self, type_name: str, fault: str) -> None:
        super().__init__(f"what is known of type {type_name} is outdated: {fault}")
        self.type_name = type_name


class UnknownType(LocalProtocolError):
    """A value holds another whose type is not known.

    Attributes:
        oid: of that type.
    """

    def __init__(self, type_name: str, oid: int) -> None:
        super().__init__(f"a value of type {type_name} holds one of the unknown type {oid}")
        self.oid = oid


def _malformed(name: str, fault: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"a value of type {name} {fault}")


def _only_text(name: str, codec: TypeCodec) -> ValueError:
    fault = f"a value of type {name} holds one of type {codec.name}, which is read as text only"
    return ValueError(f"{fault}: cast that to text in the query")


def _end_field(out: bytearray, position: int) -> None:
    """Put the length before a field that begins at ``position`` with room for it."""
    length = len(out) - position - 4
    if length > _MAX_LENGTH:
        raise ValueError("value too large")
    _native.put_int32(out, position, length)


# Arrays


class ArrayCodec(TypeCodec):
    """Arrays of up to six dimensions as nested lists; lower bounds are passed over.

    Args:
        name: of the type, for errors.
        element: the codec of the elements.
        element_type: the OID that the array type has as its element's.
    """

    __slots__ = ("_element", "_element_type")

    def __init__(self, name: str, element: TypeCodec, element_type: int) -> None:
        self.name = name
        self.format = 1
        self.atomic = False
        self._element = element
        self._element_type = element_type

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 12:
            raise _malformed(self.name, "without its header")
        found = _native.read_uint32(data, start + 8)
        if found != self._element_type:
            fault = f"elements of type {found} where {self._element_type} was known"
            raise OutdatedType(self.name, fault)
        return _read_array(self.name, self._element, data, start, end)

    def write(self, out: bytearray, value: Any) -> None:
        sizes = array_sizes(value)
        position = len(out)
        _native.append_int32(out, 0)
        _native.append_int32(out, len(sizes))
        _native.append_int32(out, 0)
        _native.append_uint32(out, self._element_type)
        for size in sizes:
            _native.append_int32(out, size)
            _native.append_int32(out, 1)
        if len(sizes) == 1:
            self._write_items(out, value, sizes[0])
        else:
            self._write_nested(out, value, sizes, 0)
        _end_field(out, position)

    def _write_nested(
        self, out: bytearray, value: Any, sizes: tuple[int, ...], dimension: int
    ) -> None:
        count = 0
        for item in value:
            if not _is_dimension(item):
                raise ValueError("non-homogeneous array")
            if dimension + 2 == len(sizes):
                self._write_items(out, item, sizes[dimension + 1])
            else:
                self._write_nested(out, item, sizes, dimension + 1)
            count += 1
        if count != sizes[dimension]:
            raise ValueError("non-homogeneous array")

    def _write_items(self, out: bytearray, value: Any, size: int) -> None:
        element = self._element
        count = 0
        try:
            for item in value:
                if item is None:
                    _native.append_int32(out, -1)
                else:
                    element.write(out, item)
                count += 1
        except TypeError as exc:
            raise ValueError(f"invalid array element at index {count}: {exc}") from None
        if count != size:
            raise ValueError("non-homogeneous array")


class AnyArrayCodec(TypeCodec):
    """anyarray, as in pg_stats: arrays that say themselves what they are of.

    Args:
        name: of the type, for errors.
        find: gives the codec for an OID, or None.
    """

    __slots__ = ("_find",)

    def __init__(self, name: str, find: Callable[[int], TypeCodec | None]) -> None:
        self.name = name
        self.format = 1
        self.atomic = False
        self._find = find

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 12:
            raise _malformed(self.name, "without its header")
        oid = _native.read_uint32(data, start + 8)
        element = self._find(oid)
        if element is None:
            raise UnknownType(self.name, oid)
        if element.format == 0:
            raise _only_text(self.name, element)
        if isinstance(element, AnyArrayCodec):
            raise _malformed(self.name, "within another")
        return _read_array(self.name, element, data, start, end)

    def write(self, out: bytearray, value: Any) -> None:
        raise TypeError(f"values of type {self.name} cannot be sent")


def _read_array(name: str, element: TypeCodec, data: bytes, start: int, end: int) -> Any:
    """Read an array whose header is known to be there."""
    dimensions = _native.read_int32(data, start)
    if not 0 <= dimensions <= _MAX_DIMENSIONS:
        raise _malformed(name, f"of {dimensions} dimensions")
    position = start + 12 + 8 * dimensions
    if position > end:
        raise _malformed(name, "without its dimensions")
    # Each item takes four bytes at least, so more cannot follow, and are not made room for.
    most = (end - position) // 4
    count = 1 if dimensions else 0
    for number in range(dimensions):
        size = _native.read_int32(data, start + 12 + 8 * number)
        count *= size
        if size < 0 or count > most:
            raise _malformed(name, "too short for its dimensions")
    items = _native.new_list(count)
    for number in range(count):
        if end - position < 4:
            raise _malformed(name, "that ends before its last item")
        length = _native.read_int32(data, position)
        position += 4
        if length == -1:
            _native.set_list_item(items, number, None)
            continue
        if length < 0 or length > end - position:
            raise _malformed(name, "shorter than one of its items")
        _native.set_list_item(items, number, element.read(data, position, position + length))
        position += length
    if position != end:
        raise _malformed(name, "longer than its items")
    if count:
        for number in range(dimensions - 1, 0, -1):
            size = _native.read_int32(data, start + 12 + 8 * number)
            items = [items[first : first + size] for first in range(0, len(items), size)]
    return items


def array_sizes(value: Any) -> tuple[int, ...]:
    """Return the sizes of an array's dimensions; those within go by their first items.

    Raises:
        TypeError: it is no array at all.
        ValueError: it has too many dimensions.
    """
    if not _is_container(value):
        text = f"a sized iterable container expected (got type {type(value).__name__!r})"
        raise TypeError(text)
    sizes: list[int] = []
    while True:
        size = len(value)
        if size > _MAX_LENGTH:
            raise ValueError("too many elements in array value")
        sizes.append(size)
        if len(sizes) > _MAX_DIMENSIONS:
            raise ValueError(f"number of array dimensions exceeds the maximum {_MAX_DIMENSIONS}")
        if size == 0:
            return tuple(sizes)
        value = value[0] if type(value) is list else next(iter(value))
        if not _is_dimension(value):
            return tuple(sizes)


def _is_dimension(value: Any) -> bool:
    """Whether an array's item is an array within it; tuples are composites."""
    kind = type(value)
    if kind is list:
        return True
    if value is None or kind is int or kind is str:
        return False
    return not isinstance(value, tuple) and _is_container(value)


def _is_container(value: Any) -> bool:
    if type(value) is list or type(value) is tuple:
        return True
    return (
        isinstance(value, Iterable)
        and isinstance(value, Sized)
        and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping))
    )


# Composites


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
        self.atomic = all([codec.atomic for codec in self._codecs])
        self._types = tuple(types)

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 4:
            raise _malformed(self.name, "without its number of attributes")
        count = _native.read_int32(data, start)
        if count != len(self._codecs):
            fault = f"{count} attributes where {len(self._codecs)} were known"
            raise OutdatedType(self.name, fault)
        position = start + 4
        items = _native.new_items(count)
        for number in range(count):
            if end - position < 8:
                raise _malformed(self.name, "that ends before its last attribute")
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
                raise _malformed(self.name, "shorter than one of its attributes")
            codec = self._codecs[number]
            _native.set_item(items, number, codec.read(data, position, position + length))
            position += length
        if position != end:
            raise _malformed(self.name, "longer than its attributes")
        values = _native.to_tuple(items)
        record = _record.make_record(Record, self._keys, values)
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
        _end_field(out, start)


def attribute_values(name: str, keys: RecordKeys, value: Any) -> tuple[Any, ...]:
    """Return a composite's values in order; attributes that a mapping leaves out are null.

    Raises:
        TypeError: it is nothing with items.
        ValueError: it has other attributes, or more or fewer.
    """
    count = len(keys.names)
    if isinstance(value, Mapping):
        values = [None] * count
        for key in value:
            if key not in keys.positions:
                raise ValueError(f"{key!r} is not a valid element of composite type {name}")
            values[keys.positions[key]] = value[key]
        return tuple(values)
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise TypeError(f"a tuple, a record or a mapping expected (got {type(value).__name__!r})")
    items = tuple(value)
    if len(items) != count:
        raise ValueError(f"composite type {name} has {count} elements, and not {len(items)}")
    return items


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
            raise _malformed(self.name, f"nested deeper than {_MAX_DEPTH}")
        self._depth += 1
        try:
            return self._read_items(data, start, end)
        finally:
            self._depth -= 1

    def _read_items(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 4:
            raise _malformed(self.name, "without its number of attributes")
        count = _native.read_int32(data, start)
        position = start + 4
        if not 0 <= count <= (end - position) // 8:
            raise _malformed(self.name, "too short for its number of attributes")
        items = _native.new_items(count)
        for number in range(count):
            if end - position < 8:
                raise _malformed(self.name, "that ends before its last attribute")
            oid = _native.read_uint32(data, position)
            length = _native.read_int32(data, position + 4)
            position += 8
            if length == -1:
                _native.set_item(items, number, None)
                continue
            if length < 0 or length > end - position:
                raise _malformed(self.name, "shorter than one of its attributes")
            codec = self._find(oid)
            if codec is None:
                raise UnknownType(self.name, oid)
            if codec.format == 0:
                raise _only_text(self.name, codec)
            _native.set_item(items, number, codec.read(data, position, position + length))
            position += length
        if position != end:
            raise _malformed(self.name, "longer than its attributes")
        return _native.to_tuple(items)

    def write(self, out: bytearray, value: Any) -> None:
        raise TypeError("input of anonymous composite types is not supported: cast to a named one")


# Ranges


class RangeCodec(TypeCodec):
    """Ranges; sent are also tuples or lists of none, one or two inclusive bounds.

    Args:
        name: of the type, for errors.
        bound: the codec of the bounds.
    """

    __slots__ = ("_bound",)

    def __init__(self, name: str, bound: TypeCodec) -> None:
        self.name = name
        self.format = 1
        self.atomic = bound.atomic
        self._bound = bound

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end == start:
            raise _malformed(self.name, "without its flags")
        flags = data[start]
        position = start + 1
        lower = upper = None
        if not flags & (_EMPTY | _LOWER_INFINITE):
            length = self._bound_length(data, position, end)
            position += 4 + length
            lower = self._bound.read(data, position - length, position)
        if not flags & (_EMPTY | _UPPER_INFINITE):
            length = self._bound_length(data, position, end)
            position += 4 + length
            upper = self._bound.read(data, position - length, position)
        if position != end:
            raise _malformed(self.name, "longer than its bounds")
        lower_inc = lower is not None and flags & _LOWER_INCLUSIVE != 0
        upper_inc = upper is not None and flags & _UPPER_INCLUSIVE != 0
        value = _native.new_object(Range)
        _native.set_slot(_RANGE_EMPTY, value, flags & _EMPTY != 0)
        _native.set_slot(_RANGE_LOWER, value, lower)
        _native.set_slot(_RANGE_LOWER_INC, value, lower_inc)
        _native.set_slot(_RANGE_UPPER, value, upper)
        _native.set_slot(_RANGE_UPPER_INC, value, upper_inc)
        if self.atomic:
            _native.untrack(value)
        return value

    def _bound_length(self, data: bytes, position: int, end: int) -> int:
        if end - position < 4:
            raise _malformed(self.name, "without one of its bounds")
        length = _native.read_int32(data, position)
        if length < 0 or length > end - position - 4:
            raise _malformed(self.name, "shorter than its bounds")
        return length

    def write(self, out: bytearray, value: Any) -> None:
        flags, lower, upper = _range_parts(value)
        start = len(out)
        _native.append_int32(out, 0)
        out.append(flags)
        if not flags & (_EMPTY | _LOWER_INFINITE):
            self._bound.write(out, lower)
        if not flags & (_EMPTY | _UPPER_INFINITE):
            self._bound.write(out, upper)
        _end_field(out, start)


def _range_parts(value: Any) -> tuple[int, Any, Any]:
    """Return the flags and the bounds."""
    if isinstance(value, Range):
        if value.isempty:
            return _EMPTY, None, None
        lower, upper = value.lower, value.upper
        flags = _LOWER_INCLUSIVE if value.lower_inc else 0
        if value.upper_inc:
            flags |= _UPPER_INCLUSIVE
    elif isinstance(value, (tuple, list)):
        if not value:
            return _EMPTY, None, None
        if len(value) > 2:
            raise ValueError(f"expected 0, 1 or 2 elements in range (got {len(value)})")
        lower = value[0]
        upper = value[1] if len(value) == 2 else None
        flags = _LOWER_INCLUSIVE | _UPPER_INCLUSIVE
    else:
        raise TypeError(
            f"list, tuple or Range object expected (got type {type(value).__name__!r})"
        )
    if lower is None:
        flags |= _LOWER_INFINITE
    if upper is None:
        flags |= _UPPER_INFINITE
    return flags, lower, upper


class MultirangeCodec(TypeCodec):
    """Multiranges, as lists of ranges.

    Args:
        name: of the type, for errors.
        range_codec: of the ranges.
    """

    __slots__ = ("_range",)

    def __init__(self, name: str, range_codec: TypeCodec) -> None:
        self.name = name
        self.format = 1
        self.atomic = False
        self._range = range_codec

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 4:
            raise _malformed(self.name, "without its number of ranges")
        count = _native.read_int32(data, start)
        position = start + 4
        if not 0 <= count <= (end - position) // 5:
            raise _malformed(self.name, "too short for its number of ranges")
        ranges: list[Any] = []
        for _ in range(count):
            if end - position < 4:
                raise _malformed(self.name, "that ends before its last range")
            length = _native.read_int32(data, position)
            position += 4
            if length < 0 or length > end - position:
                raise _malformed(self.name, "shorter than one of its ranges")
            ranges.append(self._range.read(data, position, position + length))
            position += length
        if position != end:
            raise _malformed(self.name, "longer than its ranges")
        return ranges

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            raise TypeError(f"expected a sequence (got type {type(value).__name__!r})")
        start = len(out)
        _native.append_int32(out, 0)
        _native.append_int32(out, len(value))
        for item in value:
            self._range.write(out, item)
        _end_field(out, start)
