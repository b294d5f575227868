"""A server to speak to in memory: the codec in the server's role, played by the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from wirekit.adapters.mqtt import MQTT
from wirekit.protocols.mqtt import (
    Codec,
    ConnAck,
    Connect,
    ConnectReturnCode,
    Packet,
    Properties,
    ReasonCode,
)
from wirekit.sockets import AddressLike, Backoff, Socket, memory_pair

PATIENCE = 5.0
AT_ONCE = Backoff(initial=0, maximum=0)
_Packet = TypeVar("_Packet")


def inside(thing: object) -> Any:
    """Return the same, with all that is private about it."""
    return thing


class Server:
    """The server's end of one connection."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.codec = Codec("server", version=None)
        self._packets: deque[Packet] = deque()

    async def packet(self) -> Packet:
        """Return the next packet from the client."""
        async with asyncio.timeout(PATIENCE):
            while not self._packets:
                data = await self.socket.read()
                assert data, "the client ended the connection"
                self._packets += self.codec.receive_data(data)
        return self._packets.popleft()

    async def receive(self, kind: type[_Packet]) -> _Packet:
        """Return the next packet, which is of this kind."""
        packet = await self.packet()
        assert isinstance(packet, kind), packet
        return packet

    async def send(self, *packets: Packet) -> None:
        await self.socket.write(self.codec.send(*packets))

    async def send_bytes(self, data: bytes) -> None:
        """Send what the codec would not."""
        await self.socket.write(data)

    async def accept(
        self, properties: Properties | None = None, *, session_present: bool = False
    ) -> Connect:
        """Let the client in."""
        connect = await self.receive(Connect)
        code = ReasonCode.SUCCESS if connect.version == 5 else ConnectReturnCode.ACCEPTED
        given: Properties = {} if properties is None else properties
        if connect.version == 5 and not connect.client_id:
            given = {"assigned_client_identifier": "assigned", **given}
        await self.send(ConnAck(session_present, code, given))
        return connect

    async def silent(self) -> None:
        """Check that the client has sent nothing more."""
        assert not self._packets, self._packets[0]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                assert not await self.socket.read(), "the client sent something"

    async def end(self) -> bytes:
        """Wait until the client has ended the connection; return what it sent before."""
        rest = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self.socket.read():
                    rest += data
        return rest


class Network:
    """A connector whose sockets end at servers that the test plays."""

    def __init__(self) -> None:
        self.addresses: list[AddressLike] = []
        self._servers: asyncio.Queue[Server] = asyncio.Queue()
        self._failures: deque[Exception] = deque()
        self._sockets: list[Socket] = []

    async def __call__(self, address: AddressLike) -> Socket:
        self.addresses.append(address)
        if self._failures:
            raise self._failures.popleft()
        ours, theirs = memory_pair()
        self._sockets += [ours, theirs]
        self._servers.put_nowait(Server(theirs))
        return ours

    def fail(self, *errors: Exception) -> None:
        """Let the next connections fail."""
        self._failures += errors

    async def server(self) -> Server:
        """Return the server's end of the next connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._servers.get()

    def close(self) -> None:
        for socket in self._sockets:
            socket.abort()


@contextlib.asynccontextmanager
async def opened(
    properties: Properties | None = None, *, session_present: bool = False, **settings: Any
) -> AsyncGenerator[tuple[MQTT, Server]]:
    """Give an open client on a socket, and its server."""
    ours, theirs = memory_pair()
    server = Server(theirs)
    given: dict[str, Any] = {"client_id": "tester", "timeout": PATIENCE, **settings}
    client = MQTT(ours, **given)
    opening = asyncio.create_task(client.open())
    try:
        await server.accept(properties, session_present=session_present)
        await opening
        yield client, server
    finally:
        opening.cancel()
        await client.aclose()
        theirs.abort()


@contextlib.asynccontextmanager
async def reconnecting(
    properties: Properties | None = None, *, session_present: bool = False, **settings: Any
) -> AsyncGenerator[tuple[MQTT, Network, Server]]:
    """Give an open client that makes its connections itself, and its first server."""
    network = Network()
    given: dict[str, Any] = {"client_id": "tester", "timeout": PATIENCE, "backoff": AT_ONCE}
    client = MQTT(connector=network, address=("broker", 1883), **(given | settings))
    opening = asyncio.create_task(client.open())
    try:
        server = await network.server()
        await server.accept(properties, session_present=session_present)
        await opening
        yield client, network, server
    finally:
        opening.cancel()
        await client.aclose()
        network.close()


def on_socket(**settings: Any) -> tuple[MQTT, Server]:
    """Return a client on one socket, and the server at its other end."""
    ours, theirs = memory_pair()
    return MQTT(ours, timeout=PATIENCE, **settings), Server(theirs)


def on_network(**settings: Any) -> tuple[MQTT, Network]:
    """Return a client with a connector, and where that leads."""
    network = Network()
    settings = {"timeout": PATIENCE, "backoff": AT_ONCE, **settings}
    return MQTT(connector=network, address="broker:1883", **settings), network
