"""The encodings of mail data against a reference that goes line by line."""

from __future__ import annotations

from hypothesis import given

from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.smtp import _strategies as some
from tests.protocols.smtp._conversation import (
    naive_line_endings,
    naive_transparency,
    read_mail_data,
)
from wirekit.protocols.smtp import LineEndings, Transparency


@given(some.MAIL_DATA, some.PLACES)
def test_transparency_is_that_of_the_reference(data: bytes, places: list[int]) -> None:
    for pieces in ([data], one_by_one(data), cut_at(data, places)):
        encoder = Transparency()
        encoded = b"".join(map(encoder.feed, pieces)) + encoder.end()
        assert encoded == naive_transparency(data)
        assert read_mail_data(encoded) == (naive_line_endings(data), b"")


@given(some.MAIL_DATA, some.PLACES)
def test_line_endings_are_those_of_the_reference(data: bytes, places: list[int]) -> None:
    for pieces in ([data], one_by_one(data), cut_at(data, places)):
        encoder = LineEndings()
        encoded = b"".join(map(encoder.feed, pieces)) + encoder.end()
        assert encoded == naive_line_endings(data)


@given(some.MAIL_DATA)
def test_what_is_encoded_once_stays_as_it_is(data: bytes) -> None:
    text = naive_line_endings(data)
    encoder = LineEndings()
    assert encoder.feed(text) is text
    assert encoder.end() == b""
