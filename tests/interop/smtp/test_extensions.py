"""Extensions that no server at hand offers, byte for byte; and limits, told and untold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.servers import CertificateAuthority, exim_server
from wirekit.adapters.smtp import (
    SMTP,
    By,
    Mail,
    Options,
    SMTPNotSupported,
    SMTPPool,
)
from wirekit.sockets import Backoff, DirectConnector, connect

from .fake_server import WAYS, FakeServer
from .helpers import SENDER, delivered, message, outcomes

TO = "to@example.org"
BODY = b"Subject: x\r\n\r\n"

# What is asked for; the keyword it needs; what stands behind MAIL's and RCPT's path.
ASKED: dict[str, tuple[Options, str, bytes, bytes]] = {
    "BY, return": (Options(by=By(120)), "DELIVERBY 60", b" BY=120;R", b""),
    "BY, notify": (Options(by=By(-5, "N", trace=True)), "DELIVERBY", b" BY=-5;NT", b""),
    "HOLDFOR": (Options(holdfor=3600), "FUTURERELEASE 3600", b" HOLDFOR=3600", b""),
    "HOLDUNTIL": (
        Options(holduntil=datetime(2029, 1, 2, 3, 4, 5, tzinfo=UTC)),
        "FUTURERELEASE 3600 2030-01-01T00:00:00Z",
        b" HOLDUNTIL=2029-01-02T03:04:05Z",
        b"",
    ),
    "MT-PRIORITY": (Options(mt_priority=-3), "MT-PRIORITY MIXER", b" MT-PRIORITY=-3", b""),
    "DSN": (
        Options(ret="HDRS", envid="a+b c", notify=("SUCCESS", "DELAY"), orcpt={TO: "Bob+x@old"}),
        "DSN",
        b" RET=HDRS ENVID=a+2Bb+20c",
        b" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@old",
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ASKED)
async def test_what_is_asked_for(name: str, way: str) -> None:
    options, keyword, behind_mail, behind_rcpt = ASKED[name]
    mail = Mail(SENDER, [TO], BODY, options=options)
    async with FakeServer(keywords=(*WAYS[way], keyword)) as server:
        async with server.client_on_socket() as smtp:
            await smtp.send(mail)
        assert server.lines[1:3] == [
            b"MAIL FROM:<sender@wirekit.example>%b SIZE=14" % behind_mail,
            b"RCPT TO:<to@example.org>%b" % behind_rcpt,
        ]
        assert server.mails == [BODY]
    async with FakeServer(keywords=WAYS[way]) as server:
        async with server.client_on_socket() as smtp:
            with pytest.raises(SMTPNotSupported, match=keyword.split()[0]):
                await smtp.send(mail)
        assert server.lines == [b"EHLO client.example", b"QUIT"]


@asynccontextmanager
async def by_tls(
    server: FakeServer, authority: CertificateAuthority, **settings: Any
) -> AsyncGenerator[SMTP]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = server.socket()

        async def answers() -> None:
            while data := await inside.read():
                writer.write(data)
            writer.close()

        answering = asyncio.create_task(answers())
        while data := await reader.read(65536):
            await inside.write(data)
        await inside.write_eof()
        await answering

    tcp = await asyncio.start_server(serve, "127.0.0.1", ssl=authority.server_context())
    context = authority.client_context()
    port = tcp.sockets[0].getsockname()[1]
    socket = connect(("localhost", port), secure_transport="on", ssl_context=context)
    async with tcp, SMTP(socket, hostname="client.example", **settings) as smtp:
        yield smtp


@pytest.mark.parametrize("way", WAYS)
async def test_requiretls(certificate_authority: CertificateAuthority, way: str) -> None:
    mail = Mail(SENDER, [TO], BODY, options=Options(requiretls=True))
    keywords = (*WAYS[way], "REQUIRETLS")
    server = FakeServer(keywords=keywords)
    async with by_tls(server, certificate_authority) as smtp:
        await smtp.send(mail)
    assert server.lines[1] == b"MAIL FROM:<sender@wirekit.example> REQUIRETLS SIZE=14"
    assert server.mails == [BODY]
    # Neither without the keyword, nor in clear, where whoever sits between may have added it.
    server = FakeServer(keywords=WAYS[way])
    async with by_tls(server, certificate_authority) as smtp:
        with pytest.raises(SMTPNotSupported, match="REQUIRETLS"):
            await smtp.send(mail)
    assert server.lines == [b"EHLO client.example", b"QUIT"]
    async with FakeServer(keywords=keywords) as server:
        async with server.client_on_socket() as smtp:
            with pytest.raises(SMTPNotSupported, match="REQUIRETLS"):
                await smtp.send(mail)
        assert server.lines == [b"EHLO client.example", b"QUIT"]


@pytest.mark.parametrize("way", WAYS)
async def test_recipients_at_a_time(way: str) -> None:
    names = [b"%d@example.org" % number for number in range(5)]
    async with FakeServer(keywords=(*WAYS[way], "LIMITS RCPTMAX=2")) as server:
        async with server.client_on_socket() as smtp:
            result = await smtp.sendmail(SENDER, [name.decode() for name in names], BODY)
        sent = [line for line in server.lines if line[:4] in (b"MAIL", b"RCPT")]
        mail = b"MAIL FROM:<sender@wirekit.example> SIZE=14"
        rcpts = [b"RCPT TO:<%b>" % name for name in names]
        assert sent == [mail, *rcpts[:2], mail, *rcpts[2:4], mail, *rcpts[4:]]
        assert server.mails == [BODY] * 3
        assert result.errors == {}
        assert [name.encode() for name in result.recipients] == names
        assert len(server.sockets) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_mails_in_a_session(way: str) -> None:
    """MAILMAX counts those that are refused, too (RFC 9422 §4.1)."""
    async with FakeServer(keywords=(*WAYS[way], "LIMITS MAILMAX=3")) as server:
        mails = [Mail(SENDER, [TO], BODY + b"%d\r\n" % number) for number in range(7)]
        mails[1] = Mail("<>", [TO], BODY)
        async with server.client() as smtp:
            got = [outcome.error async for outcome in smtp.send_many(mails)]
        assert got == [None] * 7
        assert len(server.sockets) == 3
        text = b"\n".join(server.lines)
        assert [part.count(b"MAIL FROM") for part in text.split(b"EHLO")[1:]] == [3, 3, 1]
        assert text.count(b"QUIT") == 3
    keywords = (*WAYS[way], "LIMITS MAILMAX=1")
    async with FakeServer(keywords=keywords) as server, server.client_on_socket() as smtp:
        first, second = await outcomes(*(smtp.sendmail(SENDER, TO, BODY) for _ in range(2)))
        assert first.errors == {}
        assert "no more mails are to be sent on this connection" in str(second)


async def test_too_many_recipients_for_a_server_that_does_not_say_so() -> None:
    """RFC 5321 §4.5.3.1.10: those that it defers are sent again by themselves."""
    with exim_server(config={"recipients_max": "3"}) as exim:
        to = [f"alice+{number}@{exim.domain}" for number in range(7)]
        async with SMTPPool(
            DirectConnector(),
            (exim.host, exim.port),
            size=1,
            backoff=Backoff(initial=0.01, maximum=0.01),
            hostname="client.example",
        ) as pool:
            result = await pool.sendmail(SENDER, to, message())
        assert result.errors == {}
        for name in to:
            (mail,) = await delivered(exim, name)
            assert mail.content == message()
