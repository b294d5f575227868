"""Replies, what is due, faults and limits of the codec, each with its section."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.protocols._outcome import cut_at, one_by_one, shown
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
from wirekit import LocalProtocolError, MessageTooLarge, RemoteProtocolError
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
    codec.send(Noop())
    with pytest.raises(RemoteProtocolError, match="a bare CR or LF"):
        codec.receive_data(b"250 a\r\r\n")


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


def test_lmtp_replies_at_least_once() -> None:
    # RFC 2033 §4.2: such a DATA "MUST fail"; a server that takes it all the same owes an answer.
    steps: list[Step] = ["mail", "rcpt", OK + b"550 no\r\n", "data", GO_ON, "end", b"554 a\r\n"]
    assert lmtp(*steps) == [250, 550, 354, 554]


# Faults of the peer --------------------------------------------------------------------------

MALFORMED: list[tuple[str, bytes, str]] = [
    *(
        ("RFC 5321 §4.2", line + b"\r\n", "a line that does not begin with a reply code")
        for line in (
            *(b"", b" ", b"2", b"25", b"25 a", b"25-a", b"2500 a", b"250a", b"250\ta", b"250_a"),
            *(b" 250 a", b"+25 a", b"-25 a", b"0250 a", b"150 a", b"099 a", b"600 a", b"999 a"),
            *(b"2 50", b"2.5 a", b"25O a", b"\xb250 a", b"HTTP/1.1 400 Bad Request", b"* OK IMAP4"),
            *(b"+OK POP3", b"SSH-2.0-x", b"\x16\x03\x01", b"\xef\xbb\xbf250 a", b"\0"),
        )
    ),
    *(
        ("RFC 5321 §4.2: textstring", b"250 a%cb\r\n" % char, "a line with a control character")
        for char in (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F)
    ),
    *(
        ("RFC 5321 §2.3.8", wire, "a line with a bare CR or LF")
        for wire in (
            *(b"250 a\n", b"250\n", b"\n", b"250 a\r\r\n", b"250 a\rb\r\n", b"250\r\r\n"),
            *(b"250-a\n250 b\r\n", b"250 a\n\r\n", b"\r250 a\r\n", b"250 a\r250 b\r\n"),
        )
    ),
]


@pytest.mark.parametrize(("wire", "message"), [row[1:] for row in MALFORMED], ids=shown)
def test_malformed(wire: bytes, message: str) -> None:
    for before in ([], [OK]):
        codec = opened()
        codec.send(*SENT["rset"], *SENT["rset"])
        with pytest.raises(RemoteProtocolError) as caught:
            codec.receive_data(b"".join([*before, wire]))
        start = len(GREETING + ehlo_reply()) + len(b"".join(before))
        assert str(caught.value) == f"{message} at offset {start}"
        assert type(caught.value) is RemoteProtocolError
        assert len(caught.value.events) == len(before)
        assert state_of(codec) is State.ERROR
        assert codec.trailing_data == b""
        results = [
            converse(opened(), ["rset", "rset", b"".join([*before, wire])], cut)
            for cut in (whole, one_by_one)
        ]
        assert results[0] == results[1]


CODES = "a reply whose lines have different codes"
OUT_OF_TURN: list[tuple[str, list[Step], str]] = [
    ("RFC 5321 §4.2.1", ["noop", b"250-a\r\n550 b\r\n"], CODES),
    ("RFC 5321 §4.2.1", ["noop", b"250-a\r\n251-b\r\n"], CODES),
    ("RFC 5321 §4.2.1", ["noop", b"250-a\r\n250-b\r\n421 c\r\n"], CODES),
    ("RFC 5321 §4.2.1", ["noop", b"550-a\r\n250\r\n"], CODES),
    ("unasked", [b"250 a\r\n"], "a reply 250 that nobody waits for"),
    ("unasked", [b"250-a\r\n"], "a reply 250 that nobody waits for"),
    ("unasked", [b"220 again\r\n"], "a reply 220 that nobody waits for"),
    ("unasked: a second reply", ["noop", OK + b"550 a\r\n"], "a reply 550 that nobody waits for"),
    (
        "unasked: a third, to two commands",
        ["mail", "rcpt", OK * 3],
        "a reply 250 that nobody waits for",
    ),
    ("unasked: in the mail data", ["data", GO_ON, OK], "a reply 250 that nobody waits for"),
    ("unasked: in the mail data", ["data", GO_ON + OK], "a reply 250 that nobody waits for"),
    ("unasked: after it", ["data", GO_ON, "end", OK * 2], "a reply 250 that nobody waits for"),
    ("unasked: after a 334", ["auth", b"334 \r\n235 a\r\n"], "a reply 235 that nobody waits for"),
    ("unasked: begun before", [b"2", "noop", b"50 a\r\n"], "a reply 250 that nobody waits for"),
    ("unasked: begun before", [b"250 a\r", "noop", b"\n"], "a reply 250 that nobody waits for"),
    (
        "unasked: begun in the mail data",
        ["data", GO_ON + b"25", "end", b"0 a\r\n"],
        "a reply 250 that nobody waits for",
    ),
    ("RFC 5321 §4.1.1.4", ["noop", GO_ON], "a 354 in reply to NOOP"),
    ("RFC 5321 §4.1.1.4", ["mail", GO_ON], "a 354 in reply to MAIL"),
    ("RFC 5321 §4.1.1.4", ["rcpt", GO_ON], "a 354 in reply to RCPT"),
    ("RFC 5321 §4.1.1.4", ["quit", GO_ON], "a 354 in reply to QUIT"),
    ("RFC 5321 §4.1.1.4", ["etrn", GO_ON], "a 354 in reply to an extension's command"),
    ("RFC 5321 §4.1.1.4", ["data", GO_ON, "end", GO_ON], "a 354 in reply to the mail data"),
    ("RFC 5321 §4.1.1.4", ["data", OK], "a 250 in reply to DATA"),
    ("RFC 5321 §4.1.1.4", ["data", b"334 \r\n"], "a 334 in reply to DATA"),
    ("RFC 5321 §4.2.1", ["data", b"355 a\r\n"], "a 355 in reply to DATA"),
    ("RFC 3030 §2", [[Bdat(b"a")], GO_ON], "a 354 in reply to BDAT"),
    ("RFC 3030 §2", [[Bdat(b"a", last=True)], GO_ON], "a 354 in reply to the last BDAT"),
    ("RFC 4954 §4", ["noop", b"334 \r\n"], "a 334 in reply to NOOP"),
    ("RFC 4954 §4", ["mail", b"334 \r\n"], "a 334 in reply to MAIL"),
    ("RFC 4954 §4", ["auth", GO_ON], "a 354 in reply to AUTH"),
    ("RFC 4954 §4", ["auth", b"335 \r\n"], "a 335 in reply to AUTH"),
    (
        "RFC 4954 §4",
        ["auth", b"334 \r\n", "cancel", b"334 \r\n"],
        "a 334 in reply to the cancelled AUTH",
    ),
    (
        "RFC 4954 §4",
        ["auth", b"334 \r\n", "cancel", b"235 a\r\n"],
        "a 235 in reply to the cancelled AUTH",
    ),
    ("RFC 4954 §4: base64", ["auth", b"334 hello there\r\n"], "a challenge that is not base64"),
    ("RFC 4954 §4: base64", ["auth", b"334 Zg==Zg==\r\n"], "a challenge that is not base64"),
    ("RFC 4954 §4: base64", ["auth", b"334 Zg=\r\n"], "a challenge that is not base64"),
    ("RFC 4954 §4: base64", ["auth", b"334 =\r\n"], "a challenge that is not base64"),
    ("RFC 4954 §4: base64", ["auth", b"334 Zm9v\xff\r\n"], "a challenge that is not base64"),
    ("RFC 4954 §4: one line", ["auth", b"334-\r\n334 \r\n"], "a challenge of more than one line"),
    ("RFC 3207 §4", ["starttls", OK], "a 250 in reply to STARTTLS"),
    ("RFC 3207 §4", ["starttls", GO_ON], "a 354 in reply to STARTTLS"),
]


@pytest.mark.parametrize(("steps", "message"), [row[1:] for row in OUT_OF_TURN], ids=shown)
def test_out_of_turn(steps: list[Step], message: str) -> None:
    results = [converse(opened(), steps, cut) for cut in (whole, one_by_one)]
    assert results[0] == results[1]
    assert results[0].refused == []
    assert str(results[0].fault).startswith(f"RemoteProtocolError: {message} at offset ")
    assert results[0].state is State.ERROR


def test_replies_before_a_fault_are_on_the_error_and_it_is_final() -> None:
    codec = opened()
    codec.send(*SENT["mail"], *SENT["rcpt"], *SENT["rset"])
    with pytest.raises(RemoteProtocolError) as caught:
        codec.receive_data(b"250 a\r\n550 b\r\n250 c\0\r\n250 never\r\n")
    assert caught.value.events == [Reply(250, ("a",)), Reply(550, ("b",))]
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as repeated:
            codec.receive_data(OK)
        assert str(repeated.value) == str(caught.value)
        assert repeated.value.events == []
    with pytest.raises(RemoteProtocolError, match="a line with a control character at offset"):
        codec.receive_eof()
    with pytest.raises(LocalProtocolError, match="NOOP cannot be sent in state ERROR"):
        codec.send(Noop())
    with pytest.raises(LocalProtocolError, match="TLS cannot start in state ERROR"):
        codec.tls_started()


def test_an_interrupted_call_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(self: Codec, reply: Reply, state: State) -> State:
        raise MemoryError

    monkeypatch.setattr(Codec, "_take", run_out)
    codec = Codec()
    with pytest.raises(MemoryError):
        codec.receive_data(GREETING)
    assert state_of(codec) is State.ERROR
    with pytest.raises(RemoteProtocolError, match="interrupted"):
        codec.receive_data(GREETING)


def test_faults_do_not_show_the_text() -> None:
    wires = (b"secret\r\n", b"250 secret\0\r\n", b"250 secret\n", b"250-a\r\n550 secret\r\n")
    for wire in (*wires, b"334 secret\r\n", b"354 secret\r\n", OK + b"250 secret\r\n"):
        codec = opened()
        codec.send(*SENT["auth"])
        with pytest.raises(RemoteProtocolError) as caught:
            codec.receive_data(wire)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("data", ["250 a\r\n", 5, None, [50]])
def test_input_that_is_no_bytes_is_refused_and_harms_nothing(data: Any) -> None:
    codec = Codec()
    with pytest.raises(TypeError):
        codec.receive_data(data)
    assert codec.receive_data(GREETING) == [Reply(220, ("mx.example ESMTP",))]


# STARTTLS injection (CVE-2011-0411 and its like) ---------------------------------------------

GO = b"220 2.0.0 Ready to start TLS\r\n"
INJECTED = [
    *(b"\r\n", b"\n", b"x", b"\0", b"250 a\r\n", b"250-a\r\n", b"421 bye\r\n", b"220 go\r\n"),
    *(ehlo_reply(b"AUTH PLAIN"), b"\x16\x03\x03", b"235 2.7.0 Authenticated\r\n", b" "),
]


@pytest.mark.parametrize("injected", INJECTED, ids=shown)
def test_nothing_comes_behind_the_220_in_any_cut(injected: bytes) -> None:
    wire = GO + injected
    whole_result = converse(opened(), ["starttls", wire])
    place = len(GREETING + ehlo_reply() + GO)
    assert whole_result.fault == (
        f"RemoteProtocolError: data behind the 220 to STARTTLS at offset {place}"
    )
    assert [event.code for event in whole_result.events] == [220]
    assert whole_result.state is State.ERROR
    for cut in range(len(wire) + 1):
        cut_here = partial(cut_at, places=[cut])
        assert converse(opened(), ["starttls", wire], cut_here) == whole_result
    assert converse(opened(), ["starttls", wire], one_by_one) == whole_result


@pytest.mark.parametrize("injected", INJECTED, ids=shown)
def test_nothing_comes_before_the_220_in_any_cut(injected: bytes) -> None:
    # Some of it comes before STARTTLS is sent, the rest in front of the answer.
    for cut in range(len(injected) + 1):
        steps: list[Step] = [injected[:cut], "starttls", injected[cut:] + GO]
        result = converse(opened(), steps)
        assert converse(opened(), steps, one_by_one) == result
        closed = result.events[-1:] == [Reply(421, ("bye",))]
        assert result.state is (State.CLOSED if closed else State.ERROR)


def test_no_command_goes_behind_starttls() -> None:
    codec = opened()
    with pytest.raises(LocalProtocolError, match="EHLO before the reply to STARTTLS"):
        codec.send(StartTLS(), *SENT["ehlo"])
    codec.send(StartTLS())
    codec.receive_data(GO)
    with pytest.raises(LocalProtocolError, match="EHLO cannot be sent in state TLS"):
        codec.send(*SENT["ehlo"])


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
    (["starttls", GO], None),
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


# Limits --------------------------------------------------------------------------------------


def limited() -> Codec:
    codec = Codec(max_line_length=32, max_reply_length=64)
    codec.receive_data(b"220 a\r\n")
    codec.send(*SENT["ehlo"])
    codec.receive_data(b"250-a\r\n250 PIPELINING\r\n")
    codec.send(*SENT["rset"], *SENT["rset"])
    return codec


LINE = "a line longer than max_line_length"
LENGTH = "a reply longer than max_reply_length, or of too many lines"
TOO_LONG: list[tuple[bytes, bytes, str, int]] = [
    (b"250 " + b"x" * 26 + b"\r\n", b"250 " + b"x" * 27 + b"\r\n", LINE, 0),
    (b"250 a\r\n", b"250 " + b"x" * 1000, LINE, 0),
    (b"250 a\r\n", b"x" * 32, LINE, 0),
    (b"250 a\r\n", b"\r" * 1000, LINE, 0),
    (b"250 a\r\n", b"x" * 1000 + b"\r\n", LINE, 0),
    (b"250-a\r\n250 b\r\n", b"250-a\r\n" + b"x" * 32, LINE, 7),
    ((b"250-" + b"x" * 26 + b"\r\n") + b"250 " + b"x" * 26 + b"\r\n",
     (b"250-" + b"x" * 26 + b"\r\n") * 2 + b"250\r\n", LENGTH, 64),
    (b"250-aaaa\r\n" * 5 + b"250 aaaaaaaa\r\n",
     b"250-aaaa\r\n" * 5 + b"250 aaaaaaaaa\r\n", LENGTH, 50),
    (b"250 a\r\n", b"250-a\r\n" * 1000, LENGTH, 63),
]  # fmt: skip


@pytest.mark.parametrize(("within", "beyond", "message", "place"), TOO_LONG, ids=shown)
def test_limit(within: bytes, beyond: bytes, message: str, place: int) -> None:
    for cut in (whole, one_by_one):
        result = converse(limited(), [within * 2], cut)
        assert (result.fault, result.end, len(result.events)) == (None, None, 2)
        result = converse(limited(), [within + beyond], cut)
        offset = 7 + 23 + len(within) + place
        assert result.fault == f"MessageTooLarge: {message} at offset {offset}"
        assert (result.state, result.trailing_data) == (State.ERROR, b"")


def test_a_fault_within_a_line_that_is_too_long_is_the_length() -> None:
    for wire in (b"x\0" * 100 + b"\r\n", b"250 " + b"\r" * 100 + b"\n"):
        codec = limited()
        with pytest.raises(MessageTooLarge, match=LINE):
            codec.receive_data(wire)
        with pytest.raises(MessageTooLarge, match=LINE):
            codec.receive_data(b"")


def test_a_reply_has_not_too_many_lines() -> None:
    codec = opened()
    codec.send(*SENT["help"])
    (reply,) = codec.receive_data(b"214-\r\n" * 1023 + b"214 \r\n")
    assert len(reply.lines) == 1024
    codec.send(*SENT["help"])
    with pytest.raises(MessageTooLarge, match=LENGTH):
        codec.receive_data(b"214-\r\n" * 1024 + b"214 \r\n")


def test_what_waits_is_bounded() -> None:
    codec = opened()
    codec.send(*SENT["help"])
    for _ in range(12287):
        codec.receive_data(b"x")
    with pytest.raises(MessageTooLarge, match=LINE):
        codec.receive_data(b"x")
    codec = opened()
    codec.send(*SENT["help"])
    for _ in range(65):
        codec.receive_data(b"214-" + b"x" * 1000 + b"\r\n")
    with pytest.raises(MessageTooLarge, match=LENGTH):
        codec.receive_data(b"214-" + b"x" * 1000 + b"\r\n")


def test_default_limits_let_a_long_challenge_in() -> None:
    # RFC 4954 §4: "12288 octets is considered to be a sufficient line length limit".
    codec = opened()
    codec.send(*SENT["auth"])
    (reply,) = codec.receive_data(b"334 %b\r\n" % (b"QUJD" * 3070))
    assert reply.challenge == b"ABC" * 3070


@pytest.mark.parametrize(
    "settings",
    [
        *({"max_line_length": 15}, {"max_line_length": 0}, {"max_line_length": -1}),
        *({"max_reply_length": 12287}, {"max_line_length": 2**63, "max_reply_length": 2**63}),
    ],
)
def test_limits_make_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be from"):
        Codec(**settings)


def test_limits_are_integers() -> None:
    limit: Any = 4096.5
    with pytest.raises(TypeError):
        Codec(max_line_length=limit)


def test_utf8_recipients_are_echoed() -> None:
    codec = opened()
    codec.send(*SENT["utf8 mail"], Rcpt("tü@example.com"))
    replies = codec.receive_data("250 2.1.0 früm\r\n550 5.1.1 <tü@example.com>\r\n".encode())
    assert replies[1].text == "<tü@example.com>"
