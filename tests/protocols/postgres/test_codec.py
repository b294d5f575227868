"""Vectors and the rules of the codec; sections are those of the protocol's documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.protocols.postgres import _server as server
from tests.protocols.postgres._codecs import execution, opened, reader, refused, started
from wirekit import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from wirekit.protocols.postgres import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    BackendKeyData,
    Bind,
    BindComplete,
    CancelRequest,
    Close,
    CloseComplete,
    Codec,
    CommandComplete,
    CopyBothResponse,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    CopyOutResponse,
    Describe,
    DescribedRowReader,
    EmptyQueryResponse,
    EncryptionResponse,
    ErrorResponse,
    Event,
    Execute,
    Flush,
    FunctionCall,
    FunctionCallResponse,
    FunctionCodec,
    GSSENCRequest,
    GSSResponse,
    NegotiateProtocolVersion,
    NoData,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    Parse,
    ParseComplete,
    PasswordMessage,
    PortalSuspended,
    PreparedQuery,
    Query,
    ReadyForQuery,
    RecordKeys,
    RowDescription,
    RowReader,
    RowSink,
    RowWriter,
    SASLInitialResponse,
    SASLResponse,
    SSLRequest,
    StartupMessage,
    State,
    Sync,
    Terminate,
    TextRowReader,
    TransactionStatus,
)

if TYPE_CHECKING:
    pass

IDLE = ReadyForQuery(TransactionStatus.IDLE)
READY = server.ready_for_query()
ONE = [server.column("a")]


def rows(event: object) -> list[tuple[Any, ...]]:
    assert isinstance(event, CommandComplete | PortalSuspended)
    assert event.error is None
    return [tuple(row) for row in event.rows]


def state_of(codec: Codec) -> State:
    """Return the state, which mypy takes for what it was before."""
    return codec.state


# Start-up (54.2.1) -------------------------------------------------------------------------------


def test_start_up_without_a_password() -> None:
    codec = Codec()
    assert state_of(codec) is State.START
    wire = codec.send(StartupMessage({"user": "u", "database": "d"}))
    assert wire == b"\0\0\0\x1b\0\3\0\0user\0u\0database\0d\0\0"
    assert state_of(codec) is State.STARTUP
    events = codec.receive_data(
        server.AUTHENTICATION_OK
        + server.parameter_status("client_encoding", "UTF8")
        + server.backend_key_data(77, b"\1\2\3\4")
    )
    assert events == [
        AuthenticationOk(),
        ParameterStatus("client_encoding", "UTF8"),
        BackendKeyData(77, b"\1\2\3\4"),
    ]
    assert state_of(codec) is State.STARTUP
    assert codec.receive_data(READY) == [IDLE]
    assert state_of(codec) is State.OPEN
    assert codec.send(Terminate()) == b"X\0\0\0\x04"
    assert state_of(codec) is State.TERMINATED
    assert codec.receive_eof() == []
    assert state_of(codec) is State.CLOSED


def test_start_up_with_a_password_in_clear() -> None:
    codec = started()
    events = codec.receive_data(server.AUTHENTICATION_CLEARTEXT_PASSWORD)
    assert events == [AuthenticationCleartextPassword()]
    assert codec.send(PasswordMessage(b"secret")) == b"p\0\0\0\x0bsecret\0"
    assert codec.receive_data(server.LET_IN)[0] == AuthenticationOk()


def test_start_up_with_a_hashed_password() -> None:
    codec = started()
    events = codec.receive_data(server.authentication_md5_password(b"\1\2\3\4"))
    assert events == [AuthenticationMD5Password(b"\1\2\3\4")]
    codec.send(PasswordMessage(b"md5" + b"0" * 32))
    assert len(codec.receive_data(server.LET_IN)) == 3


def test_start_up_with_sasl() -> None:
    codec = started()
    events = codec.receive_data(server.authentication_sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
    assert events == [AuthenticationSASL(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))]
    assert codec.send(SASLInitialResponse("X", b"ab")) == b"p\0\0\0\x0cX\0\0\0\0\x02ab"
    assert codec.receive_data(server.authentication_sasl_continue(b"r=1")) == [
        AuthenticationSASLContinue(b"r=1")
    ]
    assert codec.send(SASLResponse(b"c=1")) == b"p\0\0\0\x07c=1"
    events = codec.receive_data(server.authentication_sasl_final(b"v=1") + server.LET_IN)
    assert events[:2] == [AuthenticationSASLFinal(b"v=1"), AuthenticationOk()]


@pytest.mark.parametrize("code", [2, 7, 8, 9], ids=["Kerberos", "GSS", "continue", "SSPI"])
def test_start_up_with_gss_and_its_kin(code: int) -> None:
    codec = started()
    codec.receive_data(server.authentication(code, b"token" if code == 8 else b""))
    codec.send(GSSResponse(b"more"))
    codec.receive_data(server.authentication(8, b"") + b"")
    codec.send(GSSResponse(b"last"))
    assert codec.receive_data(server.LET_IN)[0] == AuthenticationOk()


def test_an_answer_goes_out_once() -> None:
    codec = started()
    answers = [PasswordMessage(b"x"), SASLResponse(b"x")]
    for answer in answers:
        with pytest.raises(LocalProtocolError, match="cannot be sent in state STARTUP"):
            codec.send(answer)
    codec.receive_data(server.AUTHENTICATION_CLEARTEXT_PASSWORD)
    with pytest.raises(LocalProtocolError):
        codec.send(*answers)
    codec.send(answers[0])
    for answer in answers:
        with pytest.raises(LocalProtocolError):
            codec.send(answer)


def test_the_server_waits_for_the_answer() -> None:
    codec = started()
    codec.receive_data(server.AUTHENTICATION_CLEARTEXT_PASSWORD)
    refused(codec, server.AUTHENTICATION_OK, "AuthenticationOk before the last request was ans")


def test_negotiate_protocol_version() -> None:
    codec = Codec()
    wire = codec.send(StartupMessage({"user": "u"}, (3, 2)))
    assert wire[4:8] == b"\0\3\0\2"
    events = codec.receive_data(
        server.negotiate_protocol_version(0x30000, "_pq_.a", "_pq_.b") + server.LET_IN
    )
    assert events[0] == NegotiateProtocolVersion((3, 0), ("_pq_.a", "_pq_.b"))
    assert codec.state is State.OPEN


def test_long_cancel_keys() -> None:
    """Protocol 3.2: up to 256 bytes, which CancelRequest gives back."""
    codec = started()
    key = bytes(range(256))
    ok = server.AUTHENTICATION_OK
    event = codec.receive_data(ok + server.backend_key_data(2**32 - 1, key))[1]
    assert event == BackendKeyData(2**32 - 1, key)
    assert repr(event) == "BackendKeyData(process_id=4294967295)"
    wire = Codec().send(CancelRequest(2**32 - 1, key))
    assert wire == b"\0\0\x01\x0c\x04\xd2\x16\x2e\xff\xff\xff\xff" + key
    for length in (3, 257):
        bad = started()
        refused(bad, ok + server.backend_key_data(1, b"k" * length), f"a secret key of {length} b")


def test_cancel_request_is_all_there_is() -> None:
    codec = Codec()
    wire = codec.send(CancelRequest(7, b"abcd"))
    assert wire == b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd"
    assert codec.state is State.TERMINATED
    assert codec.receive_eof() == []


OUT_OF_TURN_AT_START_UP = {
    "ParameterStatus": server.parameter_status("a", "b"),
    "NotificationResponse": server.notification_response(),
    "BackendKeyData": server.backend_key_data(),
    "ReadyForQuery": READY,
    "RowDescription": server.row_description(),
    "DataRow": server.data_row(),
    "CommandComplete": server.command_complete(),
    "ParseComplete": server.PARSE_COMPLETE,
    "CopyInResponse": server.copy_in_response(),
    "CopyData": server.copy_data(b""),
    "FunctionCallResponse": server.function_call_response(None),
}


@pytest.mark.parametrize("name", OUT_OF_TURN_AT_START_UP)
def test_out_of_turn_before_the_server_has_let_us_in(name: str) -> None:
    refused(started(), OUT_OF_TURN_AT_START_UP[name], name)


@pytest.mark.parametrize(
    "late",
    [
        server.AUTHENTICATION_OK,
        server.AUTHENTICATION_CLEARTEXT_PASSWORD,
        server.negotiate_protocol_version(),
    ],
)
def test_out_of_turn_after_the_server_has_let_us_in(late: bytes) -> None:
    refused(started(), server.AUTHENTICATION_OK + late, "where the answer to StartupMessage is")
    refused(opened(), late, "where nothing is due")


def test_an_error_at_start_up() -> None:
    codec = started()
    wire = server.error_response("no", code="28P01", severity="FATAL")
    (event,) = codec.receive_data(server.notice_response() + wire)[1:]
    assert isinstance(event, ErrorResponse)
    assert (event.fatal, event.fields["C"], event.fields["M"]) == (True, "28P01", "no")
    with pytest.raises(RemoteProtocolError, match="end of input where the answer to StartupMessa"):
        codec.receive_eof()


def test_terminating_before_the_session_begins() -> None:
    codec = started()
    codec.send(Terminate())
    codec.receive_data(server.LET_IN)
    assert codec.state is State.TERMINATED
    with pytest.raises(LocalProtocolError, match="Query cannot be sent in state TERMINATED"):
        codec.send(Query("x"))


# SSL and GSSAPI Session Encryption (54.2.11, 54.2.12) ---------------------------------------------


@pytest.mark.parametrize(
    ("message", "wire", "yes"),
    [
        (SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f", b"S"),
        (GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30", b"G"),
    ],
    ids=["SSL", "GSS"],
)
def test_encryption(message: Any, wire: bytes, yes: bytes) -> None:
    for answer in (yes, b"N"):
        codec = Codec()
        assert codec.send(message) == wire
        assert state_of(codec) is State.ENCRYPTION
        with pytest.raises(LocalProtocolError, match="in state ENCRYPTION"):
            codec.send(StartupMessage({"user": "u"}))
        assert codec.receive_data(b"") == []
        assert state_of(codec) is State.ENCRYPTION
        assert codec.receive_data(answer) == [EncryptionResponse(answer == yes)]
        assert codec.trailing_data == b""
        assert state_of(codec) is State.START
        codec.send(StartupMessage({"user": "u"}))
        assert len(codec.receive_data(server.LET_IN)) == 3


def test_plaintext_behind_the_answer_is_injected() -> None:
    for data in (b"SS", b"S" + server.LET_IN, b"N" + server.AUTHENTICATION_OK):
        codec = Codec()
        codec.send(SSLRequest())
        error = refused(codec, data, "data that was not asked for at offset 1")
        assert error.events == [EncryptionResponse(data[:1] == b"S")]
    codec = Codec()
    codec.send(SSLRequest())
    codec.receive_data(b"S")
    refused(codec, server.AUTHENTICATION_OK, "data that was not asked for")


def test_an_error_in_place_of_the_answer_is_not_shown() -> None:
    codec = Codec()
    codec.send(SSLRequest())
    error = refused(
        codec,
        server.error_response("come to evil.example"),
        "something else where the answer to SSLRequest is",
    )
    assert "evil" not in str(error)
    assert error.events == []


def test_each_request_has_its_own_answer() -> None:
    for message, answer in ((SSLRequest(), b"G"), (GSSENCRequest(), b"S")):
        codec = Codec()
        codec.send(message)
        refused(codec, answer, f"where the answer to {type(message).__name__} is due at offset 0")


def test_the_end_in_place_of_the_answer() -> None:
    codec = Codec()
    codec.send(SSLRequest())
    with pytest.raises(RemoteProtocolError, match="where the answer to SSLRequest is due"):
        codec.receive_eof()


# Simple Query (54.2.2) ---------------------------------------------------------------------------


def test_simple_query_with_several_results() -> None:
    codec = opened()
    wire = codec.send(Query("SELECT 1; BEGIN; SELECT 2", TextRowReader()))
    assert wire == b"Q\0\0\0\x1eSELECT 1; BEGIN; SELECT 2\0"
    events = codec.receive_data(
        server.row_description(server.column("a", format=0))
        + server.data_row(b"1")
        + server.data_row(None)
        + server.command_complete("SELECT 2")
        + server.command_complete("BEGIN")
        + server.row_description(server.column("b", format=0))
        + server.command_complete("SELECT 0")
        + server.ready_for_query("T")
    )
    assert isinstance(events[0], RowDescription)
    assert [column.name for column in events[0].columns] == ["a"]
    assert events[1] == CommandComplete("SELECT 2", [("1",), (None,)], None)
    assert events[2] == CommandComplete("BEGIN", [], None)
    assert events[4] == CommandComplete("SELECT 0", [], None)
    assert events[5] == ReadyForQuery(TransactionStatus.IN_TRANSACTION)


def test_an_empty_query() -> None:
    codec = opened()
    codec.send(Query(""))
    assert codec.receive_data(server.EMPTY_QUERY_RESPONSE + READY) == [EmptyQueryResponse(), IDLE]


def test_an_error_ends_a_simple_query() -> None:
    codec = opened()
    sink = TextRowReader()
    codec.send(Query("SELECT 1; SELECT 1/0", sink), Query("SELECT 2", sink))
    failed = server.row_description(*ONE) + server.data_row(b"1") + server.error_response()
    events = codec.receive_data(failed + server.ready_for_query("E"))
    assert isinstance(events[1], ErrorResponse)
    assert not events[1].fatal
    assert events[2] == ReadyForQuery(TransactionStatus.FAILED)
    done = server.row_description(*ONE) + server.data_row(b"2") + server.command_complete()
    assert codec.receive_data(done + READY)[1] == CommandComplete("SELECT 1", [("2",)], None)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (server.data_row(b"1"), "DataRow where the result of Query is due"),
        (server.row_description() * 2, "RowDescription where the result of Query is due"),
        (server.row_description() + READY, "ReadyForQuery where the result of Query is due"),
        (server.row_description() + server.EMPTY_QUERY_RESPONSE, "EmptyQueryResponse where"),
        (server.row_description() + server.copy_in_response(), "CopyInResponse where"),
        (server.error_response() + server.command_complete(), "CommandComplete where ReadyForQu"),
        (server.error_response() + server.data_row(), "DataRow where ReadyForQuery is due"),
        (server.PORTAL_SUSPENDED, "PortalSuspended where the result of Query"),
        (server.PARSE_COMPLETE, "ParseComplete where"),
        (server.BIND_COMPLETE, "BindComplete where"),
        (server.CLOSE_COMPLETE, "CloseComplete where"),
        (server.NO_DATA, "NoData where"),
        (server.parameter_description(), "ParameterDescription where"),
        (server.function_call_response(None), "FunctionCallResponse where"),
        (server.copy_data(b"x"), "CopyData outside of a COPY"),
        (server.COPY_DONE, "CopyDone outside of a COPY"),
        (server.backend_key_data(), "BackendKeyData where"),
        (READY * 2, "ReadyForQuery where nothing is due"),
        (server.command_complete() + READY + server.error_response(), "an error where nothing"),
    ],
)
def test_out_of_turn_in_a_simple_query(answer: bytes, match: str) -> None:
    codec = opened()
    codec.send(Query("SELECT 1", TextRowReader()))
    refused(codec, answer, match)


# Extended Query (54.2.3) -------------------------------------------------------------------------


def test_prepare() -> None:
    codec = opened()
    wire = codec.send(Parse("s", "SELECT $1", [23]), Describe("S", "s"), Sync())
    assert (
        wire == b"P\0\0\0\x16s\0SELECT $1\0\0\x01\0\0\0\x17" + b"D\0\0\0\x07Ss\0" + b"S\0\0\0\x04"
    )
    events = codec.receive_data(server.statement_answer([23], ONE))
    assert events[:2] == [ParseComplete(), ParameterDescription((23,))]
    assert isinstance(events[2], RowDescription)
    assert events[3] == IDLE
    codec.send(Parse("t", "BEGIN"), Describe("S", "t"), Sync())
    assert codec.receive_data(server.statement_answer())[2] == NoData()


def test_a_portal_and_its_description() -> None:
    codec = opened()
    described: list[RowDescription] = []

    def make_reader(description: RowDescription) -> RowSink:
        described.append(description)
        return reader()

    sink = DescribedRowReader(make_reader)
    codec.send(Bind("p", "s"), Describe("P", "p"), Execute("p", 1, sink), Flush())
    events = codec.receive_data(
        server.BIND_COMPLETE
        + server.row_description(*ONE)
        + server.data_row(1)
        + server.PORTAL_SUSPENDED
    )
    assert events[0] == BindComplete()
    assert events[1] == described[0]
    assert rows(events[2]) == [(1,)]
    codec.send(Execute("p", 1, reader()), Close("P", "p"), Sync())
    events = codec.receive_data(
        server.data_row(2) + server.command_complete() + server.CLOSE_COMPLETE + READY
    )
    assert rows(events[0]) == [(2,)]
    assert events[1:] == [CloseComplete(), IDLE]


def test_an_extended_query_is_answered_by_one_event() -> None:
    codec = opened()
    wire = codec.send(execution(reader(), max_rows=5))
    bind = b"B\0\0\0\x0f\0s\0\0\0\0\0\0\x01\0\x01"
    assert wire == bind + b"E\0\0\0\x09\0\0\0\0\x05" + b"S\0\0\0\x04"
    events = codec.receive_data(server.extended_answer(server.data_row(1), server.data_row(None)))
    assert rows(events[0]) == [(1,), (None,)]
    assert events[1:] == [IDLE]


@pytest.mark.parametrize("end", [server.PORTAL_SUSPENDED, server.EMPTY_QUERY_RESPONSE])
def test_an_extended_query_that_ends_otherwise(end: bytes) -> None:
    codec = opened()
    sink = reader()
    codec.send(execution(sink), execution(sink))
    answer = server.BIND_COMPLETE + server.data_row(1) + end + READY
    (event, ready) = codec.receive_data(answer)
    assert ready == IDLE
    if end == server.PORTAL_SUSPENDED:
        assert rows(event) == [(1,)]
    else:
        assert event == EmptyQueryResponse()
    # Nothing is left in the reader for the next.
    assert rows(codec.receive_data(server.extended_answer(server.data_row(2)))[0]) == [(2,)]


def test_many_pairs_are_answered_by_one_event() -> None:
    codec = opened()
    codec.send(execution(reader(), count=3))
    pair = server.BIND_COMPLETE + server.data_row(1)
    events = codec.receive_data(
        pair
        + server.command_complete("INSERT 0 1")
        + pair
        + server.EMPTY_QUERY_RESPONSE
        + pair
        + server.command_complete("INSERT 0 3")
        + READY
    )
    assert rows(events[0]) == [(1,), (1,), (1,)]
    assert isinstance(events[0], CommandComplete)
    assert events[0].tag == "INSERT 0 3"
    assert events[1:] == [IDLE]


def test_an_error_in_many_pairs() -> None:
    codec = opened()
    codec.send(execution(reader(), count=3, sync=False), execution(reader(), count=2), Query(""))
    done = server.BIND_COMPLETE + server.data_row(1) + server.command_complete()
    events = codec.receive_data(done + server.BIND_COMPLETE + server.error_response())
    assert isinstance(events[0], ErrorResponse)
    assert codec.receive_data(READY) == [IDLE]
    assert codec.receive_data(server.EMPTY_QUERY_RESPONSE + READY) == [EmptyQueryResponse(), IDLE]


def test_the_end_of_more_pairs_than_were_sent() -> None:
    codec = opened()
    codec.send(execution(count=2))
    done = server.BIND_COMPLETE + server.command_complete()
    refused(codec, done * 3, "BindComplete where ReadyForQuery is due")


def test_an_extended_query_without_pairs() -> None:
    codec = opened()
    with pytest.raises(LocalProtocolError, match="without Bind and Execute"):
        codec.send(PreparedQuery("s", RowWriter([])).bind_many(iter([]), None, 1))
    assert codec.receive_eof() == []


def test_after_an_error_the_server_skips_up_to_sync() -> None:
    codec = opened()
    codec.send(Parse("", "x"), Describe("S", ""), Bind("", ""), Execute(""))
    (event,) = codec.receive_data(server.error_response())
    assert isinstance(event, ErrorResponse)
    # It skips these, too, whatever they are.
    codec.send(Close("S", "s"), execution(sync=False), Query("SELECT 1"), Flush())
    codec.send(Sync(), Query(""))
    assert codec.receive_data(READY) == [IDLE]
    assert codec.receive_data(server.EMPTY_QUERY_RESPONSE + READY) == [EmptyQueryResponse(), IDLE]


def test_after_an_error_an_extended_query_with_sync_is_skipped_up_to_it() -> None:
    codec = opened()
    codec.send(Parse("", "x"))
    codec.receive_data(server.error_response())
    codec.send(execution(reader()), execution(reader()))
    events = codec.receive_data(READY + server.extended_answer(server.data_row(1)))
    assert events[0] == IDLE
    assert rows(events[1]) == [(1,)]


def test_an_error_at_sync() -> None:
    """A deferred constraint is checked when the server commits."""
    codec = opened()
    codec.send(execution())
    done = server.BIND_COMPLETE + server.command_complete("INSERT 0 1")
    events = codec.receive_data(done + server.error_response(code="23503") + READY)
    assert [type(event).__name__ for event in events] == [
        "CommandComplete",
        "ErrorResponse",
        "ReadyForQuery",
    ]


@pytest.mark.parametrize(
    ("messages", "answer", "match"),
    [
        ([Parse("", "")], server.BIND_COMPLETE, "BindComplete where ParseComplete is due"),
        ([Parse("", "")], READY, "ReadyForQuery where ParseComplete is due"),
        ([Bind("", "")], server.PARSE_COMPLETE, "ParseComplete where BindComplete is due"),
        ([Describe("S", "")], server.NO_DATA, "NoData where ParameterDescription is due"),
        ([Describe("S", "")], server.parameter_description() * 2, "where RowDescription or NoDa"),
        ([Describe("P", "")], server.parameter_description(), "where RowDescription or NoData"),
        ([Execute("")], server.BIND_COMPLETE, "BindComplete where the result of Execute is due"),
        ([Execute("")], server.row_description(), "RowDescription where the result of Execute"),
        ([Execute("")], READY, "ReadyForQuery where the result of Execute is due"),
        ([Close("S", "")], server.NO_DATA, "NoData where CloseComplete is due"),
        ([Sync()], server.command_complete(), "CommandComplete where ReadyForQuery is due"),
        ([Sync()], server.data_row(), "DataRow where ReadyForQuery is due"),
        ([execution()], server.data_row(), "DataRow where the result of Bind and Execute is"),
        ([execution()], server.command_complete(), "CommandComplete where the result of Bind"),
        ([execution()], server.PORTAL_SUSPENDED, "PortalSuspended where the result of Bind"),
        ([execution()], server.BIND_COMPLETE * 2, "BindComplete where the result of Bind and"),
        ([execution()], server.copy_out_response(), "CopyOutResponse where the result of Bind"),
        ([execution()], server.BIND_COMPLETE + READY, "ReadyForQuery where the result of Bind"),
        ([FunctionCall(1, [])], READY, "ReadyForQuery where FunctionCallResponse is due"),
        ([], server.EMPTY_QUERY_RESPONSE, "EmptyQueryResponse where nothing is due"),
    ],
)
def test_out_of_turn_in_an_extended_query(messages: Any, answer: bytes, match: str) -> None:
    codec = opened()
    codec.send(*messages)
    refused(codec, answer, match)


# Function Call (54.2.5) --------------------------------------------------------------------------


def test_function_call() -> None:
    codec = opened()
    wire = codec.send(FunctionCall(1, [b"ab", None]))
    head = b"F\0\0\0\x1a\0\0\0\x01\0\x01\0\x01\0\x02"
    assert wire == head + b"\0\0\0\x02ab\xff\xff\xff\xff\0\x01"
    for value in (b"xyz", b"", None):
        answer = server.function_call_response(value) + READY
        assert codec.receive_data(answer) == [FunctionCallResponse(value), IDLE]
        codec.send(FunctionCall(1, []))
    assert codec.receive_data(server.error_response() + READY)[1] == IDLE


# COPY Operations (54.2.6) ------------------------------------------------------------------------


def test_copy_out() -> None:
    codec = opened()
    codec.send(Query("COPY t TO STDOUT"), Query("SELECT 1"))
    events = codec.receive_data(
        server.copy_out_response(1, (1, 1)) + server.copy_data(b"1\n") + server.copy_data(b"")
    )
    assert events == [CopyOutResponse(1, (1, 1)), CopyData(b"1\n"), CopyData(b"")]
    assert not codec.copying
    codec.send(Query("SELECT 2"))  # it is not us who copy
    events = codec.receive_data(server.COPY_DONE + server.command_complete("COPY 2") + READY)
    assert events == [CopyDone(), CommandComplete("COPY 2", [], None), IDLE]


def test_an_error_ends_copy_out() -> None:
    codec = opened()
    codec.send(Query("COPY t TO STDOUT"))
    codec.receive_data(server.copy_out_response() + server.copy_data(b"1\n"))
    events = codec.receive_data(server.error_response() + READY)
    assert events[1:] == [IDLE]
    codec.send(Query(""))
    refused(codec, server.copy_data(b"2\n"), "CopyData outside of a COPY to us")


def test_copy_in() -> None:
    codec = opened()
    codec.send(Query("COPY t FROM STDIN"))
    assert codec.receive_data(server.copy_in_response(0, (0,))) == [CopyInResponse(0, (0,))]
    assert codec.copying
    for message in (Query(""), Sync(), Flush(), Parse("", ""), execution(), StartupMessage({})):
        with pytest.raises(LocalProtocolError, match="cannot be sent inside a COPY to the server"):
            codec.send(message)
    wire = codec.send(CopyData(b"1\n"), CopyData(memoryview(b"2\n")), CopyDone())
    assert wire == b"d\0\0\0\x061\nd\0\0\0\x062\nc\0\0\0\x04"
    assert not codec.copying
    for late in (CopyData(b"3\n"), CopyDone(), CopyFail("")):
        with pytest.raises(LocalProtocolError, match="cannot be sent in state OPEN"):
            codec.send(late)
    events = codec.receive_data(server.command_complete("COPY 2") + READY)
    assert events == [CommandComplete("COPY 2", [], None), IDLE]


def test_copy_in_that_we_fail() -> None:
    codec = opened()
    codec.send(Query("COPY t FROM STDIN"))
    codec.receive_data(server.copy_in_response())
    assert codec.send(CopyFail("no")) == b"f\0\0\0\x07no\0"
    assert codec.receive_data(server.error_response(code="57014") + READY)[1] == IDLE


def test_copy_in_that_the_server_fails() -> None:
    codec = opened()
    codec.send(Query("COPY t FROM STDIN"))
    codec.receive_data(server.copy_in_response())
    codec.send(CopyData(b"x\n"))
    codec.receive_data(server.error_response())
    assert not codec.copying
    with pytest.raises(LocalProtocolError):
        codec.send(CopyData(b"x\n"))
    assert codec.receive_data(READY) == [IDLE]


def test_copy_in_takes_the_sync_that_was_sent_along() -> None:
    """The server ignores it while it copies, so another one has to follow."""
    codec = opened()
    codec.send(execution())
    codec.receive_data(server.BIND_COMPLETE + server.copy_in_response())
    codec.send(CopyData(b"1\n"), CopyDone())
    codec.receive_data(server.command_complete("COPY 1"))
    codec.send(Sync())
    assert codec.receive_data(READY) == [IDLE]
    codec.send(Bind("", ""), Execute(""), Sync())
    codec.receive_data(server.BIND_COMPLETE + server.copy_in_response())
    codec.send(CopyFail("no"))
    codec.receive_data(server.error_response())
    with pytest.raises(RemoteProtocolError, match="ReadyForQuery where nothing is due"):
        codec.receive_data(READY)


def test_an_error_of_copy_in_waits_for_sync() -> None:
    codec = opened()
    codec.send(execution())
    codec.receive_data(server.BIND_COMPLETE + server.copy_in_response())
    codec.receive_data(server.error_response())
    codec.send(Sync())
    assert codec.receive_data(READY) == [IDLE]


def test_copy_in_with_other_messages_on_their_way() -> None:
    """They would end up in the COPY; PostgreSQL ends the connection then."""
    codec = opened()
    codec.send(Query("COPY t FROM STDIN"), Query("SELECT 1"))
    refused(codec, server.copy_in_response(), "CopyInResponse with other messages on their way")


@pytest.mark.parametrize("first", ["client", "server"])
def test_copy_both(first: str) -> None:
    codec = opened()
    codec.send(Query("START_REPLICATION 0/0"))
    events = codec.receive_data(server.copy_both_response() + server.copy_data(b"w"))
    assert events == [CopyBothResponse(0, ()), CopyData(b"w")]
    assert codec.copying
    codec.send(CopyData(b"r"))
    if first == "client":
        codec.send(CopyDone())
        assert not codec.copying
        assert codec.receive_data(server.copy_data(b"w")) == [CopyData(b"w")]
        assert codec.receive_data(server.COPY_DONE) == [CopyDone()]
    else:
        assert codec.receive_data(server.COPY_DONE) == [CopyDone()]
        assert codec.copying
        codec.send(CopyData(b"r"), CopyDone())
    # The next timeline is told as a result (Streaming Replication Protocol, START_REPLICATION).
    result = server.row_description(*ONE) + server.data_row(b"2") + server.command_complete()
    events = codec.receive_data(result + server.command_complete("START_STREAMING") + READY)
    assert len(events) == 4


def test_copy_both_brings_more_than_was_announced() -> None:
    """A walsender that decodes a transaction answers CopyDone at once, and goes on even so."""
    codec = opened()
    codec.send(Query("START_REPLICATION 0/0"))
    codec.receive_data(server.copy_both_response())
    codec.send(CopyDone())
    late = server.COPY_DONE + server.copy_data(b"w")
    assert codec.receive_data(late) == [CopyDone()]
    codec.receive_data(server.command_complete("COPY 0"))
    refused(codec, server.copy_data(b"w"), "CopyData outside of a COPY to us")


def test_copy_both_without_a_result() -> None:
    codec = opened()
    codec.send(Query("START_REPLICATION 0/0"))
    codec.receive_data(server.copy_both_response())
    refused(codec, READY, "ReadyForQuery where the result of Query is due")
    codec = opened()
    codec.send(Query("START_REPLICATION 0/0"))
    codec.receive_data(server.copy_both_response() + server.COPY_DONE)
    codec.send(CopyDone(), Query(""))
    assert codec.receive_data(READY) == [IDLE]
    refused(codec, server.copy_data(b"w"), "CopyData outside of a COPY to us")


def test_copy_both_ends_with_the_server() -> None:
    """A walsender that is shut down says how many rows, and neither CopyDone nor ReadyForQuery."""
    codec = opened()
    codec.send(Query("START_REPLICATION 0/0"))
    codec.receive_data(server.copy_both_response())
    events = codec.receive_data(server.command_complete("COPY 0"))
    assert events == [CommandComplete("COPY 0", [], None)]
    assert not codec.copying


def test_copy_both_that_we_fail_brings_what_was_on_its_way() -> None:
    codec = opened()
    codec.send(Query("START_REPLICATION 0/0"))
    codec.receive_data(server.copy_both_response())
    codec.send(CopyFail("enough"))
    events = codec.receive_data(server.copy_data(b"w") + server.error_response() + READY)
    assert events[0] == CopyData(b"w")
    assert events[2] == IDLE


@pytest.mark.parametrize("begin", [server.copy_in_response(), server.copy_out_response()])
@pytest.mark.parametrize(
    "wrong",
    [
        server.data_row(),
        server.row_description(),
        server.command_complete(),
        server.EMPTY_QUERY_RESPONSE,
        server.PORTAL_SUSPENDED,
        server.BIND_COMPLETE,
        server.copy_in_response(),
        server.copy_out_response(),
        server.copy_both_response(),
        READY,
    ],
)
def test_out_of_turn_in_a_copy(begin: bytes, wrong: bytes) -> None:
    for message in (Query(""), Execute("")):
        codec = opened()
        codec.send(message)
        refused(codec, begin + wrong, "inside a COPY|where the result of ")


def test_copy_data_goes_the_way_that_was_agreed_on() -> None:
    for wrong in (server.copy_data(b"x"), server.COPY_DONE):
        codec = opened()
        codec.send(Query("COPY t FROM STDIN"))
        refused(codec, server.copy_in_response() + wrong, "outside of a COPY to us")
        codec = opened()
        codec.send(Query("COPY t TO STDOUT"))
        done = server.copy_out_response() + server.COPY_DONE
        refused(codec, done + wrong, "outside of a COPY to us")


# Asynchronous Operations (54.2.7) ----------------------------------------------------------------

ASIDES = [
    (server.notice_response("n"), NoticeResponse),
    (server.notification_response("c", "p", 5), NotificationResponse),
    (server.parameter_status("TimeZone", "UTC"), ParameterStatus),
]
MOMENTS: list[tuple[list[Any], bytes]] = [
    ([], b""),
    ([Sync()], b""),
    ([Query("")], b""),
    ([Query("")], server.row_description(*ONE)),
    ([Query("")], server.copy_in_response()),
    ([Query("")], server.copy_both_response()),
    ([Query("")], server.error_response()),
    ([Parse("", ""), Describe("S", ""), Sync()], server.PARSE_COMPLETE),
    ([Parse("", "")], server.error_response()),
    ([execution()], b""),
    ([execution()], server.BIND_COMPLETE + server.data_row(1)),
    ([Terminate()], b""),
]


@pytest.mark.parametrize(
    ("aside", "kind"), ASIDES, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("moment", range(len(MOMENTS)))
def test_at_any_moment(moment: int, aside: bytes, kind: type[Event]) -> None:
    messages, begin = MOMENTS[moment]
    codec = opened()
    codec.send(*messages)
    codec.receive_data(begin)
    state, copying = codec.state, codec.copying
    (event,) = codec.receive_data(aside)
    assert isinstance(event, kind)
    assert (codec.state, codec.copying) == (state, copying)


@pytest.mark.parametrize("severity", ["FATAL", "PANIC"])
@pytest.mark.parametrize("moment", range(len(MOMENTS)))
def test_the_server_may_end_it_at_any_moment(moment: int, severity: str) -> None:
    messages, begin = MOMENTS[moment]
    codec = opened()
    codec.send(*messages)
    codec.receive_data(begin)
    (event,) = codec.receive_data(server.error_response(code="57P01", severity=severity))
    assert isinstance(event, ErrorResponse)
    assert event.fatal


def test_a_severity_that_was_translated() -> None:
    """The field V, which is not, is there since PostgreSQL 9.6 (Error and Notice Fields)."""
    codec = opened()
    (event,) = codec.receive_data(server.message(b"E", b"SFATAL\0C57P01\0\0"))
    assert isinstance(event, ErrorResponse)
    assert event.fatal
    assert not ErrorResponse({"S": "FATAL", "V": "ERROR"}).fatal
    assert ErrorResponse({"S": "FEHLER", "V": "FATAL"}).fatal
    assert not ErrorResponse({}).fatal


# Termination (54.2.10) and the end ---------------------------------------------------------------


def test_the_end_of_input() -> None:
    codec = opened()
    assert codec.receive_eof() == []
    assert codec.state is State.CLOSED
    assert codec.receive_eof() == []
    with pytest.raises(LocalProtocolError, match="after receive_eof"):
        codec.receive_data(b"x")
    with pytest.raises(LocalProtocolError, match="in state CLOSED"):
        codec.send(Query(""))


def test_the_end_with_answers_due_after_terminate() -> None:
    codec = opened()
    codec.send(Query(""), Terminate())
    with pytest.raises(LocalProtocolError, match="in state TERMINATED"):
        codec.send(Terminate())
    assert codec.receive_eof() == []
    assert codec.receive_eof() == []


@pytest.mark.parametrize(
    ("messages", "data", "match"),
    [
        ([Query("")], b"", "end of input where the result of Query is due at offset 28"),
        ([], b"N\0\0", "end of input inside a message at offset 31"),
        ([Terminate()], b"N\0\0\0\x09abc", "end of input inside a message at offset 36"),
    ],
)
def test_the_end_too_early(messages: Any, data: bytes, match: str) -> None:
    codec = opened()
    codec.send(*messages)
    codec.receive_data(data)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=match):
            codec.receive_eof()
    assert codec.state is State.ERROR


def test_terminate_inside_a_copy() -> None:
    codec = opened()
    codec.send(Query("COPY t FROM STDIN"))
    codec.receive_data(server.copy_in_response())
    codec.send(Terminate())
    assert codec.state is State.TERMINATED


# Rows and their readers --------------------------------------------------------------------------


def _picky(data: bytes) -> object:
    raise ZeroDivisionError("never")


def picky_reader() -> RowReader:
    return RowReader(RecordKeys(["a"]), [FunctionCodec("picky", 1, _picky, None)])


def test_what_a_decoder_raises_is_its_callers() -> None:
    codec = opened()
    good, bad = reader(), picky_reader()
    codec.send(execution(bad), execution(good), Query("", bad), execution(bad, count=2))
    answer = server.extended_answer(server.data_row(1), server.data_row(2))
    events = codec.receive_data(answer * 2)
    assert isinstance(events[0], CommandComplete)
    assert isinstance(events[0].error, ZeroDivisionError)
    assert events[0].rows == []
    assert rows(events[2]) == [(1,), (2,)]
    result = server.row_description(*ONE) + server.data_row(1) + server.command_complete()
    events = codec.receive_data(result + server.command_complete("BEGIN") + READY)
    assert isinstance(events[1], CommandComplete)
    assert isinstance(events[1].error, ZeroDivisionError)
    assert events[2] == CommandComplete("BEGIN", [], None)
    pair = server.BIND_COMPLETE + server.data_row(1)
    events = codec.receive_data((pair + server.command_complete()) * 2 + READY)
    assert isinstance(events[0], CommandComplete)
    assert isinstance(events[0].error, ZeroDivisionError)
    assert codec.state is State.OPEN


def test_a_description_for_which_there_is_no_reader() -> None:
    def refuse(description: RowDescription) -> RowSink:
        raise KeyError(description.columns[0].name)

    codec = opened()
    codec.send(Query("", DescribedRowReader(refuse)))
    described = server.row_description(*ONE) + server.data_row(1) + server.command_complete()
    events = codec.receive_data(described + READY)
    assert isinstance(events[1], CommandComplete)
    assert isinstance(events[1].error, KeyError)
    assert events[1].rows == []


def test_an_interrupted_parse_cannot_go_on() -> None:
    def interrupt(data: bytes) -> object:
        raise KeyboardInterrupt

    codec = opened()
    interrupted = RowReader(RecordKeys(["a"]), [FunctionCodec("i", 1, interrupt, None)])
    codec.send(execution(interrupted))
    with pytest.raises(KeyboardInterrupt):
        codec.receive_data(server.extended_answer(server.data_row(1)))
    assert codec.state is State.ERROR
    with pytest.raises(RemoteProtocolError, match=r"an earlier receive_data\(\) was interrupted"):
        codec.receive_data(b"")


def test_a_decoder_that_uses_the_codec_meanwhile() -> None:
    def meddle(data: bytes) -> object:
        with pytest.raises(LocalProtocolError):
            codec.send(Sync())
        return codec.receive_data(READY)

    codec = opened()
    codec.send(execution(RowReader(RecordKeys(["a"]), [FunctionCodec("m", 1, meddle, None)])))
    refused(codec, server.extended_answer(server.data_row(1)), "interrupted")


def test_rows_that_nobody_wants() -> None:
    codec = opened()
    codec.send(execution())
    # Not even their columns are counted.
    events = codec.receive_data(server.extended_answer(server.message(b"D", b"?"), tag="SELECT 1"))
    assert events[0] == CommandComplete("SELECT 1", [], None)


# Faults and limits -------------------------------------------------------------------------------


def test_a_fault_comes_with_the_events_before_it_and_its_place() -> None:
    codec = opened()
    codec.send(Query(""))
    good = server.notice_response() + server.command_complete("BEGIN")
    error = refused(codec, good + b"?\0\0\0\x04" + READY, "unknown type 0x3f at offset 80")
    assert [type(event).__name__ for event in error.events] == ["NoticeResponse", "CommandComplete"]
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as caught:
            codec.receive_data(READY)
        assert caught.value is not error
        assert (str(caught.value), caught.value.events) == (str(error), [])


MALFORMED = {
    "length 0": b"N\0\0\0\0",
    "length 3": b"N\0\0\0\x03",
    "no tag": server.message(b"C", b"BEGIN"),
    "two tags": server.message(b"C", b"BEGIN\0END\0"),
    "empty tag": server.message(b"C"),
    "no status": server.message(b"Z"),
    "unknown status": server.message(b"Z", b"X"),
    "two statuses": server.message(b"Z", b"II"),
    "body of ParseComplete": server.message(b"1", b"x"),
    "body of BindComplete": server.message(b"2", b"x"),
    "body of CopyDone": server.message(b"c", b"x"),
    "unknown type": server.message(b"?"),
    "null type": server.message(b"\0"),
    "high type": server.message(b"\xff"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    codec = opened()
    codec.send(Query(""))
    refused(codec, MALFORMED[name], "at offset 28$")


def header(kind: bytes, length: int) -> bytes:
    return kind + length.to_bytes(4, "big")


def test_limits_before_the_server_has_let_us_in() -> None:
    codec = started()
    assert codec.receive_data(header(b"N", 65536)) == []
    with pytest.raises(MessageTooLarge, match="65537 bytes, and the limit is 65536 at offset 0"):
        started().receive_data(header(b"N", 65537))
    with pytest.raises(MessageTooLarge):
        started().receive_data(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(MessageTooLarge):
        started().receive_data(header(b"N", 65537) + bytes(65533))


def test_limits_afterwards() -> None:
    for kind in (b"T", b"E", b"N", b"S", b"A", b"t", b"C", b"?"):
        assert opened().receive_data(header(kind, 16 << 20)) == []
        with pytest.raises(MessageTooLarge):
            opened().receive_data(header(kind, (16 << 20) + 1))
    for kind in (b"D", b"d", b"V"):
        assert opened().receive_data(header(kind, 0x3FFFFFFF)) == []
        with pytest.raises(MessageTooLarge):
            opened().receive_data(header(kind, 0x40000000))
        codec = opened(max_message_length=100_000)
        assert codec.receive_data(header(kind, 100_000)) == []
        with pytest.raises(MessageTooLarge, match="100001 bytes, and the limit is 100000"):
            opened(max_message_length=100_000).receive_data(header(kind, 100_001))


def test_a_message_in_many_pieces_is_joined_once() -> None:
    codec = opened()
    codec.send(Query("COPY t TO STDOUT"))
    codec.receive_data(server.copy_out_response())
    whole = server.copy_data(bytes(range(256)) * 4096)
    events: list[Event] = []
    for start in range(0, len(whole), 1000):
        assert not events
        assert codec.trailing_data == whole[:start]
        events += codec.receive_data(memoryview(whole)[start : start + 1000])
    assert events == [CopyData(whole[5:])]


@pytest.mark.parametrize("limit", [0, 65535, -1, 2**70])
def test_limits_that_are_none(limit: int) -> None:
    with pytest.raises(ValueError, match="max_message_length must be from 65536 to"):
        Codec(max_message_length=limit)


def test_data_before_anything_was_asked_for() -> None:
    codec = Codec()
    assert codec.receive_data(b"") == []
    refused(codec, server.notice_response(), "data that was not asked for")


def test_any_buffer_is_data() -> None:
    for kind in (bytes, bytearray, memoryview):
        codec = opened()
        assert len(codec.receive_data(kind(server.notice_response()))) == 1
