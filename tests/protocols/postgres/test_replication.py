from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.postgres._replication import (
    HotStandbyFeedback,
    PrimaryKeepalive,
    StandbyStatusUpdate,
    XLogData,
    format_lsn,
    from_datetime,
    parse_lsn,
    read_replication_message,
    to_datetime,
)

# From a walsender of PostgreSQL 18.4.
XLOG_DATA = bytes.fromhex(
    "7700000000017bbca000000000017bbca0000303f14b44c5444200000000017bbd20000303f14b44a23200000302"
)
KEEPALIVE = bytes.fromhex("6b00000000017bbd50000303f14b44c5ca00")

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LSNS = st.integers(0, 2**64 - 1)
TIMES = st.datetimes(timezones=st.just(UTC))


# LSNs


@pytest.mark.parametrize(
    ("text", "lsn"),
    [
        ("16/B374D848", 0x16B374D848),
        ("0/0", 0),
        ("0/16B3748", 0x16B3748),
        ("1/0", 2**32),
        ("FFFFFFFF/FFFFFFFF", 2**64 - 1),
    ],
)
def test_lsn(text: str, lsn: int) -> None:
    assert parse_lsn(text) == parse_lsn(text.lower()) == lsn
    assert format_lsn(lsn) == text


@given(LSNS)
def test_lsn_comes_back(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "/",
        "0/",
        "/0",
        "0/0/0",
        "G/0",
        "123456789/0",
        "0/123456789",
        "0/0\n",
        " 0/0",
        "-1/0",
    ],
)
def test_what_is_no_lsn(text: str) -> None:
    with pytest.raises(ValueError, match="not an LSN"):
        parse_lsn(text)


@pytest.mark.parametrize("lsn", [-1, 2**64])
def test_an_lsn_has_64_bits(lsn: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        format_lsn(lsn)


# Times


@pytest.mark.parametrize(
    ("microseconds", "time"),
    [
        (0, datetime(2000, 1, 1, tzinfo=UTC)),
        (-1, datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (0x00023E0786C26000, datetime(2020, 1, 1, tzinfo=UTC)),
        (2**63 - 1, datetime.max.replace(tzinfo=UTC)),
        (-(2**63), datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_time(microseconds: int, time: datetime) -> None:
    assert to_datetime(microseconds) == time
    assert to_datetime(microseconds).tzinfo is UTC


@given(TIMES)
def test_time_comes_back(time: datetime) -> None:
    assert to_datetime(from_datetime(time)) == time


@pytest.mark.parametrize("microseconds", [2**63 - 2, -(2**63) + 1, 2**58])
def test_a_time_that_python_has_not(microseconds: int) -> None:
    with pytest.raises(RemoteProtocolError, match="years 1 to 9999"):
        to_datetime(microseconds)


def test_times_of_other_zones() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert from_datetime(there) == from_datetime(NOON)
    with pytest.raises(LocalProtocolError, match="without a time zone"):
        from_datetime(datetime(2026, 11, 23))


# From the server


def test_xlog_data() -> None:
    message = read_replication_message(XLOG_DATA)
    assert message == XLogData(
        wal_start=parse_lsn("0/17BBCA0"),
        wal_end=parse_lsn("0/17BBCA0"),
        server_time=datetime(2026, 11, 23, 14, 36, 54, 931780, tzinfo=UTC),
        data=bytes.fromhex("4200000000017bbd20000303f14b44a23200000302"),
    )
    assert read_replication_message(XLOG_DATA[:25]) == XLogData(
        message.wal_end, message.wal_end, message.server_time, b""
    )


def test_primary_keepalive() -> None:
    time = datetime(2026, 11, 23, 14, 36, 54, 931914, tzinfo=UTC)
    lsn = parse_lsn("0/17BBD50")
    assert read_replication_message(KEEPALIVE) == PrimaryKeepalive(lsn, time, reply_requested=False)
    asking = KEEPALIVE[:-1] + b"\1"
    assert read_replication_message(asking) == PrimaryKeepalive(lsn, time, reply_requested=True)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "begins with b''"),
        (b"x" + XLOG_DATA[1:], "begins with b'x'"),
        (XLOG_DATA[:24], "cut short"),
        (KEEPALIVE[:-1], "17 bytes"),
        (KEEPALIVE + b"\0", "19 bytes"),
        (KEEPALIVE[:-1] + b"\2", "2 where 0 or 1"),
        (KEEPALIVE[:9] + b"\x70" + KEEPALIVE[10:], "years 1 to 9999"),
    ],
)
def test_malformed(data: bytes, fault: str) -> None:
    with pytest.raises(RemoteProtocolError, match=fault):
        read_replication_message(data)


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda rest: b"w" + rest)))
def test_any_bytes(data: bytes) -> None:
    try:
        message = read_replication_message(data)
    except RemoteProtocolError:
        return
    assert isinstance(message, XLogData if data[:1] == b"w" else PrimaryKeepalive)


def test_wal_is_not_shown() -> None:
    message = XLogData(0, 0, NOON, b"a secret row")
    assert "secret" not in repr(message)


# From the client


def test_standby_status_update() -> None:
    lsn = parse_lsn("16/B374D848")
    message = StandbyStatusUpdate(lsn, lsn - 1, 0, to_datetime(258), reply_requested=True)
    assert message.encode() == bytes.fromhex(
        "72 00000016b374d848 00000016b374d847 0000000000000000 0000000000000102 01"
    )
    assert StandbyStatusUpdate(1, 1, 1, NOON).encode()[-1:] == b"\0"


def test_hot_standby_feedback() -> None:
    message = HotStandbyFeedback(to_datetime(258), 3, 1, 2**32 - 1, 4)
    assert message.encode() == bytes.fromhex(
        "68 0000000000000102 00000003 00000001 ffffffff 00000004"
    )
    assert HotStandbyFeedback(to_datetime(258)).encode()[9:] == bytes(16)


@pytest.mark.parametrize(
    "message",
    [
        StandbyStatusUpdate(-1, 0, 0, NOON),
        StandbyStatusUpdate(0, 2**64, 0, NOON),
        HotStandbyFeedback(NOON, 2**32),
        HotStandbyFeedback(NOON, catalog_xmin_epoch=-1),
    ],
)
def test_numbers_that_do_not_fit(message: StandbyStatusUpdate | HotStandbyFeedback) -> None:
    with pytest.raises(LocalProtocolError, match="wrong number"):
        message.encode()
