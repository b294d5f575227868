"""Points and figures.

Source: PostgreSQL documentation, section 8.8, "Geometric Types"; in the binary format every
coordinate is a float8, and a path or polygon has its number of points before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from struct import Struct, iter_unpack
from typing import Any

from ._functions import INT32, TypeFunctions, binary, malformed, pack_doubles, unpack
from ._values import Box, Circle, Line, LineSegment, Path, Point, Polygon

__all__ = ["TYPES"]

# What is sent may be any sequence of numbers, or of sequences of them, of the value's shape.
Coordinates = Sequence[Any]

_TWO = Struct(">2d")
_THREE = Struct(">3d")
_FOUR = Struct(">4d")
_POINT_SIZE = 16


def decode_point(data: bytes) -> Point:
    """Read a point: x, y."""
    return Point(*unpack(_TWO, data, "point"))


def encode_point(value: Coordinates) -> bytes:
    """Write a point."""
    return pack_doubles(value[0], value[1])


def decode_line(data: bytes) -> Line:
    """Read a line: A, B, C."""
    return Line(*unpack(_THREE, data, "line"))


def encode_line(value: Coordinates) -> bytes:
    """Write a line."""
    return pack_doubles(value[0], value[1], value[2])


def decode_line_segment(data: bytes) -> LineSegment:
    """Read a line segment: one end, the other."""
    x1, y1, x2, y2 = unpack(_FOUR, data, "lseg")
    return LineSegment(Point(x1, y1), Point(x2, y2))


def decode_box(data: bytes) -> Box:
    """Read a box: upper right corner, lower left corner."""
    x1, y1, x2, y2 = unpack(_FOUR, data, "box")
    return Box(Point(x1, y1), Point(x2, y2))


def encode_two_points(value: Coordinates) -> bytes:
    """Write a line segment or a box; the server puts the corners of a box in order."""
    first, second = value[0], value[1]
    return pack_doubles(first[0], first[1], second[0], second[1])


def decode_circle(data: bytes) -> Circle:
    """Read a circle: centre, radius."""
    x, y, radius = unpack(_THREE, data, "circle")
    return Circle(Point(x, y), radius)


def encode_circle(value: Coordinates) -> bytes:
    """Write a circle."""
    center = value[0]
    return pack_doubles(center[0], center[1], value[1])


def decode_path(data: bytes) -> Path:
    """Read a path: whether it is closed, number of points, points."""
    if data[:1] not in (b"\0", b"\1"):
        raise malformed("path", "neither open nor closed")
    return Path(*_decode_points(data, 1, "path"), is_closed=data[0] == 1)


def encode_path(value: Coordinates | Path) -> bytes:
    """Write a path: closed if it is a tuple, open if a list; a ``Path`` knows."""
    is_closed = value.is_closed if isinstance(value, Path) else isinstance(value, tuple)
    return bytes([is_closed]) + _encode_points(value)


def decode_polygon(data: bytes) -> Polygon:
    """Read a polygon: number of points, points."""
    return Polygon(*_decode_points(data, 0, "polygon"))


def encode_polygon(value: Coordinates | Path) -> bytes:
    """Write a polygon."""
    return _encode_points(value)


def _decode_points(data: bytes, start: int, name: str) -> list[Point]:
    points = data[start + INT32.size :]
    if (
        len(data) < start + INT32.size
        or len(points) != _POINT_SIZE * INT32.unpack_from(data, start)[0]
    ):
        raise malformed(name, "the number of points is not that of the points")
    return [Point(x, y) for x, y in iter_unpack(">2d", points)]


def _encode_points(value: Coordinates | Path) -> bytes:
    coordinates = list(chain.from_iterable((point[0], point[1]) for point in value))
    return INT32.pack(len(value)) + pack_doubles(*coordinates)


TYPES: dict[str, TypeFunctions] = {
    "point": binary(600, decode_point, encode_point),
    "lseg": binary(601, decode_line_segment, encode_two_points),
    "path": binary(602, decode_path, encode_path),
    "box": binary(603, decode_box, encode_two_points),
    "polygon": binary(604, decode_polygon, encode_polygon),
    "line": binary(628, decode_line, encode_line),
    "circle": binary(718, decode_circle, encode_circle),
}
