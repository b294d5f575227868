"""What holds for the SMTP codec whatever the bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.smtp import _strategies as some
from tests.protocols.smtp._conversation import (
    GO_ON,
    OK,
    SENT,
    converse,
    is_one_line_each,
    naive_line_endings,
    naive_transparency,
    opened,
    read_chunks,
    read_mail_data,
)
from wirekit.protocols.smtp import Bdat, Codec, EndOfMailData, MailData, Rset, State

if TYPE_CHECKING:
    from tests.protocols.smtp._conversation import Step
    from wirekit.protocols.smtp import Reply


@given(st.lists(some.REPLIES, max_size=5), some.PLACES)
def test_replies_are_read_as_they_are_meant(replies: list[Reply], places: list[int]) -> None:
    codec = opened(b"PIPELINING")
    codec.send(*[Rset() for _ in replies])
    wire = b"".join(map(some.wire_of, replies))
    received = [reply for piece in cut_at(wire, places) for reply in codec.receive_data(piece)]
    assert received == replies
    assert codec.receive_eof() == []


@given(some.CONVERSATIONS, some.PLACES, some.SETTINGS)
def test_cuts_change_nothing(
    steps: list[Step], places: list[int], settings: dict[str, Any]
) -> None:
    # Also: converse() lets no exception through but the two.
    whole = converse(Codec(**settings), steps)
    assert converse(Codec(**settings), steps, one_by_one) == whole
    assert converse(Codec(**settings), steps, partial(cut_at, places=places)) == whole


@given(some.CONVERSATIONS)
def test_what_is_sent_is_what_was_asked_for(steps: list[Step]) -> None:
    bodies = (MailData, EndOfMailData, Bdat)
    for commands, wire in converse(Codec(), steps).sent:
        if not any(isinstance(command, bodies) for command in commands):
            assert is_one_line_each(commands, wire)


@given(st.binary(max_size=200), some.PLACES)
def test_any_bytes_are_replies_or_a_fault(data: bytes, places: list[int]) -> None:
    cut = partial(cut_at, places=places)
    assert converse(Codec(), [data], cut) == converse(Codec(), [data])
    for name in ("transaction", "auth", "starttls"):
        assert converse(opened(), [name, data], cut) == converse(opened(), [name, data])


@given(some.TEXT, some.PLACES)
def test_mail_data_is_what_a_server_reads(data: bytes, places: list[int]) -> None:
    codec = opened()
    codec.send(*SENT["transaction"])
    codec.receive_data(OK * 3 + GO_ON)
    assert codec.state is State.MAIL_DATA
    pieces = [MailData(piece) for piece in cut_at(data, places)]
    wire = codec.send(*pieces, EndOfMailData())
    assert wire == naive_transparency(data)
    assert read_mail_data(wire) == (naive_line_endings(data), b"")


@given(some.MAIL_DATA, some.PLACES, st.booleans())
def test_chunks_are_what_a_server_reads(data: bytes, places: list[int], binary: bool) -> None:
    if not binary:
        data = data.replace(b"\0", b"a")
    codec = opened()
    codec.send(*SENT["binary mail" if binary else "mail"], *SENT["rcpt"])
    pieces = [Bdat(piece) for piece in cut_at(data, places)]
    wire = codec.send(*pieces) + codec.send(Bdat(b"", last=True))
    assert read_chunks(wire) == (data if binary else naive_line_endings(data), True)
