"""Bind, Execute and Sync of a prepared statement as one message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import LocalProtocolError
from wirekit.protocols.postgres import (
    Bind,
    Codec,
    Execute,
    ExtendedQuery,
    Int4Codec,
    InvalidValue,
    PreparedQuery,
    RowWriter,
    Sync,
    TextCodec,
    TextRowReader,
)

CODECS = [Int4Codec("int4"), TextCodec("text")]


def prepared(result_formats: Any = (1,)) -> PreparedQuery:
    return PreparedQuery("s", RowWriter(CODECS), result_formats)


def messages(*rows: tuple[bytes, bytes], max_rows: int = 0, result_formats: Any = (1,)) -> bytes:
    """Return what the messages themselves make of rows of parameters."""
    wire = b""
    for row in rows:
        parameters = b"".join(len(value).to_bytes(4, "big") + value for value in row)
        wire += Bind("", "s", [1, 1], 2, parameters, result_formats).encode()
        wire += Execute("", max_rows).encode()
    return wire


ROW = (b"\0\0\0\5", b"x")


@pytest.mark.parametrize("result_formats", [(), (1,), (0,), (0, 1, 0)])
@pytest.mark.parametrize("max_rows", [0, 1, 2**31 - 1])
def test_it_is_what_the_messages_are(max_rows: int, result_formats: Any) -> None:
    wire = messages(ROW, max_rows=max_rows, result_formats=result_formats)
    query = prepared(result_formats).bind((5, "x"), None, max_rows)
    assert query.encode() == wire + Sync().encode()
    assert (query.count, query.sink, query.sync) == (1, None, True)
    query = prepared(result_formats).bind([5, "x"], None, max_rows, sync=False)
    assert query.encode() == wire
    assert not query.sync


def test_many() -> None:
    sink = TextRowReader()
    rows = iter([(5, "x")] * 10)
    size = len(messages(ROW))
    query = prepared().bind_many(rows, sink, size + 1)
    assert query.encode() == messages(ROW, ROW) + Sync().encode()
    assert (query.count, query.sink) == (2, sink)
    query = prepared().bind_many(rows, sink, 1, sync=False)
    assert query.encode() == messages(ROW)
    assert len([*rows]) == 7
    query = prepared().bind_many(rows, sink, 1)
    assert (query.count, query.encode()) == (0, Sync().encode())


@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.text(st.characters(codec="utf-8")))))
def test_any_values(rows: list[tuple[int, str]]) -> None:
    expected = [(number.to_bytes(4, "big", signed=True), text.encode()) for number, text in rows]
    query = prepared().bind_many(iter(rows), None, 1 << 30, sync=False)
    assert query.encode() == messages(*expected)
    assert query.count == len(rows)


def test_nulls() -> None:
    nulls = Bind("", "s", [1, 1], 2, b"\xff" * 8).encode() + Execute("").encode()
    assert prepared().bind((None, None), None, sync=False).encode() == nulls


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ((1,), LocalProtocolError, "2 values are wanted, and 1 were given"),
        ((1, "x", 2), LocalProtocolError, "2 values are wanted, and 3 were given"),
        (("x", "x"), InvalidValue, "value 1, .*is no int4"),
        ((1, 2), InvalidValue, "value 2, .*is no text"),
    ],
)
def test_values_that_do_not_fit(values: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        prepared().bind(values, None)
    with pytest.raises(error, match=match):
        prepared().bind_many(iter([(1, "x"), values]), None, 1000)


@pytest.mark.parametrize("limit", [-1, 2**31, 2**40])
def test_row_limits_that_are_none(limit: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"a row limit of {limit}"):
        prepared().bind((1, "x"), None, limit)


def test_too_many_parameters() -> None:
    with pytest.raises(LocalProtocolError, match="65536 parameter formats"):
        PreparedQuery("s", RowWriter(CODECS * 32768))
    with pytest.raises(LocalProtocolError, match="65536 result formats"):
        prepared([1] * 65536)
    with pytest.raises(LocalProtocolError, match="the statement's name"):
        PreparedQuery("\0", RowWriter([]))


def test_what_an_iterator_raises_is_raised() -> None:
    def rows() -> Any:
        yield (1, "x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        prepared().bind_many(rows(), None, 1000)


def test_a_query_is_made_by_a_prepared_one_only() -> None:
    with pytest.raises((LocalProtocolError, AttributeError)):
        Codec().send(ExtendedQuery())
