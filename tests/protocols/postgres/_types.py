"""Values of the types for Hypothesis, and how to compare them across libraries."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from wirekit.protocols.postgres._values import Range

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
DATES = st.dates()
DATETIMES = st.datetimes()
ZONES = st.timedeltas(timedelta(hours=-15), timedelta(hours=15)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
# Away from the ends, which a time zone could lead beyond, and which stand for the infinities.
MOMENTS = st.builds(
    datetime.replace,
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),
    tzinfo=ZONES | st.just(UTC),
)
DECIMALS = st.decimals(-(10**30), 10**30, allow_nan=True) | st.builds(
    Decimal,
    st.tuples(
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=40).map(tuple),
        st.integers(-60, 60),
    ),
)
INTERVALS = st.timedeltas(timedelta(days=-100000000), timedelta(days=100000000))
INT4 = st.integers(-(2**31), 2**31 - 1)
FLOATS = st.floats()

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "bytea": st.binary(max_size=20),
    "char": st.binary(min_size=1, max_size=1).filter(lambda data: data != b"\0"),
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": INT4,
    "int8": st.integers(-(2**63), 2**63 - 1),
    "oid": st.integers(0, 2**32 - 1),
    "float4": st.floats(width=32),
    "float8": FLOATS,
    "numeric": DECIMALS,
    "text": TEXT,
    "varchar": TEXT,
    "name": TEXT,
    "json": st.sampled_from(["{}", '{"a": [1, "ü"]}', "null"]),
    "jsonb": st.sampled_from(["{}", '{"a": [1, "ü"]}', "null"]),
    "uuid": st.uuids(),
    "date": DATES,
    "time": st.times(),
    "timetz": st.builds(time.replace, st.times(), tzinfo=ZONES),
    "timestamp": DATETIMES,
    "timestamptz": MOMENTS,
    "interval": INTERVALS,
    "xid8": st.integers(0, 2**64 - 1),
    # Not the empty one: asyncpg 0.32 crashes on arrays in text with empty strings in them.
    "tsvector": st.sampled_from(["'c'", "'a':1A,2 'b'"]),
    "regclass": st.sampled_from(["pg_class", "pg_type"]),
    "aclitem": st.sampled_from(["=r/postgres", "postgres=arw*/postgres"]),
    "point": st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
}


def ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return ranges with the bounds in order."""
    pairs = st.tuples(bounds, bounds).map(sorted).filter(lambda pair: pair[0] != pair[1])
    ends = st.sampled_from([(True, True), (True, False), (False, True), (False, False)])

    def make(pair: list[Any], inclusive: tuple[bool, bool], kept: tuple[bool, bool]) -> Any:
        lower, upper = (bound if keep else None for bound, keep in zip(pair, kept, strict=True))
        return Range(lower, upper, lower_inc=inclusive[0], upper_inc=inclusive[1])

    nothing: st.SearchStrategy[Any] = st.builds(Range[Any], empty=st.just(True))
    return nothing | st.builds(make, pairs, ends, ends)


SOME_INTS = st.integers(-1000, 1000)
RANGES: dict[str, st.SearchStrategy[Any]] = {
    "int4range": ranges(SOME_INTS),
    "int8range": ranges(SOME_INTS),
    "numrange": ranges(SOME_INTS.map(Decimal)),
    "daterange": ranges(st.dates(date(1990, 1, 1), date(2050, 1, 1))),
    "tsrange": ranges(st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1))),
    "floats": ranges(SOME_INTS.map(float)),
}
MULTIRANGES = {
    "int4multirange": st.lists(RANGES["int4range"], max_size=4),
    "many_floats": st.lists(RANGES["floats"], max_size=4),
}

PAIRS = st.tuples(INT4 | st.none(), TEXT | st.none(), MOMENTS | st.none())
MOODS = st.sampled_from(["sad", "ok", 'very, "happy"'])
NESTS = st.tuples(
    PAIRS | st.none(),
    st.lists(PAIRS | st.none(), max_size=3) | st.none(),
    MOODS | st.none(),
    st.integers(0, 999999) | st.none(),
)
OWN = {
    "mood": MOODS,
    "small": st.integers(0, 999999),
    "smaller": st.integers(0, 999999),
    "pair": PAIRS,
    "nest": NESTS,
}


def arrays(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Return arrays of one and of more dimensions."""
    leaves = items | st.none()

    def shaped(*sizes: int) -> st.SearchStrategy[list[Any]]:
        strategy: st.SearchStrategy[Any] = leaves
        for size in sizes:
            strategy = st.lists(strategy, min_size=size, max_size=size)
        return strategy

    # All made here: with strategies made while others are drawn from, Hypothesis, deep in a long
    # run, has found its own draws inconsistent.
    return st.one_of(
        st.lists(leaves, max_size=5), shaped(2, 2), shaped(2, 1, 2), shaped(1, 2, 1, 2)
    )


ARRAYS = {
    f"_{name}": arrays(strategy)
    for name, strategy in {**SCALARS, **RANGES, **OWN}.items()
    if name != "point"  # a sequence of numbers could be an array
}
VALUES = {**SCALARS, **RANGES, **MULTIRANGES, **OWN, **ARRAYS}


def plain(value: Any) -> Any:
    """Return what says all about a value and can be compared, across the libraries' types."""
    kind = type(value).__name__
    if isinstance(value, (float, Decimal)) and value != value:
        return "NaN"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        # asyncpg has 1.00E+6 for 1000000, which says nothing of the scale.
        return value, min(int(value.as_tuple().exponent), 0) if value.is_finite() else None
    if isinstance(value, datetime):
        return value, value.tzinfo
    if isinstance(value, time):
        return value, value.utcoffset()
    if kind == "Record":
        return kind, [(key, plain(item)) for key, item in value.items()]
    if kind == "Range":
        parts = value.lower, value.upper, value.lower_inc, value.upper_inc, value.isempty
        return kind, [plain(part) for part in parts]
    if isinstance(value, uuid.UUID):
        return "UUID", value.int
    if kind in ("list", "tuple"):
        return kind, [plain(item) for item in value]
    return kind, value


def with_ranges(value: Any, range_class: Any) -> Any:
    """Return a value with ranges of another class for ours."""
    if type(value).__name__ == "Range":
        inclusive = {"lower_inc": value.lower_inc, "upper_inc": value.upper_inc}
        return range_class(value.lower, value.upper, **inclusive, empty=value.isempty)
    if type(value).__name__ == "list":
        return [with_ranges(item, range_class) for item in value]
    return value
