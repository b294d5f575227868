"""The types of values and of what describes them, as ``asyncpg.types`` has them.

``SparseVector`` is ours: the value of pgvector's ``sparsevec``.
"""

from __future__ import annotations

from typing import NamedTuple

from wirekit.protocols.postgres._extensions import SparseVector
from wirekit.protocols.postgres._values import (
    BitString,
    Box,
    Circle,
    Line,
    LineSegment,
    Path,
    Point,
    Polygon,
    Range,
)

__all__ = [
    "Attribute",
    "BitString",
    "Box",
    "Circle",
    "Line",
    "LineSegment",
    "Path",
    "Point",
    "Polygon",
    "Range",
    "ServerVersion",
    "SparseVector",
    "Type",
]


class Type(NamedTuple):
    """A data type of the database.

    Attributes:
        oid: of the type.
        name: of the type, for example ``"int2"``.
        kind: ``"scalar"``, ``"array"``, ``"composite"`` or ``"range"``.
        schema: that the type is defined in.
    """

    oid: int
    name: str
    kind: str
    schema: str


class Attribute(NamedTuple):
    """A column of a relation or result.

    Attributes:
        name: of the column.
        type: of its values.
    """

    name: str
    type: Type


class ServerVersion(NamedTuple):
    """The server's version; ``releaselevel`` is for example ``"beta"`` or ``"final"``."""

    major: int
    minor: int
    micro: int
    releaselevel: str
    serial: int
