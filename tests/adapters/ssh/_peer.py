"""A server to speak to: the codec in the server's role, played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from tests.protocols.ssh._pair import QUICK, host_key
from wirekit.adapters.ssh import SSHTransport
from wirekit.protocols.ssh import Codec, Disconnect, Event, Message, Packet, State
from wirekit.sockets import Socket, memory_pair

PATIENCE = 5.0
T = TypeVar("T")


class Peer:
    """The server's end of a connection.

    Attributes:
        events: all that came from the client.
    """

    def __init__(self, socket: Socket, **settings: Any) -> None:
        self.socket = socket
        defaults: dict[str, Any] = {"algorithms": QUICK, "host_keys": [host_key()]}
        self.codec = Codec("server", random=os.urandom, **{**defaults, **settings})
        self.events: list[Event] = []

    async def receive(self) -> bool:
        """Take what comes next, and answer it; return whether anything came."""
        await self.flush()
        data = await self.socket.read()
        if data:
            self.events += self.codec.receive_data(data)
            await self.flush()
        return bool(data)

    async def run(self) -> None:
        """Answer until the client goes."""
        with contextlib.suppress(OSError):
            while await self.receive():
                pass

    async def flush(self) -> None:
        if data := self.codec.data_to_send():
            await self.socket.write(data)

    async def send(self, *messages: Message | bytes) -> None:
        await self.socket.write(self.codec.send(*messages))

    async def wait_for(self, kind: type[T]) -> T:
        """Return the next event of a kind, as long as nobody else receives."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        self.events.remove(event)
                        return event
                assert await self.receive(), "the client ended the connection"

    async def goodbye(self) -> Disconnect:
        """Return why the client went."""
        return await self.wait_for(Disconnect)

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of all packets that came."""
        return [event.payload for event in self.events if isinstance(event, Packet)]


@contextlib.asynccontextmanager
async def joined(
    settings: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[tuple[SSHTransport, Peer]]:
    """Give a transport that is not open yet, and its peer.

    Args:
        settings: of the peer.
        options: of the transport.
    """
    socket, other = memory_pair()
    defaults: dict[str, Any] = {"algorithms": QUICK}
    if "known_hosts" not in options:
        defaults["dangerously_accept_any_host_key"] = True
    transport = SSHTransport(socket, **{**defaults, **options})
    peer = Peer(other, **(settings or {}))
    try:
        yield transport, peer
    finally:
        other.abort()
        socket.abort()
        await asyncio.gather(socket.closed, other.closed)


@contextlib.asynccontextmanager
async def opened(
    settings: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[tuple[SSHTransport, Peer]]:
    """Give a transport that is open, and a peer whose events the test waits for."""
    async with joined(settings, **options) as (transport, peer):
        answering = asyncio.create_task(peer.run())
        await transport.__aenter__()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        while peer.codec.state is not State.OPEN:
            await peer.receive()
        peer.events.clear()
        yield transport, peer
