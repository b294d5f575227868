"""Logging in: AUTH (RFC 4954), never in clear unless that is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ._errors import SMTPArgumentError
from ._sasl import choose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.protocols.smtp import Reply

    from ._connection import Connection

__all__ = ["Credentials", "Token", "log_in"]

Token: TypeAlias = "str | Callable[[], str | Awaitable[str]]"

_MOST_CHALLENGES = 8


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
    choose(connection.capabilities.auth, credentials)
    raise NotImplementedError
