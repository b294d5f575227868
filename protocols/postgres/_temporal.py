# cython: annotation_typing=False
"""Dates and times.

Source: PostgreSQL documentation, section 8.5, "Date/Time Types". In the binary format days and
microseconds are counted from 2000-01-01 on; the smallest and largest numbers stand for the
infinities, and these for Python's smallest and largest values.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import TypeCodec

__all__ = [
    "DateCodec",
    "IntervalCodec",
    "TimeCodec",
    "TimestampCodec",
    "TimestamptzCodec",
    "TimetzCodec",
]

_native.prepare_datetime()

_UTC = UTC
_MIN_DATE = date.min
_MAX_DATE = date.max
_MIN_DATETIME = datetime.min
_MAX_DATETIME = datetime.max

_MIN_INT32 = -0x80000000
_MAX_INT32 = 0x7FFFFFFF
_MAX_INT64 = 0x7FFFFFFFFFFFFFFF
_MIN_INT64 = ~_MAX_INT64

# From 0001-01-01 to 2000-01-01, and to the last that Python has.
_EPOCH_DAYS = 730119
_LAST_DAY = 3652058
_DAY = 86400000000
_EPOCH_MICROSECONDS = _EPOCH_DAYS * _DAY
_LAST_MICROSECOND = (_LAST_DAY + 1) * _DAY - 1

_MAX_TIMEDELTA_DAYS = 999999999


def _unrepresentable(codec: TypeCodec) -> str:
    return f"Python has no value for this {codec.name}: cast it to text in the query"


class DateCodec(TypeCodec):
    """date."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 4:
            raise _faults.wrong_length(self.name, end - start)
        days = _native.read_int32(data, start)
        if -_EPOCH_DAYS <= days <= _LAST_DAY - _EPOCH_DAYS:
            return _native.date_of_days(days + _EPOCH_DAYS)
        if days == _MAX_INT32:
            return _MAX_DATE
        if days == _MIN_INT32:
            return _MIN_DATE
        raise ValueError(_unrepresentable(self))

    def write(self, out: bytearray, value: Any) -> None:
        if isinstance(value, date):
            days = _native.days_of_date(value)
        elif hasattr(value, "toordinal"):
            days = value.toordinal() - 1
        else:
            raise TypeError(f"expected a datetime.date instance, got {type(value).__name__!r}")
        if days == _LAST_DAY:
            days = _MAX_INT32
        elif days == 0:
            days = _MIN_INT32
        else:
            days -= _EPOCH_DAYS
        _native.append_int32(out, 4)
        _native.append_int32(out, days)


class TimestampCodec(TypeCodec):
    """timestamp: datetimes without a time zone."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        return _read_timestamp(self, data, start, end, None)

    def write(self, out: bytearray, value: Any) -> None:
        if isinstance(value, datetime):
            if value.tzinfo is not None and value.utcoffset() is not None:
                raise TypeError("can't subtract offset-naive and offset-aware datetimes")
            microseconds = _native.microseconds_of_datetime(value)
        elif isinstance(value, date):
            microseconds = _native.days_of_date(value) * _DAY
        else:
            raise _no_datetime(value)
        _write_timestamp(out, microseconds)


class TimestamptzCodec(TypeCodec):
    """timestamptz: datetimes in UTC; one without a time zone is of the local one when sent."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        return _read_timestamp(self, data, start, end, _UTC)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, datetime):
            if not isinstance(value, date):
                raise _no_datetime(value)
            value = datetime(value.year, value.month, value.day)
        if value.tzinfo is not _UTC and value != _MIN_DATETIME and value != _MAX_DATETIME:
            value = value.astimezone(_UTC)
        _write_timestamp(out, _native.microseconds_of_datetime(value))


def _read_timestamp(codec: TypeCodec, data: bytes, start: int, end: int, tzinfo: Any) -> Any:
    if end - start != 8:
        raise _faults.wrong_length(codec.name, end - start)
    microseconds = _native.read_int64(data, start)
    if -_EPOCH_MICROSECONDS <= microseconds <= _LAST_MICROSECOND - _EPOCH_MICROSECONDS:
        return _native.datetime_of_microseconds(microseconds + _EPOCH_MICROSECONDS, tzinfo)
    if microseconds == _MAX_INT64:
        return _MAX_DATETIME
    if microseconds == _MIN_INT64:
        return _MIN_DATETIME
    raise OverflowError(_unrepresentable(codec))


def _write_timestamp(out: bytearray, microseconds: int) -> None:
    """Append what is counted from 0001-01-01 on."""
    if microseconds == _LAST_MICROSECOND:
        microseconds = _MAX_INT64
    elif microseconds == 0:
        microseconds = _MIN_INT64
    else:
        microseconds -= _EPOCH_MICROSECONDS
    _native.append_int32(out, 8)
    _native.append_int64(out, microseconds)


def _no_datetime(value: Any) -> TypeError:
    text = "expected a datetime.date or datetime.datetime instance, got "
    return TypeError(f"{text}{type(value).__name__!r}")


class TimeCodec(TypeCodec):
    """time."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 8:
            raise _faults.wrong_length(self.name, end - start)
        return _read_time(self, data, start, None)

    def write(self, out: bytearray, value: Any) -> None:
        microseconds = _microseconds_of_time(value)
        _native.append_int32(out, 8)
        _native.append_int64(out, microseconds)


class TimetzCodec(TypeCodec):
    """timetz: times with a fixed offset."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 12:
            raise _faults.wrong_length(self.name, end - start)
        west = _native.read_int32(data, start + 8)
        if not -86400 < west < 86400:
            raise _faults.malformed(self.name, "a day or more off UTC")
        return _read_time(self, data, start, timezone(timedelta(0, -west)))

    def write(self, out: bytearray, value: Any) -> None:
        microseconds = _microseconds_of_time(value)
        offset = None if value.tzinfo is None else value.tzinfo.utcoffset(None)
        if offset is None:
            raise ValueError("a time with a fixed UTC offset is required")
        west = -(offset.days * 86400 + offset.seconds)
        _native.append_int32(out, 12)
        _native.append_int64(out, microseconds)
        _native.append_int32(out, west)


def _read_time(codec: TypeCodec, data: bytes, start: int, tzinfo: Any) -> Any:
    microseconds = _native.read_int64(data, start)
    if 0 <= microseconds < _DAY:
        return _native.time_of_microseconds(microseconds, tzinfo)
    if microseconds == _DAY:
        raise ValueError(_unrepresentable(codec))
    raise _faults.malformed(codec.name, "outside the day")


def _microseconds_of_time(value: Any) -> int:
    if isinstance(value, time):
        return _native.microseconds_of_time(value)
    if isinstance(value, datetime):
        return _native.microseconds_of_datetime(value) % _DAY
    raise TypeError(f"expected a datetime.time instance, got {type(value).__name__!r}")


class IntervalCodec(TypeCodec):
    """interval: timedeltas in which a year has 365 days and a month 30."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 16:
            raise _faults.wrong_length(self.name, end - start)
        microseconds = _native.read_int64(data, start)
        days = _native.read_int32(data, start + 8)
        months = _native.read_int32(data, start + 12)
        # Both parts of a negative number of months are negative.
        size = -months if months < 0 else months
        of_months = size // 12 * 365 + size % 12 * 30
        days += -of_months if months < 0 else of_months
        whole = days + microseconds // _DAY
        if not -_MAX_TIMEDELTA_DAYS <= whole <= _MAX_TIMEDELTA_DAYS:
            raise OverflowError(_unrepresentable(self))
        return _native.timedelta_of(days, microseconds)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, timedelta):
            raise TypeError(f"expected a datetime.timedelta instance, got {type(value).__name__!r}")
        days = value.days
        microseconds = value.seconds * 1000000 + value.microseconds
        _native.append_int32(out, 16)
        _native.append_int64(out, microseconds)
        _native.append_int32(out, days)
        _native.append_int32(out, 0)
