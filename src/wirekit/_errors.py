"""The errors that wirekit raises.

wirekit.Error
├─ TransportError              anything about carrying bytes
│  ├─ AddressError             (ValueError) the address or an option is wrong in itself
│  ├─ ConnectError             (ConnectionError) no connection came about; ``cause`` says why
│  │  ├─ ResolveError          "dns": the name has no address
│  │  ├─ ConnectRefused        (ConnectionRefusedError) "refused"
│  │  ├─ ConnectTimeout        (TimeoutError) "timeout"
│  │  ├─ BlockedError          "blocked": the egress policy forbids the address
│  │  └─ TLSError              "tls": handshake, certificate, or plaintext behind an upgrade
│  ├─ ReadTimeout              (TimeoutError) nothing arrived in time
│  ├─ WriteTimeout             (TimeoutError) the peer did not take the bytes in time
│  ├─ SocketClosed             used after it was closed by us
│  ├─ ConnectionLost           (ConnectionError) closed or reset by them, or by the network
│  └─ BusyError                used twice at once where only one use is possible
├─ ProtocolError               a rule of the wire protocol was broken, by
│  ├─ LocalProtocolError       us: what was to be sent is not allowed
│  └─ RemoteProtocolError      the peer: what it sent is not allowed
│     └─ MessageTooLarge       … or more than our limits allow
└─ ServerError                 the server answered with an error; subclasses carry its code
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "AddressError",
    "BlockedError",
    "BusyError",
    "ConnectError",
    "ConnectRefused",
    "ConnectTimeout",
    "ConnectionLost",
    "Error",
    "LocalProtocolError",
    "MessageTooLarge",
    "ProtocolError",
    "ReadTimeout",
    "RemoteProtocolError",
    "ResolveError",
    "ServerError",
    "SocketClosed",
    "TLSError",
    "TransportError",
    "WriteTimeout",
]

Cause = Literal["dns", "refused", "timeout", "blocked", "tls", "network"]


class Error(Exception):
    """Root of every error that wirekit raises on purpose."""


class TransportError(Error):
    """Something about carrying bytes went wrong."""


class AddressError(TransportError, ValueError):
    """The address or an option is wrong in itself; nothing was tried."""


class ConnectError(TransportError, ConnectionError):
    """No connection came about.

    ``cause`` is one of ``"dns"``, ``"refused"``, ``"timeout"``, ``"blocked"``, ``"tls"`` and
    ``"network"``; ``errno`` is the operating system's number where there is one.
    """

    cause: Cause = "network"

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class ResolveError(ConnectError):
    """The name has no address."""

    cause = "dns"


class ConnectRefused(ConnectError, ConnectionRefusedError):
    """Nobody listens at the address."""

    cause = "refused"


class ConnectTimeout(ConnectError, TimeoutError):
    """No connection within the connect timeout."""

    cause = "timeout"


class BlockedError(ConnectError):
    """The egress policy forbids this address; nothing was sent to it."""

    cause = "blocked"


class TLSError(ConnectError):
    """The TLS handshake failed, or plaintext stood where TLS had to begin."""

    cause = "tls"


class ReadTimeout(TransportError, TimeoutError):
    """Nothing arrived in time."""


class WriteTimeout(TransportError, TimeoutError):
    """The peer did not take the bytes in time."""


class SocketClosed(TransportError):
    """Used after it was closed on this side."""


class ConnectionLost(TransportError, ConnectionError):
    """The peer or the network ended the connection."""


class BusyError(TransportError):
    """Used twice at once where only one use is possible."""


class ProtocolError(Error):
    """A rule of the wire protocol was broken; raised only as one of its two subclasses."""


class LocalProtocolError(ProtocolError):
    """What was to be sent is not allowed by the protocol, or not in this state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow; the connection is of no further use.

    ``events`` holds what had been received whole before the fault.
    """

    def __init__(self, message: str, *, events: list[object] | None = None) -> None:
        super().__init__(message)
        self.events: list[object] = [] if events is None else events


class MessageTooLarge(RemoteProtocolError):
    """The peer announced or sent more than a limit allows."""


class ServerError(Error):
    """The server answered with an error; each protocol's subclass carries the wire's own code."""
