"""The login: what to answer to each of the server's Authentication messages, without I/O."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Collection
from typing import Literal, Protocol, get_args

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from wirekit.adapters._saslprep import saslprep
from wirekit.adapters._scram import LARGEST_ITERATIONS, Scram
from wirekit.protocols.postgres import (
    Authentication as Request,
)
from wirekit.protocols.postgres import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)

from ._oauth import Bearer, OAuthRequest, OAuthTokenRejected, TokenSource
from .exceptions import ClientConfigurationError, InterfaceError, UnsupportedClientFeatureError

__all__ = [
    "METHODS",
    "Authentication",
    "AuthenticationRefused",
    "ChannelBinding",
    "PasswordSource",
]

PasswordSource = str | Callable[[], str | Awaitable[str | None] | None] | None
ChannelBinding = Literal["prefer", "disable", "require"]
Answer = PasswordMessage | SASLInitialResponse | SASLResponse

METHODS = frozenset({"password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"})
"""libpq's words for `require_auth`."""

_WANTS = {
    "password": "asks for the password in clear",
    "md5": "asks for an MD5 hash of the password",
    "gss": "asks for GSSAPI",
    "sspi": "asks for SSPI",
    "kerberos": "asks for Kerberos V5",
    "scram-sha-256": "asks for SCRAM-SHA-256",
    "oauth": "asks for an OAuth token",
    "none": "lets us in without a login",
}
_UNSUPPORTED: dict[type[Request], str] = {
    AuthenticationGSS: "gss",
    AuthenticationSSPI: "sspi",
    AuthenticationKerberosV5: "kerberos",
}
_PLUS, _PLAIN, _BEARER = _MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER")
_SASL_METHODS = {_PLUS: "scram-sha-256", _PLAIN: "scram-sha-256", _BEARER: "oauth"}

_UTF8 = ("utf-8", "surrogateescape")  # bytes of the environment that are no text stay as they are
_MAX_SASL_DATA = 16 * 1024
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1


class AuthenticationRefused(InterfaceError):
    """The server wants to log in, or to be trusted, in a way that the settings do not allow.

    Nothing was sent that depends on a secret. It is not a `ConnectError`, because trying again or
    the next host, as people do with those, would give a hostile server more chances.
    """


class _Exchange(Protocol):
    """A SASL mechanism: how it starts, goes on, ends."""

    @property
    def mechanism(self) -> str: ...
    @property
    def complete(self) -> bool: ...
    async def start(self) -> bytes: ...
    async def respond(self, data: bytes) -> bytes: ...
    def finish(self, data: bytes) -> None: ...


class Authentication:
    """One login, from StartupMessage to AuthenticationOk.

    As with libpq and asyncpg, a password goes out in clear over a connection without TLS when the
    server wants it, and so does a token: `require_auth` forbids it. No password counts as an
    empty one, which the server rejects.

    Args:
        user: the name in the StartupMessage.
        password: the password, or a callable or coroutine function that gives it, asked once and
            only if the server wants one.
        channel_binding: ``"require"`` accepts nothing but SCRAM-SHA-256-PLUS; ``"prefer"`` takes
            it where it is possible.
        require_auth: the allowed of `METHODS`; None allows all. ``"none"`` is a server that asks
            for nothing.
        tls: whether the connection is encrypted by TLS.
        channel_binding_data: the tls-server-end-point hash of the server's certificate
            (RFC 5929 §4), None where it is not known.
        oauth_token: a callable or coroutine function that gives the token for an `OAuthRequest`.
        min_iterations: fewer SCRAM iterations are refused, because a server that merely poses as
            ours could then find the password by trying. RFC 7677 §4 and PostgreSQL's default are
            4096; lower it for a server whose ``scram_iterations`` is lower.
        max_iterations: more are refused; a million take a quarter of a second, in a thread.
        remote_address: the server's, for the errors and the `OAuthRequest`.

    Raises:
        ClientConfigurationError: a setting is wrong in itself.
    """

    def __init__(
        self,
        user: str,
        password: PasswordSource = None,
        *,
        channel_binding: ChannelBinding = "prefer",
        require_auth: Collection[str] | None = None,
        tls: bool = False,
        channel_binding_data: bytes | None = None,
        oauth_token: TokenSource | None = None,
        min_iterations: int = 4096,
        max_iterations: int = 1_000_000,
        remote_address: str = "the server",
    ) -> None:
        if channel_binding not in get_args(ChannelBinding):
            raise ClientConfigurationError(f"unknown channel_binding {channel_binding!r}")
        if require_auth is not None and not METHODS.issuperset(require_auth):
            unknown = sorted(METHODS.symmetric_difference(require_auth) - METHODS)
            raise ClientConfigurationError(f"unknown methods in require_auth: {unknown}")
        if not 1 <= min_iterations <= max_iterations <= LARGEST_ITERATIONS:
            raise ClientConfigurationError(
                f"min_iterations and max_iterations must be within 1 and {LARGEST_ITERATIONS}"
            )
        self._user = user
        self._password = password
        self._oauth_token = oauth_token
        self._channel_binding = channel_binding
        self._binding_data = channel_binding_data if tls and channel_binding != "disable" else None
        self._require_auth = None if require_auth is None else frozenset(require_auth)
        self._iterations = (min_iterations, max_iterations)
        self._remote_address = remote_address
        self._method: str | None = None
        self._exchange: _Exchange | None = None
        self._state: Literal["open", "complete", "failed"] = "open"

    def __repr__(self) -> str:
        return f"<Authentication user={self._user!r} method={self.method!r} {self._state}>"

    @property
    def complete(self) -> bool:
        """Whether AuthenticationOk came, and rightly so."""
        return self._state == "complete"

    @property
    def method(self) -> str | None:
        """The SASL mechanism, or libpq's word for the method; None until the server has chosen."""
        return self._method

    @property
    def oauth_rejection(self) -> OAuthTokenRejected | None:
        """Why the server rejected the token: the cause of the ErrorResponse that follows."""
        return self._exchange.rejection if isinstance(self._exchange, Bearer) else None

    async def receive(self, event: Request) -> Answer | None:
        """Return the answer to one message of the server; None if there is none to send.

        After an exception, and after AuthenticationOk, the secrets are forgotten.

        Raises:
            RemoteProtocolError: the server breaks the rules of the exchange, or does not prove
                that it knows the password.
            AuthenticationRefused: `require_auth` or `channel_binding` forbids what it wants.
            UnsupportedClientFeatureError: it wants GSSAPI, SSPI, Kerberos or an unknown mechanism.
            ClientConfigurationError: the password or the token cannot be sent, or there is none.
            LocalProtocolError: the exchange is already over by an error.
        """
        if self._state == "failed":
            raise LocalProtocolError("this authentication has failed before")
        if self._state == "complete":
            raise RemoteProtocolError(f"{type(event).__name__} after AuthenticationOk")
        try:
            answer = await self._answer(event)
        except BaseException:
            self._forget("failed")
            raise
        if isinstance(event, AuthenticationOk):
            self._forget("complete")
        return answer

    async def _answer(self, event: Request) -> Answer | None:
        match event:
            case AuthenticationOk():
                self._check_complete()
                return None
            case AuthenticationCleartextPassword():
                self._begin("password")
                return PasswordMessage((await self._ask_password()).encode(*_UTF8))
            case AuthenticationMD5Password(salt=salt):
                self._begin("md5")
                return PasswordMessage(_md5(await self._ask_password(), self._user, salt))
            case AuthenticationSASL(mechanisms=mechanisms):
                exchange = self._exchange = self._choose(mechanisms)
                return SASLInitialResponse(exchange.mechanism, await exchange.start())
            case AuthenticationSASLContinue(data=data):
                return SASLResponse(await self._sasl(event, data).respond(data))
            case AuthenticationSASLFinal(data=data):
                self._sasl(event, data).finish(data)
                return None
            case _:
                raise self._unanswerable(event)

    def _check_complete(self) -> None:
        if self._method is None:
            self._begin("none")
        elif self._exchange is not None and not self._exchange.complete:
            raise RemoteProtocolError(
                f"{self._remote_address} sent AuthenticationOk before {self._method} was complete"
            )

    def _begin(self, method: str) -> None:
        """Accept the server's choice of a method; it has only one."""
        if self._method is not None:
            raise RemoteProtocolError(f"{self._remote_address} asks for {method} too late")
        self._check_allowed(method)
        if self._channel_binding == "require":
            raise self._refused(f"{_WANTS[method]}, but channel_binding=require")
        self._method = method

    def _check_allowed(self, *methods: str) -> None:
        if self._require_auth is not None and self._require_auth.isdisjoint(methods):
            allowed = ", ".join(sorted(self._require_auth)) or "nothing"
            raise self._refused(f"{_WANTS[methods[0]]}, but require_auth allows {allowed}")

    def _choose(self, offered: tuple[str, ...]) -> _Exchange:
        """Begin with the best mechanism that is offered, possible and allowed."""
        if self._method is not None:
            raise RemoteProtocolError(f"{self._remote_address} asks for SASL too late")
        methods = [_SASL_METHODS[name] for name in offered if name in _SASL_METHODS]
        if not methods:
            names = ", ".join(map(repr, offered))[:200]
            raise UnsupportedClientFeatureError(
                f"{self._remote_address} offers only unknown SASL mechanisms: {names}"
            )
        self._check_allowed(*methods)
        only_token = self._password is None and self._oauth_token is not None
        for mechanism in reversed(_MECHANISMS) if only_token else _MECHANISMS:
            if mechanism in offered and self._usable(mechanism):
                self._method = mechanism
                return self._new_exchange(mechanism)
        raise self._no_mechanism(offered)

    def _usable(self, mechanism: str) -> bool:
        if self._require_auth is not None and _SASL_METHODS[mechanism] not in self._require_auth:
            return False
        if mechanism == _PLUS:
            return self._binding_data is not None
        if self._channel_binding == "require":
            return False
        return mechanism == _PLAIN or self._oauth_token is not None

    def _new_exchange(self, mechanism: str) -> _Exchange:
        if mechanism == _BEARER:
            return Bearer(self._ask_token)
        return Scram(
            mechanism,
            self._ask_prepared_password,
            self._binding_data,
            iterations=self._iterations,
            username="*",  # PostgreSQL takes that of the StartupMessage and ignores this one
        )

    def _no_mechanism(self, offered: tuple[str, ...]) -> Exception:
        if self._channel_binding == "require":
            if _PLUS not in offered:
                return self._refused(f"does not offer {_PLUS}, but channel_binding=require")
            return self._refused(
                "cannot be bound to: channel_binding=require needs TLS and a certificate with a "
                "known hash (RFC 5929 §4.1)"
            )
        if _BEARER in offered and (self._require_auth is None or "oauth" in self._require_auth):
            return ClientConfigurationError(
                f"{self._remote_address} asks for an OAuth token, and there is no oauth_token"
            )
        return self._refused(f"offers only {_PLUS}, which needs TLS and channel_binding")

    def _sasl(self, event: Request, data: bytes) -> _Exchange:
        if self._exchange is None:
            raise self._out_of_order(event)
        if len(data) > _MAX_SASL_DATA:
            raise MessageTooLarge(f"{len(data)} bytes of SASL data; the limit is {_MAX_SASL_DATA}")
        return self._exchange

    def _unanswerable(self, event: Request) -> Exception:
        method = _UNSUPPORTED.get(type(event))
        if method is None:
            return self._out_of_order(event)
        self._begin(method)
        return UnsupportedClientFeatureError(
            f"{self._remote_address} {_WANTS[method]}, which is not supported"
        )

    async def _ask_password(self) -> str:
        source, self._password = self._password, None
        password = await _awaited(source() if callable(source) else source)
        if password is None:
            return ""
        if not isinstance(password, str):
            raise ClientConfigurationError(f"the password is of type {type(password).__name__}")
        if "\0" in password:
            raise ClientConfigurationError("the password holds a null character")
        try:
            password.encode(*_UTF8)
        except UnicodeEncodeError:
            raise ClientConfigurationError("the password holds a lone surrogate") from None
        return password

    async def _ask_prepared_password(self) -> bytes:
        return saslprep(await self._ask_password())

    async def _ask_token(self) -> str:
        source, self._oauth_token = self._oauth_token, None
        if source is None:
            raise ClientConfigurationError("there is no oauth_token")
        token = await _awaited(source(OAuthRequest(self._user, self._remote_address)))
        if not isinstance(token, str) or _BEARER_TOKEN.fullmatch(token) is None:
            raise ClientConfigurationError("oauth_token gave no bearer token (RFC 6750 §2.1)")
        return token

    def _forget(self, state: Literal["complete", "failed"]) -> None:
        self._state = state
        self._password = self._oauth_token = self._exchange = None

    def _refused(self, reason: str) -> AuthenticationRefused:
        return AuthenticationRefused(f"{self._remote_address} {reason}")

    def _out_of_order(self, event: Request) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"{self._remote_address} sent {type(event).__name__} out of order"
        )


async def _awaited(value: object) -> object:
    return await value if inspect.isawaitable(value) else value


def _md5(password: str, user: str, salt: bytes) -> bytes:
    """PostgreSQL documentation, "Password Authentication" and Message Flow: Start-up."""
    if len(salt) != 4:
        raise RemoteProtocolError("the salt of AuthenticationMD5Password is not of 4 bytes")
    inner = hashlib.md5((password + user).encode(*_UTF8)).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()
