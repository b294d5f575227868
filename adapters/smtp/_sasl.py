"""SASL mechanisms (RFC 4422) without I/O: what to answer to each challenge of AUTH.

Whatever the server sends can cause only `RemoteProtocolError`.
"""

from __future__ import annotations

import hmac
import inspect
import json
import re
from typing import TYPE_CHECKING, Protocol, cast

from wirekit._errors import RemoteProtocolError
from wirekit.adapters._saslprep import saslprep
from wirekit.adapters._scram import Scram as ScramExchange

from ._errors import SMTPArgumentError, SMTPNotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._login import Credentials

__all__ = ["Mechanism", "choose"]

_ITERATIONS = (4096, 1_000_000)  # RFC 7677 §4, and a quarter of a second in a thread
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1
_SHOWN = 200  # characters of what the server says about a token


class Mechanism(Protocol):
    """One exchange.

    Attributes:
        name: the mechanism, as AUTH names it.
        rejection: what the server said about the credentials before the reply that refuses them.
    """

    @property
    def name(self) -> str: ...
    @property
    def rejection(self) -> str | None: ...

    async def start(self) -> bytes | None:
        """Return the initial response, None if the server speaks first.

        Raises:
            SMTPArgumentError: the credentials cannot be sent.
        """
        ...

    async def respond(self, challenge: bytes) -> bytes:
        """Return the response to a challenge.

        Raises:
            RemoteProtocolError: it is none of this mechanism, or not due.
        """
        ...

    def finish(self) -> None:
        """Take note that the server let us in.

        Raises:
            RemoteProtocolError: it was too early for that, or the server has not proved who it is.
        """
        ...


class _Steps:
    """A mechanism that answers so many challenges, each by the method for it."""

    name: str

    def __init__(self, *answers: Callable[[bytes], bytes]) -> None:
        self.rejection: str | None = None
        self._answers = list(answers)

    async def start(self) -> bytes | None:
        return None

    async def respond(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise RemoteProtocolError(f"a challenge that {self.name} does not have")
        return self._answers.pop(0)(challenge)

    def finish(self) -> None:
        if self._answers:
            raise RemoteProtocolError(f"the server ended {self.name} before it was over")


class _Plain(_Steps):
    """RFC 4616."""

    name = "PLAIN"

    def __init__(self, username: str, password: str) -> None:
        super().__init__()
        self._message = f"\0{username}\0{password}".encode()

    async def start(self) -> bytes:
        return self._message


class _Login(_Steps):
    """draft-murchison-sasl-login: what is asked for is told from the order, not from the words."""

    name = "LOGIN"

    def __init__(self, username: str, password: str) -> None:
        super().__init__(lambda _prompt: username.encode(), lambda _prompt: password.encode())


class _CramMd5(_Steps):
    """RFC 2195."""

    name = "CRAM-MD5"

    def __init__(self, username: str, password: str) -> None:
        def answer(challenge: bytes) -> bytes:
            if not challenge:
                raise RemoteProtocolError("an empty challenge of CRAM-MD5")
            digest = hmac.digest(password.encode(), challenge, "md5").hex()
            return f"{username} {digest}".encode()

        super().__init__(answer)


class _Token:
    """What XOAUTH2 and OAUTHBEARER share: a token, and a challenge only where it is rejected."""

    name: str
    _confirmation: bytes

    def __init__(self, credentials: Credentials) -> None:
        self.rejection: str | None = None
        self._credentials = credentials

    async def start(self) -> bytes:
        source = self._credentials.token
        token = cast("object", source() if callable(source) else source)
        if inspect.isawaitable(token):
            token = await token
        if not isinstance(token, str) or _BEARER_TOKEN.fullmatch(token) is None:
            raise SMTPArgumentError("the token is no bearer token (RFC 6750 §2.1)")
        return b"%b\x01auth=Bearer %b\x01\x01" % (self._user(), token.encode("ascii"))

    def _user(self) -> bytes:
        raise NotImplementedError

    async def respond(self, challenge: bytes) -> bytes:
        if self.rejection is not None:
            raise RemoteProtocolError(f"a second challenge of {self.name}")
        self.rejection = _rejection(challenge)
        return self._confirmation

    def finish(self) -> None:
        if self.rejection is not None:
            raise RemoteProtocolError("the server rejected the token and then accepted it")


class _XOAuth2(_Token):
    """Google's, older than the standard (developers.google.com/gmail/imap/xoauth2-protocol)."""

    name = "XOAUTH2"
    _confirmation = b""

    def _user(self) -> bytes:
        return f"user={self._credentials.username}".encode()


class _OAuthBearer(_Token):
    """RFC 7628."""

    name = "OAUTHBEARER"
    _confirmation = b"\x01"  # §3.2.3

    def _user(self) -> bytes:
        return f"n,a={_saslname(self._credentials.username)},".encode()


class _Scram:
    """SCRAM (RFC 5802): one challenge that asks, one that proves who the server is."""

    def __init__(self, name: str, username: str, password: str, binding: bytes | None) -> None:
        async def prepared() -> bytes:
            return saslprep(password)

        self.name = name
        self.rejection: str | None = None
        self._asked = False
        try:
            self._exchange = ScramExchange(
                name, prepared, binding, iterations=_ITERATIONS, username=username
            )
        except ValueError as error:
            raise SMTPArgumentError(str(error)) from None

    async def start(self) -> bytes:
        return await self._exchange.start()

    async def respond(self, challenge: bytes) -> bytes:
        if self.rejection is not None:
            raise RemoteProtocolError(f"a challenge of {self.name} after it had failed")
        if challenge.startswith(b"e="):
            # RFC 5802 §7: a refusal, such as invalid-proof; the reply that says so is yet to come.
            self.rejection = _printable(challenge[2:])
            return b""
        if not self._asked:
            self._asked = True
            return await self._exchange.respond(challenge)
        self._exchange.finish(challenge)
        return b""

    def finish(self) -> None:
        if not self._exchange.complete:
            raise RemoteProtocolError(
                f"the server ended {self.name} without proving that it knows the password"
            )


_BY_PASSWORD: Mapping[str, Callable[[str, str], Mechanism]] = {
    "CRAM-MD5": _CramMd5,
    "PLAIN": _Plain,
    "LOGIN": _Login,
}
_BY_TOKEN: Mapping[str, Callable[[Credentials], Mechanism]] = {
    "OAUTHBEARER": _OAuthBearer,
    "XOAUTH2": _XOAuth2,
}
_BOUND = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
_UNBOUND = ("SCRAM-SHA-256", "SCRAM-SHA-1")

MECHANISMS = (*_BOUND, *_UNBOUND, *_BY_PASSWORD, *_BY_TOKEN)
"""All that there are, the strongest first; those with a token after those with a password."""


def choose(
    offered: frozenset[str], credentials: Credentials, *, channel_binding: bytes | None = None
) -> Mechanism:
    """Return the strongest mechanism that the server offers and the credentials allow.

    Args:
        offered: what stands behind AUTH in the reply to EHLO.
        credentials: who logs in, with a password or a token.
        channel_binding: the tls-server-end-point hash (RFC 5929 §4); None without TLS.

    Raises:
        SMTPNotSupported: there is none.
        SMTPArgumentError: the credentials are not of use for any mechanism.
    """
    username = _checked(credentials.username, "user name")
    if "\x01" in username:  # which ends it in XOAUTH2
        raise SMTPArgumentError("the user name holds a control character")
    allowed = frozenset(MECHANISMS if credentials.mechanisms is None else credentials.mechanisms)
    if not allowed.issubset(MECHANISMS):
        unknown = sorted(allowed.difference(MECHANISMS))
        raise SMTPArgumentError(f"unknown mechanisms: {', '.join(unknown)}")
    usable = offered & allowed
    if credentials.token is not None:
        for name, by_token in _BY_TOKEN.items():
            if name in usable:
                return by_token(credentials)
    if credentials.password is not None:
        password = _checked(credentials.password, "password")
        if channel_binding is None:
            usable = usable.difference(_BOUND)
        for name in (*_BOUND, *_UNBOUND):
            if name in usable:
                return _Scram(
                    name, username, password, _binding(name, offered, allowed, channel_binding)
                )
        for name, by_password in _BY_PASSWORD.items():
            if name in usable:
                return by_password(username, password)
    raise _none(offered, credentials)


def _binding(
    name: str, offered: frozenset[str], allowed: frozenset[str], channel_binding: bytes | None
) -> bytes | None:
    """Return what SCRAM is to bind to, or where it cannot, whether it is to say that it could.

    It does where the server offers no -PLUS, so that a server that has one finds out who took it
    away (RFC 5802 §6).
    """
    could_bind = offered.isdisjoint(_BOUND) and not allowed.isdisjoint(_BOUND)
    return channel_binding if name in _BOUND or could_bind else None


def _checked(text: str, what: str) -> str:
    if not text:
        raise SMTPArgumentError(f"the {what} is empty")
    if "\0" in text:
        raise SMTPArgumentError(f"the {what} holds a null character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SMTPArgumentError(f"the {what} holds a lone surrogate") from None
    return text


def _none(offered: frozenset[str], credentials: Credentials) -> Exception:
    if credentials.password is None and credentials.token is None:
        return SMTPArgumentError("a login needs a password or a token")
    if not offered:
        return SMTPNotSupported("the server does not offer AUTH (perhaps only behind TLS)")
    secret = "token" if credentials.password is None else "password"
    shown = ", ".join(sorted(offered))[:_SHOWN]
    return SMTPNotSupported(
        f"the server offers no mechanism for a {secret} that may be used: {shown}"
    )


def _saslname(username: str) -> str:
    """RFC 5801 §4."""
    return username.replace("=", "=3D").replace(",", "=2C")


def _rejection(challenge: bytes) -> str:
    """Return why a token was rejected (RFC 7628 §3.2.2): its status, or all that there is."""
    try:
        document = json.loads(challenge)
    except (ValueError, RecursionError):
        return _printable(challenge)
    status = (
        cast("dict[str, object]", document).get("status") if isinstance(document, dict) else None
    )
    return _printable(str(status).encode() if status is not None else challenge)


def _printable(data: bytes) -> str:
    return ascii(data[:_SHOWN].decode("utf-8", "backslashreplace"))[1:-1]
