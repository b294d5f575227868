# cython: annotation_typing=False
"""Arrays.

Source: array_send in src/backend/utils/adt/arrayfuncs.c. The number of dimensions, whether there
are nulls, the type of the elements; the size and lower bound of each dimension; the elements, each
with its length before it, which is -1 for null; all these numbers as int32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any

from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import TypeCodec
from ._faults import OutdatedType, UnknownType
from ._record import Record
from ._values import BitString

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_DIMENSIONS", "AnyArrayCodec", "ArrayCodec", "array_sizes", "is_dimension"]

# MAXDIM in src/include/c.h
MAX_DIMENSIONS = 6
_MAX_DIMENSIONS = MAX_DIMENSIONS
_MAX_SIZE = 0x7FFFFFFF


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
            raise _faults.malformed(self.name, "without its header")
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
        _native.end_field(out, position)

    def _write_nested(
        self, out: bytearray, value: Any, sizes: tuple[int, ...], dimension: int
    ) -> None:
        count = 0
        for item in value:
            if not is_dimension(item):
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
            raise _faults.malformed(self.name, "without its header")
        oid = _native.read_uint32(data, start + 8)
        element = self._find(oid)
        if element is None:
            raise UnknownType(self.name, oid)
        if element.format == 0:
            raise _faults.only_text(self.name, element)
        if isinstance(element, AnyArrayCodec):
            raise _faults.malformed(self.name, "within another")
        return _read_array(self.name, element, data, start, end)

    def write(self, out: bytearray, value: Any) -> None:
        raise TypeError(f"values of type {self.name} cannot be sent")


def _read_array(name: str, element: TypeCodec, data: bytes, start: int, end: int) -> Any:
    """Read an array whose header is known to be there."""
    dimensions = _native.read_int32(data, start)
    if not 0 <= dimensions <= _MAX_DIMENSIONS:
        raise _faults.malformed(name, f"of {dimensions} dimensions")
    position = start + 12 + 8 * dimensions
    if position > end:
        raise _faults.malformed(name, "without its dimensions")
    # Each item takes four bytes at least, so more cannot follow, and are not made room for.
    most = (end - position) // 4
    count = 1 if dimensions else 0
    for number in range(dimensions):
        size = _native.read_int32(data, start + 12 + 8 * number)
        count *= size
        if size < 0 or count > most:
            raise _faults.malformed(name, "too short for its dimensions")
    items = _native.new_list(count)
    for number in range(count):
        if end - position < 4:
            raise _faults.malformed(name, "that ends before its last item")
        length = _native.read_int32(data, position)
        position += 4
        if length == -1:
            _native.set_list_item(items, number, None)
            continue
        if length < 0 or length > end - position:
            raise _faults.malformed(name, "shorter than one of its items")
        _native.set_list_item(items, number, element.read(data, position, position + length))
        position += length
    if position != end:
        raise _faults.malformed(name, "longer than its items")
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
        if size > _MAX_SIZE:
            raise ValueError("too many elements in array value")
        sizes.append(size)
        if len(sizes) > _MAX_DIMENSIONS:
            raise ValueError(f"number of array dimensions exceeds the maximum {_MAX_DIMENSIONS}")
        if size == 0:
            return tuple(sizes)
        value = value[0] if _is_list(value) else next(iter(value))
        if not is_dimension(value):
            return tuple(sizes)


def is_dimension(value: Any) -> bool:
    """Whether an array's item is an array within it; tuples and records are composites."""
    if _is_list(value):
        return True
    if value is None or isinstance(value, (int, str, tuple, Record, BitString)):
        return False
    return _is_container(value)


def _is_list(value: object) -> bool:
    return type(value) is list


def _is_container(value: object) -> bool:
    return _is_list(value) or (
        isinstance(value, Iterable)
        and isinstance(value, Sized)
        and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping))
    )
