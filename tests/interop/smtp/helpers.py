from __future__ import annotations

import itertools
from typing import Any

from tests.interop.waiting import PATIENCE as PATIENCE
from tests.interop.waiting import eventually as eventually
from tests.interop.waiting import outcomes as outcomes
from tests.interop.waiting import turns as turns
from tests.servers import CertificateAuthority, DeliveredMail, MailServer
from wirekit.adapters.smtp import SMTP
from wirekit.sockets import DirectConnector, connect

_numbers = itertools.count(1)

SENDER = "sender@wirekit.example"


def fresh(server: MailServer, name: str = "alice") -> str:
    """Return an address that no other test uses; its mail goes to a mailbox of the server."""
    return f"{name}+{next(_numbers)}@{server.domain}"


def message(body: bytes = b"Hello\r\n", subject: str = "x") -> bytes:
    return b"From: sender@wirekit.example\r\nSubject: %b\r\n\r\n%b" % (subject.encode(), body)


def on_socket(server: MailServer, **settings: Any) -> SMTP:
    """Return a client on one socket in clear."""
    return SMTP(connect((server.host, server.port)), hostname="client.example", **settings)


def reconnecting(server: MailServer, **settings: Any) -> SMTP:
    """Return a client that makes its connections itself, in clear."""
    return SMTP(
        connector=DirectConnector(),
        address=(server.host, server.port),
        hostname="client.example",
        **settings,
    )


def by_url(
    server: MailServer,
    scheme: str,
    authority: CertificateAuthority,
    user: str = "",
    **settings: Any,
) -> SMTP:
    """Return a client for a TLS port, with the password of the user in the URL, if there is one."""
    port = server.tls_port if scheme == "smtps" else server.submission_port
    login = f"{user}:{server.users[user].replace(' ', '%20')}@" if user else ""
    return SMTP.from_url(
        f"{scheme}://{login}localhost:{port}",
        tls={"ssl_context": authority.client_context()},
        **settings,
    )


async def delivered(server: MailServer, recipient: str, count: int = 1) -> list[DeliveredMail]:
    """Wait until so many mails have come, and return them."""
    await eventually(lambda: len(server.delivered(recipient)) >= count)
    return server.delivered(recipient)
