"""Sockets: everything that carries bytes, in the shape of Cloudflare's ``cloudflare:sockets``."""

from __future__ import annotations

from ._address import Address, AddressLike, TCPAddress, UnixAddress, parse_address
from ._connect import Connector, DirectConnector, SocketLike, SocketOptions, as_socket, connect
from ._info import SocketInfo
from ._memory import MemoryTransport, memory_pair
from ._policy import Policy
from ._promise import Promise
from ._retry import Backoff, with_fallback, with_retry
from ._scope import Scope
from ._socket import SecureTransport, Socket, StreamOptions
from ._stream import ReadableStream, WritableStream
from ._tls import TLSOptions, TLSTransport
from ._transport import Transport

__all__ = [
    "Address",
    "AddressLike",
    "Backoff",
    "Connector",
    "DirectConnector",
    "MemoryTransport",
    "Policy",
    "Promise",
    "ReadableStream",
    "Scope",
    "SecureTransport",
    "Socket",
    "SocketInfo",
    "SocketLike",
    "SocketOptions",
    "StreamOptions",
    "TCPAddress",
    "TLSOptions",
    "TLSTransport",
    "Transport",
    "UnixAddress",
    "WritableStream",
    "as_socket",
    "connect",
    "memory_pair",
    "parse_address",
    "with_fallback",
    "with_retry",
]
