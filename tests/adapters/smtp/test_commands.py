from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import wirekit
from wirekit.adapters.smtp import (
    SMTP,
    SMTPAuthenticationError,
    SMTPHeloError,
    SMTPResponseException,
)

from ._servers import Mailbox


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox("PIPELINING", "AUTH PLAIN")


@pytest.fixture
async def client(mailbox: Mailbox) -> AsyncIterator[SMTP]:
    async with SMTP(
        await mailbox.connector("x"), hostname="client.example", allow_plaintext_auth=True
    ) as smtp:
        yield smtp


async def test_commands(client: SMTP, mailbox: Mailbox) -> None:
    assert await client.noop() == (250, "ok")
    assert await client.rset() == (250, "ok")
    assert (await client.vrfy("alice")).code == 250
    assert (await client.expn("δοκιμή", smtputf8=True)).code == 250
    mailbox.answers = [("HELP", "214-first\r\n214 second")]
    assert await client.help("MAIL") == "first\nsecond"
    assert mailbox.commands[1:] == [
        "NOOP",
        "RSET",
        "VRFY alice",
        "EXPN δοκιμή SMTPUTF8",
        "HELP MAIL",
    ]


async def test_commands_that_are_refused(client: SMTP, mailbox: Mailbox) -> None:
    mailbox.answers = [("VRFY", "252 perhaps"), ("VRFY", "550 5.1.1 no")]
    assert (await client.vrfy("alice")).code == 252
    with pytest.raises(SMTPResponseException, match="no") as caught:
        await client.vrfy("alice")
    assert caught.value.reply_code == 550
    for argument in ("a\r\nRSET", ""):
        with pytest.raises(wirekit.LocalProtocolError):
            await client.vrfy(argument)
    assert client.is_connected


async def test_ehlo_again_shows_what_is_new(client: SMTP, mailbox: Mailbox) -> None:
    mailbox.keywords = ("CHUNKING",)
    reply = await client.ehlo("other.example")
    assert (reply.code, mailbox.commands[-1]) == (250, "EHLO other.example")
    assert client.supports_extension("chunking")
    assert not client.supports_extension("PIPELINING")
    await client.sendmail("a@example.org", "b@example.org", b"x")
    assert mailbox.commands[-1].startswith("BDAT")
    mailbox.answers = [("EHLO", "550 no")]
    with pytest.raises(SMTPHeloError):
        await client.ehlo()


async def test_helo(client: SMTP, mailbox: Mailbox) -> None:
    assert (await client.helo("me.example")).code == 250
    assert client.esmtp_extensions == {}
    await client.sendmail("a@example.org", "b@example.org", b"x")
    mailbox.answers = [("HELO", "550 no")]
    with pytest.raises(SMTPHeloError):
        await client.helo("me.example")


async def test_logging_in(client: SMTP, mailbox: Mailbox) -> None:
    mailbox.answers = [("AUTH", "535 no"), ("AUTH", "235 welcome")]
    with pytest.raises(SMTPAuthenticationError):
        await client.login("alice", "wrong")
    assert (await client.login("alice", "wonder land", mechanisms=["PLAIN"])).code == 235
    with pytest.raises(wirekit.LocalProtocolError):
        await client.login("alice")


async def test_starttls_on_a_socket_that_is_not_made_for_it(client: SMTP) -> None:
    with pytest.raises(wirekit.AddressError, match="starttls"):
        await client.starttls()
    assert client.is_connected


async def test_quit(client: SMTP, mailbox: Mailbox) -> None:
    assert (await client.quit()).code == 221
    assert not client.is_connected
    with pytest.raises(wirekit.SocketClosed):
        await client.noop()
