"""``ssh://`` addresses, and what they mean for a client.

Source: https://www.iana.org/assignments/uri-schemes/prov/ssh and
draft-ietf-secsh-scp-sftp-ssh-uri-04, §3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from wirekit._errors import AddressError
from wirekit.adapters._url import direct_connector, login
from wirekit.sockets import TCPAddress, parse_address

if TYPE_CHECKING:
    from wirekit.sockets import Address, Connector, Policy

__all__ = ["client_settings", "parse_url"]

_PORT = 22


class URL(NamedTuple):
    """What a URL says: where, and the client's settings, its password too."""

    address: Address
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"URL({self.address})"


def parse_url(url: str) -> URL:
    """Parse ``ssh://[user[:password]@]host[:port]``, or ``[user@]host[:port]``.

    Raises:
        AddressError: it is not of this form; the text never shows the password.
    """
    if "://" not in url:
        user, at, place = url.rpartition("@")
        if ":" in user:
            raise AddressError("a password needs a URL: ssh://user:password@host:port")
        settings = {"username": user} if at and user else {}
        return URL(parse_address(place, default_port=_PORT), settings)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"not an SSH URL: {type(error).__name__} in host or port") from None
    if parts.scheme != "ssh":
        raise AddressError("an SSH URL begins with ssh://")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise AddressError(
            "an SSH URL ends with the port; write / ? # in a password as %2F %3F %23"
        )
    if not host:
        raise AddressError("an SSH URL names a host")
    return URL(TCPAddress(unquote(host), _PORT if port is None else port), {**login(parts)})


def client_settings(
    url: str,
    *,
    connector: Connector | None,
    policy: Policy | None,
    connect_timeout: float | None,
) -> dict[str, Any]:
    """Return the client's arguments for a URL.

    Raises:
        AddressError: it is none, or an option does not fit.
    """
    address, settings = parse_url(url)
    direct = direct_connector(connector=connector, policy=policy, connect_timeout=connect_timeout)
    return {"connector": direct, "address": address, **settings}
