"""Dates and times on the wire."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import TypeCodec
from wirekit.protocols.postgres._temporal import (
    DateCodec,
    IntervalCodec,
    TimeCodec,
    TimestampCodec,
    TimestamptzCodec,
    TimetzCodec,
)

DATE = DateCodec("date")
TIME = TimeCodec("time")
TIMETZ = TimetzCodec("timetz")
TIMESTAMP = TimestampCodec("timestamp")
TIMESTAMPTZ = TimestamptzCodec("timestamptz")
INTERVAL = IntervalCodec("interval")

EAST = timezone(timedelta(hours=5, minutes=30))
DAY = 86400 * 10**6

VECTORS: list[tuple[TypeCodec, Any, bytes]] = [
    (DATE, date(2000, 1, 1), pack("!i", 0)),
    (DATE, date(2000, 3, 1), pack("!i", 60)),
    (DATE, date(1999, 12, 31), pack("!i", -1)),
    (DATE, date(1, 1, 2), pack("!i", -730118)),
    (DATE, date(9999, 12, 30), pack("!i", 2921938)),
    (DATE, date.min, pack("!i", -(2**31))),
    (DATE, date.max, pack("!i", 2**31 - 1)),
    (TIME, time(), pack("!q", 0)),
    (TIME, time(23, 59, 59, 999999), pack("!q", DAY - 1)),
    (TIMETZ, time(1, 2, 3, 4, EAST), pack("!qi", 3723000004, -19800)),
    (TIMETZ, time(tzinfo=UTC), pack("!qi", 0, 0)),
    (TIMESTAMP, datetime(2000, 1, 1), pack("!q", 0)),
    (TIMESTAMP, datetime(1999, 12, 31, 23, 59, 59, 999999), pack("!q", -1)),
    (TIMESTAMP, datetime(2024, 2, 29, 12, 34, 56, 789), pack("!q", 762525296000789)),
    (TIMESTAMP, datetime.min, pack("!q", -(2**63))),
    (TIMESTAMP, datetime.max, pack("!q", 2**63 - 1)),
    (TIMESTAMPTZ, datetime(2000, 1, 1, tzinfo=UTC), pack("!q", 0)),
    (TIMESTAMPTZ, datetime(1, 1, 1, 0, 0, 0, 1, UTC), pack("!q", -730119 * DAY + 1)),
    (TIMESTAMPTZ, datetime.min, pack("!q", -(2**63))),
    (TIMESTAMPTZ, datetime.max, pack("!q", 2**63 - 1)),
    (INTERVAL, timedelta(), pack("!qii", 0, 0, 0)),
    (INTERVAL, timedelta(-1, 86399, 999999), pack("!qii", DAY - 1, -1, 0)),
    (INTERVAL, timedelta.max, pack("!qii", DAY - 1, 999999999, 0)),
]


@pytest.mark.parametrize(("codec", "value", "field"), VECTORS)
def test_vectors(codec: TypeCodec, value: Any, field: bytes) -> None:
    assert codec.encode(value) == field
    decoded = codec.decode(field)
    assert decoded == value
    assert type(decoded) is type(value)
    assert getattr(decoded, "tzinfo", None) == getattr(value, "tzinfo", None)
    for length in range(len(field)):
        with pytest.raises(RemoteProtocolError, match=rf"type {codec.name} in {length} bytes"):
            codec.decode(field[:length])
    with pytest.raises(RemoteProtocolError):
        codec.decode(field + b"\0")


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)))
def test_dates(value: date) -> None:
    field = DATE.encode(value)
    assert field == pack("!i", (value - date(2000, 1, 1)).days)
    assert DATE.decode(field) == value


@given(st.datetimes())
def test_timestamps(value: datetime) -> None:
    field = TIMESTAMP.encode(value)
    if value not in (datetime.min, datetime.max):
        since = (value - datetime(2000, 1, 1)) // timedelta(microseconds=1)
        assert field == pack("!q", since)
    assert TIMESTAMP.decode(field) == value


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))
def test_moments(value: datetime) -> None:
    decoded = TIMESTAMPTZ.decode(TIMESTAMPTZ.encode(value))
    assert decoded == value.astimezone(UTC)
    assert decoded.tzinfo is UTC


@given(st.times(), st.integers(-86399, 86399))
def test_times(value: time, seconds: int) -> None:
    assert TIME.decode(TIME.encode(value)) == value
    aware = value.replace(tzinfo=timezone(timedelta(seconds=seconds)))
    decoded = TIMETZ.decode(TIMETZ.encode(aware))
    assert decoded.replace(tzinfo=None) == value
    assert decoded.utcoffset() == timedelta(seconds=seconds)


@given(st.timedeltas())
def test_intervals(value: timedelta) -> None:
    assert INTERVAL.decode(INTERVAL.encode(value)) == value


@pytest.mark.parametrize(
    ("months", "days"),
    [(1, 30), (12, 365), (14, 425), (-1, -30), (-12, -365), (-14, -425), (0, 0)],
)
def test_months_of_intervals(months: int, days: int) -> None:
    assert INTERVAL.decode(pack("!qii", -1, 2, months)) == timedelta(days + 2, 0, -1)


@pytest.mark.parametrize(
    ("codec", "field", "error"),
    [
        (DATE, pack("!i", -730120), ValueError),
        (DATE, pack("!i", 2921940), ValueError),
        (TIMESTAMP, pack("!q", -730119 * DAY - 1), OverflowError),
        (TIMESTAMPTZ, pack("!q", 2921940 * DAY), OverflowError),
        (TIME, pack("!q", DAY), ValueError),
        (TIMETZ, pack("!qi", DAY, 0), ValueError),
        (INTERVAL, pack("!qii", 2**63 - 1, 2**31 - 1, 2**31 - 1), OverflowError),
        (INTERVAL, pack("!qii", DAY, 999999999, 0), OverflowError),
        (INTERVAL, pack("!qii", -(2**63), -(2**31), -(2**31)), OverflowError),
    ],
)
def test_what_python_has_no_value_for(
    codec: TypeCodec, field: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"this {codec.name}: cast it to text"):
        codec.decode(field)


@pytest.mark.parametrize(
    ("codec", "field"),
    [
        (TIME, pack("!q", -1)),
        (TIME, pack("!q", DAY + 1)),
        (TIMETZ, pack("!qi", 0, 86400)),
        (TIMETZ, pack("!qi", 0, -(2**31))),
    ],
)
def test_what_is_no_time(codec: TypeCodec, field: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type {codec.name} "):
        codec.decode(field)


class Lasting:
    """Counts like a date."""

    def toordinal(self) -> int:
        return 730120


class Moment(datetime):
    """A subclass of the user's."""


@pytest.mark.parametrize(
    ("codec", "value", "expected"),
    [
        (DATE, datetime(2000, 1, 1, 23), date(2000, 1, 1)),
        (DATE, Lasting(), date(2000, 1, 1)),
        (TIME, datetime(2000, 1, 2, 3), time(3)),
        (TIMETZ, datetime(2000, 1, 2, 3, tzinfo=EAST), time(3, tzinfo=EAST)),
        (TIMESTAMP, date(2000, 1, 2), datetime(2000, 1, 2)),
        (TIMESTAMP, Moment(2000, 1, 2), datetime(2000, 1, 2)),
        (TIMESTAMPTZ, datetime(2000, 1, 2), datetime(2000, 1, 2).astimezone(UTC)),
        (TIMESTAMPTZ, date(2000, 1, 2), datetime(2000, 1, 2).astimezone(UTC)),
        (TIMESTAMPTZ, datetime(2000, 1, 2, tzinfo=EAST), datetime(2000, 1, 1, 18, 30, tzinfo=UTC)),
    ],
)
def test_what_else_is_taken(codec: TypeCodec, value: Any, expected: Any) -> None:
    assert codec.decode(codec.encode(value)) == expected


@pytest.mark.parametrize(
    ("codec", "value", "error"),
    [
        *[(codec, 5, TypeError) for codec in (DATE, TIME, TIMETZ, TIMESTAMP, TIMESTAMPTZ)],
        *[(codec, "2000-01-01", TypeError) for codec in (DATE, TIME, TIMESTAMP, INTERVAL)],
        (TIME, date(2000, 1, 1), TypeError),
        (TIMETZ, time(1), ValueError),
        (TIMESTAMP, datetime(2000, 1, 1, tzinfo=UTC), TypeError),
        (INTERVAL, 1, TypeError),
    ],
)
def test_what_is_refused(codec: TypeCodec, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        codec.encode(value)
    assert "2000" not in str(caught.value)
