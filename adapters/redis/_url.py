"""``redis://`` addresses, and what they mean for a client.

Source: https://www.iana.org/assignments/uri-schemes/prov/redis and redis-py's ``from_url``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qs, unquote, urlsplit

from wirekit._errors import AddressError
from wirekit.sockets import DirectConnector, TCPAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from wirekit.sockets import Address, Connector, Policy, TLSOptions

__all__ = ["client_settings", "parse_url"]

_PORT = 6379
_TEXT = ("client_name", "encoding", "encoding_errors", "password", "username")
_FLAGS = ("decode_responses", "legacy_responses")
_NUMBERS = ("db", "max_dedicated", "protocol", "reconnect_attempts")
_SECONDS = ("timeout",)


class URL(NamedTuple):
    """What a URL says: where, whether by TLS, and the client's settings, its password too."""

    address: Address
    tls: bool
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"URL({self.address}, tls={self.tls})"


def parse_url(url: str) -> URL:
    """Parse ``redis://[user[:password]@]host[:port][/db]``, ``rediss://`` (TLS) or ``unix:///path``.

    Settings of the client may follow as a query: ``?protocol=3&decode_responses=yes``.

    Raises:
        AddressError: it is not of this form; the text never shows the password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"not a Redis URL: {type(error).__name__} in host or port") from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise AddressError("a Redis URL begins with redis://, rediss:// or unix://")
    if parts.fragment:
        raise AddressError("a Redis URL has no fragment (#); write # in a password as %23")
    settings = _query(parts.query)
    if parts.username:
        settings["username"] = unquote(parts.username)
    if parts.password is not None:
        settings["password"] = unquote(parts.password)
    if parts.scheme == "unix":
        return URL(UnixAddress(unquote(parts.path)), False, settings)
    path = parts.path.strip("/")
    if path:
        if not (path.isascii() and path.isdigit()):
            raise AddressError("the path of a Redis URL is the number of the database")
        settings.setdefault("db", int(path))
    address = TCPAddress(unquote(host or "localhost"), _PORT if port is None else port)
    return URL(address, parts.scheme == "rediss", settings)


def _query(query: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, values in parse_qs(query, keep_blank_values=True).items():
        value = values[-1]
        try:
            if name in _TEXT:
                settings[name] = value
            elif name in _FLAGS:
                settings[name] = _flag(value)
            elif name in _NUMBERS:
                settings[name] = int(value)
            elif name in _SECONDS:
                settings[name] = None if value.lower() == "none" else float(value)
            else:
                # Not its name: what stands behind a ? may be part of a password.
                known = ", ".join(sorted((*_TEXT, *_FLAGS, *_NUMBERS, *_SECONDS)))
                raise AddressError(f"a setting of the Redis URL is not one of {known}")
        except ValueError as error:
            if isinstance(error, AddressError):
                raise
            raise AddressError(f"the setting {name} of the Redis URL is no number") from None
    return settings


def _flag(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "y", "t", "on"):
        return True
    if value.lower() in ("", "0", "false", "no", "n", "f", "off"):
        return False
    raise AddressError("a flag in a Redis URL is yes or no")


def client_settings(
    url: str,
    *,
    connector: Connector | None,
    policy: Policy | None,
    connect_timeout: float | None,
    tls: TLSOptions | None,
) -> dict[str, Any]:
    """Return the client's arguments for a URL, ``host:port`` or path.

    Raises:
        AddressError: it is none of them, or an option does not fit.
    """
    if "://" in url:
        address, secure, settings = parse_url(url)
    elif "@" in url:
        raise AddressError("user and password need a URL: redis://user:password@host:port")
    else:
        address, secure, settings = parse_address(url, default_port=_PORT), False, {}
    if tls and not secure:
        raise AddressError("tls options need rediss://")
    options: dict[str, Any] = {"connect_timeout": connect_timeout, **(tls or {})}
    if policy is not None:
        options["policy"] = policy
    if connector is not None:
        options["connector"] = connector
    if secure:
        options["secure_transport"] = "on"
    direct = DirectConnector(**cast("Any", options))
    return {"connector": direct, "address": address, **settings}
