"""Sockets: everything that carries bytes, in the shape of Cloudflare's ``cloudflare:sockets``."""

from __future__ import annotations

from ._address import Address, AddressLike, TCPAddress, UnixAddress, parse_address
from ._connect import Connector, DirectConnector, SocketLike, SocketOptions, as_socket, connect
from ._info import SocketInfo
from ._memory import MemoryTransport, memory_pair
from ._policy import Policy
from ._socket import Promise, SecureTransport, Socket
from ._stream import ReadableStream, WritableStream
from ._tls import TLSOptions, TLSTransport
from ._transport import Transport

__all__ = [
    "Address",
    "AddressLike",
    "Connector",
    "DirectConnector",
    "MemoryTransport",
    "Policy",
    "Promise",
    "ReadableStream",
    "SecureTransport",
    "Socket",
    "SocketInfo",
    "SocketLike",
    "SocketOptions",
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
]
