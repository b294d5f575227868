"""Many mails and many tasks against real servers, in every way that a server lets mail be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import DeliveredMail, MailServer
from wirekit.adapters.smtp import (
    Mail,
    SMTPException,
    SMTPPool,
    SMTPRecipientsRefused,
)
from wirekit.sockets import DirectConnector

from .helpers import (
    SENDER,
    delivered,
    eventually,
    fresh,
    message,
    on_socket,
    outcomes,
    reconnecting,
    turns,
)

WAYS: list[dict[str, Any]] = [{}, {"chunking": False}, {"chunking": False, "pipelining": False}]
ids = ["all", "data", "steps"]


def number_of(mail: DeliveredMail) -> int:
    return int(mail.content.split()[-1])


@pytest.mark.parametrize("way", WAYS, ids=ids)
async def test_send_many_mails(mail_server: MailServer, way: dict[str, Any]) -> None:
    to = fresh(mail_server)
    mails: list[Any] = [(SENDER, to, message(b"%d\r\n" % number)) for number in range(30)]
    mails[5] = (SENDER, f"nobody@{mail_server.domain}", message())
    mails[6] = (SENDER, to, b"X-Refuse: no\r\n\r\n")
    mails[7] = (SENDER, "no address", b"")
    mails[8] = Mail(SENDER, to, iter([message(b"8\r"), b"\n"]))
    async with on_socket(mail_server, **way) as smtp:
        got = [outcome async for outcome in smtp.send_many(mails)]
    assert [n for n, outcome in enumerate(got) if outcome.error is not None] == [5, 6, 7]
    arrived = await delivered(mail_server, to, 27)
    numbers = sorted(number_of(mail) for mail in arrived)
    assert numbers == [n for n in range(30) if n not in (5, 6, 7)]


@pytest.mark.parametrize("way", WAYS, ids=ids)
async def test_many_tasks_of_which_some_are_cancelled(
    mail_server: MailServer, way: dict[str, Any]
) -> None:
    to = fresh(mail_server)
    async with reconnecting(mail_server, **way) as smtp:
        calls = [
            asyncio.create_task(smtp.sendmail(SENDER, to, message(b"%d\r\n" % number)))
            for number in range(20)
        ]
        await turns(3)
        for call in calls[::5]:
            call.cancel()
        results = await outcomes(*calls)
        await smtp.sendmail(SENDER, to, message(b"99\r\n"))
    accepted = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(accepted) >= 16

    def arrived() -> list[int]:
        return sorted(number_of(mail) for mail in mail_server.delivered(to))

    await eventually(lambda: {*accepted, 99} <= set(arrived()) and mail_server.is_idle)
    assert len(set(arrived())) == len(arrived())
    for mail in mail_server.delivered(to):
        assert mail.content == message(b"%d\r\n" % number_of(mail))


@pytest.mark.parametrize("way", WAYS, ids=ids)
async def test_a_stream_and_a_file(
    mail_server: MailServer, way: dict[str, Any], tmp_path: Path
) -> None:
    to = fresh(mail_server)
    line = b"." + b"x" * 76 + b"\n"

    async def pieces() -> AsyncIterator[bytes]:
        yield message(b"")
        for _ in range(20):
            yield line * 1000
            await asyncio.sleep(0)

    path = tmp_path / "mail"
    path.write_bytes(message(line * 20000))
    async with on_socket(mail_server, **way) as smtp:
        await smtp.sendmail(SENDER, to, pieces())
        await smtp.sendmail(SENDER, to, path)
    for mail in await delivered(mail_server, to, 2):
        assert mail.content == message(line.replace(b"\n", b"\r\n") * 20000)


@pytest.mark.parametrize("way", WAYS, ids=ids)
async def test_content_that_breaks_off_is_never_delivered(
    mail_server: MailServer, way: dict[str, Any]
) -> None:
    to = fresh(mail_server)

    async def pieces() -> AsyncIterator[bytes]:
        yield message(b"x" * 70 + b"\r\n") * 2000
        raise OSError("gone")

    async with reconnecting(mail_server, **way) as smtp:
        with pytest.raises(OSError, match="gone"):
            await smtp.sendmail(SENDER, to, pieces())
        await smtp.sendmail(SENDER, to, message(b"whole\r\n"))
    await delivered(mail_server, to)
    assert [mail.content for mail in mail_server.delivered(to)] == [message(b"whole\r\n")]


async def test_a_body_of_commands_for_refused_recipients_is_no_command(
    mail_server: MailServer,
) -> None:
    """With CHUNKING the content goes before it is known that nobody is to get it."""
    to = fresh(mail_server)
    commands = f"RSET\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{to}>\r\nDATA\r\nsmuggled\r\n.\r\n"
    async with on_socket(mail_server) as smtp:
        for _ in range(3):
            with pytest.raises(SMTPRecipientsRefused):
                await smtp.sendmail(SENDER, f"nobody@{mail_server.domain}", commands.encode())
        await smtp.sendmail(SENDER, to, message(b"real\r\n"))
    await delivered(mail_server, to)
    assert [mail.content for mail in mail_server.delivered(to)] == [message(b"real\r\n")]


async def test_a_pool(mail_server: MailServer) -> None:
    to = fresh(mail_server)
    address = (mail_server.host, mail_server.port)
    async with SMTPPool(
        DirectConnector(), address, size=3, messages_per_connection=7, hostname="client.example"
    ) as pool:
        mails = [(SENDER, to, message(b"%d\r\n" % number)) for number in range(40)]
        got = [outcome async for outcome in pool.send_many(mails)]
    assert [outcome.error for outcome in got] == [None] * 40
    arrived = await delivered(mail_server, to, 40)
    assert sorted(number_of(mail) for mail in arrived) == list(range(40))


async def test_a_server_that_is_restarted(aiosmtpd: MailServer) -> None:
    to = fresh(aiosmtpd)
    async with reconnecting(aiosmtpd) as smtp:
        await smtp.sendmail(SENDER, to, message())
        aiosmtpd.running.restart()
        await smtp.sendmail(SENDER, to, message())
        aiosmtpd.running.stop()
        with pytest.raises(SMTPException):
            await smtp.sendmail(SENDER, to, message())
        aiosmtpd.running.start()
        await smtp.sendmail(SENDER, to, message())


async def test_lmtp(dovecot: MailServer) -> None:
    to, full = fresh(dovecot), f"full@{dovecot.domain}"
    unknown = f"nobody@{dovecot.domain}"
    async with on_socket(dovecot, lmtp=True) as lmtp:
        result = await lmtp.sendmail(SENDER, [to, full, unknown], message())
        got = [outcome async for outcome in lmtp.send_many([(SENDER, to, message(b"2\r\n"))] * 5)]
    assert result.recipients[to].code == 250
    assert {name: reply.code // 100 for name, reply in result.errors.items()} == {
        full: 5,
        unknown: 5,
    }
    assert [outcome.error for outcome in got] == [None] * 5
    assert len(await delivered(dovecot, to, 6)) == 6
