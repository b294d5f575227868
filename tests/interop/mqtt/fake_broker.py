"""A broker that plays what a real one does not: the codec in the server's role, or raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Self, cast

import wirekit
from tests.adapters.mqtt._peer import AT_ONCE, Server
from tests.interop.mqtt.checks import assert_nothing_is_left
from tests.interop.waiting import PATIENCE, eventually
from wirekit.adapters.mqtt import MQTT, ReasonCode
from wirekit.protocols.mqtt import (
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from wirekit.sockets import AddressLike, Socket, as_socket, connect, memory_pair


class Stream:
    """What becomes of the bytes that a broker sends, over all connections together.

    Args:
        cut: after so many the connection ends, in order or by a ``reset``.
        flip: the number of the bit that is turned over.
    """

    def __init__(
        self, *, cut: int | None = None, reset: bool = False, flip: int | None = None
    ) -> None:
        self.sent = 0
        self._cut = cut
        self._reset = reset
        self._flip = flip

    async def write(self, socket: Socket, data: bytes) -> None:
        if self._flip is not None and self.sent <= self._flip // 8 < self.sent + len(data):
            spoilt = bytearray(data)
            spoilt[self._flip // 8 - self.sent] ^= 1 << self._flip % 8
            data = bytes(spoilt)
        if self._cut is not None:
            data = data[: self._cut - self.sent]
        self.sent += len(data)
        if data:
            await socket.write(data)
        if self._cut is not None and self.sent == self._cut:
            if self._reset:
                transport = cast("Any", socket)._transport  # a reset overtakes what is under way
                await eventually(lambda: not transport.get_write_buffer_size())
                socket.abort()
            else:
                await socket.close()
            raise wirekit.SocketClosed("the broker has cut the connection")


class Peer(Server):
    """The broker's end of one connection."""

    def __init__(self, socket: Socket, stream: Stream | None = None) -> None:
        super().__init__(socket)
        self._stream = stream or Stream()

    async def send(self, *packets: Packet) -> None:
        await self.send_bytes(self.codec.send(*packets))

    async def send_bytes(self, data: bytes) -> None:
        """Send what the codec would not."""
        await self._stream.write(self.socket, data)

    async def answer(self, packet: Packet) -> None:
        """Answer as a broker does that has no other client."""
        for answer in answers(packet):
            await self.send(spoken(answer, self.codec.version))

    async def serve(self, *, silent_to: type | tuple[type, ...] = ()) -> None:
        """Answer until the client ends the connection."""
        while (packet := await self.packet_or_end()) is not None:
            if isinstance(packet, Disconnect):
                return
            if not isinstance(packet, silent_to):
                await self.answer(packet)

    async def packet_or_end(self) -> Packet | None:
        while not self._packets:
            data = await self.socket.read()
            if not data:
                return None
            self._packets += self.codec.receive_data(data)
        return self._packets.popleft()

    async def reason(self) -> ReasonCode | None:
        """Read to the end of the connection; return what the client gave as the reason, if it did.

        Faults of the client's fail the test here, for the codec raises.
        """
        last: Packet | None = None
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(wirekit.TransportError):
                while (packet := await self.packet_or_end()) is not None:
                    last = packet
        return last.reason_code if isinstance(last, Disconnect) else None


def answers(packet: Packet) -> list[Packet]:
    """Return what a broker says to a packet of a client's."""
    if isinstance(packet, Publish):
        if not packet.packet_id:
            return []
        return [(PubAck if packet.qos == 1 else PubRec)(packet.packet_id)]
    if isinstance(packet, PubRec):
        return [PubRel(packet.packet_id)]
    if isinstance(packet, PubRel):
        return [PubComp(packet.packet_id)]
    if isinstance(packet, Subscribe):
        codes = tuple(ReasonCode(entry.qos) for entry in packet.subscriptions)
        return [SubAck(packet.packet_id, codes)]
    if isinstance(packet, Unsubscribe):
        return [UnsubAck(packet.packet_id, (ReasonCode.SUCCESS,) * len(packet.topic_filters))]
    if isinstance(packet, PingReq):
        return [PingResp()]
    return []


def spoken(packet: Packet, version: int | None) -> Packet:
    """Return what says the same in this version."""
    if version == 4 and isinstance(packet, UnsubAck):
        return UnsubAck(packet.packet_id)
    return packet


Play = Callable[[Peer], Awaitable[Any]]


class FakeBroker:
    """A broker in memory or on TCP; it is the connector that leads to itself.

    Args:
        play: what it does on each connection; that ends when this returns. If it wants something
            of the client's that does not come, the test fails.
        fragment: bytes that arrive at the client at a time.
        tcp: whether it is on TCP.
        high_water_mark: bytes that may be under way in memory, each way.
        stream: what becomes of what it sends.
    """

    def __init__(
        self,
        play: Play,
        *,
        fragment: int | None = None,
        tcp: bool = False,
        high_water_mark: int = 65536,
        stream: Stream | None = None,
    ) -> None:
        self.peers: list[Peer] = []
        self._play = play
        self._fragment = fragment
        self._tcp = tcp
        self._high_water_mark = high_water_mark
        self._stream = stream or Stream()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    async def __call__(self, address: AddressLike) -> Socket:
        return self.socket()

    @property
    def address(self) -> str:
        """Where it listens on TCP."""
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()
        return f"{host}:{port}"

    def socket(self) -> Socket:
        """Return a socket to this broker."""
        if self._listener is not None:
            return connect(self.address)
        ours, theirs = memory_pair(
            fragment=self._fragment,
            allow_half_open=True,
            high_water_mark=self._high_water_mark,
        )
        self._accept(theirs)
        return ours

    def client(self, **settings: Any) -> MQTT:
        """Return a client that comes back."""
        given: dict[str, Any] = {"backoff": AT_ONCE, **settings}
        return self._client(connector=self, address="broker:1883", **given)

    def client_on_socket(self, **settings: Any) -> MQTT:
        """Return a client that does not."""
        return self._client(socket=self.socket(), **settings)

    def _client(self, **settings: Any) -> MQTT:
        given: dict[str, Any] = {"client_id": "victim", "timeout": PATIENCE, **settings}
        client = MQTT(**given)
        self._clients.append(client)
        return client

    async def __aenter__(self) -> Self:
        self._clients: list[MQTT] = []
        if self._tcp:
            self._listener = await asyncio.start_server(
                lambda reader, writer: self._accept(as_socket((reader, writer))), "127.0.0.1"
            )
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *rest: object) -> None:
        for client in self._clients:
            await client.aclose()
        if self._listener is not None:
            self._listener.close()
        if exc_type is None:
            async with asyncio.timeout(PATIENCE):
                while self._tasks:
                    await asyncio.wait(self._tasks)
            for client in self._clients:
                await assert_nothing_is_left(client)
        for peer in self.peers:
            peer.socket.abort()
        for task in self._tasks:
            task.cancel()
        for failure in self._failures:
            raise failure

    def _accept(self, socket: Socket) -> None:
        task = asyncio.create_task(self._run(Peer(socket, self._stream)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, peer: Peer) -> None:
        self.peers.append(peer)
        try:
            with contextlib.suppress(wirekit.TransportError):
                await self._play(peer)
            await peer.socket.close()
        except Exception as error:  # the test ends with it, and first it is to end
            self._failures.append(error)
            peer.socket.abort()
