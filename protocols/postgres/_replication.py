"""What stands in CopyData while a server streams its WAL, and how LSNs and times are written there.

Source: https://www.postgresql.org/docs/current/protocol-replication.html, and for the text of an
LSN https://www.postgresql.org/docs/current/datatype-pg-lsn.html.

An LSN, a place in the WAL, is an ``int`` here; times are aware datetimes in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from struct import Struct, error

from wirekit._errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "HotStandbyFeedback",
    "PrimaryKeepalive",
    "StandbyStatusUpdate",
    "XLogData",
    "format_lsn",
    "from_datetime",
    "parse_lsn",
    "read_replication_message",
    "to_datetime",
]

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_MAX_LSN = 2**64 - 1

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# DT_NOEND and DT_NOBEGIN; asyncpg gives the ends of Python's calendar for them as well.
_INFINITIES = {
    2**63 - 1: datetime.max.replace(tzinfo=UTC),
    -(2**63): datetime.min.replace(tzinfo=UTC),
}

_XLOG_DATA = Struct("!cQQq")
_PRIMARY_KEEPALIVE = Struct("!cQqB")
_STANDBY_STATUS_UPDATE = Struct("!cQQQq?")
_HOT_STANDBY_FEEDBACK = Struct("!cqIIII")


def parse_lsn(text: str) -> int:
    """Return the LSN that is written as two hexadecimal numbers, such as ``"16/B374D848"``.

    Raises:
        ValueError: it is not written so.
    """
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"not an LSN such as 16/B374D848: {text!r}")
    return int(match[1], 16) << 32 | int(match[2], 16)


def format_lsn(lsn: int) -> str:
    """Return an LSN as the server writes it.

    Raises:
        ValueError: it is negative or has more than 64 bits.
    """
    if not 0 <= lsn <= _MAX_LSN:
        raise ValueError(f"not an LSN of 64 bits: {lsn}")
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def to_datetime(microseconds: int) -> datetime:
    """Return the time so many microseconds after 2000-01-01; infinity is the last there is.

    Raises:
        RemoteProtocolError: it is not within the years 1 to 9999.
    """
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        pass
    infinity = _INFINITIES.get(microseconds)
    if infinity is None:
        raise RemoteProtocolError("a time that is not within the years 1 to 9999")
    return infinity


def from_datetime(time: datetime) -> int:
    """Return the microseconds from 2000-01-01 to a time.

    Raises:
        LocalProtocolError: the time has no time zone.
    """
    if time.utcoffset() is None:
        raise LocalProtocolError("a time without a time zone")
    return (time - _EPOCH) // _MICROSECOND


# From the server


@dataclass(frozen=True, slots=True)
class XLogData:
    """A section of the WAL or, with logical decoding, one message of the output plugin.

    pgoutput sends Type and Relation with both LSNs 0.
    """

    wal_start: int
    wal_end: int
    server_time: datetime
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PrimaryKeepalive:
    """The server is there; with ``reply_requested`` it wants a `StandbyStatusUpdate` at once."""

    wal_end: int
    server_time: datetime
    reply_requested: bool


def read_replication_message(data: bytes) -> XLogData | PrimaryKeepalive:
    """Return what the server sent in one CopyData message.

    Raises:
        RemoteProtocolError: it is none of the two, or malformed.
    """
    match data[:1]:
        case b"w":
            if len(data) < _XLOG_DATA.size:
                raise RemoteProtocolError("XLogData: cut short")
            _, start, end, time = _XLOG_DATA.unpack_from(data)
            return XLogData(start, end, to_datetime(time), data[_XLOG_DATA.size :])
        case b"k":
            if len(data) != _PRIMARY_KEEPALIVE.size:
                raise RemoteProtocolError(f"PrimaryKeepalive: {len(data)} bytes")
            _, end, time, reply = _PRIMARY_KEEPALIVE.unpack(data)
            if reply > 1:
                raise RemoteProtocolError(f"PrimaryKeepalive: {reply} where 0 or 1 must stand")
            return PrimaryKeepalive(end, to_datetime(time), bool(reply))
        case kind:
            raise RemoteProtocolError(f"no replication message begins with {kind!r}")


# From the client


@dataclass(frozen=True, slots=True)
class StandbyStatusUpdate:
    """How far the client is: each LSN is that of the last byte of WAL, plus 1.

    The server may forget what is before ``flush_lsn``.
    """

    write_lsn: int
    flush_lsn: int
    apply_lsn: int
    client_time: datetime
    reply_requested: bool = False

    def encode(self) -> bytes:
        """Return the message as it stands in CopyData.

        Raises:
            LocalProtocolError: a number does not fit, or the time has no time zone.
        """
        time = from_datetime(self.client_time)
        lsns = (self.write_lsn, self.flush_lsn, self.apply_lsn)
        return _pack(_STANDBY_STATUS_UPDATE, b"r", *lsns, time, self.reply_requested)


@dataclass(frozen=True, slots=True)
class HotStandbyFeedback:
    """Which transactions the client still needs; without any, that feedback ends here."""

    client_time: datetime
    xmin: int = 0
    xmin_epoch: int = 0
    catalog_xmin: int = 0
    catalog_xmin_epoch: int = 0

    def encode(self) -> bytes:
        """Return the message as it stands in CopyData.

        Raises:
            LocalProtocolError: a number does not fit, or the time has no time zone.
        """
        time = from_datetime(self.client_time)
        xids = (self.xmin, self.xmin_epoch, self.catalog_xmin, self.catalog_xmin_epoch)
        return _pack(_HOT_STANDBY_FEEDBACK, b"h", time, *xids)


def _pack(layout: Struct, kind: bytes, *values: int) -> bytes:
    try:
        return layout.pack(kind, *values)
    except error as exc:
        raise LocalProtocolError(f"a replication message with a wrong number: {exc}") from None
