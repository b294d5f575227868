"""What a connection goes through when it opens: greeting, EHLO, STARTTLS, EHLO again, AUTH."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wirekit._errors import (
    AddressError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    Error,
    TLSError,
    TransportError,
)
from wirekit.protocols.smtp import Codec, Ehlo, Helo, Lhlo, StartTLS
from wirekit.sockets import TLSOptions

from ._connection import Connection
from ._errors import (
    SMTPConnectResponseError,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServiceClosed,
    connection_error,
    refusal,
)
from ._login import Credentials, log_in
from ._queue import Queue

if TYPE_CHECKING:
    from wirekit.protocols.smtp import Reply
    from wirekit.sockets import Socket

__all__ = ["Settings", "open_connection", "say_hello", "start_tls"]

_HALF = "the connection was closed because its upgrade to TLS was cancelled"
_UNKNOWN = (500, 502)  # what a server that does not know EHLO answers (RFC 5321 §4.2.4)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every connection of a client is told when it opens.

    Attributes:
        hostname: what we call ourselves; None for the address of our side, as a literal.
        credentials: who logs in; None for nobody.
        start_tls: whether to upgrade to TLS; None if the socket is made for it. If so, the
            connection is TLS or there is none.
        tls: options for the upgrade, besides those that the socket was made with.
        lmtp: speak LMTP.
        allow_plaintext_auth: let AUTH be sent without TLS.
        pipelining: pipeline if the server offers it.
        chunking: use BDAT if the server offers it.
        messages_per_connection: mails after which a new connection is made.
        allow_bare_lf: take replies whose lines end in LF.
        timeout: seconds that the server may take for each reply, and be without taking bytes; also
            the limit for opening. None for no limit.
        data_timeout: the same for the reply to a message.
    """

    hostname: str | None = None
    credentials: Credentials | None = field(default=None, repr=False)
    start_tls: bool | None = None
    tls: TLSOptions = field(default_factory=TLSOptions, repr=False)
    lmtp: bool = False
    allow_plaintext_auth: bool = False
    pipelining: bool = True
    chunking: bool = True
    messages_per_connection: int | None = None
    allow_bare_lf: bool = False
    timeout: float | None = 60.0
    data_timeout: float | None = 600.0


async def open_connection(socket: Socket, settings: Settings) -> Queue:
    """Open the conversation on a socket; on any failure the socket is aborted.

    Raises:
        SMTPConnectResponseError: the server refuses.
        SMTPHeloError: it refuses EHLO.
        SMTPAuthenticationError: it refuses the login.
        SMTPNotSupported: it has no mechanism for the login.
        SMTPConnectError: there is no connection, or it could not be upgraded to TLS.
    """
    limit = asyncio.timeout(settings.timeout)
    connection: Connection | None = None
    try:
        async with limit:
            await socket.opened
            codec = Codec(lmtp=settings.lmtp, allow_bare_lf=settings.allow_bare_lf)
            connection = Connection(
                socket, codec, timeout=settings.timeout, data_timeout=settings.data_timeout
            )
            await _begin(connection, settings)
            return Queue(
                connection,
                lmtp=settings.lmtp,
                pipelining=settings.pipelining,
                chunking=settings.chunking,
                most=settings.messages_per_connection,
            )
    except BaseException as error:
        if connection is not None:
            connection.fail(error if isinstance(error, Exception) else ConnectError("cancelled"))
        socket.abort(error)
        if isinstance(error, TimeoutError) and limit.expired():
            text = f"{socket.remote_address} did not open within {settings.timeout} s"
            raise connection_error(ConnectTimeout(text), sent=False) from None
        if isinstance(error, Error):
            raise _opening_error(error, socket.remote_address) from error.__cause__
        raise


def _opening_error(error: Error, peer: str) -> Exception:
    """Return the error for a connection that was lost, or failed, before it was of use."""
    if isinstance(error, SMTPServiceClosed):
        return SMTPConnectResponseError(error.code, error.message)
    if isinstance(error, TimeoutError) and not isinstance(error, ConnectTimeout):
        return connection_error(ConnectTimeout(str(error)), sent=False)
    if isinstance(error, TransportError) and not isinstance(error, ConnectError | AddressError):
        text = f"no conversation with {peer} came about: {error}"
        return connection_error(ConnectError(text), sent=False)
    return connection_error(error, sent=False)


async def _begin(connection: Connection, settings: Settings) -> None:
    (greeting,) = await connection.greeting()
    if greeting.code != 220:
        raise refusal(SMTPConnectResponseError, greeting)
    await say_hello(connection, settings)
    wants_tls = settings.start_tls
    if wants_tls is None:
        wants_tls = connection.socket.secure_transport == "starttls"
    if wants_tls and not connection.secure:
        await start_tls(connection, settings)
        await say_hello(connection, settings)
    if settings.credentials is not None:
        await log_in(
            connection, settings.credentials, allow_plaintext=settings.allow_plaintext_auth
        )


async def say_hello(
    connection: Connection, settings: Settings, hostname: str | None = None
) -> Reply:
    """Say EHLO or LHLO, or HELO to a server that knows neither; return the reply.

    Raises:
        SMTPHeloError: it is refused.
    """
    name = hostname or settings.hostname or _literal(connection.socket.info.local_address)
    (reply,) = await connection.ask(Lhlo(name) if settings.lmtp else Ehlo(name))
    if reply.code in _UNKNOWN and not settings.lmtp:
        (reply,) = await connection.ask(Helo(name))
    if not reply.is_positive:
        raise refusal(SMTPHeloError, reply)
    return reply


def _literal(address: object) -> str:
    """Return an address as RFC 5321 §4.1.3 writes it for one who has no name (§4.1.4)."""
    if not isinstance(address, tuple) or not isinstance(address[0], str):
        return "localhost"
    host = address[0].partition("%")[0]
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


async def start_tls(connection: Connection, settings: Settings) -> Reply:
    """Upgrade to TLS and return the 220; what the server offers has to be asked anew (RFC 3207).

    Raises:
        TLSError: the server does not offer it, or the handshake failed.
        AddressError: the socket is not made for it.
        SMTPResponseException: the server refuses.
    """
    if connection.socket.secure_transport != "starttls":
        text = 'cannot start TLS: connect the socket with secure_transport="starttls"'
        raise connection_error(AddressError(text), sent=False)
    if not connection.capabilities.starttls:
        text = f"{connection.peer} does not offer STARTTLS; nothing was sent in clear"
        raise connection_error(TLSError(text), sent=False)
    try:
        (reply,) = await connection.ask(StartTLS())
        if reply.code == 220:
            await connection.upgrade(settings.tls)
    except BaseException as error:
        # There is no way back from half an upgrade.
        connection.fail(error if isinstance(error, Exception) else ConnectionLost(_HALF))
        if isinstance(error, Error):
            raise connection_error(error) from error.__cause__
        raise
    if reply.code != 220:
        raise refusal(SMTPResponseException, reply)
    return reply
