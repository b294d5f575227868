"""What comes of a COPY from the server.

Vectors: PostgreSQL, COPY, "Binary Format"; Frontend/Backend Protocol, "COPY Operations".
"""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at
from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.postgres import (
    COPY_HEADER,
    COPY_TRAILER,
    Codec,
    CommandComplete,
    CopyChunks,
    CopyData,
    CopyDone,
    CopyOutResponse,
    CopyProgress,
    CopyRows,
    CopySink,
    ErrorResponse,
    Event,
    Execute,
    FunctionCodec,
    Int4Codec,
    Message,
    NoticeResponse,
    Query,
    ReadyForQuery,
    Record,
    RecordKeys,
    RowWriter,
    StartupMessage,
    Sync,
    TextCodec,
    TransactionStatus,
)

KEYS = RecordKeys(["id", "name"])
CODECS = [Int4Codec("int4"), TextCodec("text")]
ROW = pack("!hii", 2, 4, 7) + pack("!i", 1) + b"x"
NULLS = pack("!hii", 2, -1, -1)
EMPTY = pack("!hiii", 2, 4, 8, 0)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + pack("!i", len(body) + 4) + body


BEGIN = message(b"H", pack("!bhhh", 1, 2, 1, 1))
DONE = message(b"c", b"")
END = message(b"C", b"COPY 1\0") + message(b"Z", b"I")
FAILED = message(b"E", b"SERROR\0C57014\0Mstopped\0\0") + message(b"Z", b"I")


def data(*bodies: bytes) -> bytes:
    return b"".join([message(b"d", body) for body in bodies])


def asked(*messages: Message) -> Codec:
    """Return a codec that has sent these messages to a server that let it in."""
    codec = Codec()
    codec.send(StartupMessage({"user": "x"}))
    codec.receive_data(message(b"R", pack("!i", 0)) + message(b"Z", b"I"))
    codec.send(*messages)
    return codec


def rows_sink(*, record_class: type[Record] = Record) -> CopyRows:
    return CopyRows(KEYS, CODECS, record_class)


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def copied(sink: CopySink, stream: bytes, places: list[int] | None = None) -> list[Event]:
    """Give a whole COPY to a sink by way of a codec; its progress is told once."""
    codec = asked(Query("", sink))
    events: list[Event] = []
    for piece in cut_at(stream, places or []):
        events += codec.receive_data(piece)
    return [event for event in events if not isinstance(event, CopyProgress)]


# Rows ----------------------------------------------------------------------------------------

ROWS: list[tuple[list[bytes], list[tuple[Any, ...]]]] = [
    ([COPY_HEADER + COPY_TRAILER], []),
    ([COPY_HEADER, COPY_TRAILER], []),
    ([COPY_HEADER + ROW, NULLS, EMPTY, COPY_TRAILER], [(7, "x"), (None, None), (8, "")]),
    ([COPY_HEADER + ROW + NULLS, ROW + COPY_TRAILER], [(7, "x"), (None, None), (7, "x")]),
    # Flags that are not critical, and a header extension, are to be ignored.
    ([COPY_HEADER[:11] + pack("!Ii", 0xFFFF, 3) + b"ext" + ROW, COPY_TRAILER], [(7, "x")]),
]


@pytest.mark.parametrize(("bodies", "rows"), ROWS)
def test_rows(bodies: list[bytes], rows: list[tuple[Any, ...]]) -> None:
    sink = rows_sink()
    events = copied(sink, BEGIN + data(*bodies) + DONE + END)
    assert names(events) == ["CopyOutResponse", "CopyDone", "CommandComplete", "ReadyForQuery"]
    assert isinstance(events[2], CommandComplete)
    assert (events[2].tag, events[2].rows, events[2].error) == ("COPY 1", [], None)
    assert bool(sink.size) == bool(rows)
    assert sink.take_copy() == rows
    assert (sink.size, sink.take_copy(), sink.error) == (0, [], None)


@given(st.lists(st.integers(0, 200), max_size=10))
def test_rows_cut_anywhere(places: list[int]) -> None:
    sink = rows_sink()
    bodies, rows = ROWS[2]
    copied(sink, BEGIN + data(*bodies) + DONE + END, places)
    assert sink.take_copy() == rows


@given(st.lists(st.tuples(st.none() | st.integers(-(2**31), 2**31 - 1), st.none() | st.text())))
def test_rows_written_are_rows_read(rows: list[tuple[int | None, str | None]]) -> None:
    out = bytearray(COPY_HEADER)
    RowWriter(CODECS).write_rows(out, iter(rows), 10**9)
    sink = rows_sink()
    copied(sink, BEGIN + data(bytes(out) + COPY_TRAILER) + DONE + END)
    assert sink.take_copy() == rows


def test_rows_of_the_users_class() -> None:
    class Row(Record):
        pass

    sink = rows_sink(record_class=Row)
    copied(sink, BEGIN + data(COPY_HEADER + ROW, COPY_TRAILER) + DONE + END)
    (row,) = sink.take_copy()
    assert type(row) is Row
    assert row["name"] == "x"


@pytest.mark.parametrize(
    ("bodies", "fault"),
    [
        ([b""], "without its signature"),
        ([COPY_HEADER[:18]], "without its signature"),
        ([b"x" + COPY_HEADER[1:]], "without its signature"),
        ([COPY_HEADER.replace(b"\r\n", b"\n\n")], "without its signature"),
        ([COPY_HEADER[:11] + pack("!Ii", 1 << 16, 0)], "unknown flags"),
        ([COPY_HEADER[:11] + pack("!Ii", 0, -1)], "wrong header extension"),
        ([COPY_HEADER[:11] + pack("!Ii", 0, 4) + b"ext"], "wrong header extension"),
        ([COPY_HEADER, b"\0"], "cut inside a column count"),
        ([COPY_HEADER + ROW + b"\0"], "cut inside a column count"),
        ([COPY_HEADER, pack("!h", -2)], "negative number of columns"),
        ([COPY_HEADER, pack("!h", 0)], "0 columns where 2"),
        ([COPY_HEADER, pack("!hi", 1, -1)], "1 columns where 2"),
        ([COPY_HEADER, pack("!hiii", 3, -1, -1, -1)], "3 columns where 2"),
        ([COPY_HEADER, pack("!hi", 2, -1)], "before its last column"),
        ([COPY_HEADER, pack("!hi", 2, -1) + b"\0\0\0"], "before its last column"),
        ([COPY_HEADER, pack("!hii", 2, -1, 5) + b"four"], "longer than its row"),
        ([COPY_HEADER, pack("!hii", 2, -1, 0x7FFFFFFF)], "longer than its row"),
        ([COPY_HEADER, pack("!hii", 2, -1, -2)], "negative length"),
        ([COPY_HEADER, pack("!hihi", 2, 2, 0, -1)], "int4"),
        ([COPY_HEADER + COPY_TRAILER + b"\0"], "behind the trailer"),
        ([COPY_HEADER + COPY_TRAILER, b""], "behind the trailer"),
        ([COPY_HEADER, COPY_TRAILER, ROW], "behind the trailer"),
        ([], "without its trailer"),
        ([COPY_HEADER, ROW], "without its trailer"),
    ],
)
def test_malformed_rows(bodies: list[bytes], fault: str) -> None:
    with pytest.raises(RemoteProtocolError, match=fault):
        copied(rows_sink(), BEGIN + data(*bodies) + DONE + END)


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_rows_or_malformed(body: bytes, after_header: bool) -> None:
    sink = rows_sink()
    stream = BEGIN + data(COPY_HEADER + body if after_header else body, COPY_TRAILER) + DONE + END
    try:
        copied(sink, stream)
    except RemoteProtocolError:
        return
    assert all(len(row) == 2 for row in sink.take_copy()) or sink.error is not None


def test_a_decoder_that_fails_ends_its_own_copy() -> None:
    def fail_on_two(field: bytes) -> bytes:
        if field == b"2":
            raise ValueError("two")
        return field

    sink = CopyRows(RecordKeys(["a"]), [FunctionCodec("x", 1, fail_on_two, None)])
    bodies = [pack("!hi", 1, 1) + field for field in (b"1", b"2", b"3")]
    begin = message(b"H", pack("!bhh", 1, 1, 1))
    events = copied(sink, begin + data(COPY_HEADER, *bodies, COPY_TRAILER) + DONE + END)
    assert names(events)[-1] == "ReadyForQuery"
    assert sink.take_copy() == [(b"1",)]
    assert isinstance(sink.error, ValueError)


def test_other_columns_than_described() -> None:
    sink = rows_sink()
    begin = message(b"H", pack("!bhh", 1, 1, 1))
    copied(sink, begin + data(COPY_HEADER, pack("!hi", 1, -1), COPY_TRAILER) + DONE + END)
    assert sink.take_copy() == []
    assert isinstance(sink.error, LocalProtocolError)
    assert str(sink.error) == "a COPY of 1 columns, where 2 were described"


def test_as_many_names_as_codecs() -> None:
    with pytest.raises(ValueError, match="as many names"):
        CopyRows(KEYS, CODECS[:1])


# Chunks --------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=9), max_size=9), st.lists(st.integers(0, 200), max_size=9))
def test_chunks(bodies: list[bytes], places: list[int]) -> None:
    sink = CopyChunks()
    copied(sink, BEGIN + data(*bodies) + DONE + END, places)
    assert sink.size == len(b"".join(bodies))
    assert sink.take_copy() == b"".join(bodies)
    assert (sink.size, sink.take_copy()) == (0, b"")


def test_what_was_taken_is_forgotten() -> None:
    sink = CopyChunks()
    codec = asked(Query("", sink))
    assert names(codec.receive_data(BEGIN + data(b"a"))) == ["CopyOutResponse", "CopyProgress"]
    assert sink.take_copy() == b"a"
    assert codec.receive_data(data(b"b", b"c")) == [CopyProgress()]
    assert codec.receive_data(data(b"d")[:-1]) == []
    assert sink.take_copy() == b"bc"
    assert codec.receive_data(b"d") == [CopyProgress()]
    assert sink.take_copy() == b"d"


# Both ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [CopyChunks, rows_sink])
def test_dropping(make: Any) -> None:
    sink = make()
    codec = asked(Query("", sink))
    codec.receive_data(BEGIN + data(COPY_HEADER + ROW))
    assert sink.size
    sink.drop()
    codec.receive_data(data(ROW, COPY_TRAILER) + DONE + END)
    assert sink.size == 0
    assert len(sink.take_copy()) == 0


@pytest.mark.parametrize("make", [CopyChunks, rows_sink])
def test_progress_is_told_in_its_place(make: Any) -> None:
    notice = message(b"N", b"SNOTICE\0C00000\0Mhello\0\0")
    codec = asked(Query("", make()))
    events = codec.receive_data(BEGIN + data(COPY_HEADER + ROW) + notice + data(ROW) + FAILED)
    assert [type(event) for event in events] == [
        *(CopyOutResponse, CopyProgress, NoticeResponse),
        *(CopyProgress, ErrorResponse, ReadyForQuery),
    ]


@pytest.mark.parametrize("make", [CopyChunks, rows_sink])
def test_rows_where_a_copy_was_asked_for(make: Any) -> None:
    sink = make()
    codec = asked(Query("", sink))
    description = message(b"T", pack("!h", 1) + b"a\0" + bytes(4 + 2 + 4 + 2 + 4 + 2))
    codec.receive_data(description + message(b"D", pack("!hi", 1, -1)) + END)
    assert sink.size == 0


def test_a_sink_that_does_nothing() -> None:
    codec = asked(Query("", CopySink()))
    with pytest.raises(NotImplementedError):
        codec.receive_data(BEGIN + data(b"a"))


def test_data_of_a_copy_that_no_sink_was_given_for() -> None:
    codec = asked(Query(""))
    events = codec.receive_data(BEGIN + data(b"a", b"b") + DONE)
    expected: list[Event] = [CopyData(b"a"), CopyData(b"b"), CopyDone()]
    assert events[1:] == expected


def test_the_next_copy_has_its_own_sink() -> None:
    first, second = CopyChunks(), CopyChunks()
    codec = asked(Query("", first), Query("", second))
    codec.receive_data(BEGIN + data(b"a") + FAILED + BEGIN + data(b"b") + DONE + END)
    assert (first.take_copy(), second.take_copy()) == (b"a", b"b")


@pytest.mark.parametrize("begin", [b"G", b"W"])
def test_whether_a_sync_is_lacking(begin: bytes) -> None:
    response = message(begin, pack("!bh", 0, 0))
    error = message(b"E", b"SERROR\0C57014\0Mstopped\0\0")
    codec = asked()
    assert not codec.lacks_sync
    codec.send(Query(""))
    assert not codec.lacks_sync
    codec.receive_data(response)
    assert not codec.lacks_sync
    codec.receive_data(error + message(b"Z", b"I"))
    assert not codec.lacks_sync
    # "The backend will ignore Flush and Sync messages received during copy-in mode."
    codec.send(Execute(""), Sync())
    assert not codec.lacks_sync
    codec.receive_data(response)
    assert codec.lacks_sync
    codec.receive_data(error)
    assert codec.lacks_sync
    codec.send(Sync())
    assert not codec.lacks_sync
    assert codec.receive_data(message(b"Z", b"I")) == [ReadyForQuery(TransactionStatus.IDLE)]
    assert not codec.lacks_sync
