"""What the server may not say, and how much: faults and limits, each with its section."""

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
from wirekit.protocols.smtp import Bdat, Codec, Noop, Reply, StartTLS, State

# Lines ---------------------------------------------------------------------------------------

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


# Turns ---------------------------------------------------------------------------------------

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
    ("unasked: go on", ["data", GO_ON * 2], "a reply 354 that nobody waits for"),
    ("unasked: after a 334", ["auth", b"334 \r\n535 a\r\n"], "a reply 535 that nobody waits for"),
    ("unasked: a refusal", [b"451 4.4.2 timeout\r\n"], "a reply 451 that nobody waits for"),
    ("unasked: a refusal", [b"5", "noop", b"50 a\r\n"], "a reply 550 that nobody waits for"),
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
