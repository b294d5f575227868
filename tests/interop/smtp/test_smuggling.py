"""Whatever stands in a message, real servers take it for one message, and for what it was."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from email import message_from_bytes
from email.message import EmailMessage
from email.mime.text import MIMEText
from email.policy import default
from itertools import product
from typing import Any

import pytest

from tests.servers import MailServer
from wirekit.adapters.smtp import Mail, SMTPArgumentError, SMTPRecipientsRefused

from .fake_server import WAYS, FakeServer
from .helpers import SENDER, eventually, fresh, on_socket, outcomes

# What one server or another has taken, or might take, for the end of DATA: SEC Consult's list of
# 2023 and more.
_ENDS = (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\n\n", b"\r\r", b"")
ENDS = [
    *(left + b"." + right for left, right in product(_ENDS, repeat=2)),
    b"\r\n..\r\n",
    b"\n..\n",
    b"\r\n. \r\n",
    b"\r\n.\t\r\n",
    b"\r\n .\r\n",
    b"\r\n.\x0b\r\n",
    b"\x0c.\x0c",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\x1a",
    b"\r\n.\x1a\r\n",
    b"\r\n\xff.\r\n",
    b"\r\n.\r\n.\r\n",
    b"\r\n\x08.\r\n",
    b"\r\n\xc0\xae\r\n",
]
NULS = [b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\r\0\n.\r\n", b"\0"]
SMUGGLED = "smuggled"


def commands(server: MailServer) -> bytes:
    """What would be a second mail if anybody took it for commands."""
    to = f"{SMUGGLED}@{server.domain}".replace(SMUGGLED, f"bob+{SMUGGLED}")
    return (
        b"MAIL FROM:<evil@wirekit.example>\r\nRCPT TO:<%b>\r\nDATA\r\n"
        b"Subject: smuggled\r\n\r\nhere\r\n.\r\nRSET\r\n" % to.encode()
    )


def body(server: MailServer, end: bytes) -> bytes:
    return b"Subject: outer\r\n\r\nbefore" + end + commands(server) + b"after"


def as_sent(text: bytes) -> bytes:
    """What the message is: every line ending is CRLF, and the last line has one."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", text)
    return text if text.endswith(b"\r\n") else text + b"\r\n"


async def pieces(text: bytes, size: int) -> AsyncGenerator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def lines(text: str) -> list[str]:
    return re.sub(r"\r\n|\r", "\n", text).rstrip("\n").split("\n")


async def arrived(server: MailServer, sent: Iterable[str]) -> None:
    """Wait until all have got something, and nothing is left to be delivered."""
    missing = set(sent)
    await eventually(
        lambda: server.is_idle and missing <= {mail.recipient for mail in server.delivered()}
    )


async def check(server: MailServer, sent: dict[str, bytes]) -> None:
    """Each recipient got exactly one message, this one, and nobody anything else."""
    await arrived(server, sent)
    found: dict[str, list[bytes]] = {}
    for mail in server.delivered():
        found.setdefault(mail.recipient, []).append(mail.content)
    assert not any(SMUGGLED in recipient for recipient in found)
    for recipient, text in sent.items():
        assert found[recipient] == [as_sent(text)], recipient


@pytest.mark.parametrize("chunking", [True, False])
@pytest.mark.parametrize("kind", ["bytes", "str", "streamed"])
async def test_no_end_within_a_message(mail_server: MailServer, kind: str, chunking: bool) -> None:
    sent: dict[str, bytes] = {}
    mails: list[Mail] = []
    for end in ENDS[:: {"bytes": 1, "str": 3, "streamed": 5}[kind]]:
        text = body(mail_server, end)
        if kind == "str":
            text = bytes(byte for byte in text if byte < 128)
        to = fresh(mail_server)
        sent[to] = text
        sources: dict[str, Any] = {"bytes": text, "streamed": pieces(text, len(mails) % 4 + 1)}
        mails.append(Mail(SENDER, [to], sources.get(kind) or text.decode()))
    async with on_socket(mail_server, chunking=chunking) as smtp:
        async for outcome in smtp.send_many(mails):
            assert outcome.error is None
    await check(mail_server, sent)


@pytest.mark.parametrize("chunking", [True, False])
async def test_cut_where_the_adapter_cuts(mail_server: MailServer, chunking: bool) -> None:
    """An end of DATA around the 64 KiB at which a streamed message is cut into chunks."""
    sent: dict[str, bytes] = {}
    async with on_socket(mail_server, chunking=chunking) as smtp:
        for end, where in product((b"\r\n.\r\n", b"\n.\n", b"\r.\r"), range(-4, 1)):
            text = b"Subject: cut\r\n\r\n"
            lines = (b"x" * 70 + b"\r\n") * 1000
            text += lines[: 65536 - len(text) + where] + end + commands(mail_server)
            to = fresh(mail_server)
            sent[to] = text
            await smtp.sendmail(SENDER, to, pieces(text, 65536))
    await check(mail_server, sent)


@pytest.mark.parametrize("chunking", [True, False])
async def test_messages_of_the_standard_library(mail_server: MailServer, chunking: bool) -> None:
    sent: dict[str, str] = {}
    async with on_socket(mail_server, chunking=chunking) as smtp:
        for number, end in enumerate(ENDS[:64:5]):
            text = body(mail_server, end).decode("ascii").partition("\r\n\r\n")[2]
            to = fresh(mail_server)
            message: EmailMessage | MIMEText
            if number % 2:
                message = MIMEText(text)
            else:
                message = EmailMessage()
                message.set_content(text)
            message["From"], message["To"], message["Subject"] = SENDER, to, "outer"
            await smtp.send_message(message)
            sent[to] = text
    await arrived(mail_server, sent)
    delivered = mail_server.delivered()
    assert not any(SMUGGLED in mail.recipient for mail in delivered)
    for to, text in sent.items():
        (mail,) = (mail for mail in delivered if mail.recipient == to)
        read = message_from_bytes(mail.content, policy=default)
        assert read["Subject"] == "outer"
        assert lines(read.get_content()) == lines(text)


@pytest.mark.parametrize("chunking", [True, False])
async def test_a_refused_message_is_not_taken_for_commands(
    mail_server: MailServer, chunking: bool
) -> None:
    """By BDAT it goes with the envelope; the server has to throw it away."""
    text = commands(mail_server) * 3
    to = fresh(mail_server)
    async with on_socket(mail_server, chunking=chunking) as smtp:
        got = await outcomes(
            smtp.sendmail(SENDER, f"nobody@{mail_server.domain}", text),
            smtp.sendmail(SENDER, f"later@{mail_server.domain}", text),
            smtp.sendmail(SENDER, to, b"Subject: next\r\n\r\n"),
        )
        for error in got[:2]:
            assert isinstance(error, SMTPRecipientsRefused), error
        assert got[2].errors == {}
    await check(mail_server, {to: b"Subject: next\r\n\r\n"})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nul", NULS)
@pytest.mark.parametrize("kind", ["bytes", "str", "streamed", "message"])
async def test_no_null_character_in_text(way: str, nul: bytes, kind: str) -> None:
    """Which some servers drop, and then see another end of the message (RFC 2045 §2.8)."""
    text = b"Subject: x\r\n\r\nbefore" + nul + b"after\r\n"
    async with FakeServer(keywords=WAYS[way]) as server, server.client() as smtp:
        if kind == "message":
            message = EmailMessage()
            message["From"], message["To"] = SENDER, "to@example.org"
            message.set_content(text.decode(), cte="7bit")
            call = smtp.send_message(message)
        else:
            source: Any = {"bytes": text, "str": text.decode(), "streamed": pieces(text, 4)}[kind]
            call = smtp.sendmail(SENDER, "to@example.org", source)
        (error,) = await outcomes(call)
        assert isinstance(error, SMTPArgumentError), error
        if kind != "streamed":
            assert not any(line.startswith(b"MAIL") for line in server.lines)
        await smtp.sendmail(SENDER, "to@example.org", b"Subject: next\r\n\r\n")
        assert server.mails == [b"Subject: next\r\n\r\n"]


@pytest.mark.parametrize("end", [*ENDS[:30], *NULS])
async def test_binary_is_counted(end: bytes) -> None:
    """By BINARYMIME everything may be sent as it is: it has a length, and no end to be found."""
    keywords = ("BINARYMIME", *WAYS["chunking"])
    async with FakeServer(keywords=keywords) as server, server.client_on_socket() as smtp:
        text = b"x: y\r\n\r\nbefore" + end + b"QUIT\r\n"
        await smtp.send(Mail(SENDER, ["to@example.org"], text, "BINARYMIME"))
        await smtp.send(Mail(SENDER, ["to@example.org"], pieces(text, 3), "BINARYMIME"))
        assert server.mails == [text, text]
