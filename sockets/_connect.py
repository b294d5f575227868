"""Making sockets: ``connect``, connectors, and whatever already carries bytes."""

from __future__ import annotations

import asyncio
import socket as stdlib_socket
import ssl
from typing import TYPE_CHECKING, Literal, Protocol, Unpack, cast

from wirekit._errors import AddressError

from ._address import Address, AddressLike, TCPAddress, parse_address
from ._attach import replay
from ._direct import held_to, open_direct
from ._policy import Policy
from ._socket import Opener, SecureTransport, Socket, StreamOptions
from ._tls import TLSOptions, TLSTransport, make_context, server_hostname

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = [
    "Connector",
    "DirectConnector",
    "SocketLike",
    "SocketOptions",
    "as_socket",
    "connect",
    "open_socket",
]

SocketLike = (
    Socket
    | stdlib_socket.socket
    | asyncio.Transport
    | tuple[asyncio.StreamReader, asyncio.StreamWriter]
)


class Connector(Protocol):
    """Anything that makes open sockets from addresses: directly, or through a proxy or tunnel."""

    def __call__(self, address: AddressLike, /) -> Awaitable[Socket]:
        """Return an open socket to the address, or raise a `TransportError`."""
        ...


class SocketOptions(TLSOptions, StreamOptions, total=False):
    """Every option of ``connect``; see there."""

    secure_transport: SecureTransport
    policy: Policy
    connector: Connector
    connect_timeout: float | None


def connect(
    address: AddressLike,
    *,
    secure_transport: SecureTransport = "off",
    allow_half_open: bool = False,
    policy: Policy | None = None,
    connector: Connector | None = None,
    connect_timeout: float | None = 10.0,
    timeout: float | None = None,
    close_timeout: float = 5.0,
    high_water_mark: int = 65536,
    **tls: Unpack[TLSOptions],
) -> Socket:
    """Return a socket at once and connect it in the background; needs a running event loop.

    Args:
        address: ``"host:port"``, ``("host", port)``, ``"tcp://host:port"``, ``"[::1]:port"``,
            ``"unix:///path"`` or ``"/path"``.
        secure_transport: ``"off"``; ``"on"`` for TLS from the first byte; ``"starttls"`` for a
            plain connection that ``start_tls`` will upgrade, and that reads only on demand.
        allow_half_open: keep our direction open after the peer has ended its own.
        policy: which addresses may be connected to; by default any, as the address is taken for
            the operator's. Use ``Policy.public_only()`` for addresses that come from users. It
            holds for direct connections that a connector makes to the address, too; where a
            tunnel's far side resolves, only names, ports and literals can be checked.
        connector: makes the connection below, for example through a tunnel.
        connect_timeout: seconds for everything until ``opened``, TLS included; None for no limit.
        timeout: seconds for each read and write to make progress; None for no limit.
        close_timeout: seconds that ``close`` waits for the peer to take what is written.
        high_water_mark: bytes unsent at which ``write`` waits.
        **tls: see `TLSOptions`.

    Raises:
        AddressError: the address or an option is wrong in itself. Everything else is told by
            ``opened``.
    """
    target = parse_address(address)
    if secure_transport not in ("off", "on", "starttls"):
        raise AddressError(
            f'secure_transport must be "off", "on" or "starttls", not {secure_transport!r}'
        )
    if tls and secure_transport == "off":
        raise AddressError(f'{", ".join(sorted(tls))} need secure_transport "on" or "starttls"')
    _check_numbers(connect_timeout, timeout, close_timeout, high_water_mark)
    rules = Policy.any() if policy is None else policy
    options = _with_name(tls, target)

    async def open_plain(protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        if connector is None:
            return await open_direct(target, protocol, rules)
        rules.check_address(target)
        with held_to(target, rules):
            carrier = await open_socket(await connector(target))
        return carrier.attach(protocol)

    opener: Opener = open_plain
    if secure_transport != "off":
        context = make_context(options)
        name = server_hostname(context, options, str(target))

        async def open_tls(protocol: asyncio.BaseProtocol) -> None:
            transport = TLSTransport(protocol, context, server_hostname=name)
            await open_plain(transport.below)
            await transport.handshake()

        if secure_transport == "on":
            opener = open_tls
    return Socket(
        opener,
        remote_address=str(target),
        secure_transport=secure_transport,
        allow_half_open=allow_half_open,
        connect_timeout=connect_timeout,
        timeout=timeout,
        close_timeout=close_timeout,
        high_water_mark=high_water_mark,
        tls=options,
    )


_OF_CONTEXT = ("ssl_context", "ca_file", "client_certificate", "alpn")


class DirectConnector:
    """A connector that calls ``connect`` with fixed options and waits until the socket is open."""

    def __init__(self, **options: Unpack[SocketOptions]) -> None:
        self._options = options
        if options.get("secure_transport", "off") != "off":
            # Reading the system's authorities takes long enough to do it once.
            tls = {key: value for key, value in options.items() if key in _OF_CONTEXT}
            rest = {key: value for key, value in options.items() if key not in _OF_CONTEXT}
            rest["ssl_context"] = make_context(cast("TLSOptions", tls))
            self._options = cast("SocketOptions", rest)

    async def __call__(self, address: AddressLike) -> Socket:
        """Return an open socket to the address, or raise a `TransportError`."""
        return await open_socket(connect(address, **self._options))


def _check_numbers(
    connect_timeout: object, timeout: object, close_timeout: object, high_water_mark: object
) -> None:
    for name, value, optional in (
        ("connect_timeout", connect_timeout, True),
        ("timeout", timeout, True),
        ("close_timeout", close_timeout, False),
        ("high_water_mark", high_water_mark, False),
    ):
        if value is None and optional:
            continue
        if not isinstance(value, int | float) or not value >= 0:
            kind = "a number that is not negative" + (", or None" if optional else "")
            raise AddressError(f"{name} must be {kind}, not {value!r}")


async def open_socket(socket: Socket) -> Socket:
    """Return the socket once it is open; abort it if that fails or is cancelled.

    Raises:
        ConnectError: it did not come about.
    """
    try:
        await socket.opened
    except BaseException:
        socket.abort()
        raise
    return socket


def as_socket(
    carrier: SocketLike,
    *,
    remote_address: str | None = None,
    secure_transport: Literal["off", "starttls"] = "off",
    **options: Unpack[StreamOptions],
) -> Socket:
    """Return a `Socket` over anything that carries bytes.

    Takes a `Socket` (returned as it is), a connected ``socket.socket``, an asyncio transport, or
    the ``(reader, writer)`` of asyncio streams; what their reader holds unread is kept. The carrier
    belongs to the socket from then on. An ``ssl.SSLSocket`` cannot be taken over, since the event
    loop cannot drive it: pass the plain socket and use ``start_tls``, or connect with wirekit.

    Args:
        carrier: what carries the bytes.
        remote_address: what to call the peer; by default what the carrier says.
        secure_transport: ``"starttls"`` if ``start_tls`` is to upgrade it. A carrier that is TLS
            already gives a socket with ``"on"``.
        **options: see `connect`.

    Raises:
        TypeError: something else.
        AddressError: a socket that is not connected or is closing, or no stream socket.
    """
    if isinstance(carrier, Socket):
        return carrier
    # uvloop's transports have asyncio's methods, but not asyncio's base class.
    if isinstance(carrier, asyncio.Transport) or hasattr(carrier, "set_protocol"):
        return _adopt_transport(
            cast("asyncio.Transport", carrier), remote_address, secure_transport, options
        )
    if isinstance(carrier, stdlib_socket.socket):
        return _adopt_socket(carrier, remote_address, secure_transport, options)
    if isinstance(carrier, tuple) and len(carrier) == 2:  # pyright: ignore[reportUnnecessaryIsInstance, reportUnnecessaryComparison] - callers without types
        reader, writer = carrier
        if isinstance(reader, asyncio.StreamReader) and isinstance(writer, asyncio.StreamWriter):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            return _adopt_streams(reader, writer, remote_address, secure_transport, options)
    raise TypeError(
        "a socket is a wirekit Socket, a connected socket.socket, an asyncio transport or "
        f"(reader, writer), not {type(carrier).__name__}"
    )


def _adopt_transport(
    transport: asyncio.Transport,
    remote_address: str | None,
    secure_transport: SecureTransport,
    options: StreamOptions,
) -> Socket:
    if transport.is_closing():
        raise AddressError("the transport is closed")
    if transport.get_extra_info("ssl_object") is not None:
        secure_transport = "on"
    transport.resume_reading()  # whoever had it before may have paused it
    return Socket(
        transport,
        remote_address=remote_address or _name(transport.get_extra_info("peername")),
        secure_transport=secure_transport,
        **options,
    )


def _adopt_socket(
    sock: stdlib_socket.socket,
    remote_address: str | None,
    secure_transport: SecureTransport,
    options: StreamOptions,
) -> Socket:
    if isinstance(sock, ssl.SSLSocket):
        raise AddressError(
            "an ssl.SSLSocket cannot be taken over: pass the plain socket and use start_tls(), "
            'or use wirekit.sockets.connect(..., secure_transport="on")'
        )
    if sock.type != stdlib_socket.SOCK_STREAM:
        raise AddressError("not a stream socket")
    try:
        peer = sock.getpeername()
    except OSError as error:
        raise AddressError(f"the socket is not connected: {error}") from error
    sock.setblocking(False)

    async def open_adopted(protocol: asyncio.BaseProtocol) -> None:
        loop = asyncio.get_running_loop()
        if sock.family == stdlib_socket.AF_UNIX:
            await loop.create_unix_connection(lambda: protocol, sock=sock)
        else:
            await loop.create_connection(lambda: protocol, sock=sock)

    return Socket(
        open_adopted,
        remote_address=remote_address or _name(peer),
        secure_transport=secure_transport,
        **options,
    )


def _adopt_streams(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    remote_address: str | None,
    secure_transport: SecureTransport,
    options: StreamOptions,
) -> Socket:
    transport = cast("asyncio.Transport", writer.transport)
    if transport.is_closing():
        raise AddressError("the streams are closed")
    ended = reader.at_eof() or bool(getattr(reader, "_eof", False))  # at_eof: and nothing unread
    # The reader gives all it holds once it is told that no more will come.
    reader.feed_eof()
    unread = b""
    try:
        reader.read().send(None)
    except StopIteration as done:
        unread = cast("bytes", done.value)
    socket = _adopt_transport(transport, remote_address, secure_transport, options)
    # A StreamWriter that nobody holds closes its transport.
    socket.closed.add_done_callback(lambda: writer)
    receiver = cast("asyncio.Protocol", transport.get_protocol())
    replay(receiver, unread)
    if ended:
        receiver.eof_received()
    return socket


def _with_name(tls: TLSOptions, target: Address) -> TLSOptions:
    if isinstance(target, TCPAddress):
        return cast("TLSOptions", {"server_hostname": target.server_name, **tls})
    return tls


def _name(peer: object) -> str:
    if isinstance(peer, tuple) and len(cast("tuple[object, ...]", peer)) >= 2:
        host, port = cast("tuple[object, ...]", peer)[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return f"unix:{peer}" if isinstance(peer, str) and peer else "an unnamed peer"
