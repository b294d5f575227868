"""Mail servers' URLs, and what they mean for a client.

There is no standard; the schemes are the names of the services (RFC 8314 §7, RFC 6409, RFC 2033).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from wirekit._errors import AddressError
from wirekit.adapters._url import (
    FLAG,
    NUMBER,
    SECONDS,
    TEXT,
    Setting,
    direct_connector,
    login,
    query_settings,
)
from wirekit.sockets import TCPAddress, UnixAddress

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from wirekit.sockets import Address, Connector, Policy, TLSOptions

__all__ = ["client_settings", "parse_url"]

SecureTransport = Literal["off", "on", "starttls"]


class _Scheme(NamedTuple):
    port: int
    secure_transport: SecureTransport
    lmtp: bool = False


_SCHEMES = {
    "smtps": _Scheme(465, "on"),
    "submissions": _Scheme(465, "on"),
    "submission": _Scheme(587, "starttls"),
    "smtp": _Scheme(25, "off"),
    "lmtp": _Scheme(24, "off", lmtp=True),
}


def _names(text: str) -> list[str]:
    return text.split(",")


_SETTINGS = {
    "allow_bare_lf": FLAG,
    "allow_plaintext_auth": FLAG,
    "chunking": FLAG,
    "data_timeout": SECONDS,
    "hostname": TEXT,
    "mechanisms": Setting(_names, "names"),
    "messages_per_connection": NUMBER,
    "pipelining": FLAG,
    "starttls": TEXT,
    "timeout": SECONDS,
}

_PORT_25 = (
    "port 25 is for mail between servers, and closed in most networks: send mail by"
    " submission://host (port 587), smtps://host (465) or smtp://host:port with the port that the"
    " provider names, such as 2525; allow_port_25=True is for a relay of your own"
)


@dataclass(frozen=True, slots=True)
class URL:
    """What a URL says.

    Attributes:
        address: where.
        secure_transport: ``"on"`` for TLS, ``"starttls"`` for an upgrade to it, or ``"off"``.
        settings: the client's arguments, its password too.
    """

    address: Address
    secure_transport: SecureTransport
    settings: dict[str, Any] = field(repr=False)


def parse_url(url: str, *, allow_port_25: bool = False) -> URL:
    """Parse the URL of a server.

    ``smtps://[user[:password]@]host[:465]``, or ``submissions://``: TLS from the first byte;
    ``submission://…[:587]``: upgraded to TLS by STARTTLS, or there is no connection;
    ``smtp://…:port``: in clear, with ``?starttls=required`` as the one before;
    ``lmtp://host[:24]`` and ``lmtp:///path``, a Unix socket: LMTP, in clear.

    Settings of the client may follow as a query: ``?hostname=me.example&timeout=10``.

    Raises:
        AddressError: it is not of this form, or it says port 25 and that is not allowed; the text
            never shows the password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"not a mail URL: {type(error).__name__} in host or port") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        names = ", ".join(f"{name}://" for name in _SCHEMES)
        raise AddressError(f"a mail URL begins with one of {names}")
    if parts.fragment:
        raise AddressError("a mail URL has no fragment (#); write # in a password as %23")
    settings = {**query_settings(parts.query, _SETTINGS, "mail"), **login(parts)}
    secure_transport = _secure_transport(scheme, settings.pop("starttls", None))
    if scheme.lmtp:
        settings["lmtp"] = True
    address = _address(parts, host, scheme.port if port is None else port, lmtp=scheme.lmtp)
    if isinstance(address, TCPAddress) and address.port == 25 and not allow_port_25:
        raise AddressError(_PORT_25)
    return URL(address, secure_transport, settings)


def _address(parts: SplitResult, host: str | None, port: int, *, lmtp: bool) -> Address:
    if lmtp and not host:
        if parts.path.strip("/") == "":
            raise AddressError("an LMTP URL names a host, or the path of a socket")
        return UnixAddress(unquote(parts.path))
    if not host:
        raise AddressError("a mail URL names a host")
    if parts.path not in ("", "/"):
        raise AddressError("a mail URL has no path; write / in a password as %2F")
    return TCPAddress(unquote(host), port)


def _secure_transport(scheme: _Scheme, starttls: str | None) -> SecureTransport:
    if starttls is None:
        return scheme.secure_transport
    if starttls != "required":
        # Neither "if it is there", which whoever sits between takes away, nor less than the scheme.
        raise AddressError("starttls in a mail URL can only be required")
    if scheme.secure_transport == "on":
        raise AddressError("starttls does not go with TLS from the first byte")
    return "starttls"


def client_settings(
    url: str,
    *,
    connector: Connector | None = None,
    policy: Policy | None = None,
    connect_timeout: float | None = 10.0,
    tls: TLSOptions | None = None,
    allow_port_25: bool = False,
) -> dict[str, Any]:
    """Return the client's arguments for a URL.

    Args:
        url: see `parse_url`.
        connector: carries the bytes; None for TCP from here.
        policy: which addresses may be connected to.
        connect_timeout: seconds for connecting, with TLS if it is there from the first byte.
        tls: options for TLS, such as a context of one's own.
        allow_port_25: whether the port may be 25.

    Raises:
        AddressError: the URL is not of the right form, or an option does not fit.
    """
    parsed = parse_url(url, allow_port_25=allow_port_25)
    if tls and parsed.secure_transport == "off":
        raise AddressError("tls options need smtps://, submission:// or ?starttls=required")
    direct = direct_connector(
        connector=connector,
        policy=policy,
        connect_timeout=connect_timeout,
        secure_transport=parsed.secure_transport,
        tls=tls,
    )
    return {
        "connector": direct,
        "address": parsed.address,
        "start_tls": parsed.secure_transport == "starttls",
        **parsed.settings,
    }
