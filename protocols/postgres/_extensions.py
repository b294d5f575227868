"""Types of extensions: hstore, and those of pgvector.

Their oids differ from database to database, so the tables say 0.

Sources: hstore_send in contrib/hstore; vector_send, halfvec_send and sparsevec_send of
https://github.com/pgvector/pgvector.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping
from itertools import compress
from operator import index
from struct import Struct, pack, unpack_from
from typing import Any, SupportsFloat, cast

from ._functions import INT32, TypeFunctions, binary, decode_utf8, encode_text, malformed

__all__ = ["TYPES", "SparseVector"]

# hstore: the number of pairs; of each the key and the value, with their lengths before them.

_MIN_PAIR_SIZE = 8
_NULL = -1


def decode_hstore(data: bytes) -> dict[str, str | None]:
    """Read keys and values; a value may be None."""
    count = INT32.unpack_from(data)[0] if len(data) >= INT32.size else -1
    if not 0 <= count * _MIN_PAIR_SIZE <= len(data) - INT32.size:
        raise malformed("hstore", "too short for its number of pairs")
    pairs: dict[str, str | None] = {}
    position = INT32.size
    for _ in range(count):
        key, position = _read_string(data, position)
        if key is None:
            raise malformed("hstore", "a null key")
        pairs[key], position = _read_string(data, position)
    if position != len(data):
        raise malformed("hstore", "bytes after its end")
    return pairs


def encode_hstore(value: Any) -> bytes:
    """Write a mapping, or an iterable of pairs, of strings; a value may be None."""
    items: Iterable[tuple[Any, Any]] = value.items() if hasattr(value, "items") else value
    pairs = list(items)
    pieces = [INT32.pack(len(pairs))]
    for key, item in pairs:
        if key is None:
            raise ValueError("null value not allowed in hstore key")
        pieces += _pack_string(key), _pack_string(item)
    return b"".join(pieces)


def _read_string(data: bytes, position: int) -> tuple[str | None, int]:
    start = position + INT32.size
    if start > len(data):
        raise malformed("hstore", "truncated")
    (length,) = INT32.unpack_from(data, position)
    if length == _NULL:
        return None, start
    if not 0 <= length <= len(data) - start:
        raise malformed("hstore", "truncated, or a negative length")
    end = start + length
    return decode_utf8(data[start:end], "hstore"), end


def _pack_string(value: object) -> bytes:
    if value is None:
        return INT32.pack(_NULL)
    encoded = encode_text(value)
    return INT32.pack(len(encoded)) + encoded


# vector and halfvec: the number of elements, 0, elements; these are float4 or half precision.

_DENSE_HEADER = Struct(">2h")
_MAX_DENSE = 2**15 - 1
_FLOAT4, _HALF = "f", "e"
_SIZES = {_FLOAT4: 4, _HALF: 2}


def decode_vector(data: bytes) -> list[float]:
    """Read a vector."""
    return _decode_dense(data, _FLOAT4, "vector")


def encode_vector(value: Any) -> bytes:
    """Write any iterable of numbers; one with a buffer of floats, as of NumPy, is quicker."""
    try:
        view = memoryview(value)
    except TypeError:
        return _encode_dense(value, _FLOAT4, "vector")
    if view.format != _FLOAT4 or view.ndim != 1:
        return _encode_dense(value, _FLOAT4, "vector")
    elements = array(_FLOAT4, view.tobytes())
    if sys.byteorder == "little":
        elements.byteswap()
    return _dense_header(len(elements), "vector") + elements.tobytes()


def decode_halfvec(data: bytes) -> list[float]:
    """Read a vector of half precision."""
    return _decode_dense(data, _HALF, "halfvec")


def encode_halfvec(value: Any) -> bytes:
    """Write any iterable of numbers, each rounded to half precision."""
    return _encode_dense(value, _HALF, "halfvec")


def _decode_dense(data: bytes, code: str, name: str) -> list[float]:
    if len(data) < _DENSE_HEADER.size:
        raise malformed(name, "truncated")
    length, unused = _DENSE_HEADER.unpack_from(data)
    if unused != 0 or len(data) - _DENSE_HEADER.size != length * _SIZES[code]:
        raise malformed(name, "the number of elements is not that of the bytes")
    return list(unpack_from(f">{length}{code}", data, _DENSE_HEADER.size))


def _encode_dense(value: Any, code: str, name: str) -> bytes:
    # array() would take the bytes of these for its own.
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"a sequence of numbers is required, not '{type(value).__name__}'")
    numbers = array("d", value)
    header = _dense_header(len(numbers), name)
    return header + pack(f">{len(numbers)}{code}", *numbers)


def _dense_header(length: int, name: str) -> bytes:
    if length > _MAX_DENSE:
        raise ValueError(f"{name} has {length} dimensions, more than can be sent")
    return _DENSE_HEADER.pack(length, 0)


# sparsevec: dimensions, the number of elements, 0; the indices from 0 on, then the float4s.

_SPARSE_HEADER = Struct(">3i")


class SparseVector:
    """An immutable ``sparsevec`` of pgvector: a vector that is mostly zeros.

    Args:
        elements: the values by their index, from 0 on; or all of them, as a dense sequence.
        dimensions: how long the vector is; only needed, and only taken, with a mapping.

    Attributes:
        dimensions: how long the vector is.
        indices: where it is not zero, ascending from 0 on.
        values: what stands there.

    Raises:
        ValueError: an index is outside the dimensions, or these are negative.
        TypeError: something is not a number, or ``dimensions`` is missing or too much.
    """

    __slots__ = ("dimensions", "indices", "values")

    dimensions: int
    indices: tuple[int, ...]
    values: tuple[float, ...]

    def __init__(
        self,
        elements: Mapping[int, SupportsFloat] | Iterable[SupportsFloat],
        dimensions: int | None = None,
    ) -> None:
        if isinstance(elements, Mapping):
            if dimensions is None:
                raise TypeError("a mapping of elements needs the number of dimensions")
            given = cast("Mapping[int, Any]", elements)
            indices = sorted(index(key) for key in given)
            numbers = array("d", [given[key] for key in indices])
        else:
            if dimensions is not None:
                raise TypeError("a dense sequence has its own number of dimensions")
            numbers = array("d", cast("Iterable[float]", elements))
            indices = list(range(len(numbers)))
            dimensions = len(numbers)
        self.dimensions = index(dimensions)
        if dimensions < 0:
            raise ValueError("a negative number of dimensions")
        if indices and not 0 <= indices[0] <= indices[-1] < dimensions:
            raise ValueError("sparse vector index out of bounds")
        self.indices = tuple(compress(indices, numbers))
        self.values = tuple(filter(None, numbers))

    def to_list(self) -> list[float]:
        """Return all elements, zeros too."""
        dense = [0.0] * self.dimensions
        for position, value in zip(self.indices, self.values, strict=True):
            dense[position] = value
        return dense

    def _key(self) -> tuple[int, tuple[int, ...], tuple[float, ...]]:
        return self.dimensions, self.indices, self.values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        elements = dict(zip(self.indices, self.values, strict=True))
        return f"SparseVector({elements!r}, {self.dimensions})"


def decode_sparsevec(data: bytes) -> SparseVector:
    """Read a sparse vector."""
    if len(data) < _SPARSE_HEADER.size:
        raise malformed("sparsevec", "truncated")
    dimensions, count, unused = _SPARSE_HEADER.unpack_from(data)
    if unused != 0 or len(data) - _SPARSE_HEADER.size != count * 8:
        raise malformed("sparsevec", "the number of elements is not that of the bytes")
    items = unpack_from(f">{count}i{count}f", data, _SPARSE_HEADER.size)
    elements = dict(zip(items[:count], items[count:], strict=True))
    try:
        vector = SparseVector(elements, dimensions)
    except ValueError as exc:
        raise malformed("sparsevec", str(exc)) from None
    if vector.indices != items[:count]:
        raise malformed("sparsevec", "zeros, or indices that do not ascend")
    return vector


def encode_sparsevec(value: SparseVector | Iterable[float]) -> bytes:
    """Write a ``SparseVector``, or all elements of any iterable of numbers."""
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"a sequence of numbers is required, not '{type(value).__name__}'")
    vector = value if isinstance(value, SparseVector) else SparseVector(value)
    count = len(vector.indices)
    header = _SPARSE_HEADER.pack(vector.dimensions, count, 0)
    return header + pack(f">{count}i{count}f", *vector.indices, *vector.values)


TYPES: dict[str, TypeFunctions] = {
    "hstore": binary(0, decode_hstore, encode_hstore),
    "vector": binary(0, decode_vector, encode_vector),
    "halfvec": binary(0, decode_halfvec, encode_halfvec),
    "sparsevec": binary(0, decode_sparsevec, encode_sparsevec),
}
