"""Nothing that is passed as an argument becomes a command, a parameter or a header field."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.text import MIMEText
from email.policy import SMTP as SMTP_POLICY
from email.policy import compat32, default
from typing import Any, cast

import pytest

import wirekit
from wirekit.adapters.smtp import SMTP, By, Mail, Options, SMTPPool

from .errors import assert_typed
from .fake_server import CHUNKING, FakeServer
from .helpers import SENDER, outcomes

TO = "to@example.org"
BODY = b"Subject: x\r\n\r\n"
EVIL = "evil@wirekit.example"

KEYWORDS = (
    *CHUNKING,
    "DSN",
    "EXPN",
    "STARTTLS",
    "REQUIRETLS",
    "FUTURERELEASE 9999999 2099-01-01T00:00:00Z",
    "DELIVERBY",
    "MT-PRIORITY",
)
# What is put behind, before and in place of an argument that is right.
POISON = [
    "\r\nRCPT TO:<evil@wirekit.example>",
    "\nRCPT TO:<evil@wirekit.example>",
    "\rRCPT TO:<evil@wirekit.example>",
    "\r\n.\r\nMAIL FROM:<evil@wirekit.example>",
    "\0",
    "\x0b",
    "\x7f",
    "\x85RCPT TO:<evil@wirekit.example>",
    "\u2028RCPT TO:<evil@wirekit.example>",
    "\ud800",
    "> BODY=8BITMIME X=<",
    ">\tORCPT=rfc822;evil@wirekit.example",
    " NOTIFY=NEVER",
    "\u010a\u010dRCPT TO:<evil@wirekit.example>",  # whose low bytes are LF and CR
    "\uff0d\uff0aRCPT",
    "\xe5\x98\x8d\xe5\x98\x8aRCPT",
    "<" + "x" * 20_000,
]
Call = Callable[[SMTP, str], Awaitable[object]]


def optional(name: str, value: Callable[[str], Any]) -> Call:
    def call(smtp: SMTP, text: str) -> Awaitable[object]:
        options = Options(**{name: value(text)})
        return smtp.send(Mail(SENDER, [TO], BODY, options=options))

    return call


CALLS: dict[str, tuple[str, Call]] = {
    "sender": ("a@example.org", lambda smtp, text: smtp.sendmail(text, TO, BODY)),
    "recipient": (TO, lambda smtp, text: smtp.sendmail(SENDER, text, BODY)),
    "second recipient": (TO, lambda smtp, text: smtp.sendmail(SENDER, [TO, text], BODY)),
    "quoted": ("a", lambda smtp, text: smtp.sendmail(f'"{text}"@example.org', TO, BODY)),
    "domain": ("b", lambda smtp, text: smtp.sendmail(f"a@{text}.example", TO, BODY)),
    "literal": ("127.0.0.1", lambda smtp, text: smtp.sendmail(f"a@[{text}]", TO, BODY)),
    "mail option": (
        "RET=HDRS",
        lambda smtp, text: smtp.sendmail(SENDER, TO, BODY, mail_options=[text]),
    ),
    "mail keyword": (
        "RET",
        lambda smtp, text: smtp.sendmail(SENDER, TO, BODY, mail_options=[f"{text}=HDRS"]),
    ),
    "rcpt option": (
        "NOTIFY=NEVER",
        lambda smtp, text: smtp.sendmail(SENDER, TO, BODY, rcpt_options=[text]),
    ),
    "ehlo": ("client.example", lambda smtp, text: smtp.ehlo(text)),
    "helo": ("client.example", lambda smtp, text: smtp.helo(text)),
    "vrfy": ("someone", lambda smtp, text: smtp.vrfy(text)),
    "vrfy utf8": ("someone", lambda smtp, text: smtp.vrfy(text, smtputf8=True)),
    "expn": ("list", lambda smtp, text: smtp.expn(text)),
    "help": ("MAIL", lambda smtp, text: smtp.help(text)),
    "user": ("alice", lambda smtp, text: smtp.login(text, "password")),
    "password": ("secret", lambda smtp, text: smtp.login("alice", text)),
    "token": ("token", lambda smtp, text: smtp.login("alice", token=text)),
    "mechanism": ("PLAIN", lambda smtp, text: smtp.login("alice", "p", mechanisms=[text])),
    "ret": ("HDRS", optional("ret", str)),
    "envid": ("id", optional("envid", str)),
    "notify": ("NEVER", optional("notify", lambda text: [text])),
    "orcpt": (TO, optional("orcpt", lambda text: {TO: text})),
    "by": ("R", optional("by", lambda text: By(60, text))),  # type: ignore[arg-type]
    "holdfor": ("60", optional("holdfor", lambda text: text)),
    "mt_priority": ("3", optional("mt_priority", lambda text: text)),
    "body_type": (
        "8BITMIME",
        lambda smtp, text: smtp.send(Mail(SENDER, [TO], BODY, text)),  # type: ignore[arg-type]
    ),
    "size": ("5", lambda smtp, text: smtp.send(Mail(SENDER, [TO], BODY, size=text))),  # type: ignore[arg-type]
}


def is_clean(line: bytes) -> bool:
    """Whether a line is one of ours, from which nothing was made that we did not ask for."""
    return re.fullmatch(rb"[ -~\xc2-\xf4\x80-\xbf]*", line) is not None


def check_lines(server: FakeServer, known: set[bytes]) -> None:
    verbs = [re.split(rb"[ :]", line)[0].upper() for line in server.lines]
    assert set(verbs) <= known, server.lines
    for line, verb in zip(server.lines, verbs, strict=True):
        assert is_clean(line), line
        if verb == b"RCPT":
            # One path, and behind it only what RFC 5321 calls a parameter.
            assert re.fullmatch(
                rb'RCPT TO:<(?:"(?:[^"\\]|\\.)*"|[^"<>\s])+>(?: [!-~\x80-\xff]+)*', line
            )
    assert sum(verb == b"RCPT" for verb in verbs) <= 2 * sum(verb == b"MAIL" for verb in verbs)
    assert not any(line.startswith(b"RCPT TO:<evil@") for line in server.lines)
    assert not any(line.startswith(b"MAIL FROM:<evil@") for line in server.lines)


@pytest.mark.parametrize("name", CALLS)
async def test_every_argument(name: str) -> None:
    right, call = CALLS[name]
    known = {b"EHLO", b"QUIT", b"MAIL", b"RCPT", b"BDAT", b"RSET", b"DATA", b"AUTH"}
    if name.split()[0] in ("helo", "vrfy", "expn", "help"):
        known.add(name.split()[0].upper().encode())
    for poison in POISON:
        for text in (right + poison, poison + right, poison, f"{right}{poison}{right}"):
            async with FakeServer(keywords=KEYWORDS) as server:
                async with server.client_on_socket(allow_plaintext_auth=True) as smtp:
                    (got,) = await outcomes(call(smtp, text))
                    if isinstance(got, Exception):
                        assert isinstance(got, wirekit.Error | TypeError | ValueError), repr(got)
                    # The connection is of use, or says why not.
                    (after,) = await outcomes(smtp.sendmail(SENDER, TO, BODY))
                    if isinstance(after, Exception):
                        assert_typed(after)
                        assert not smtp.is_connected
                check_lines(server, known)
                assert all(mail == BODY for mail in server.mails)


@pytest.mark.parametrize("poison", POISON)
async def test_what_the_constructor_takes(poison: str) -> None:
    async with FakeServer() as server:
        for settings in (
            {"hostname": f"me{poison}"},
            {"username": f"u{poison}", "password": f"p{poison}"},
            {"username": "u", "token": f"t{poison}"},
        ):
            smtp = server.client_on_socket(allow_plaintext_auth=True, **settings)
            (got,) = await outcomes(smtp.open())
            if isinstance(got, Exception):
                assert isinstance(got, wirekit.Error), repr(got)
            await smtp.aclose()
        check_lines(server, {b"EHLO", b"AUTH", b"QUIT"})


@pytest.mark.parametrize("poison", POISON)
async def test_the_pool_and_a_timezone(poison: str) -> None:
    options = Options(holduntil=datetime(2098, 1, 1, tzinfo=UTC), envid=f"x{poison}")
    async with FakeServer(keywords=KEYWORDS) as server:
        async with SMTPPool(server, "server:587", size=1, attempts=1) as pool:
            for call in (
                pool.sendmail(f"a{poison}@example.org", TO, BODY),
                pool.sendmail(SENDER, [f"{poison}{TO}"], BODY),
                pool.send(Mail(SENDER, [TO], BODY, options=options)),
            ):
                (got,) = await outcomes(call)
                if isinstance(got, Exception):
                    assert_typed(got)
        check_lines(server, {b"EHLO", b"MAIL", b"RCPT", b"BDAT", b"QUIT", b"RSET"})


# Header fields -----------------------------------------------------------------------------------

FIELDS = ("Subject", "From", "To", "Cc", "Bcc", "Reply-To", "Sender", "Message-ID", "Date", "X-Any")
ADDRESS_FIELDS = ("From", "To", "Cc", "Bcc", "Sender")  # of which the envelope is made
HEADER_POISON = [
    "\r\nBcc: evil@wirekit.example",
    "\nBcc: evil@wirekit.example",
    "\rBcc: evil@wirekit.example",
    "\r\n\r\nBcc: evil@wirekit.example\r\n",
    "\n\nbody",
    "\r\r\nX-Evil: yes",
    "\n \nX-Evil: yes",
    "\r\n \r\nX-Evil: yes",
    "\x0bX-Evil: yes",
    "\x0cX-Evil: yes",
    "\x1cX-Evil: yes",
    "\x85X-Evil: yes",
    "\u2028X-Evil: yes",
    "\0X-Evil: yes",
    "=?utf-8?q?=0d=0aX-Evil:_yes?=",
    "=?utf-8?b?DQpYLUV2aWw6IHllcw==?=",
    "\ud800",
]


def plant_usual(message: Message, field: str, text: str) -> None:
    message[field] = text


def plant_header(message: Message, field: str, text: str) -> None:
    cast("Any", message)[field] = Header(text)


def plant_raw(message: Message, field: str, text: str) -> None:
    message.set_raw(field, text)


def plant_list(message: Message, field: str, text: str) -> None:
    cast("Any", message)._headers.append((field, text))


def plant_name(message: Message, field: str, text: str) -> None:
    message.set_raw(f"{field}{text}", "x")


def plant_parameter(message: Message, field: str, text: str) -> None:
    message.add_header("Content-Disposition", "attachment", filename=text)


PLANTS = (plant_usual, plant_header, plant_raw, plant_list, plant_name, plant_parameter)


def new_message(kind: str) -> Message:
    if kind == "MIMEText":
        return MIMEText("content\n")
    if kind == "compat32":
        return message_from_bytes(b"Content-Type: text/plain\n\ncontent\n", policy=compat32)
    message = EmailMessage(policy=SMTP_POLICY if kind == "SMTP" else default)
    message.set_content("content\n")
    return message


@pytest.mark.parametrize("kind", ["EmailMessage", "SMTP", "MIMEText", "compat32"])
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
async def test_every_header_field(kind: str, plant: Callable[[Message, str, str], None]) -> None:
    async with FakeServer(keywords=KEYWORDS) as server, server.client_on_socket() as smtp:
        for field in FIELDS:
            for poison in HEADER_POISON:
                for text in (f"a@example.org{poison}", poison, f'"{poison}" <a@example.org>'):
                    message = new_message(kind)
                    try:
                        plant(message, field, text)
                    except Exception:  # the standard library refuses it itself
                        continue
                    (got,) = await outcomes(
                        smtp.send_message(message, sender=SENDER, recipients=[TO])
                    )
                    if isinstance(got, Exception):
                        assert_typed(got)
                    if field not in ADDRESS_FIELDS:
                        continue
                    (got,) = await outcomes(smtp.send_message(message))
                    if isinstance(got, Exception):
                        assert_typed(got)
        assert smtp.is_connected
        for mail in server.mails:
            head, _, content = mail.partition(b"\r\n\r\n")
            names = re.findall(rb"^([^ \t:\r\n]*):", head, re.MULTILINE)
            assert b"bcc" not in [name.lower() for name in names], mail
            assert b"X-Evil" not in names, mail
            assert content == b"content\r\n", mail
            assert b"\r" not in mail.replace(b"\r\n", b"")
            assert b"\n" not in mail.replace(b"\r\n", b"")
        check_lines(server, {b"EHLO", b"QUIT", b"MAIL", b"RCPT", b"BDAT", b"RSET"})


async def test_bcc_is_never_sent_whatever_it_is_written_like() -> None:
    async with FakeServer() as server, server.client_on_socket() as smtp:
        for name in ("Bcc", "bcc", "BCC", "Resent-Bcc", "resent-bcc"):
            message = new_message("EmailMessage")
            message["From"], message["To"] = SENDER, TO
            message[name] = "hidden@example.org"
            await smtp.send_message(message)
        assert len(server.mails) == 5
        assert not any(b"hidden" in mail for mail in server.mails)
