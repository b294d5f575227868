"""The client's side of OAUTHBEARER (RFC 7628)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from wirekit._errors import RemoteProtocolError

from .exceptions import InterfaceError

__all__ = ["Bearer", "OAuthRequest", "OAuthTokenRejected", "TokenSource"]

_SHOWN = 500  # characters of each of the server's texts


@dataclass(frozen=True, slots=True)
class OAuthRequest:
    """What a token is asked for.

    Attributes:
        user: the database user that logs in.
        remote_address: the server, as it was asked for.
    """

    user: str
    remote_address: str


TokenSource = Callable[[OAuthRequest], str | Awaitable[str]]


class OAuthTokenRejected(InterfaceError):
    """The server did not accept the OAuth token (RFC 7628 §3.2.2).

    Attributes:
        status: why, for example ``"invalid_token"``.
        scope: the scopes that a token must have, if the server tells.
        openid_configuration: URL of the document that says where to get one, if the server tells.
    """

    def __init__(
        self,
        msg: str,
        *,
        status: str = "",
        scope: str | None = None,
        openid_configuration: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(msg, detail=detail, hint=hint)
        self.status = status
        self.scope = scope
        self.openid_configuration = openid_configuration


class Bearer:
    """One OAUTHBEARER exchange.

    Args:
        token: asked for once, for the first message.
    """

    mechanism = "OAUTHBEARER"

    def __init__(self, token: Callable[[], Awaitable[str]]) -> None:
        self.complete = False
        self.rejection: OAuthTokenRejected | None = None
        self._ask = token
        self._token = ""

    async def start(self) -> bytes:
        """Return the client's initial response (RFC 7628 §3.1)."""
        self._token = await self._ask()
        self.complete = True
        return b"n,,\x01auth=Bearer %b\x01\x01" % self._token.encode("ascii")

    async def respond(self, data: bytes) -> bytes:
        """Return the dummy answer to the server's error (RFC 7628 §3.2.3); see `rejection`.

        Raises:
            RemoteProtocolError: the error is malformed, or comes twice.
        """
        if self.rejection is not None:
            raise RemoteProtocolError("the server goes on after it rejected the OAuth token")
        self.complete = False
        self.rejection = self._read(data)
        self._token = ""
        return b"\x01"

    def finish(self, data: bytes) -> None:
        """Refuse: OAUTHBEARER has no final message from the server.

        Raises:
            RemoteProtocolError: always.
        """
        raise RemoteProtocolError("AuthenticationSASLFinal does not belong to OAUTHBEARER")

    def _read(self, data: bytes) -> OAuthTokenRejected:
        try:
            fields: Any = json.loads(data.decode())
        except (ValueError, RecursionError):
            raise RemoteProtocolError("the server's OAuth error is not JSON") from None
        if not isinstance(fields, dict):
            raise RemoteProtocolError("the server's OAuth error is not a JSON object")
        texts = cast("dict[str, object]", fields)
        status = self._text(texts, "status")
        if status is None:
            raise RemoteProtocolError("the server's OAuth error has no status")
        scope = self._text(texts, "scope")
        configuration = self._text(texts, "openid-configuration")
        message = f"the server rejected the OAuth token: {status!r}"
        if scope is not None:
            message += f", the scope has to be {scope!r}"
        if configuration is not None:
            message += f", see {configuration!r}"
        return OAuthTokenRejected(
            message, status=status, scope=scope, openid_configuration=configuration
        )

    def _text(self, fields: dict[str, object], name: str) -> str | None:
        value = fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise RemoteProtocolError(f"{name} of the server's OAuth error is not a string")
        return value.replace(self._token, "[token]")[:_SHOWN]
