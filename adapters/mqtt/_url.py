"""``mqtt://``, ``mqtts://``, ``ws://`` and ``wss://`` addresses, and what they mean for a client.

Sources: the ports that IANA has registered for mqtt and secure-mqtt; RFC 6455 section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from wirekit._errors import AddressError
from wirekit.adapters._url import (
    FLAG,
    NUMBER,
    NUMBER_OR_NONE,
    SECONDS,
    TEXT,
    Setting,
    direct_connector,
    login,
    query_settings,
)
from wirekit.sockets import TCPAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wirekit.sockets import Address, Connector, Policy, TLSOptions

__all__ = ["client_settings", "parse_url"]

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_WEBSOCKET_PATH = "/mqtt"  # by custom, where a URL has none
_SUBPROTOCOLS = ("mqtt",)  # [MQTT-6.0.0-3]

_VERSIONS = {"5": 5, "5.0": 5, "4": 4, "3.1.1": 4}


def _version(text: str) -> int:
    if text not in _VERSIONS:
        raise ValueError
    return _VERSIONS[text]


_SETTINGS = {
    "automatic_topic_aliases": FLAG,
    "clean_start": FLAG,
    "client_id": TEXT,
    "follow_server_reference": FLAG,
    "keep_alive": NUMBER,
    "manual_acknowledgement": FLAG,
    "max_buffered": NUMBER,
    "maximum_packet_size": NUMBER,
    "overflow": TEXT,
    "password": TEXT,
    "queue_bytes": NUMBER,
    "queue_size": NUMBER,
    "receive_maximum": NUMBER,
    "reconnect_attempts": NUMBER_OR_NONE,
    "session_expiry_interval": NUMBER_OR_NONE,
    "timeout": SECONDS,
    "topic_alias_maximum": NUMBER,
    "username": TEXT,
    "version": Setting(_version, f"one of {', '.join(_VERSIONS)}"),
}


class URL(NamedTuple):
    """What a URL says: where, whether by TLS, a WebSocket's path, and the client's settings."""

    address: Address
    tls: bool
    websocket_path: str | None
    settings: dict[str, Any]

    def __repr__(self) -> str:
        websocket = self.websocket_path is not None
        return f"URL({self.address}, tls={self.tls}, websocket={websocket})"


def parse_url(url: str) -> URL:
    """Parse ``mqtt://[user[:password]@]host[:port]``, and ``mqtts://``, ``ws://``, ``wss://``.

    The s stands for TLS; ``unix:///path`` is a Unix socket. Settings of the client may follow as a
    query: ``?client_id=lamp&version=3.1.1``. Path and query of ``ws://`` and ``wss://`` are the
    server's, however; the path is ``/mqtt`` if there is none.

    Raises:
        AddressError: it is not of this form; the text never shows the password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"not an MQTT URL: {type(error).__name__} in host or port") from None
    if parts.scheme not in (*_PORTS, "unix"):
        names = ", ".join(f"{name}://" for name in _PORTS)
        raise AddressError(f"an MQTT URL begins with {names} or unix://")
    if parts.fragment:
        raise AddressError("an MQTT URL has no fragment (#); write # in a password as %23")
    path = _websocket_path(parts) if parts.scheme in ("ws", "wss") else None
    settings = query_settings(parts.query, _SETTINGS, "MQTT") if path is None else {}
    settings |= login(parts)
    if parts.scheme == "unix":
        return URL(UnixAddress(unquote(parts.path)), False, None, settings)
    if path is None and parts.path.strip("/"):
        raise AddressError("an MQTT URL has no path; write / in a password as %2F")
    port = _PORTS[parts.scheme] if port is None else port
    address = TCPAddress(unquote(host or "localhost"), port)
    return URL(address, parts.scheme in ("mqtts", "wss"), path, settings)


def _websocket_path(parts: SplitResult) -> str:
    path = parts.path or _WEBSOCKET_PATH
    if parts.query:
        path = f"{path}?{parts.query}"
    if "@" in path:
        # More likely the end of a password with a / or ? in it, which would go to the server.
        raise AddressError("in path and query of a WebSocket's URL write @ as %40")
    return path


def client_settings(
    url: str,
    *,
    connector: Connector | None,
    policy: Policy | None,
    connect_timeout: float | None,
    tls: TLSOptions | None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the client's arguments for a URL, ``host:port`` or path.

    ``tls`` may ask for ALPN, as some servers want it: ``{"alpn": ["mqtt"]}``. ``headers`` are of
    the WebSocket's HTTP request.

    Raises:
        AddressError: it is none of them, or an option does not fit.
        ModuleNotFoundError: a WebSocket without ``wirekit[websocket]``.
    """
    if "://" in url:
        address, secure, websocket_path, settings = parse_url(url)
    elif "@" in url:
        raise AddressError("user and password need a URL: mqtt://user:password@host:port")
    else:
        address = parse_address(url, default_port=_PORTS["mqtt"])
        secure, websocket_path, settings = False, None, dict[str, Any]()
    if tls and not secure:
        raise AddressError("tls options need mqtts:// or wss://")
    if headers and websocket_path is None:
        raise AddressError("headers need ws:// or wss://")
    carrier: Connector = direct_connector(
        connector=connector,
        policy=policy,
        connect_timeout=connect_timeout,
        secure_transport="on" if secure else "off",
        tls=tls,
    )
    if websocket_path is not None:
        # Here, as only WebSockets need wsproto.
        from wirekit.sockets.websocket import WebSocketConnector

        carrier = WebSocketConnector(
            carrier,
            path=websocket_path,
            subprotocols=_SUBPROTOCOLS,
            headers=headers,
            connect_timeout=connect_timeout,
        )
    return {"connector": carrier, "address": address, **settings}
