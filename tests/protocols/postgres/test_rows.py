"""Rows in and out."""

from __future__ import annotations

import gc
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at
from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.postgres import (
    Codec,
    Column,
    CommandComplete,
    DescribedRowReader,
    FunctionCodec,
    Int4Codec,
    InvalidRow,
    InvalidValue,
    PreparedQuery,
    Query,
    Record,
    RecordKeys,
    RowReader,
    RowSink,
    RowWriter,
    StartupMessage,
    TextCodec,
    TextRowReader,
    TypeCodec,
)

INT4, TEXT = Int4Codec("int4"), TextCodec("text")
KEYS = RecordKeys(["id", "name"])
LIST = FunctionCodec("list", 1, list, bytes)


def data_row(*fields: bytes | None, count: int | None = None) -> bytes:
    """Return the body of a DataRow."""
    body = pack("!H", len(fields) if count is None else count)
    for field in fields:
        body += pack("!i", -1) if field is None else pack("!i", len(field)) + field
    return body


def message(kind: bytes, body: bytes) -> bytes:
    return kind + pack("!i", len(body) + 4) + body


def read(sink: RowSink, *bodies: bytes, places: list[int] | None = None) -> CommandComplete:
    """Give rows to a sink as a codec does, and return what comes of them."""
    codec = Codec()
    codec.send(StartupMessage({"user": "x"}))
    codec.receive_data(message(b"R", pack("!i", 0)) + message(b"Z", b"I"))
    codec.send(PreparedQuery("", RowWriter([])).bind((), sink))
    rows = b"".join([message(b"D", body) for body in bodies])
    data = message(b"2", b"") + rows + message(b"C", b"SELECT 1\0") + message(b"Z", b"I")
    events = [event for chunk in cut_at(data, places or []) for event in codec.receive_data(chunk)]
    (complete,) = [event for event in events if isinstance(event, CommandComplete)]
    return complete


def reader(codecs: list[TypeCodec] | None = None, kind: type[Record] = Record) -> RowReader:
    return RowReader(KEYS, codecs or [INT4, TEXT], kind)


ROW = data_row(pack("!i", 5), b"five")


@given(st.lists(st.integers(0, 80), max_size=5))
def test_rows_become_records(places: list[int]) -> None:
    complete = read(reader(), ROW, data_row(None, None), places=places)
    assert complete.error is None
    assert [dict(row) for row in complete.rows] == [
        {"id": 5, "name": "five"},
        {"id": None, "name": None},
    ]
    assert all(type(row) is Record for row in complete.rows)


class Row(Record):
    """A subclass of the user's."""


def test_rows_of_the_users_class() -> None:
    (row,) = read(reader(kind=Row), ROW).rows
    assert type(row) is Row
    assert row == (5, "five")


def test_what_was_taken_is_forgotten() -> None:
    sink = reader()
    assert len(read(sink, ROW, ROW).rows) == 2
    assert len(read(sink, ROW).rows) == 1
    assert read(sink).rows == []


def test_rows_without_columns() -> None:
    (row,) = read(RowReader(RecordKeys([]), []), data_row()).rows
    assert row == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        data_row(count=2),
        data_row(None),
        data_row(None, None, None),
        data_row(None, None, count=3),
        data_row(None, None) + b"\0",
        ROW[:-1],
        ROW + b"\0",
        pack("!Hi", 2, -1),
        pack("!Hii", 2, -1, -2),
        pack("!Hii", 2, -1, 2**31 - 1),
        pack("!Hii", 2, -1, 1),
        data_row(b"abc", b""),
    ],
)
def test_malformed_rows(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(reader(), body)


@given(st.binary(max_size=30))
def test_any_bytes_are_rows_or_malformed(body: bytes) -> None:
    for sink in (RowReader(KEYS, [INT4, LIST]), TextRowReader()):
        try:
            complete = read(sink, body)
        except RemoteProtocolError:
            continue
        assert complete.error is not None or len(complete.rows) == 1


def test_a_decoder_that_fails_spoils_its_own_result() -> None:
    complete = read(reader(), ROW, data_row(None, b"\xff"), ROW)
    assert isinstance(complete.error, UnicodeDecodeError)
    assert complete.rows == []


def test_rows_that_hold_containers_are_the_garbage_collectors_again() -> None:
    (row,) = read(reader([INT4, LIST]), data_row(None, b"ab")).rows
    assert row == (None, [97, 98])
    assert gc.is_tracked(row)
    row["name"].append(row)
    assert row["name"][-1] is row


def test_as_many_names_as_codecs() -> None:
    with pytest.raises(ValueError, match="as many names as codecs"):
        RowReader(KEYS, [INT4])


# Text ----------------------------------------------------------------------------------------


def test_text_rows() -> None:
    assert read(TextRowReader(), data_row("ä".encode(), None, b""), data_row()).rows == [
        ("ä", None, ""),
        (),
    ]


@pytest.mark.parametrize(
    "body",
    [
        *[b"", data_row(None, count=2), data_row(None, count=0), pack("!Hi", 1, -2)],
        *[pack("!Hi", 1, 1), pack("!Hi", 1, 2**31 - 1), data_row(b"abc")[:-1]],
    ],
)
def test_malformed_text_rows(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(TextRowReader(), body)


def described(names: list[str]) -> bytes:
    """Return the body of a RowDescription of texts."""
    columns = [name.encode() + pack("!xIHIhih", 0, 0, 25, -1, -1, 0) for name in names]
    return pack("!H", len(names)) + b"".join(columns)


def test_rows_by_their_own_descriptions() -> None:
    def make_reader(columns: Any) -> RowReader:
        names: tuple[Column, ...] = columns.columns
        return RowReader(RecordKeys([column.name for column in names]), [TEXT] * len(names))

    codec = Codec()
    codec.send(StartupMessage({"user": "x"}))
    codec.receive_data(message(b"R", pack("!i", 0)) + message(b"Z", b"I"))
    codec.send(Query("select 1; select 2; update x", DescribedRowReader(make_reader)))
    events = codec.receive_data(
        message(b"T", described(["a"]))
        + message(b"D", data_row(b"1"))
        + message(b"C", b"SELECT 1\0")
        + message(b"T", described(["b", "c"]))
        + message(b"D", data_row(b"2", b"3"))
        + message(b"C", b"SELECT 1\0")
        + message(b"C", b"UPDATE 0\0")
        + message(b"Z", b"I")
    )
    results = [event.rows for event in events if isinstance(event, CommandComplete)]
    assert [[dict(row) for row in rows] for rows in results] == [
        [{"a": "1"}],
        [{"b": "2", "c": "3"}],
        [],
    ]


# Out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(5, "five"), [5, "five"], iter([5, "five"])])
def test_parameters(values: Any) -> None:
    writer = RowWriter([INT4, TEXT])
    assert writer.formats == (1, 1)
    out = bytearray(b"before")
    writer.write(out, values)
    assert out == b"before" + ROW[2:]


def test_nulls_and_records() -> None:
    writer = RowWriter([INT4, TEXT])
    out = bytearray()
    writer.write(out, read(reader(), data_row(None, None)).rows[0])
    assert out == pack("!ii", -1, -1)


@pytest.mark.parametrize(
    ("values", "number", "cause"),
    [
        (("secret", "x"), 0, TypeError),
        ((1, 2), 1, TypeError),
        ((2**31, "x"), 0, OverflowError),
        ((1, "\ud800"), 1, ValueError),
    ],
)
def test_values_that_are_none_of_the_type(values: Any, number: int, cause: type[Exception]) -> None:
    writer = RowWriter([INT4, TEXT])
    out = bytearray(b"before")
    for write in (writer.write, writer.write_row):
        with pytest.raises(InvalidValue, match=rf"^value {number + 1}\b.* is no \w+$") as caught:
            write(out, values)
        assert caught.value.number == number
        assert isinstance(caught.value, LocalProtocolError)
        assert isinstance(caught.value.__cause__, cause)
        assert "secret" not in str(caught.value)
        assert out == b"before"


@pytest.mark.parametrize("values", [(), (1,), (1, "x", 2), {"id": 1, "name": "x"}, {1, 2}])
def test_what_is_no_row(values: Any) -> None:
    out = bytearray(b"before")
    writer = RowWriter([INT4, TEXT])
    for write in (writer.write, writer.write_row):
        with pytest.raises(InvalidRow):
            write(out, values)
        assert out == b"before"


class Stop(BaseException):
    """As KeyboardInterrupt is."""


def test_an_interrupted_encoder_leaves_nothing() -> None:
    def stop(value: object) -> bytes:
        raise Stop

    out = bytearray(b"before")
    with pytest.raises(Stop):
        RowWriter([INT4, FunctionCodec("x", 1, None, stop)]).write(out, (1, 2))
    assert out == b"before"


def test_rows_of_copy() -> None:
    writer = RowWriter([INT4, TEXT])
    out = bytearray()
    writer.write_row(out, (5, "five"))
    assert out == ROW
    rows = iter([(5, "five")] * 5)
    out.clear()
    assert writer.write_rows(out, rows, len(ROW) + 1) == 2
    assert out == ROW * 2
    assert writer.write_rows(out, rows, 10**6) == 3
    assert out == ROW * 5
    assert writer.write_rows(out, rows, 10**6) == 0


@pytest.mark.parametrize(
    ("row", "error"), [(("x", "y"), InvalidValue), ((1,), InvalidRow), ({1, 2}, InvalidRow)]
)
def test_a_row_of_copy_that_is_none(row: Any, error: type[InvalidRow]) -> None:
    writer = RowWriter([INT4, TEXT])
    out = bytearray()
    with pytest.raises(error) as caught:
        writer.write_rows(out, iter([(5, "five"), (5, "five"), row]), 10**6)
    assert caught.value.row == 2
    assert out == ROW * 2
