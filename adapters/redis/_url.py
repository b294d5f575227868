"""``redis://`` addresses, and what they mean for a client.

Source: https://www.iana.org/assignments/uri-schemes/prov/redis and redis-py's ``from_url``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from wirekit._errors import AddressError
from wirekit.adapters._url import (
    FLAG,
    NUMBER,
    SECONDS,
    TEXT,
    direct_connector,
    login,
    query_settings,
)
from wirekit.sockets import TCPAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from wirekit.sockets import Address, Connector, Policy, TLSOptions

__all__ = ["client_settings", "parse_url"]

_PORT = 6379
_SETTINGS = {
    "client_name": TEXT,
    "db": NUMBER,
    "decode_responses": FLAG,
    "encoding": TEXT,
    "encoding_errors": TEXT,
    "legacy_responses": FLAG,
    "max_dedicated": NUMBER,
    "password": TEXT,
    "protocol": NUMBER,
    "reconnect_attempts": NUMBER,
    "timeout": SECONDS,
    "username": TEXT,
}


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
    settings = {**query_settings(parts.query, _SETTINGS, "Redis"), **login(parts)}
    if parts.scheme == "unix":
        return URL(UnixAddress(unquote(parts.path)), False, settings)
    path = parts.path.strip("/")
    if path:
        if not (path.isascii() and path.isdigit()):
            raise AddressError("the path of a Redis URL is the number of the database")
        settings.setdefault("db", int(path))
    address = TCPAddress(unquote(host or "localhost"), _PORT if port is None else port)
    return URL(address, parts.scheme == "rediss", settings)


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
    direct = direct_connector(
        connector=connector,
        policy=policy,
        connect_timeout=connect_timeout,
        secure_transport="on" if secure else "off",
        tls=tls,
    )
    return {"connector": direct, "address": address, **settings}
