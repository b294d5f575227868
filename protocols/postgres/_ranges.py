# cython: annotation_typing=False
"""Ranges and multiranges.

Source: range_send and multirange_send in src/backend/utils/adt. A range is a byte of flags, and
each bound with its length as an int32 before it; a multirange the number of its ranges, and each
with its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import TypeCodec
from ._values import Range

__all__ = ["MultirangeCodec", "RangeCodec"]

# src/include/utils/rangetypes.h
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
            raise _faults.malformed(self.name, "without its flags")
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
            raise _faults.malformed(self.name, "longer than its bounds")
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
            raise _faults.malformed(self.name, "without one of its bounds")
        length = _native.read_int32(data, position)
        if length < 0 or length > end - position - 4:
            raise _faults.malformed(self.name, "shorter than its bounds")
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
        _native.end_field(out, start)


def _range_parts(value: Any) -> tuple[int, Any, Any]:
    """Return the flags and the bounds."""
    if _is_range(value):
        if value.isempty:
            return _EMPTY, None, None
        lower = value.lower
        upper = value.upper
        flags = _LOWER_INCLUSIVE if value.lower_inc else 0
        if value.upper_inc:
            flags |= _UPPER_INCLUSIVE
    elif _is_pair(value):
        if not value:
            return _EMPTY, None, None
        if len(value) > 2:
            raise ValueError(f"expected 0, 1 or 2 elements in range (got {len(value)})")
        lower = value[0]
        upper = value[1] if len(value) == 2 else None
        flags = _LOWER_INCLUSIVE | _UPPER_INCLUSIVE
    else:
        raise TypeError(f"list, tuple or Range object expected (got type {type(value).__name__!r})")
    if lower is None:
        flags |= _LOWER_INFINITE
    if upper is None:
        flags |= _UPPER_INFINITE
    return flags, lower, upper


def _is_range(value: object) -> bool:
    return isinstance(value, Range)


def _is_pair(value: object) -> bool:
    return isinstance(value, (tuple, list))


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


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
            raise _faults.malformed(self.name, "without its number of ranges")
        count = _native.read_int32(data, start)
        position = start + 4
        if not 0 <= count <= (end - position) // 5:
            raise _faults.malformed(self.name, "too short for its number of ranges")
        ranges: list[Any] = []
        for _ in range(count):
            if end - position < 4:
                raise _faults.malformed(self.name, "that ends before its last range")
            length = _native.read_int32(data, position)
            position += 4
            if length < 0 or length > end - position:
                raise _faults.malformed(self.name, "shorter than one of its ranges")
            ranges.append(self._range.read(data, position, position + length))
            position += length
        if position != end:
            raise _faults.malformed(self.name, "longer than its ranges")
        return ranges

    def write(self, out: bytearray, value: Any) -> None:
        if not _is_sequence(value):
            raise TypeError(f"expected a sequence (got type {type(value).__name__!r})")
        start = len(out)
        _native.append_int32(out, 0)
        _native.append_int32(out, len(value))
        for item in value:
            self._range.write(out, item)
        _native.end_field(out, start)
