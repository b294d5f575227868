"""One mail after another against real servers; what was delivered is compared byte for byte."""

from __future__ import annotations

import pytest

from tests.servers import CertificateAuthority, MailServer
from wirekit.adapters.smtp import SMTPDataError, SMTPRecipientsRefused

from .helpers import SENDER, by_url, delivered, fresh, message, on_socket


async def test_a_mail_arrives_as_it_was_sent(mail_server: MailServer) -> None:
    to = fresh(mail_server)
    text = message(b"a\r\n.\r\n..b\r\n.c\r\n")
    async with on_socket(mail_server) as smtp:
        errors, _ = await smtp.sendmail(SENDER, to, text)
    assert errors == {}
    (mail,) = await delivered(mail_server, to)
    assert (mail.sender, mail.content) == (SENDER, text)


@pytest.mark.parametrize("scheme", ["smtps", "submission"])
async def test_by_tls_with_a_login(
    mail_server: MailServer, certificate_authority: CertificateAuthority, scheme: str
) -> None:
    to = fresh(mail_server)
    async with by_url(mail_server, scheme, certificate_authority, "alice") as smtp:
        assert "tls" in repr(smtp)
        await smtp.sendmail(SENDER, to, message())
    await delivered(mail_server, to)


async def test_refusals(mail_server: MailServer) -> None:
    to = fresh(mail_server)
    unknown, later = f"nobody@{mail_server.domain}", f"later@{mail_server.domain}"
    async with on_socket(mail_server) as smtp:
        errors, _ = await smtp.sendmail(SENDER, [unknown, to, later], message())
        assert {name: reply.code // 100 for name, reply in errors.items()} == {unknown: 5, later: 4}
        with pytest.raises(SMTPRecipientsRefused):
            await smtp.sendmail(SENDER, [unknown], message())
        with pytest.raises(SMTPDataError):
            await smtp.sendmail(SENDER, to, b"X-Refuse: no\r\n\r\n")
        await smtp.sendmail(SENDER, to, message())
    await delivered(mail_server, to, 2)
