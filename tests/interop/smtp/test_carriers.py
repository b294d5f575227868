"""The adapter speaks on everything that carries bytes."""

from __future__ import annotations

import asyncio
import socket as stdlib_socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

import wirekit
from tests.interop.carriers import through_sshd
from tests.interop.tunnel import Tunnel
from tests.servers import CertificateAuthority, MailServer
from wirekit.adapters.smtp import SMTP, Mail
from wirekit.sockets import DirectConnector, connect

from .helpers import SENDER, by_url, delivered, fresh, message, outcomes

Carrier = Callable[[MailServer, CertificateAuthority], AbstractAsyncContextManager[SMTP]]
CARRIERS: dict[str, Carrier] = {}
USER = "alice"


def carrier(function: Carrier) -> Carrier:
    CARRIERS[function.__name__] = function
    return function


def address(server: MailServer, port: str = "port") -> tuple[str, int]:
    return server.host, getattr(server, port)


def login(server: MailServer) -> dict[str, Any]:
    return {"username": USER, "password": server.users[USER], "hostname": "client.example"}


@carrier
@asynccontextmanager
async def tcp(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    async with SMTP(connect(address(server))) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def tls(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    socket = connect(
        address(server, "tls_port"), secure_transport="on", ssl_context=authority.client_context()
    )
    async with SMTP(socket, **login(server)) as smtp:
        assert "tls" in repr(smtp)
        yield smtp


@carrier
@asynccontextmanager
async def starttls(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    socket = connect(
        address(server, "submission_port"),
        secure_transport="starttls",
        ssl_context=authority.client_context(),
    )
    async with SMTP(socket, **login(server)) as smtp:
        assert "tls" in repr(smtp)
        yield smtp


@carrier
@asynccontextmanager
async def by_smtps(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    async with by_url(server, "smtps", authority, USER) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def by_submission(
    server: MailServer, authority: CertificateAuthority
) -> AsyncGenerator[SMTP]:
    async with by_url(server, "submission", authority, USER) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def memory(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    tunnel = Tunnel(address(server), fragment=100)
    async with SMTP(await tunnel("memory:1"), hostname="client.example") as smtp:
        yield smtp
    await tunnel.ended()


@carrier
@asynccontextmanager
async def tls_through_memory(
    server: MailServer, authority: CertificateAuthority
) -> AsyncGenerator[SMTP]:
    where = address(server, "tls_port")
    connector = DirectConnector(
        connector=Tunnel(where, fragment=1000),
        secure_transport="on",
        ssl_context=authority.client_context(),
    )
    async with SMTP(connector=connector, address=where, **login(server)) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def starttls_through_memory(
    server: MailServer, authority: CertificateAuthority
) -> AsyncGenerator[SMTP]:
    where = address(server, "submission_port")
    connector = DirectConnector(
        connector=Tunnel(where, fragment=300),
        secure_transport="starttls",
        ssl_context=authority.client_context(),
    )
    async with SMTP(connector=connector, address=where, **login(server)) as smtp:
        assert "tls" in repr(smtp)
        yield smtp


@carrier
@asynccontextmanager
async def stdlib(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    async with SMTP(stdlib_socket.create_connection(address(server))) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def streams(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    async with SMTP(await asyncio.open_connection(*address(server))) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def tls_streams(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    pair = await asyncio.open_connection(
        *address(server, "tls_port"), ssl=authority.client_context()
    )
    async with SMTP(pair, **login(server)) as smtp:
        yield smtp


@carrier
@asynccontextmanager
async def ssh(server: MailServer, authority: CertificateAuthority) -> AsyncGenerator[SMTP]:
    async with through_sshd() as client:
        connector = client.connector()
        async with SMTP(connector=connector, address=address(server)) as smtp:
            yield smtp


@carrier
@asynccontextmanager
async def starttls_through_ssh(
    server: MailServer, authority: CertificateAuthority
) -> AsyncGenerator[SMTP]:
    async with through_sshd() as client:
        connector = client.connector(
            secure_transport="starttls", ssl_context=authority.client_context()
        )
        where = address(server, "submission_port")
        async with SMTP(connector=connector, address=where, **login(server)) as smtp:
            assert "tls" in repr(smtp)
            yield smtp


async def pieces(text: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(text), 5000):
        yield text[start : start + 5000]


async def speak(smtp: SMTP, server: MailServer) -> None:
    """A bit of everything: small and large, many, streamed, refused, cancelled."""
    to = [fresh(server) for _ in range(6)]
    large = message(b"0123456789abcdef.\r\n.dots\r\n" * 3_000)
    assert (await smtp.noop()).code == 250
    await smtp.sendmail(SENDER, to[0], message())
    await smtp.sendmail(SENDER, to[1], large)
    await smtp.sendmail(SENDER, to[2], pieces(large))
    gone = asyncio.create_task(smtp.noop())
    await asyncio.sleep(0)
    gone.cancel()
    mails = [Mail(SENDER, [name], message(b"%d\r\n" % number)) for number, name in enumerate(to)]
    async for outcome in smtp.send_many(mails[3:]):
        assert outcome.error is None
    (refused,) = await outcomes(smtp.sendmail(SENDER, f"nobody@{server.domain}", message()))
    assert isinstance(refused, wirekit.ServerError)
    expected = [message(), large, large, *(message(b"%d\r\n" % number) for number in (3, 4, 5))]
    for name, content in zip(to, expected, strict=True):
        (mail,) = await delivered(server, name)
        assert mail.content == content


@pytest.mark.usefixtures("sshd")
@pytest.mark.both_loops
@pytest.mark.parametrize("name", CARRIERS)
async def test_every_carrier(
    name: str, postfix: MailServer, certificate_authority: CertificateAuthority
) -> None:
    async with CARRIERS[name](postfix, certificate_authority) as smtp:
        await speak(smtp, postfix)


@pytest.mark.parametrize("name", ["tls", "starttls", "starttls_through_memory"])
async def test_other_servers_by_tls(
    name: str, exim: MailServer, aiosmtpd: MailServer, certificate_authority: CertificateAuthority
) -> None:
    for server in (exim, aiosmtpd):
        async with CARRIERS[name](server, certificate_authority) as smtp:
            await speak(smtp, server)


@pytest.mark.both_loops
@pytest.mark.parametrize("way", ["connect", "stdlib", "connector"])
async def test_lmtp_on_a_unix_socket(dovecot: MailServer, way: str) -> None:
    path = str(dovecot.running.unix_path)
    settings: dict[str, Any] = {"lmtp": True, "hostname": "client.example"}
    if way == "connect":
        smtp = SMTP(connect(f"unix://{path}"), **settings)
    elif way == "stdlib":
        sock = stdlib_socket.socket(stdlib_socket.AF_UNIX)
        sock.connect(path)
        smtp = SMTP(sock, **settings)
    else:
        smtp = SMTP(connector=DirectConnector(), address=path, **settings)
    to = [fresh(dovecot), fresh(dovecot, "bob"), f"full@{dovecot.domain}"]
    async with smtp:
        errors, _ = await smtp.sendmail(SENDER, to, message())
        assert {name: reply.code for name, reply in errors.items()} == {to[2]: 552}
    for name in to[:2]:
        (mail,) = await delivered(dovecot, name)
        assert mail.content == message()


@pytest.mark.parametrize("secure", [False, True])
async def test_plain_to_tls_port_and_tls_to_plain_port(
    postfix: MailServer, certificate_authority: CertificateAuthority, secure: bool
) -> None:
    if secure:
        socket = connect(
            address(postfix),
            secure_transport="on",
            ssl_context=certificate_authority.client_context(),
            connect_timeout=0.3,
        )
    else:
        socket = connect(address(postfix, "tls_port"))
    with pytest.raises((wirekit.ConnectError, wirekit.RemoteProtocolError)):
        await SMTP(socket, timeout=0.3).open()
