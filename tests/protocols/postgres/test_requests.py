"""What may be sent when, and how it leaves."""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Any

import pytest

from tests.protocols.postgres import _server as server
from tests.protocols.postgres._codecs import execution, opened, refused, started
from wirekit import LocalProtocolError
from wirekit.protocols.postgres import (
    Bind,
    CancelRequest,
    Close,
    Codec,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    EmptyQueryResponse,
    Execute,
    Flush,
    FunctionCall,
    GSSENCRequest,
    GSSResponse,
    Parse,
    PasswordMessage,
    Query,
    ReadyForQuery,
    SASLInitialResponse,
    SASLResponse,
    SSLRequest,
    StartupMessage,
    State,
    Sync,
    Terminate,
    TransactionStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE = ReadyForQuery(TransactionStatus.IDLE)
READY = server.ready_for_query()

OF_A_SESSION: list[Any] = [
    *(Query(""), Parse("", ""), Bind("", ""), Describe("P", ""), Execute(""), Close("P", "")),
    *(Flush(), Sync(), FunctionCall(1, []), execution()),
]
OF_AN_OPENING: list[Any] = [
    StartupMessage({}),
    SSLRequest(),
    GSSENCRequest(),
    CancelRequest(1, b""),
]
OF_A_LOGIN: list[Any] = [
    *(PasswordMessage(b""), SASLInitialResponse("X", None), SASLResponse(b""), GSSResponse(b"")),
]
OF_A_COPY: list[Any] = [CopyData(b""), CopyDone(), CopyFail("")]


def _login() -> Codec:
    codec = started()
    codec.receive_data(server.AUTHENTICATION_CLEARTEXT_PASSWORD)
    return codec


def _copying() -> Codec:
    codec = opened()
    codec.send(Query(""))
    codec.receive_data(server.copy_in_response())
    return codec


def _closed() -> Codec:
    codec = opened()
    codec.receive_eof()
    return codec


def _broken() -> Codec:
    codec = opened()
    refused(codec, b"\0" * 5, "a message of length 0")
    return codec


def _encrypting() -> Codec:
    codec = Codec()
    codec.send(SSLRequest())
    return codec


def _terminated() -> Codec:
    codec = opened()
    codec.send(Terminate())
    return codec


SENDABLE: dict[str, tuple[Callable[[], Codec], list[Any]]] = {
    "start": (Codec, OF_AN_OPENING),
    "encryption": (_encrypting, []),
    "startup": (started, [Terminate()]),
    "login": (_login, [*OF_A_LOGIN, Terminate()]),
    "open": (opened, [*OF_A_SESSION, Terminate()]),
    "copying": (_copying, [*OF_A_COPY, Terminate()]),
    "terminated": (_terminated, []),
    "closed": (_closed, []),
    "broken": (_broken, []),
}


@pytest.mark.parametrize("state", SENDABLE)
def test_what_may_be_sent_when(state: str) -> None:
    make, sendable = SENDABLE[state]
    everything = [*OF_A_SESSION, *OF_AN_OPENING, *OF_A_LOGIN, *OF_A_COPY, Terminate()]
    for message in everything:
        codec = make()
        if message in sendable:
            assert codec.send(message) == message.encode()
            continue
        before = codec.state
        with pytest.raises(LocalProtocolError, match=type(message).__name__):
            codec.send(message)
        assert codec.state is before


def test_of_several_messages_all_are_sent_or_none() -> None:
    codec = opened()
    bad = Query("a\0b")
    with pytest.raises(LocalProtocolError, match="null character"):
        codec.send(Parse("", "x"), execution(), Sync(), bad)
    with pytest.raises(LocalProtocolError):
        codec.send(Terminate(), bad)
    assert codec.state is State.OPEN
    codec.send(Query(""))
    assert codec.receive_data(server.EMPTY_QUERY_RESPONSE + READY) == [EmptyQueryResponse(), IDLE]

    codec = _copying()
    with pytest.raises(LocalProtocolError):
        codec.send(CopyData(b"1\n"), CopyDone(), Sync(), bad)
    assert codec.copying

    codec = opened()
    codec.send(Parse("", "x"))
    codec.receive_data(server.error_response())
    with pytest.raises(LocalProtocolError):
        codec.send(Sync(), bad)
    codec.send(Query("is skipped"), Sync())
    assert codec.receive_data(READY) == [IDLE]


def test_large_pieces_stand_alone_and_uncopied() -> None:
    codec = _copying()
    data = bytes(16384)
    small = CopyData(b"x")
    buffers = codec.send_buffers(small, CopyData(data), small, small, CopyData(b""))
    assert buffers[1] is data
    assert len(buffers) == 3
    assert b"".join(buffers) == _copying().send(small, CopyData(data), small, small, CopyData(b""))
    assert codec.send_buffers() == []


def test_copy_data_of_any_shape() -> None:
    codec = _copying()
    numbers = array.array("I", range(8000))
    wire = b"".join(codec.send_buffers(CopyData(memoryview(numbers)), CopyData(bytearray(b"x"))))
    assert wire == CopyData(numbers.tobytes()).encode() + CopyData(b"x").encode()
    for data in (memoryview(b"abcd")[::2], memoryview(b"abcd").cast("I", [])):
        with pytest.raises(LocalProtocolError, match="no contiguous sequence"):
            codec.send(CopyData(b"x"), CopyData(data))
        assert codec.copying


@pytest.mark.parametrize("message", [Query("", object()), Execute("", 0, "x")], ids=["Q", "E"])  # type: ignore[arg-type]
def test_a_reader_is_a_row_sink(message: Any) -> None:
    codec = opened()
    with pytest.raises(LocalProtocolError, match=r"a reader is a RowSink, not (object|str)"):
        codec.send(Parse("", ""), message)
    assert codec.receive_eof() == []


def test_what_is_no_message_is_refused() -> None:
    for codec in (Codec(), opened(), _copying()):
        for thing in (None, "x", b"x", 1, ReadyForQuery(TransactionStatus.IDLE), Parse):
            with pytest.raises(LocalProtocolError, match=f"{type(thing).__name__} cannot be sent"):
                codec.send(thing)  # type: ignore[arg-type]
