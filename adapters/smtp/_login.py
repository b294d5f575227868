"""Logging in: AUTH (RFC 4954), never in clear unless that is allowed."""

from __future__ import annotations

import re
from binascii import b2a_base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wirekit._errors import ConnectionLost, RemoteProtocolError
from wirekit.protocols.smtp import Auth, AuthResponse

from ._errors import SMTPArgumentError, SMTPAuthenticationError, SMTPResponseException
from ._sasl import choose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.protocols.smtp import Reply

    from ._connection import Connection
    from ._sasl import Mechanism

__all__ = ["Credentials", "Token", "log_in"]

Token: TypeAlias = "str | Callable[[], str | Awaitable[str]]"

_MOST_CHALLENGES = 8
_BEARER = re.compile(rb"auth=Bearer ([^\x01]+)")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who logs in.

    Attributes:
        username: the name.
        password: the password; or
        token: an OAuth 2 access token, or a callable that gives one, or an awaitable of it; asked
            at each login.
        mechanisms: the SASL mechanisms that may be used; None for all that are safe enough.
    """

    username: str
    password: str | None = field(default=None, repr=False)
    token: Token | None = field(default=None, repr=False)
    mechanisms: frozenset[str] | None = None


async def log_in(
    connection: Connection, credentials: Credentials, *, allow_plaintext: bool
) -> Reply:
    """Log in, and return the 235.

    Raises:
        SMTPArgumentError: it would be in clear.
        SMTPNotSupported: the server has no mechanism that may be used.
        SMTPAuthenticationError: it refuses.
        RemoteProtocolError: it does not follow the mechanism, or is not who it should be.
    """
    if not connection.secure and not allow_plaintext:
        raise SMTPArgumentError(
            "the login would go over the network in clear: use TLS (secure_transport or"
            " start_tls), or say allow_plaintext_auth=True"
        )
    binding = connection.socket.info.channel_binding("tls-server-end-point")
    mechanism = choose(connection.capabilities.auth, credentials, channel_binding=binding)
    sent = [*_forms((credentials.password or "").encode("utf-8", "replace"))]
    try:
        reply = await _exchange(connection, mechanism, sent)
        if reply.is_positive:
            mechanism.finish()
            return reply
    except BaseException as error:
        for shown in (error, connection.error):  # a 421
            if isinstance(shown, SMTPResponseException):
                shown.message = _masked(shown.message, sent)
                shown.args = (shown.code, shown.message)
        # Half a login is no state to leave a connection in.
        connection.fail(ConnectionLost("the connection was closed because its login broke off"))
        raise
    refused = SMTPAuthenticationError(reply.code, _masked("\n".join(reply.lines), sent))
    if mechanism.rejection is not None:
        refused.add_note(f"the server said: {_masked(mechanism.rejection, sent)}")
    raise refused


async def _exchange(connection: Connection, mechanism: Mechanism, sent: list[str]) -> Reply:
    """Return the reply that ends the exchange (RFC 4954 §4); ``sent`` gets what was sent."""
    initial = await mechanism.start()
    command = Auth(mechanism.name, initial)
    if not command.fits:
        command = Auth(mechanism.name)
    sent += _forms(initial or b"")
    if initial is not None and (found := _BEARER.search(initial)) is not None:
        sent += _forms(found[1])
    (reply,) = await connection.ask(command)
    for number in range(_MOST_CHALLENGES):
        if reply.code != 334:
            return reply
        if number == 0 and initial is not None and command.initial_response is None:
            response = _late_initial(reply, initial)
        else:
            response = await mechanism.respond(reply.challenge)
        sent += _forms(response)
        (reply,) = await connection.ask(AuthResponse(response))
    raise RemoteProtocolError(f"the server asks more than {mechanism.name} has to say")


def _late_initial(reply: Reply, initial: bytes) -> bytes:
    """Return the initial response that was too long for AUTH's own line."""
    if reply.challenge:
        raise RemoteProtocolError("a challenge where the initial response was due")
    return initial


def _masked(text: str, sent: list[str]) -> str:
    """Return what the server said; some repeat what they were sent."""
    for secret in sorted(filter(None, sent), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _forms(data: bytes) -> tuple[str, str]:
    """Return how a server may show what it was sent."""
    return data.decode("utf-8", "replace"), b2a_base64(data, newline=False).decode("ascii")
