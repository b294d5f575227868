"""The values of types that Python has none for; they look and compare like asyncpg's.

Source: PostgreSQL documentation, chapter 8, "Data Types".
"""

from __future__ import annotations

import builtins
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Protocol,
    Self,
    SupportsFloat,
    TypeVar,
    cast,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "BitString",
    "Box",
    "Circle",
    "Line",
    "LineSegment",
    "Path",
    "Point",
    "Polygon",
    "Range",
]

BitOrder = Literal["big", "little"]


class Ordered(Protocol):
    """What the bounds of a range must be able to do."""

    def __lt__(self, other: Any, /) -> bool: ...
    def __gt__(self, other: Any, /) -> bool: ...


Bound = TypeVar("Bound", bound=Ordered)


class Range(Generic[Bound]):
    """An immutable range; None as a bound means that there is none on that side.

    Args:
        lower: bound, or None.
        upper: bound, or None.
        lower_inc: whether the lower bound is part of the range.
        upper_inc: whether the upper bound is part of the range.
        empty: whether it is the empty range; bounds are then left out.
    """

    __slots__ = ("_empty", "_lower", "_lower_inc", "_upper", "_upper_inc")

    def __init__(
        self,
        lower: Bound | None = None,
        upper: Bound | None = None,
        *,
        lower_inc: bool = True,
        upper_inc: bool = False,
        empty: bool = False,
    ) -> None:
        self._empty = empty
        self._lower = None if empty else lower
        self._upper = None if empty else upper
        self._lower_inc = self._lower is not None and lower_inc
        self._upper_inc = self._upper is not None and upper_inc

    @property
    def lower(self) -> Bound | None:
        """The lower bound; None if there is none."""
        return self._lower

    @property
    def lower_inc(self) -> bool:
        """Whether the lower bound is part of the range."""
        return self._lower_inc

    @property
    def lower_inf(self) -> bool:
        """Whether the range has no lower bound; never for the empty range."""
        return self._lower is None and not self._empty

    @property
    def upper(self) -> Bound | None:
        """The upper bound; None if there is none."""
        return self._upper

    @property
    def upper_inc(self) -> bool:
        """Whether the upper bound is part of the range."""
        return self._upper_inc

    @property
    def upper_inf(self) -> bool:
        """Whether the range has no upper bound; never for the empty range."""
        return self._upper is None and not self._empty

    @property
    def isempty(self) -> bool:
        """Whether it is the empty range."""
        return self._empty

    def issubset(self, other: Range[Bound]) -> bool:
        """Whether every value of this range is in the other."""
        if self._empty:
            return True
        return not other._empty and self._starts_within(other) and self._ends_within(other)

    def issuperset(self, other: Range[Bound]) -> bool:
        """Whether every value of the other range is in this one."""
        return other.issubset(self)

    def _starts_within(self, other: Range[Bound]) -> bool:
        if other._lower is None:
            return True
        if self._lower is None:
            return False
        return self._lower > other._lower or (
            self._lower == other._lower and (other._lower_inc or not self._lower_inc)
        )

    def _ends_within(self, other: Range[Bound]) -> bool:
        if other._upper is None:
            return True
        if self._upper is None:
            return False
        return self._upper < other._upper or (
            self._upper == other._upper and (other._upper_inc or not self._upper_inc)
        )

    def _key(self) -> tuple[object, ...]:
        return self._lower, self._upper, self._lower_inc, self._upper_inc, self._empty

    def __bool__(self) -> bool:
        return not self._empty

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Range):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        if self._empty:
            return "<Range empty>"
        lower = "" if self._lower is None else repr(self._lower)
        upper = "" if self._upper is None else repr(self._upper)
        start, end = "[" if self._lower_inc else "(", "]" if self._upper_inc else ")"
        return f"<Range {start}{lower}, {upper}{end}>"


class BitString:
    """An immutable ``bit`` or ``varbit`` value: a sequence of 0 and 1.

    Args:
        bitstring: the bits, as ``"0101 11"`` (spaces do not count) or as a sequence of 0 and 1.

    Raises:
        ValueError: one of them is something else.
    """

    __slots__ = ("_bitlength", "_bytes")

    _bytes: builtins.bytes
    _bitlength: int

    def __init__(self, bitstring: Iterable[int | str] | None = None) -> None:
        digits: list[str] = []
        for position, bit in enumerate(bitstring or ()):
            if bit == " ":
                continue
            if bit not in (0, 1, "0", "1"):
                raise ValueError(f"invalid bit value at position {position}")
            digits.append(str(int(bit)))
        length = len(digits)
        number = int("".join(digits) or "0", 2) << -length % 8
        self._bytes = number.to_bytes((length + 7) // 8, "big")
        self._bitlength = length

    @classmethod
    def frombytes(cls, bytes_: builtins.bytes | None = None, bitlength: int | None = None) -> Self:
        """Return the first ``bitlength`` bits of the bytes; without bytes as many zeros.

        Raises:
            ValueError: ``bitlength`` bits do not end in the last one of the bytes.
        """
        if bytes_ is None:
            bytes_ = builtins.bytes(((bitlength or 0) + 7) // 8)
        if bitlength is None:
            bitlength = len(bytes_) * 8
        if bitlength < 0 or (bitlength + 7) // 8 != len(bytes_):
            raise ValueError("invalid bit length specified")
        self = cls()
        self._bytes = builtins.bytes(bytes_)
        self._bitlength = bitlength
        return self

    @property
    def bytes(self) -> builtins.bytes:
        """The bits from the first byte's highest on; the last byte is filled up with zeros."""
        return self._bytes

    def as_string(self) -> str:
        """Return the bits as text, in groups of four."""
        bits = self._digits()
        return " ".join(bits[start : start + 4] for start in range(0, len(bits), 4))

    def to_int(self, bitorder: BitOrder = "big", *, signed: bool = False) -> int:
        """Return the bits as a number, like ``int.from_bytes``.

        Args:
            bitorder: ``"big"`` if the first bit is the highest, as in PostgreSQL's casts;
                ``"little"`` if it is the lowest.
            signed: whether to read it as two's complement.
        """
        digits = _in_order(self._digits(), bitorder)
        number = int(digits or "0", 2)
        if signed and digits.startswith("1"):
            number -= 1 << self._bitlength
        return number

    @classmethod
    def from_int(
        cls, x: int, length: int, bitorder: BitOrder = "big", *, signed: bool = False
    ) -> Self:
        """Return a number as ``length`` bits, like ``int.to_bytes``.

        Args:
            x: the number.
            length: of the result, in bits.
            bitorder: ``"big"`` if the first bit is the highest, as in PostgreSQL's casts;
                ``"little"`` if it is the lowest.
            signed: whether negative numbers are allowed, as two's complement.

        Raises:
            OverflowError: the number does not fit.
            ValueError: ``length`` is negative, or ``bitorder`` is neither of the two.
        """
        if length < 0:
            raise ValueError("length argument must be non-negative")
        if x < 0 and not signed:
            raise OverflowError("can't convert negative int to unsigned")
        # -8 to -1 and, as asyncpg has it even for signed, 0 to 15 have four bits.
        if x >> length and not (length and x >> length - 1 == -1):
            raise OverflowError("int too big to convert")
        digits = f"{x & (1 << length) - 1:0{length}b}" if length else ""
        return cls(_in_order(digits, bitorder))

    def _digits(self) -> str:
        number = int.from_bytes(self._bytes, "big") >> -self._bitlength % 8
        return f"{number:0{self._bitlength}b}" if self._bitlength else ""

    def __repr__(self) -> str:
        return f"<BitString {self.as_string()}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BitString):
            return NotImplemented
        return self._bytes == other._bytes and self._bitlength == other._bitlength

    def __hash__(self) -> int:
        return hash((self._bytes, self._bitlength))

    def __getitem__(self, i: int) -> int:
        if isinstance(cast("object", i), slice):
            raise NotImplementedError("BitString does not support slices")
        index = i + self._bitlength if i < 0 else i
        if not 0 <= index < self._bitlength:
            raise IndexError("index out of range")
        return self._bytes[index // 8] >> 7 - index % 8 & 1

    def __iter__(self) -> Iterator[int]:
        return map(int, self._digits())

    def __len__(self) -> int:
        return self._bitlength


def _in_order(digits: str, bitorder: BitOrder) -> str:
    if bitorder not in ("big", "little"):
        raise ValueError("bitorder must be either 'big' or 'little'")
    return digits if bitorder == "big" else digits[::-1]


class _Figure:
    """A figure that is a tuple of its parts, by which it is copied and pickled."""

    __slots__ = ()

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(cast("tuple[Any, ...]", self))


class _NamedFigure(_Figure):
    """A figure whose ``repr`` names it."""

    __slots__ = ()

    def __repr__(self) -> str:
        parts = self.__getnewargs__()
        return f"{type(self).__module__}.{type(self).__name__}({parts!r})"


class Point(_NamedFigure, tuple[float, float]):
    """An immutable ``point``."""

    __slots__ = ()

    def __new__(cls, x: SupportsFloat | str, y: SupportsFloat | str) -> Self:
        return super().__new__(cls, (float(x), float(y)))

    @property
    def x(self) -> float:
        """The abscissa."""
        return self[0]

    @property
    def y(self) -> float:
        """The ordinate."""
        return self[1]


class Box(_NamedFigure, tuple[Point, Point]):
    """An immutable ``box``, by two opposite corners."""

    __slots__ = ()

    def __new__(cls, high: Sequence[float], low: Sequence[float]) -> Self:
        return super().__new__(cls, (Point(*high), Point(*low)))

    @property
    def high(self) -> Point:
        """The upper right corner."""
        return self[0]

    @property
    def low(self) -> Point:
        """The lower left corner."""
        return self[1]


class Line(_Figure, tuple[float, float, float]):
    """An immutable infinite ``line``: the points where Ax + By + C = 0."""

    __slots__ = ()

    def __new__(cls, A: float, B: float, C: float) -> Self:
        return super().__new__(cls, (A, B, C))

    @property
    def A(self) -> float:
        """The factor of x."""
        return self[0]

    @property
    def B(self) -> float:
        """The factor of y."""
        return self[1]

    @property
    def C(self) -> float:
        """The constant."""
        return self[2]


class LineSegment(_NamedFigure, tuple[Point, Point]):
    """An immutable ``lseg``, by its two ends."""

    __slots__ = ()

    def __new__(cls, p1: Sequence[float], p2: Sequence[float]) -> Self:
        return super().__new__(cls, (Point(*p1), Point(*p2)))

    @property
    def p1(self) -> Point:
        """The first end."""
        return self[0]

    @property
    def p2(self) -> Point:
        """The second end."""
        return self[1]


class Circle(_Figure, tuple[Point, float]):
    """An immutable ``circle``."""

    __slots__ = ()

    def __new__(cls, center: Sequence[float], radius: float) -> Self:
        return super().__new__(cls, (Point(*center), radius))

    @property
    def center(self) -> Point:
        """The middle."""
        return self[0]

    @property
    def radius(self) -> float:
        """The distance of every point from the middle."""
        return self[1]


class Path:
    """An immutable ``path``: a sequence of points, whose last leads to the first if closed."""

    __slots__ = ("_is_closed", "points")

    points: tuple[Point, ...]

    def __init__(self, *points: Sequence[float], is_closed: bool = False) -> None:
        self.points = tuple(
            point if isinstance(point, Point) else Point(*point) for point in points
        )
        self._is_closed = is_closed

    @property
    def is_closed(self) -> bool:
        """Whether the last point leads to the first."""
        return self._is_closed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._is_closed else 'open'} {self.points!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return self.points == other.points and self._is_closed == other._is_closed

    def __hash__(self) -> int:
        return hash((self.points, self._is_closed))

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    @overload
    def __getitem__(self, i: int) -> Point: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Point, ...]: ...
    def __getitem__(self, i: int | slice) -> Point | tuple[Point, ...]:
        return self.points[i]

    def __contains__(self, point: object) -> bool:
        return point in self.points


class Polygon(Path):
    """An immutable ``polygon``: a closed path; equal to a closed ``Path`` of the same points."""

    __slots__ = ()

    def __init__(self, *points: Sequence[float]) -> None:
        super().__init__(*points, is_closed=True)
