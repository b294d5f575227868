"""What may be sent when, mail data on the wire, and that a refused send changes nothing."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from tests.protocols._outcome import shown
from tests.protocols.smtp._conversation import (
    GO_ON,
    GREETING,
    OK,
    SENT,
    chunks,
    ehlo_reply,
    mail_data,
    naive_line_endings,
    naive_transparency,
    opened,
    read_chunks,
    read_mail_data,
    state_of,
)
from wirekit import LocalProtocolError
from wirekit.protocols.smtp import (
    Bdat,
    Codec,
    Data,
    Ehlo,
    EndOfMailData,
    Helo,
    Lhlo,
    Mail,
    MailData,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    State,
)

MAIL = Mail("a@example.com")
BINARY = Mail("a@example.com", (("BODY", "BINARYMIME"),))
RCPT = Rcpt("b@example.com")


def in_mail_data(**settings: Any) -> Codec:
    codec = opened(**settings)
    codec.send(MAIL, RCPT)
    codec.receive_data(OK * 2)
    codec.send(Data())
    codec.receive_data(GO_ON)
    assert state_of(codec) is State.MAIL_DATA
    return codec


# Turns ---------------------------------------------------------------------------------------

OUT_OF_TURN: list[tuple[str, list[str | bytes], str, str]] = [
    ("RFC 5321 §4.3.1", [], "ehlo", "EHLO cannot be sent in state GREETING"),
    ("RFC 5321 §4.3.1", [], "quit", "QUIT cannot be sent in state GREETING"),
    ("RFC 5321 §4.1.4", [GREETING], "mail", "MAIL before EHLO or HELO"),
    (
        "RFC 5321 §4.1.4: it was refused",
        [GREETING, "ehlo", b"502 no\r\n"],
        "mail",
        "MAIL before EHLO or HELO",
    ),
    ("RFC 2033 §4.1", [GREETING], "lhlo", "LHLO is not for this protocol"),
    ("RFC 2920 §3.1", [GREETING, "ehlo"], "noop", "NOOP before the reply to EHLO without PIPE"),
    ("RFC 2920 §3.1", ["opened", "ehlo"], "mail", "MAIL before the reply to EHLO"),
    ("RFC 2920 §3.1", ["opened", "data"], "rset", "RSET before the reply to DATA"),
    ("RFC 2920 §3.1", ["opened", "vrfy"], "rset", "RSET before the reply to VRFY"),
    ("RFC 2920 §3.1", ["opened", "expn"], "rset", "RSET before the reply to EXPN"),
    ("RFC 2920 §3.1", ["opened", "quit"], "rset", "RSET before the reply to QUIT"),
    ("RFC 2920 §3.1", ["opened", "noop"], "rset", "RSET before the reply to NOOP"),
    ("RFC 2920 §3.1: not said", ["opened", "help"], "rset", "RSET before the reply to HELP"),
    (
        "RFC 2920 §3.1: others",
        ["opened", "etrn"],
        "rset",
        "RSET before the reply to an extension's command",
    ),
    ("RFC 3207 §4", ["opened", "starttls"], "ehlo", "EHLO before the reply to STARTTLS"),
    ("RFC 4954 §4", ["opened", "auth"], "mail", "MAIL before the reply to AUTH"),
    (
        "RFC 4954 §4",
        ["opened", "auth", b"334 \r\n", "response"],
        "mail",
        "MAIL before the reply to AUTH",
    ),
    (
        "RFC 4954 §4",
        ["opened", "auth", b"334 \r\n", "cancel"],
        "mail",
        "MAIL before the reply to the cancelled AUTH",
    ),
    ("RFC 4954 §4", ["opened", "auth", b"334 \r\n"], "rset", "RSET cannot be sent in state AUTH"),
    ("RFC 4954 §4", ["opened"], "response", "AUTH cannot be sent in state OPEN"),
    ("RFC 4954 §4", ["opened"], "cancel", "the cancelled AUTH cannot be sent in state OPEN"),
    ("RFC 4954 §4", ["opened", "auth"], "response", "AUTH cannot be sent in state OPEN"),
    (
        "RFC 3207 §4.2",
        ["opened", "starttls", b"220 go\r\n"],
        "ehlo",
        "EHLO cannot be sent in state TLS",
    ),
    (
        "RFC 3207 §4.2: EHLO again",
        ["opened", "starttls", b"220 go\r\n", "tls"],
        "mail",
        "MAIL before EHLO or HELO",
    ),
    ("RFC 5321 §4.1.1.4", ["opened"], "end", "the mail data cannot be sent in state OPEN"),
    ("RFC 5321 §4.1.1.4", ["opened", "data"], "end", "the mail data cannot be sent in state OPEN"),
    (
        "RFC 5321 §4.1.1.4",
        ["opened", "data", GO_ON],
        "rset",
        "RSET cannot be sent in state MAIL_DATA",
    ),
    (
        "RFC 5321 §4.1.1.4",
        ["opened", "data", GO_ON],
        "quit",
        "QUIT cannot be sent in state MAIL_DATA",
    ),
    (
        "RFC 5321 §4.1.1.4",
        ["opened", "data", GO_ON, "end"],
        "end",
        "the mail data cannot be sent in state OPEN",
    ),
    ("RFC 3030 §3", ["opened", "binary mail"], "data", "DATA after BODY=BINARYMIME, which needs"),
    ("RFC 5321 §3.8", ["opened", b"421 bye\r\n"], "quit", "QUIT cannot be sent in state CLOSED"),
    (
        "RFC 5321 §4.1.1.10",
        ["opened", "quit", b"221 bye\r\n"],
        "noop",
        "NOOP cannot be sent in state CLOSED",
    ),
]


@pytest.mark.parametrize(("steps", "name", "message"), [row[1:] for row in OUT_OF_TURN], ids=shown)
def test_out_of_turn(steps: list[str | bytes], name: str, message: str) -> None:
    codec = Codec()
    for step in steps:
        if isinstance(step, bytes):
            codec.receive_data(step)
        elif step == "opened":
            codec = opened()
        elif step == "tls":
            codec.tls_started()
        else:
            codec.send(*SENT[step])
    before = state_of(codec)
    with pytest.raises(LocalProtocolError) as caught:
        codec.send(*SENT[name])
    assert str(caught.value).startswith(message)
    assert state_of(codec) is before


def test_mail_rcpt_rset_and_mail_data_may_be_followed() -> None:
    # RFC 2920 §3.1, RFC 3030 §4.2
    codec = opened()
    codec.send(MAIL, RCPT, RCPT, Rset(), MAIL, RCPT, Data())
    codec.receive_data(OK * 6 + GO_ON)
    codec.send(MailData(b"a"), EndOfMailData())
    codec.send(MAIL, RCPT, Bdat(b"a"), Bdat(b"b", last=True))
    codec.send(MAIL, RCPT, Data())
    codec.receive_data(OK * 5 + OK * 2 + GO_ON)
    codec.send(EndOfMailData(), Quit())
    assert len(codec.receive_data(OK + b"221 bye\r\n")) == 2


def test_each_waits_without_pipelining() -> None:
    codec = opened(b"CHUNKING")
    for name in ("mail", "rcpt", "rset"):
        codec.send(*SENT[name])
        with pytest.raises(LocalProtocolError, match="without PIPELINING"):
            codec.send(*SENT["rcpt"])
        codec.receive_data(OK)
    codec.send(Bdat(b"a", last=True))
    with pytest.raises(LocalProtocolError, match="MAIL before the reply to the last BDAT without"):
        codec.send(MAIL)
    codec.receive_data(OK)
    with pytest.raises(LocalProtocolError, match="RCPT before the reply to MAIL without"):
        codec.send(MAIL, RCPT)
    assert codec.send(MAIL) == b"MAIL FROM:<a@example.com>\r\n"


def test_pipelining_is_forgotten_with_tls() -> None:
    codec = opened()
    codec.send(StartTLS())
    codec.receive_data(b"220 go\r\n")
    codec.tls_started()
    assert codec.capabilities is None
    with pytest.raises(LocalProtocolError, match="without PIPELINING"):
        codec.send(Rset(), Rset())
    codec.send(Ehlo("me"))
    codec.receive_data(ehlo_reply(b"PIPELINING"))
    codec.send(Rset(), Rset())


def test_lmtp_has_its_own_hello() -> None:
    codec = Codec(lmtp=True)
    codec.receive_data(GREETING)
    for command in (Ehlo("me"), Helo("me")):
        with pytest.raises(LocalProtocolError, match="is not for this protocol"):
            codec.send(command)
    assert codec.send(Lhlo("me")) == b"LHLO me\r\n"


# Mail data -----------------------------------------------------------------------------------

TEXTS = [
    *(b"", b".", b"a", b"a\r\n", b"\r", b"\n", b"\r\n", b".\r\n", b"a\rb\nc\r\n.d\r", b"\r\n.\r\n"),
    *(b"Subject: x\r\n\r\n.\nMAIL FROM:<x>\r\n.\r", b"x" * 40000, b".\n" * 300, b"\x01.\r\n\x7f"),
]


@pytest.mark.parametrize("text", TEXTS, ids=shown)
@pytest.mark.parametrize("size", [1, 2, 7, 65536])
def test_mail_data(text: bytes, size: int) -> None:
    text = text if size > 2 else text[:300]
    codec = in_mail_data()
    wire = codec.send(*mail_data(text, size))
    assert wire == naive_transparency(text)
    assert read_mail_data(wire) == (naive_line_endings(text), b"")
    assert state_of(codec) is State.OPEN
    assert codec.receive_data(OK)[0].code == 250
    one_by_one = in_mail_data()
    assert b"".join(one_by_one.send(command) for command in mail_data(text, size)) == wire


@pytest.mark.parametrize("text", TEXTS, ids=shown)
@pytest.mark.parametrize("size", [1, 2, 7, 65536])
def test_chunks(text: bytes, size: int) -> None:
    text = text if size > 2 else text[:300]
    codec = opened()
    codec.send(MAIL, RCPT)
    wire = codec.send(*chunks(text, size))
    assert read_chunks(wire) == (naive_line_endings(text), True)
    codec.send(MAIL, RCPT)
    assert codec.send(*chunks(text, size)) == wire  # the encoder is as new


@pytest.mark.parametrize("text", TEXTS, ids=shown)
def test_binary_chunks_are_sent_as_they_are(text: bytes) -> None:
    codec = opened()
    codec.send(BINARY, RCPT)
    assert read_chunks(codec.send(*chunks(text, 5))) == (text, True)
    codec.send(MAIL, RCPT)
    assert read_chunks(codec.send(*chunks(text, 5))) == (naive_line_endings(text), True)


def test_a_null_character_is_for_binary_chunks_only() -> None:
    codec = in_mail_data()
    for data in (b"a\0", bytearray(b"\0"), memoryview(b"\r\n\0.\r\n")):
        with pytest.raises(LocalProtocolError, match="null character"):
            codec.send(MailData(b"a"), MailData(data), EndOfMailData())
    assert codec.send(MailData(b"b"), EndOfMailData()) == b"b\r\n.\r\n"
    codec = opened()
    with pytest.raises(LocalProtocolError, match="null character"):
        codec.send(MAIL, RCPT, Bdat(b"\0", last=True))
    codec.send(BINARY, RCPT)
    assert read_chunks(codec.send(Bdat(b"\0", last=True))) == (b"\0", True)


def test_a_chunk_is_counted_after_its_line_endings() -> None:
    codec = opened()
    assert codec.send(MAIL, Bdat(b"a\nb\r"))[27:] == b"BDAT 4\r\na\r\nb"
    assert codec.send(Bdat(b"")) == b"BDAT 0\r\n"
    assert codec.send(Bdat(b"\n.\r", last=True)) == b"BDAT 5 LAST\r\n\r\n.\r\n"


def test_a_kept_cr_does_not_go_into_the_next_transaction() -> None:
    codec = opened()
    assert codec.send(MAIL, Bdat(b"a\r"))[27:] == b"BDAT 1\r\na"
    assert codec.send(Rset(), MAIL, Bdat(b"b", last=True)).endswith(b"BDAT 3 LAST\r\nb\r\n")


def test_the_last_chunk_of_lmtp_waits_for_an_accepted_recipient() -> None:
    # RFC 2033 §4.3: "If there were no previously successful RCPT commands in the mail
    # transaction, then the BDAT LAST command returns zero replies."
    codec = opened(lmtp=True)
    last = Bdat(b"a", last=True)
    refused = pytest.raises(LocalProtocolError, match="the last BDAT before the replies to RCPT")
    codec.send(MAIL, RCPT, RCPT)
    for reply in (b"", OK, b"550 no\r\n"):
        codec.receive_data(reply)
        with refused:
            codec.send(Bdat(b"a"), last)
    codec.receive_data(OK)
    with refused:
        codec.send(RCPT, last)
    codec.send(Bdat(b"a"), last)
    assert len(codec.receive_data(OK * 2)) == 2
    with refused:
        codec.send(last)
    codec.send(MAIL, RCPT, RCPT)
    codec.receive_data(OK * 3)
    codec.send(Bdat(b"a"))
    codec.receive_data(b"452 no\r\n")
    with refused:
        codec.send(last)


# Buffers -------------------------------------------------------------------------------------


def test_large_mail_data_is_not_copied() -> None:
    data = b"0123456789abcd\r\n" * 1024
    codec = in_mail_data()
    buffers = codec.send_buffers(
        MailData(b"a\r\n"), MailData(data), MailData(b"b"), EndOfMailData()
    )
    assert buffers == [b"a\r\n", data, b"b\r\n.\r\n"]
    assert buffers[1] is data


def test_large_chunks_are_not_copied() -> None:
    data = b"0123456789abcd\r\n" * 1024
    codec = opened()
    buffers = codec.send_buffers(MAIL, Bdat(data), Bdat(data, last=True))
    assert [bytes(buffer) for buffer in buffers] == [
        b"MAIL FROM:<a@example.com>\r\nBDAT 16384\r\n",
        data,
        b"BDAT 16384 LAST\r\n",
        data,
    ]
    assert buffers[1] is data
    assert buffers[3] is data


@pytest.mark.parametrize("code", ["B", "H", "d"])
def test_any_buffer_is_a_binary_chunk(code: str) -> None:
    data = array(code, [10, 13, 46] * 4000)
    codec = opened()
    codec.send(BINARY)
    buffers = codec.send_buffers(Bdat(memoryview(data), last=True))
    assert b"".join(buffers) == b"BDAT %d LAST\r\n%b" % (len(bytes(data)), bytes(data))
    assert all(len(buffer) == memoryview(buffer).nbytes for buffer in buffers)


def test_send_buffers_is_send_in_pieces() -> None:
    assert opened().send_buffers() == []
    assert opened().send() == b""
    commands = [*SENT["transaction"]]
    assert opened().send_buffers(*commands) == [opened().send(*commands)]


# A refused send ------------------------------------------------------------------------------


def test_a_refused_send_changes_nothing() -> None:
    codec = opened()
    bad = Rcpt("x\r\nDATA")
    for commands in ([bad], [MAIL, bad], [MAIL, RCPT, Data(), bad], [Bdat(b"a\r"), bad]):
        with pytest.raises(LocalProtocolError):
            codec.send(*commands)
        with pytest.raises(LocalProtocolError):
            codec.send_buffers(*commands)
    # Neither replies are due nor is a CR kept.
    assert codec.send(Bdat(b"b", last=True)) == b"BDAT 3 LAST\r\nb\r\n"
    assert len(codec.receive_data(OK)) == 1
    assert codec.receive_eof() == []


def test_a_refused_send_leaves_the_mail_data_as_it_was() -> None:
    codec = in_mail_data()
    assert codec.send(MailData(b"a\r")) == b"a"
    with pytest.raises(LocalProtocolError):
        codec.send(MailData(b"\n.b"), EndOfMailData(), Rcpt("\0"))
    assert state_of(codec) is State.MAIL_DATA
    assert codec.send(MailData(b".c"), EndOfMailData()) == b"\r\n..c\r\n.\r\n"


def test_a_refused_transaction_is_forgotten() -> None:
    codec = opened()
    with pytest.raises(LocalProtocolError):
        codec.send(Mail("ü", (("SMTPUTF8", None), ("BODY", "BINARYMIME"))), Rcpt(""))
    codec.send(MAIL)
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="not ASCII"):
            codec.send(Rcpt("ü"))
    assert codec.send(Bdat(b"\n"))[8:] == b"\r\n"


def test_utf8_recipients_need_the_transaction_to_say_so() -> None:
    codec = opened()
    codec.send(*SENT["utf8 mail"], Rcpt("ü"), Rset(), MAIL)
    with pytest.raises(LocalProtocolError, match="RCPT is not ASCII"):
        codec.send(Rcpt("ü"))


@pytest.mark.parametrize("data", ["text", 5, None])
def test_what_is_no_buffer_is_no_mail_data(data: Any) -> None:
    with pytest.raises(TypeError):
        in_mail_data().send(MailData(data))
    with pytest.raises(TypeError):
        opened().send(Bdat(data))
