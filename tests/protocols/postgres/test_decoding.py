"""Vectors of the messages that decode_message reads, by section "Message Formats"."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres import _server as server
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
    BackendKeyData,
    Column,
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    ErrorResponse,
    Event,
    FunctionCallResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    RowDescription,
)
from wirekit.protocols.postgres._decoding import decode_message

INT4_COLUMN = b"id\0" + pack("!IhIhih", 16384, 1, 23, 4, -1, 1)

MESSAGES: list[tuple[bytes, bytes, Event]] = [
    (b"R", b"\0\0\0\0", AuthenticationOk()),
    (b"R", b"\0\0\0\2", AuthenticationKerberosV5()),
    (b"R", b"\0\0\0\3", AuthenticationCleartextPassword()),
    (b"R", b"\0\0\0\5\1\2\3\4", AuthenticationMD5Password(b"\1\2\3\4")),
    (b"R", b"\0\0\0\7", AuthenticationGSS()),
    (b"R", b"\0\0\0\x08ab", AuthenticationGSSContinue(b"ab")),
    (b"R", b"\0\0\0\x08", AuthenticationGSSContinue(b"")),
    (b"R", b"\0\0\0\x09", AuthenticationSSPI()),
    (b"R", b"\0\0\0\x0aA\0B\0\0", AuthenticationSASL(("A", "B"))),
    (b"R", b"\0\0\0\x0a\0", AuthenticationSASL(())),
    (b"R", b"\0\0\0\x0br=x", AuthenticationSASLContinue(b"r=x")),
    (b"R", b"\0\0\0\x0cv=x", AuthenticationSASLFinal(b"v=x")),
    (b"K", b"\0\0\0\7abcd", BackendKeyData(7, b"abcd")),
    (b"K", b"\xff\xff\xff\xff" + b"k" * 256, BackendKeyData(2**32 - 1, b"k" * 256)),
    (b"v", b"\0\3\0\0\0\0\0\0", NegotiateProtocolVersion((3, 0), ())),
    (b"v", b"\0\3\0\2\0\0\0\2a\0b\0", NegotiateProtocolVersion((3, 2), ("a", "b"))),
    (b"v", b"\0\0\0\2\0\0\0\0", NegotiateProtocolVersion((3, 2), ())),
    (b"E", b"SERROR\0C42601\0\0", ErrorResponse({"S": "ERROR", "C": "42601"})),
    (b"E", b"\0", ErrorResponse({})),
    (b"E", b"Mfirst\0Msecond\0\0", ErrorResponse({"M": "first"})),
    (b"E", b"M\xff\xc3\xa9\0\0", ErrorResponse({"M": "\ufffdé"})),
    (b"N", b"SNOTICE\0\0", NoticeResponse({"S": "NOTICE"})),
    (b"A", b"\0\0\0\7c\0p\0", NotificationResponse(7, "c", "p")),
    (b"A", b"\0\0\0\7c\0\0", NotificationResponse(7, "c", "")),
    (b"S", b"TimeZone\0UTC\0", ParameterStatus("TimeZone", "UTC")),
    (b"t", b"\0\0", ParameterDescription(())),
    (b"t", b"\0\2\0\0\0\x17\xff\xff\xff\xff", ParameterDescription((23, 2**32 - 1))),
    (b"T", b"\0\0", RowDescription((), b"\0\0")),
    (
        b"T",
        b"\0\1" + INT4_COLUMN,
        RowDescription((Column("id", 16384, 1, 23, 4, -1, 1),), b"\0\1" + INT4_COLUMN),
    ),
    (b"G", b"\0\0\0", CopyInResponse(0, ())),
    (b"G", b"\1\0\2\0\1\0\1", CopyInResponse(1, (1, 1))),
    (b"H", b"\0\0\1\0\0", CopyOutResponse(0, (0,))),
    (b"W", b"\0\0\0", CopyBothResponse(0, ())),
    (b"V", b"\xff\xff\xff\xff", FunctionCallResponse(None)),
    (b"V", b"\0\0\0\0", FunctionCallResponse(b"")),
    (b"V", b"\0\0\0\2ab", FunctionCallResponse(b"ab")),
]


@pytest.mark.parametrize(("kind", "body", "event"), MESSAGES)
def test_message(kind: bytes, body: bytes, event: Event) -> None:
    decoded = decode_message(kind[0], body)
    assert decoded == event
    assert type(decoded) is type(event)


# Any rest is theirs: these may be cut or longer.
OPEN_ENDED = (AuthenticationGSSContinue, AuthenticationSASLContinue, AuthenticationSASLFinal)


@pytest.mark.parametrize(("kind", "body", "event"), MESSAGES)
def test_truncated_or_longer_message(kind: bytes, body: bytes, event: Event) -> None:
    ends = range(4 if isinstance(event, OPEN_ENDED) else len(body))
    wrong = [body[:end] for end in ends]
    if not isinstance(event, (*OPEN_ENDED, BackendKeyData)):
        wrong.append(body + b"\0")
    if isinstance(event, BackendKeyData):
        wrong = [body[:end] for end in range(8)]
    for data in wrong:
        with pytest.raises(RemoteProtocolError):
            decode_message(kind[0], data)


MALFORMED: dict[str, tuple[bytes, bytes, str]] = {
    "unknown authentication": (b"R", b"\0\0\0\4", "the unknown authentication request 4"),
    "negative authentication": (b"R", b"\xff\xff\xff\xff", "authentication request -1"),
    "short key": (b"K", b"\0\0\0\7abc", "with a secret key of 3 bytes"),
    "long key": (b"K", b"\0\0\0\7" + b"k" * 257, "with a secret key of 257 bytes"),
    "too many options": (b"v", b"\0\3\0\0\x7f\xff\xff\xff", "with a count that lies"),
    "negative options": (b"v", b"\0\3\0\0\xff\xff\xff\xff", "with a count that lies"),
    "endless field": (b"E", b"Sx", "with a string that does not end"),
    "no end of fields": (b"E", b"Sx\0", "with a length that lies"),
    "behind the fields": (b"E", b"Sx\0\0M", "longer than what it holds"),
    "too many parameters": (b"t", b"\xff\xff\0\0\0\x17", "with a count that lies"),
    "too many columns": (b"T", b"\xff\xff" + INT4_COLUMN, "with a string that does not end"),
    "format of a column": (b"T", b"\0\1" + INT4_COLUMN[:-1] + b"\2", "with an unknown format"),
    "negative format": (b"T", b"\0\1" + INT4_COLUMN[:-2] + b"\xff\xff", "an unknown format"),
    "format of a COPY": (b"G", b"\2\0\0", "with an unknown format"),
    "format in a COPY": (b"H", b"\0\0\1\0\2", "with an unknown format"),
    "columns of a COPY": (b"W", b"\0\xff\xff", "with a count that lies"),
    "result that lies": (b"V", b"\0\0\0\5ab", "with a length that lies"),
    "negative result": (b"V", b"\xff\xff\xff\xfe", "with a length that lies"),
    "unknown type": (b"\x9a", b"", "a message of the unknown type 0x9a"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_message(name: str) -> None:
    kind, body, match = MALFORMED[name]
    with pytest.raises(RemoteProtocolError, match=match):
        decode_message(kind[0], body)


@given(st.sampled_from(b"RKvENASTtGHWV"), st.binary(max_size=60))
def test_any_body(kind: int, body: bytes) -> None:
    try:
        event = decode_message(kind, body)
    except RemoteProtocolError:
        return
    assert isinstance(event, Event)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
OIDS = st.integers(0, 2**32 - 1)


@given(st.dictionaries(st.sampled_from("SVCMDHPpqWstcdnFLR"), TEXTS))
def test_fields(fields: dict[str, Any]) -> None:
    body = b"".join(f"{code}{text}\0".encode() for code, text in fields.items())
    assert decode_message(ord("E"), body + b"\0") == ErrorResponse(fields)


@given(st.lists(st.tuples(TEXTS, OIDS), max_size=9))
def test_columns(columns: list[tuple[str, int]]) -> None:
    wire = server.row_description(*[server.column(*column) for column in columns])
    event = decode_message(ord("T"), wire[5:])
    assert isinstance(event, RowDescription)
    assert [(column.name, column.type) for column in event.columns] == columns
