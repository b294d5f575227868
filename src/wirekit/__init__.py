"""Protocol clients on any socket: make a socket, pass it to an adapter, speak.

``wirekit.sockets`` carries bytes, ``wirekit.protocols`` holds the sans-I/O codecs, and
``wirekit.adapters`` holds the clients that join one codec to one socket.
"""

from __future__ import annotations

from ._errors import (
    AddressError,
    BlockedError,
    BusyError,
    ConnectError,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    Error,
    LocalProtocolError,
    MessageTooLarge,
    ProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    ResolveError,
    ServerError,
    SocketClosed,
    TLSError,
    TransportError,
    WriteTimeout,
)

__version__ = "0.1.0"

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
