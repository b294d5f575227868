"""Every carrier, as two joined sockets: what a client made, and what a server got."""

from __future__ import annotations

import asyncio
import contextlib
import socket as stdlib_socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import asyncssh
from wsproto import ConnectionType
from wsproto.events import AcceptConnection
from wsproto.handshake import H11Handshake

from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.ssh import SSH, ChannelTransport
from wirekit.sockets import (
    AddressLike,
    Connector,
    Socket,
    TLSTransport,
    as_socket,
    connect,
    memory_pair,
)
from wirekit.sockets.websocket import WebSocketConnector, WebSocketTransport

Pair = tuple[Socket, Socket]


@dataclass
class Workshop:
    """What the carriers are made with; ends everything that it made."""

    authority: CertificateAuthority
    directory: Path
    sshd: Callable[[], RunningServer]
    made: list[Socket] = field(default_factory=list[Socket])
    clients: list[SSH] = field(default_factory=list[SSH])

    def keep(self, *sockets: Socket) -> None:
        self.made.extend(sockets)

    async def close(self) -> None:
        for socket in self.made:
            while socket.successor is not None:
                socket = socket.successor
            socket.abort()
        for client in self.clients:
            await client.aclose()
        for _ in range(5):
            await asyncio.sleep(0)

    async def tcp(self, **options: Any) -> Pair:
        """A TCP connection on loopback; the client's options may ask for more than TCP."""
        with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
            return await self._accepted(listener, listener.getsockname(), **options)

    async def unix(self, **options: Any) -> Pair:
        path = self.directory / "carrier.sock"
        with stdlib_socket.socket(stdlib_socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            pair = await self._accepted(listener, path, **options)
        path.unlink()
        return pair

    async def _accepted(
        self, listener: stdlib_socket.socket, address: AddressLike, **options: Any
    ) -> Pair:
        listener.setblocking(False)
        client = connect(address, **options)
        accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
        server = as_socket(accepted, remote_address="client", **stream_options(options))
        self.keep(client, server)
        return client, server

    def serve_tls(self, lower: Socket, **options: Any) -> Socket:
        """The server's end of TLS on top of a socket."""

        async def accept(protocol: asyncio.BaseProtocol) -> None:
            await lower.opened
            transport = TLSTransport(protocol, server_context(self.authority), server_side=True)
            lower.attach(transport.below)
            await transport.handshake()

        server = Socket(
            accept, remote_address="client", secure_transport="on", **stream_options(options)
        )
        self.keep(server)
        return server

    async def tls(self, over: Callable[..., Awaitable[Pair]], **options: Any) -> Pair:
        """TLS, made by ``connect`` on top of another carrier."""
        lower_client, lower_server = await over()
        client = connect(
            "localhost:1",
            secure_transport="on",
            ssl_context=client_context(self.authority),
            connector=returning(lower_client),
            **options,
        )
        server = self.serve_tls(lower_server, **options)
        self.keep(client)
        return client, server

    async def starttls(self, **options: Any) -> Pair:
        plain, accepted = await self.tcp(
            secure_transport="starttls", ssl_context=client_context(self.authority), **options
        )
        await plain.write(b"STARTTLS\r\n")
        assert await accepted.read_until() == b"STARTTLS\r\n"
        await accepted.write(b"220 go ahead\r\n")
        assert await plain.read_until() == b"220 go ahead\r\n"
        client = plain.start_tls()
        server = self.serve_tls(accepted, **options)
        self.keep(client)
        return client, server

    def serve_websocket(self, lower: Socket, **options: Any) -> Socket:
        """The server's end of a WebSocket on top of a socket."""

        async def accept(protocol: asyncio.BaseProtocol) -> None:
            await lower.opened
            handshake = H11Handshake(ConnectionType.SERVER)
            handshake.receive_data(await lower.read_until(b"\r\n\r\n"))
            await lower.write(handshake.send(AcceptConnection(subprotocol="bytes")))
            lower.attach(WebSocketTransport(protocol, client_side=False).below)

        server = Socket(accept, remote_address="client", **stream_options(options))
        self.keep(server)
        return server

    async def websocket(self, over: Callable[..., Awaitable[Pair]], **options: Any) -> Pair:
        """A WebSocket, made by ``connect`` on top of another carrier."""
        lower_client, lower_server = await over()
        client = connect(
            "localhost:1",
            connector=WebSocketConnector(returning(lower_client), subprotocols=["bytes"]),
            **options,
        )
        server = self.serve_websocket(lower_server, **options)
        self.keep(client)
        return client, server

    async def ssh(self, over: Callable[..., Awaitable[Pair]], **options: Any) -> Pair:
        """A channel through sshd to what ``over`` listens at."""
        server = self.sshd()
        ssh = SSH(
            connect((server.host, server.port)),
            client_keys=[server.directory / "user_ed25519"],
            known_hosts=f"{server.host} {public_key(server)}".encode(),
        )
        self.clients.append(await ssh.open())
        return await over(connector=ssh.connector(), **options)

    async def ssh_at_both_ends(self, **options: Any) -> Pair:
        """A channel between an asyncssh client and an asyncssh server, both of ours."""
        accepting = _Accepting()
        key = host_key()
        listener = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: accepting, server_host_keys=[key]
        )
        ssh = SSH(
            connect(("127.0.0.1", listener.get_port())),
            client_keys=None,
            fingerprints=key.get_fingerprint(),
        )
        self.clients.append(await ssh.open())
        listener.close()
        client = connect("localhost:1", connector=ssh.connector(), **options)
        transport = await accepting.accepted.get()
        server = as_socket(transport, remote_address="client", **stream_options(options))
        self.keep(client, server)
        return client, server

    async def memory(self, **options: Any) -> Pair:
        pair = memory_pair(**options)
        self.keep(*pair)
        return pair

    async def make(self, carrier: str, **options: Any) -> Pair:
        """Return an open pair of the carrier."""
        pair = await CARRIERS[carrier](self)(**options)
        for end in pair:
            await end.opened
        return pair


# What makes a pair, in a workshop.
CARRIERS: dict[str, Callable[[Workshop], Callable[..., Awaitable[Pair]]]] = {
    "memory": lambda make: make.memory,
    "memory byte by byte": lambda make: partial(make.memory, fragment=1),
    "tcp": lambda make: make.tcp,
    "unix": lambda make: make.unix,
    "tls": lambda make: partial(make.tls, make.tcp),
    "starttls": lambda make: make.starttls,
    "tls in tls": lambda make: partial(make.tls, partial(make.tls, make.tcp)),
    "tls in tls in memory": lambda make: partial(make.tls, partial(make.tls, make.memory)),
    "websocket": lambda make: partial(make.websocket, make.tcp),
    "websocket in tls": lambda make: partial(make.websocket, partial(make.tls, make.tcp)),
    "ssh": lambda make: partial(make.ssh, make.tcp),
    "ssh at both ends": lambda make: make.ssh_at_both_ends,
    "tls in ssh": lambda make: partial(make.tls, make.ssh_at_both_ends),
}
# An abort looks like an end: a socket of the operating system tells of it by a FIN if nothing was
# unread, and SSH has no word for it.
ABORT_IS_END = ("tcp", "unix", "ssh", "ssh at both ends")


class _Accepting(asyncssh.SSHServer):
    """An SSH server that lets everyone in, and everyone's channels end here."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[asyncio.Transport] = asyncio.Queue()

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Any:
        return ChannelTransport(_First(self.accepted))


class _First(asyncio.Protocol):
    """The receiver until there is a socket."""

    def __init__(self, accepted: asyncio.Queue[asyncio.Transport]) -> None:
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).pause_reading()
        self._accepted.put_nowait(cast("asyncio.Transport", transport))


# Making a context that has the system's authorities takes longer than most tests.
client_context = cache(CertificateAuthority.client_context)
server_context = cache(CertificateAuthority.server_context)


@cache
def host_key() -> asyncssh.SSHKey:
    """The embedded SSH server's."""
    return asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType] - of its options


def public_key(sshd: RunningServer) -> str:
    """The host key of a real SSH server."""
    return (sshd.directory / "host_ed25519.pub").read_text()


@contextlib.asynccontextmanager
async def workshop(
    authority: CertificateAuthority, directory: Path, sshd: Callable[[], RunningServer]
) -> AsyncGenerator[Workshop]:
    made = Workshop(authority, directory, sshd)
    try:
        yield made
    finally:
        await made.close()


def returning(socket: Socket) -> Connector:
    """A connector to what is connected already."""

    async def connector(address: AddressLike) -> Socket:
        return socket

    return connector


def stream_options(options: dict[str, Any]) -> dict[str, Any]:
    names = ("allow_half_open", "timeout", "close_timeout", "high_water_mark")
    return {name: options[name] for name in names if name in options}


# What lies within a socket, where a test has to see or touch it.


def unread(socket: Socket) -> int:
    """How many received bytes nobody has read."""
    return len(cast("Any", socket.readable)._buffer)


def reading_is_paused(socket: Socket) -> bool:
    return bool(cast("Any", socket.readable)._paused)


def below(socket: Socket) -> asyncio.Transport:
    """The transport that the socket uses."""
    return cast("asyncio.Transport", cast("Any", socket)._transport)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - there is no event for what the tests look at
        await asyncio.sleep(0)
