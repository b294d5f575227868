"""Replies, what is due, and the end of input, each with its section."""

from __future__ import annotations

import pytest

from tests.protocols._outcome import one_by_one, shown
from tests.protocols.smtp._conversation import (
    GO_ON,
    GREETING,
    OK,
    SENT,
    Step,
    converse,
    ehlo_reply,
    opened,
    state_of,
    whole,
)
from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.smtp import Bdat, Codec, Noop, Quit, Rcpt, Reply, StartTLS, State

# Replies -------------------------------------------------------------------------------------

REPLIES: list[tuple[str, bytes, Reply]] = [
    ("RFC 5321 §4.2", b"250 Ok\r\n", Reply(250, ("Ok",))),
    ("RFC 5321 §4.2: no text", b"250 \r\n", Reply(250, ("",))),
    ("RFC 5321 §4.2: the code only", b"250\r\n", Reply(250, ("",))),
    ("RFC 5321 §4.2: HT", b"250 a\tb \r\n", Reply(250, ("a\tb ",))),
    ("RFC 5321 §4.2: all that prints", b"250 %b\r\n" % bytes(range(32, 127)), Reply(
        250, (bytes(range(32, 127)).decode(),))),
    ("RFC 5321 §4.2.1", b"250-a\r\n250-b\r\n250 c\r\n", Reply(250, ("a", "b", "c"))),
    ("RFC 5321 §4.2.1: no text", b"250-\r\n250\r\n", Reply(250, ("", ""))),
    ("RFC 5321 §4.2.1", b"250--a\r\n250 -b\r\n", Reply(250, ("-a", "-b"))),
    ("RFC 5321 §4.2.1", b"250-250 a\r\n250 250-b\r\n", Reply(250, ("250 a", "250-b"))),
    ("RFC 2034 §4", b"550-5.7.1 a\r\n550 5.7.1 b\r\n", Reply(550, ("5.7.1 a", "5.7.1 b"))),
    ("RFC 5321 §4.2.1: 2yz", b"200 a\r\n", Reply(200, ("a",))),
    ("RFC 5321 §4.2.1: 4yz", b"450 a\r\n", Reply(450, ("a",))),
    ("RFC 5321 §4.2.1: 5yz", b"599 a\r\n", Reply(599, ("a",))),
    ("not in RFC 5321 §4.2", b"571 a\r\n", Reply(571, ("a",))),
    ("beyond ASCII", b"550 f\xfcr\r\n", Reply(550, ("f\\xfcr",))),
    ("beyond ASCII", "550 für\r\n".encode(), Reply(550, ("f\\xc3\\xbcr",))),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "reply"), [row[1:] for row in REPLIES], ids=shown)
def test_reply(wire: bytes, reply: Reply) -> None:
    codec = opened(b"PIPELINING")
    codec.send(*SENT["rset"], *SENT["rset"], *SENT["rset"])
    assert codec.receive_data(wire) == [reply]
    assert codec.receive_data(bytearray(wire * 2)) == [reply, reply]
    assert codec.trailing_data == b""
    for cut in (one_by_one, whole):
        result = converse(opened(b"PIPELINING"), ["rset", wire], cut)
        assert (result.events, result.fault, result.end) == ([reply], None, None)


UTF8: list[tuple[str, bytes, str]] = [
    ("RFC 6531 §3.7.4", "für ünïcödé 日本".encode(), "für ünïcödé 日本"),
    ("RFC 6531 §3.7.4: not UTF-8", b"f\xfcr", "f\\xfcr"),
    ("RFC 6531 §3.7.4: not UTF-8", "ü".encode() + b"\xff", "ü\\xff"),
    ("a control", "a\u0085b".encode(), "a\\x85b"),
    ("a control", "a\u009b31m".encode(), "a\\x9b31m"),
    ("a line separator", "a\u2028b\tc".encode(), "a\\u2028b\tc"),
    ("a bidirectional override", "a\u202eb".encode(), "a\\u202eb"),
    ("an overlong form", b"\xc0\x8a", "\\xc0\\x8a"),
    ("a surrogate", b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
]


@pytest.mark.parametrize(("text", "line"), [row[1:] for row in UTF8], ids=shown)
def test_utf8_where_the_server_offers_it(text: bytes, line: str) -> None:
    codec = opened(b"SMTPUTF8")
    codec.send(Noop())
    assert codec.receive_data(b"250 %b\r\n" % text) == [Reply(250, (line,))]


def test_lenient_servers_may_end_lines_in_lf() -> None:
    codec = Codec(allow_bare_lf=True)
    assert codec.receive_data(b"220 a\n") == [Reply(220, ("a",))]
    codec.send(*SENT["ehlo"])
    assert codec.receive_data(b"250-a\n250-PIPELINING\r\n250 DSN\n") == [
        Reply(250, ("a", "PIPELINING", "DSN"))
    ]


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b"250 a\r\r\n", "a line with a bare CR or LF at offset 0"),
        (b"250\ra\n", "a line with a bare CR or LF at offset 0"),
        (b"250x\n", "a line that does not begin with a reply code at offset 0"),
        (b"\n", "a line that does not begin with a reply code at offset 0"),
        (b"250 a\0\n", "a line with a control character at offset 0"),
    ],
)
def test_lenient_servers_may_not_do_everything(wire: bytes, message: str) -> None:
    results = [converse(Codec(allow_bare_lf=True), [wire], cut) for cut in (whole, one_by_one)]
    assert results[0] == results[1]
    assert results[0].fault == f"RemoteProtocolError: {message}"


# What is due ---------------------------------------------------------------------------------

CONVERSATIONS: list[tuple[str, list[Step], list[int], State]] = [
    ("RFC 5321 §3.1", [b"220 a\r\n"], [220], State.OPEN),
    ("RFC 5321 §3.1: refused", [b"554 no\r\n", "quit", b"221 a\r\n"], [554, 221], State.CLOSED),
    (
        "RFC 5321 §3.2: HELO instead",
        [GREETING, "ehlo", b"502 a\r\n", "helo", b"250 a\r\n", "mail", OK],
        [220, 502, 250, 250],
        State.OPEN,
    ),
    (
        "RFC 5321 §3.3",
        [*("mail", OK, "rcpt", OK, "data", GO_ON, "end", OK)],
        [250, 250, 354, 250],
        State.OPEN,
    ),
    (
        "RFC 5321 §3.3: DATA refused",
        [*("mail", OK, "rcpt", b"550 a\r\n", "data", b"554 a\r\n", "rset", OK)],
        [250, 550, 554, 250],
        State.OPEN,
    ),
    (
        "RFC 2920 §3.1: all refused, and yet 354",
        [*("transaction", b"550 a\r\n" * 3 + GO_ON, "end", b"554 a\r\n")],
        [550, 550, 550, 354, 554],
        State.OPEN,
    ),
    ("RFC 5321 §4.1.1.4", [*("data", GO_ON, "end", b"451 a\r\n")], [354, 451], State.OPEN),
    ("RFC 5321 §4.1.1.10", ["quit", b"221 a\r\n"], [221], State.CLOSED),
    ("RFC 4954 §4", ["auth", b"235 a\r\n"], [235], State.OPEN),
    ("RFC 4954 §4", ["auth", b"535 a\r\n"], [535], State.OPEN),
    (
        "RFC 4954 §4",
        ["bare auth", b"334 VXNlcm5hbWU6\r\n", "response", b"334 \r\n", "response", b"235 a\r\n"],
        [334, 334, 235],
        State.OPEN,
    ),
    ("RFC 4954 §4", ["bare auth", b"334\r\n"], [334], State.AUTH),
    ("RFC 4954 §4", ["auth", b"334 \r\n", "cancel", b"501 a\r\n"], [334, 501], State.OPEN),
    ("RFC 3207 §4", ["starttls", b"454 a\r\n", "noop", OK], [454, 250], State.OPEN),
    ("RFC 3207 §4", ["starttls", b"220 a\r\n"], [220], State.TLS),
    (
        "RFC 3207 §4.2",
        ["starttls", b"220 a\r\n", "tls", "ehlo", b"250 b\r\n"],
        [220, 250],
        State.OPEN,
    ),
    ("RFC 5321 §3.8", [b"421 a\r\n"], [421], State.CLOSED),
    ("RFC 5321 §3.8: as a reply", ["mail", b"421 a\r\n"], [421], State.CLOSED),
    ("RFC 5321 §3.8: in the mail data", ["data", GO_ON, b"421-a\r\n421 b\r\n"], [354, 421],
     State.CLOSED),
    ("an early refusal", ["data", GO_ON, b"552 a\r\n250 b\r\n"], [354, 552], State.CLOSED),
    ("an early refusal", ["data", GO_ON + b"451-a\r\n", "end", b"451 b\r\n"], [354, 451],
     State.CLOSED),
    ("an early refusal", ["data", GO_ON + b"5", "end", b"52 b\r\n"], [354, 552], State.CLOSED),
    ("a refusal in time", ["data", GO_ON, "end", b"552 a\r\n", "noop", OK], [354, 552, 250],
     State.OPEN),
    ("RFC 5321 §3.8: between challenges", ["auth", b"334 \r\n421 a\r\n"], [334, 421], State.CLOSED),
    ("the others", ["vrfy", b"252 a\r\n", "expn", b"550 a\r\n", "help", b"214 a\r\n"],
     [252, 550, 214], State.OPEN),
    ("the others", ["etrn", b"250 a\r\n"], [250], State.OPEN),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "codes", "state"), [row[1:] for row in CONVERSATIONS], ids=shown)
def test_conversation(steps: list[Step], codes: list[int], state: State) -> None:
    for cut in (whole, one_by_one):
        fresh = isinstance(steps[0], bytes) and steps[0][:3] != b"421"
        result = converse(Codec() if fresh else opened(), steps, cut)
        assert ([event.code for event in result.events], result.state) == (codes, state)
        assert (result.refused, result.fault) == ([], None)


def test_capabilities_are_those_of_the_last_hello() -> None:
    codec = Codec()
    codec.receive_data(GREETING)
    assert codec.capabilities is None
    codec.send(*SENT["ehlo"])
    codec.receive_data(ehlo_reply(b"SIZE 5", b"PIPELINING"))
    first = codec.capabilities
    assert first is not None
    assert (first.domain, first.size, first.pipelining) == ("mx.example", 5, True)
    codec.send(*SENT["ehlo"])
    codec.receive_data(b"550 no\r\n")
    assert codec.capabilities is first
    codec.send(*SENT["helo"])
    # RFC 5321 §4.1.1.1: HELO's reply has no keywords, whatever is written in it.
    codec.receive_data(b"250-mx.example hi\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
    assert codec.capabilities is not None
    assert codec.capabilities.keywords == {}
    assert codec.capabilities.domain == "mx.example"


def test_tls_begins_anew() -> None:
    codec = opened(b"STARTTLS", b"SMTPUTF8")
    with pytest.raises(LocalProtocolError, match="TLS cannot start in state OPEN"):
        codec.tls_started()
    codec.send(StartTLS())
    codec.receive_data(b"220 go\r\n")
    assert codec.receive_data(b"") == []
    codec.tls_started()
    assert state_of(codec) is State.OPEN
    assert codec.capabilities is None
    codec.send(*SENT["ehlo"])
    codec.receive_data(ehlo_reply(b"AUTH PLAIN"))
    with pytest.raises(LocalProtocolError, match="TLS cannot start in state OPEN"):
        codec.tls_started()


# LMTP (RFC 2033) -----------------------------------------------------------------------------


def lmtp(*steps: Step) -> list[int]:
    """Return the codes of a conversation, which has to be the same however it is cut."""
    results = [converse(opened(lmtp=True), steps, cut) for cut in (whole, one_by_one)]
    assert results[0] == results[1]
    assert results[0].refused == []
    assert results[0].fault is None
    assert results[0].end is None
    return [event.code for event in results[0].events]


def test_lmtp_replies_once_per_accepted_recipient() -> None:
    replies = OK + OK + b"550 no\r\n"
    final = b"250-a\r\n250 b\r\n"
    codes = lmtp("mail", "rcpt", "rcpt", replies, "data", GO_ON, "end", final)
    assert codes == [250, 250, 550, 354, 250]
    codes = lmtp("transaction", OK * 3 + GO_ON, "end", b"250 a\r\n452 b\r\n")
    assert codes == [250, 250, 250, 354, 250, 452]


def test_lmtp_counts_each_transaction_for_itself() -> None:
    # The second one rides behind the mail data of the first.
    two: list[Step] = ["transaction", OK * 3 + GO_ON, "end"]
    one: list[Step] = ["mail", "rcpt", OK * 2 + OK * 2, "data", GO_ON, "end", OK]
    assert lmtp(*two, *one) == [250, 250, 250, 354, 250, 250, 250, 250, 354, 250]
    one = ["mail", "rcpt", OK * 2, "data", GO_ON, "end", OK]
    assert len(lmtp("mail", "rcpt", "rcpt", OK * 3, "rset", OK, *one)) == 8
    assert len(lmtp("mail", "rcpt", "rcpt", OK * 3, "lhlo", ehlo_reply(), *one)) == 8


def test_lmtp_replies_to_chunks() -> None:
    steps: list[Step] = ["mail", "rcpt", "rcpt", OK * 3, [Bdat(b"a"), Bdat(b"b", last=True)]]
    assert len(lmtp(*steps, OK * 3)) == 6


def test_lmtp_replies_once_after_a_refused_chunk() -> None:
    steps: list[Step] = ["mail", "rcpt", "rcpt", OK * 3, [Bdat(b"a"), Bdat(b"b", last=True)]]
    assert lmtp(*steps, b"452 a\r\n503 b\r\n") == [250, 250, 250, 452, 503]


def test_lmtp_replies_at_least_once() -> None:
    # RFC 2033 §4.2: such a DATA "MUST fail"; a server that takes it all the same owes an answer.
    steps: list[Step] = ["mail", "rcpt", OK + b"550 no\r\n", "data", GO_ON, "end", b"554 a\r\n"]
    assert lmtp(*steps) == [250, 550, 354, 554]


# 421 -----------------------------------------------------------------------------------------

ANYWHERE: list[list[Step]] = [
    [],
    [GREETING],
    [GREETING, "ehlo"],
    ["opened"],
    ["opened", "mail"],
    ["opened", "mail", "rcpt", OK],
    ["opened", "transaction"],
    ["opened", "transaction", OK],
    ["opened", "data", GO_ON],
    ["opened", "data", GO_ON, "end"],
    ["opened", "data", GO_ON, "end", "mail", "rcpt"],
    ["opened", [Bdat(b"a"), Bdat(b"b", last=True)], OK],
    ["opened", "auth"],
    ["opened", "auth", b"334 \r\n"],
    ["opened", "auth", b"334 \r\n", "response"],
    ["opened", "auth", b"334 \r\n", "cancel"],
    ["opened", "starttls"],
    ["opened", "noop"],
    ["opened", "quit"],
]


@pytest.mark.parametrize("steps", ANYWHERE, ids=shown)
def test_421_may_come_at_any_time(steps: list[Step]) -> None:
    for behind in (b"", b"421 again\r\n", b"250 a\r\nrubbish\0", b"x" * 100000):
        for cut in (whole, one_by_one) if len(behind) < 100 else (whole,):
            is_open = steps[:1] == ["opened"]
            conversation = [*steps[is_open:], b"421 4.3.2 bye\r\n" + behind]
            result = converse(opened() if is_open else Codec(), conversation, cut)
            assert result.events[-1] == Reply(421, ("4.3.2 bye",))
            assert (result.state, result.trailing_data) == (State.CLOSED, b"")
            assert (result.fault, result.end, result.refused) == (None, None, [])


# Truncation ----------------------------------------------------------------------------------


def test_every_truncation_gives_fewer_replies_and_no_fault() -> None:
    wire = b"250-2.1.0 a\r\n250 2.1.0 b\r\n550 5.1.1 c\r\n354 go on\r\n"
    for cut in range(len(wire)):
        codec = opened()
        codec.send(*SENT["mail"], *SENT["rcpt"], *SENT["data"])
        first = codec.receive_data(wire[:cut])
        assert len(first) == (cut >= 26) + (cut >= 39)
        assert wire[:cut].endswith(codec.trailing_data)
        assert [reply.code for reply in first + codec.receive_data(wire[cut:])] == [250, 550, 354]
        result = converse(opened(), ["mail", "rcpt", "data", wire[:cut]])
        assert result.fault is None
        assert str(result.end).startswith("RemoteProtocolError: end of input ")


ENDS: list[tuple[list[Step], str | None]] = [
    ([], None),
    ([b"2"], "inside a reply"),
    (["noop"], "where the reply to NOOP is due"),
    (["noop", b"250"], "inside a reply"),
    (["noop", b"250-a\r\n"], "inside a reply"),
    (["mail", "rcpt", OK], "where the reply to RCPT is due"),
    (["data", GO_ON], "inside the mail data"),
    (["data", GO_ON, "end"], "where the reply to the mail data is due"),
    ([[Bdat(b"", last=True)]], "where the reply to the last BDAT is due"),
    (["auth", b"334 \r\n"], None),
    (["starttls", b"220 go\r\n"], None),
    # RFC 5321 §4.1.1.10: a 221 is due, but not every server has the manners.
    (["quit"], None),
    (["quit", b"22"], "inside a reply"),
    (["mail", "quit"], "where the reply to MAIL is due"),
    (["quit", b"221 a\r\n"], None),
    (["mail", b"421 a\r\n"], None),
]


@pytest.mark.parametrize(("steps", "place"), ENDS, ids=shown)
def test_end_of_input(steps: list[Step], place: str | None) -> None:
    result = converse(opened(), steps)
    if place is None:
        assert result.end is None
    else:
        received = b"".join(step for step in steps if isinstance(step, bytes))
        offset = len(GREETING + ehlo_reply() + received)
        assert result.end == f"RemoteProtocolError: end of input {place} at offset {offset}"


def test_end_of_input_before_the_greeting() -> None:
    with pytest.raises(RemoteProtocolError, match="where the reply to the greeting is due"):
        Codec().receive_eof()


def test_end_of_input_twice_and_input_after_it() -> None:
    codec = opened()
    assert codec.receive_eof() == []
    assert codec.receive_eof() == []
    assert state_of(codec) is State.CLOSED
    with pytest.raises(LocalProtocolError, match="receive_eof"):
        codec.receive_data(OK)
    with pytest.raises(LocalProtocolError, match="state CLOSED"):
        codec.send(Quit())


def test_memoryviews_of_a_reused_buffer() -> None:
    codec = opened()
    codec.send(*SENT["mail"], *SENT["rcpt"])
    buffer = bytearray(4)
    replies: list[Reply] = []
    wire = b"250-2.1.0 a\r\n250 2.1.0 b\r\n250 c\r\n"
    for start in range(0, len(wire), 4):
        piece = wire[start : start + 4]
        buffer[: len(piece)] = piece
        replies += codec.receive_data(memoryview(buffer)[: len(piece)])
    assert replies == [Reply(250, ("2.1.0 a", "2.1.0 b")), Reply(250, ("c",))]


def test_empty_input_changes_nothing() -> None:
    codec = opened()
    codec.send(Noop())
    for piece in (b"", b"25", b"", b"", b"0 a\r", b"", b"\n"):
        replies = codec.receive_data(piece)
    assert replies == [Reply(250, ("a",))]


def test_utf8_recipients_are_echoed() -> None:
    codec = opened()
    codec.send(*SENT["utf8 mail"], Rcpt("tü@example.com"))
    replies = codec.receive_data("250 2.1.0 früm\r\n550 5.1.1 <tü@example.com>\r\n".encode())
    assert replies[1].text == "<tü@example.com>"
