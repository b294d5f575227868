from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wirekit.adapters.smtp import (
    By,
    Mail,
    Options,
    SMTPArgumentError,
    SMTPMessageTooLarge,
    SMTPNotSupported,
)
from wirekit.adapters.smtp._bodies import Body
from wirekit.adapters.smtp._envelope import Envelope, make_envelope
from wirekit.protocols.smtp import Codec, Ehlo

ALL = (
    "SIZE 1000",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
    "DSN",
    "REQUIRETLS",
    "DELIVERBY 60",
    "FUTURERELEASE 3600 2030-01-01T00:00:00Z",
    "MT-PRIORITY",
    "AUTH PLAIN",
    "LIMITS RCPTMAX=2",
)


def made(
    keywords: tuple[str, ...] = ALL,
    *,
    sender: str = "a@example.org",
    recipients: Any = "b@example.org",
    body: bytes | Body = b"x\r\n",
    secure: bool = True,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Envelope:
    codec = Codec()
    codec.receive_data(b"220 ready\r\n")
    codec.send(Ehlo("x"))
    lines = ["server", *keywords]
    codec.receive_data(
        b"".join(b"250-%b\r\n" % line.encode() for line in lines[:-1])
        + b"250 %b\r\n" % lines[-1].encode()
    )
    assert codec.capabilities is not None
    if isinstance(body, bytes):
        body = Body(body)
    mail = Mail(sender, recipients, b"", options=Options(**(options or {})), **settings)
    return make_envelope(mail, body, codec.capabilities, secure=secure)


def lines(envelope: Envelope) -> tuple[str, str]:
    """Return what stands behind the sender, and behind the first recipient."""
    mail = envelope.mail.encode().decode().strip()
    rcpt = envelope.rcpts[0].encode(smtputf8=envelope.mail.has("SMTPUTF8")).decode().strip()
    return mail.partition("> ")[2], rcpt.partition("> ")[2]


def test_a_plain_mail_to_a_plain_server() -> None:
    envelope = made(())
    assert envelope.mail.encode() == b"MAIL FROM:<a@example.org>\r\n"
    assert [rcpt.encode() for rcpt in envelope.rcpts] == [b"RCPT TO:<b@example.org>\r\n"]
    assert envelope.ascii_only


def test_the_null_reverse_path_and_doubles() -> None:
    envelope = made((), sender="", recipients=["b@example.org", "c@example.org", "b@example.org"])
    assert envelope.mail.encode() == b"MAIL FROM:<>\r\n"
    assert list(envelope.recipients) == ["b@example.org", "c@example.org"]


def test_the_size_counts_line_endings_as_they_will_be() -> None:
    assert lines(made(("SIZE",), body=b"a\nb\r\n"))[0] == "SIZE=6"
    assert lines(made(("SIZE",), body=Body(open_pieces=Body(b"").pieces, size=7)))[0] == "SIZE=7"
    assert lines(made(("SIZE",), body=Body(open_pieces=Body(b"").pieces)))[0] == ""
    assert lines(made(("SIZE 0",), body=b"x" * 5000))[0] == "SIZE=5000"


def test_a_message_that_is_too_large() -> None:
    assert "SIZE=1000" in lines(made(body=b"x" * 1000))[0]
    with pytest.raises(SMTPMessageTooLarge, match="1001 bytes, and the server takes 1000"):
        made(body=b"x" * 1001)


def test_what_the_content_is() -> None:
    stream = Body(open_pieces=Body(b"").pieces)
    assert "BODY" not in lines(made(body=b"ascii"))[0]
    assert "BODY=8BITMIME" in lines(made(body=b"\xe4"))[0]
    assert "BODY=8BITMIME" in lines(made(body=stream))[0]
    assert "BODY=BINARYMIME" in lines(made(body=b"\0", body_type="BINARYMIME"))[0]
    assert made((), body=stream).ascii_only
    assert not made(body=stream).ascii_only
    assert made(body=stream, body_type="7BIT").ascii_only
    with pytest.raises(SMTPNotSupported, match="8BITMIME"):
        made((), body=b"\xe4")
    with pytest.raises(SMTPNotSupported, match="BINARYMIME"):
        made(("BINARYMIME",), body_type="BINARYMIME")
    with pytest.raises(SMTPArgumentError, match="7BIT"):
        made(body=b"\xe4", body_type="7BIT")


def test_what_the_content_is_said_to_be_in_an_option() -> None:
    binary = {"mail_options": ["BODY=BINARYMIME"]}
    assert lines(made(body=b"\0", options=binary))[0] == "SIZE=1 BODY=BINARYMIME"
    assert lines(made(body=b"a\n", options=binary))[0] == "SIZE=2 BODY=BINARYMIME"
    with pytest.raises(SMTPNotSupported, match="CHUNKING"):
        made(("BINARYMIME",), body=b"\0", options=binary)
    with pytest.raises(SMTPArgumentError, match="7BIT"):
        made(body=b"\xe4", options={"mail_options": ["BODY=7BIT"]})
    assert made(
        body=Body(open_pieces=Body(b"").pieces), options={"mail_options": ["BODY=7BIT"]}
    ).ascii_only


def test_smtputf8_only_where_it_is_needed() -> None:
    assert "SMTPUTF8" not in lines(made(recipients="b@bücher.example"))[0]
    assert made(recipients="b@bücher.example").rcpts[0].path == "b@xn--bcher-kva.example"
    envelope = made(recipients="δοκιμή@example.org")
    assert "SMTPUTF8" in lines(envelope)[0]
    assert envelope.rcpts[0].path == "δοκιμή@example.org"
    assert "SMTPUTF8" in lines(made(sender="δοκιμή@example.org"))[0]
    assert "SMTPUTF8" in lines(made(smtputf8=True))[0]
    with pytest.raises(SMTPNotSupported, match="SMTPUTF8"):
        made((), recipients="δοκιμή@example.org")


@pytest.mark.parametrize(
    ("options", "mail", "rcpt"),
    [
        ({"requiretls": True}, "REQUIRETLS", ""),
        ({"ret": "HDRS", "envid": "a+b=c d"}, "RET=HDRS ENVID=a+2Bb+3Dc+20d", ""),
        ({"notify": ["SUCCESS", "DELAY"]}, "", "NOTIFY=SUCCESS,DELAY"),
        ({"notify": ["NEVER"]}, "", "NOTIFY=NEVER"),
        ({"orcpt": {"b@example.org": "x+y@z"}}, "", "ORCPT=rfc822;x+2By@z"),
        ({"orcpt": {"b@example.org": "ä@z"}}, "", r"ORCPT=utf-8;\x{E4}@z"),
        ({"orcpt": {"c@example.org": "x@z"}}, "", ""),
        ({"holdfor": 60}, "HOLDFOR=60", ""),
        (
            {"holduntil": datetime(2029, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))},
            "HOLDUNTIL=2029-01-01T01:00:00Z",
            "",
        ),
        ({"by": By(120)}, "BY=120;R", ""),
        ({"by": By(-5, "N", trace=True)}, "BY=-5;NT", ""),
        ({"mt_priority": -3}, "MT-PRIORITY=-3", ""),
        ({"mail_options": ["ret=FULL", "AUTH=<>"]}, "RET=FULL AUTH=<>", ""),
        ({"rcpt_options": ["NOTIFY=NEVER"]}, "", "NOTIFY=NEVER"),
        (
            {"mail_options": ["smtputf8", "size=5", "body=8bitmime"]},
            "SMTPUTF8 SIZE=5 BODY=8BITMIME",
            "",
        ),
    ],
)
def test_options(options: dict[str, Any], mail: str, rcpt: str) -> None:
    got_mail, got_rcpt = lines(made(options=options))
    assert got_mail.removesuffix("SIZE=3").strip() == mail
    assert got_rcpt == rcpt


@pytest.mark.parametrize(
    "options",
    [
        {"requiretls": True},
        {"ret": "FULL"},
        {"envid": "x"},
        {"notify": ["DELAY"]},
        {"orcpt": {"b@example.org": "x"}},
        {"holdfor": 1},
        {"by": By(1)},
        {"mt_priority": 1},
        {"mail_options": ["RET=FULL"]},
        {"mail_options": ["BODY=8BITMIME"]},
        {"mail_options": ["SMTPUTF8"]},
        {"rcpt_options": ["NOTIFY=NEVER"]},
        {"mail_options": ["X-UNKNOWN=1"]},
    ],
)
def test_an_option_without_its_extension(options: dict[str, Any]) -> None:
    with pytest.raises(SMTPNotSupported):
        made((), options=options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"notify": ["NEVER", "DELAY"]}, SMTPArgumentError),
        ({"notify": ["ALWAYS"]}, SMTPArgumentError),
        ({"envid": "ä"}, SMTPArgumentError),
        ({"holdfor": 1, "holduntil": datetime.now(UTC)}, SMTPArgumentError),
        ({"holdfor": -1}, SMTPArgumentError),
        ({"holdfor": 3601}, SMTPNotSupported),
        ({"holduntil": datetime(2029, 1, 1)}, SMTPArgumentError),
        ({"holduntil": datetime(2031, 1, 1, tzinfo=UTC)}, SMTPNotSupported),
        ({"by": By(59)}, SMTPNotSupported),
        ({"by": By(-1)}, SMTPArgumentError),
        ({"mt_priority": 10}, SMTPArgumentError),
        ({"by": By(60, "X")}, SMTPArgumentError),  # type: ignore[arg-type]
        ({"ret": "ALL"}, SMTPArgumentError),
        # Decoded, they would begin a header field of the server's notification.
        ({"envid": "a\r\nX-Evil: yes"}, SMTPArgumentError),
        ({"envid": ""}, SMTPArgumentError),
        ({"orcpt": {"b@example.org": "a\nb"}}, SMTPArgumentError),
        ({"orcpt": {"b@example.org": "ä\x85b"}}, SMTPArgumentError),
        ({"mail_options": ["BODY=9BIT"]}, SMTPArgumentError),
        ({"mail_options": ["BODY"]}, SMTPArgumentError),
    ],
)
def test_an_option_that_is_wrong(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        made(options=options)


def test_requiretls_needs_tls() -> None:
    with pytest.raises(SMTPNotSupported, match="REQUIRETLS"):
        made(options={"requiretls": True}, secure=False)


def test_recipients_that_are_wrong() -> None:
    for recipients in ([], "", ["b@example.org", ""], "no address"):
        with pytest.raises(SMTPArgumentError):
            made(recipients=recipients)


def test_nothing_of_a_message_is_shown() -> None:
    assert "secret" not in repr(Mail("a@example.org", "b@example.org", b"secret"))
