"""Vectors of what the client sends, by section "Message Formats"."""

from __future__ import annotations

from typing import Any

import pytest

from wirekit import LocalProtocolError
from wirekit.protocols.postgres import (
    Bind,
    CancelRequest,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Event,
    Execute,
    Flush,
    FunctionCall,
    GSSENCRequest,
    GSSResponse,
    Message,
    Parse,
    PasswordMessage,
    Query,
    SASLInitialResponse,
    SASLResponse,
    SSLRequest,
    StartupMessage,
    Sync,
    Terminate,
)
from wirekit.protocols.postgres._frontend import __all__ as NAMES

KEY = bytes(range(1, 33))

MESSAGES: list[tuple[Any, bytes]] = [
    (SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    (GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30"),
    (CancelRequest(258, b"\1\2\3\4"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\1\2\1\2\3\4"),
    (CancelRequest(258, KEY), b"\0\0\0\x2c\x04\xd2\x16\x2e\0\0\1\2" + KEY),
    (StartupMessage({"user": "é"}), b"\0\0\0\x11\0\3\0\0user\0\xc3\xa9\0\0"),
    (StartupMessage({}, (3, 2)), b"\0\0\0\x09\0\3\0\2\0"),
    (StartupMessage({"a": ""}), b"\0\0\0\x0c\0\3\0\0a\0\0\0"),
    (PasswordMessage(b"\xff"), b"p\0\0\0\6\xff\0"),
    (SASLInitialResponse("X", b""), b"p\0\0\0\x0aX\0\0\0\0\0"),
    (SASLInitialResponse("X", None), b"p\0\0\0\x0aX\0\xff\xff\xff\xff"),
    (SASLInitialResponse("X", b"\0"), b"p\0\0\0\x0bX\0\0\0\0\1\0"),
    (SASLResponse(b"\0x"), b"p\0\0\0\6\0x"),
    (GSSResponse(b""), b"p\0\0\0\4"),
    (Terminate(), b"X\0\0\0\4"),
    (Query("é"), b"Q\0\0\0\7\xc3\xa9\0"),
    (Parse("s", "q"), b"P\0\0\0\x0as\0q\0\0\0"),
    (Parse("", "", [23, 2**32 - 1]), b"P\0\0\0\x10\0\0\0\2\0\0\0\x17\xff\xff\xff\xff"),
    (Bind("p", "s"), b"B\0\0\0\x10p\0s\0\0\0\0\0\0\1\0\1"),
    (
        Bind("", "", [0, 1], 2, b"\0\0\0\1a\xff\xff\xff\xff", []),
        b"B\0\0\0\x19\0\0\0\2\0\0\0\1\0\2\0\0\0\1a\xff\xff\xff\xff\0\0",
    ),
    (Describe("S", "s"), b"D\0\0\0\7Ss\0"),
    (Describe("P", ""), b"D\0\0\0\6P\0"),
    (Execute("p"), b"E\0\0\0\x0ap\0\0\0\0\0"),
    (Execute("", 2**31 - 1), b"E\0\0\0\x09\0\x7f\xff\xff\xff"),
    (Close("S", "s"), b"C\0\0\0\7Ss\0"),
    (Flush(), b"H\0\0\0\4"),
    (Sync(), b"S\0\0\0\4"),
    (FunctionCall(1, []), b"F\0\0\0\x10\0\0\0\1\0\1\0\1\0\0\0\1"),
    (FunctionCall(1, [b"", None]), b"F\0\0\0\x18\0\0\0\1\0\1\0\1\0\2\0\0\0\0\xff\xff\xff\xff\0\1"),
    (CopyData(b"x"), b"d\0\0\0\5x"),
    (CopyData(bytearray(b"x")), b"d\0\0\0\5x"),
    (CopyData(b""), b"d\0\0\0\4"),
    (CopyDone(), b"c\0\0\0\4"),
    (CopyFail("no"), b"f\0\0\0\7no\0"),
]


@pytest.mark.parametrize(("message", "wire"), MESSAGES)
def test_message(message: Message, wire: bytes) -> None:
    assert message.encode() == wire


def test_there_is_a_vector_of_each() -> None:
    vectors = {type(message).__name__ for message, _ in MESSAGES}
    assert vectors == {*NAMES} - {"Message"}


REFUSED: list[tuple[Any, str]] = [
    (Query("a\0b"), "the query holds a null character"),
    (Query("\ud800"), "the query is not valid Unicode"),
    (Parse("a\0", ""), "the statement's name holds a null"),
    (Parse("", "\0"), "the query holds a null"),
    (Parse("", "", [-1]), "a number is out of the range"),
    (Parse("", "", [2**32]), "a number is out of the range"),
    (Parse("", "", [23] * 65536), "65536 parameters; the protocol's limit is 65535"),
    (Bind("\0", ""), "the portal's name holds"),
    (Bind("", "\0"), "the statement's name holds"),
    (Bind("", "", [0] * 65536), "65536 parameter formats"),
    (Bind("", "", (), 65536), "65536 parameters"),
    (Bind("", "", (), -1), "out of the range"),
    (Bind("", "", (), 0, b"", [0] * 65536), "65536 result formats"),
    (Bind("", "", [65536]), "out of the range"),
    (Describe("S", "\0"), "the name holds"),
    (Close("S", "\0"), "the name holds"),
    (Execute("\0"), "the portal holds"),
    (Execute("", -1), "a row limit of -1"),
    (Execute("", 2**31), "a row limit of 2147483648"),
    (FunctionCall(-1, []), "out of the range"),
    (FunctionCall(1, [None] * 65536), "65536 arguments"),
    (CopyFail("\0"), "the reason holds"),
    (PasswordMessage(b"a\0b"), "the password holds a null character"),
    (SASLInitialResponse("\0", b""), "the mechanism holds"),
    (StartupMessage({"": "x"}), "a startup parameter without a name"),
    (StartupMessage({"a\0": "x"}), "a startup parameter's name holds"),
    (StartupMessage({"a": "x\0"}), "the startup parameter a holds"),
    (StartupMessage({"a": "x" * 9990}), "startup parameters of more than 10000 bytes"),
    (StartupMessage({}, (70000, 0)), "out of the range"),
    (CancelRequest(-1, b"abcd"), "out of the range"),
    (CopyData(memoryview(b"abcd")[::2]), "no contiguous sequence"),
]


@pytest.mark.parametrize(("message", "match"), REFUSED)
def test_what_cannot_be_sent(message: Message, match: str) -> None:
    with pytest.raises(LocalProtocolError, match=match) as caught:
        message.encode()
    # Nor does the error show what was to be sent.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_messages_of_more_than_a_gibibyte() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return 2**30

    with pytest.raises(LocalProtocolError, match="the server takes 1 GiB at most"):
        SASLResponse(Long()).encode()


@pytest.mark.parametrize(
    "message",
    [
        *(PasswordMessage(b"secret"), SASLInitialResponse("X", b"secret"), SASLResponse(b"secret")),
        *(
            GSSResponse(b"secret"),
            CancelRequest(1, b"secret"),
            Query("secret"),
            CopyData(b"secret"),
        ),
        *(Parse("", "secret"), Bind("", "", [1], 1, b"secret"), FunctionCall(1, [b"secret"])),
    ],
    ids=lambda message: type(message).__name__,
)
def test_secrets_and_payloads_are_not_shown(message: Message) -> None:
    assert "secret" not in repr(message)


def test_what_goes_both_ways_is_an_event_too() -> None:
    both = [type(message) for message, _ in MESSAGES if isinstance(message, Event)]
    assert {*both} == {CopyData, CopyDone}


def test_a_message_encodes_itself() -> None:
    with pytest.raises(NotImplementedError):
        Message().encode()
