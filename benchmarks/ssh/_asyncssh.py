"""asyncssh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import asyncssh

from benchmarks.ssh._client import Buffer, Framing, SSHParticipant
from benchmarks.ssh._data import LOOPBACK, client_key
from wirekit.sockets import Socket, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncssh.packet import SSHPacket

    from benchmarks.ssh._data import Suite

__all__ = ["Client"]

NEVER: dict[str, Any] = {"rekey_bytes": 1 << 62, "rekey_seconds": 0, "login_timeout": 0}
ANONYMOUS: dict[str, Any] = {
    "known_hosts": None,
    "username": "me",
    "client_keys": None,
    "agent_path": "",
}
BLOCK = 16  # bytes that a packet's length is a multiple of


class Client(SSHParticipant):
    """One connection, and a local port on the same event loop for each target."""

    name = "asyncssh"
    distributions: ClassVar[tuple[str, ...]] = ("asyncssh",)
    note = "forward_local_port(); an empty SSH_MSG_IGNORE goes before each packet that it seals"

    def __init__(self) -> None:
        super().__init__()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._ports: dict[int, int] = {}

    async def framing(self, suite: Suite) -> Framing:
        settings: dict[str, Any] = {
            **NEVER,
            "encryption_algs": [suite.encryption],
            "mac_algs": [suite.mac or "hmac-sha2-256"],
            "compression_algs": ["none"],
            "config": [],
        }
        accepted: asyncio.Queue[asyncssh.SSHServerConnection] = asyncio.Queue()
        module: Any = asyncssh  # its types are not complete
        async with asyncssh.listen(
            LOOPBACK,
            server_factory=_OpenServer,
            acceptor=accepted.put_nowait,
            server_host_keys=[module.generate_private_key("ssh-ed25519")],
            **settings,
        ) as listener:
            port = listener.get_port()
            client = await asyncssh.connect(LOOPBACK, port, **ANONYMOUS, **settings)
            server = await accepted.get()
        for connection in (server, client):
            self.stack.callback(connection.abort)
        return _Framing(client, server)

    async def tunnel(self, port: int) -> Socket:
        if port not in self._ports:
            self._ports[port] = await self._forward(port)
        return connect((LOOPBACK, self._ports[port]))

    async def _forward(self, port: int) -> int:
        if self._connection is None:
            host, server_port = self.server.address
            self._connection = await self.stack.enter_async_context(
                asyncssh.connect(
                    host,
                    server_port,
                    username=self.server.user,
                    client_keys=[str(client_key())],
                    known_hosts=None,
                    config=[],
                    agent_path="",
                )
            )
        listener = await self._connection.forward_local_port(LOOPBACK, 0, LOOPBACK, port)
        return listener.get_port()


class _OpenServer(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False  # no authentication is needed


class _Wire:
    """Takes the place of the connection's transport, and keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


class _Inbox:
    """Takes the place of a channel, and keeps its packets' payloads."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def log_received_packet(self, *_: object) -> None:
        """The connection calls this for each packet."""

    def process_packet(self, _type: int, _sequence: int, packet: SSHPacket) -> bool:
        self.payloads.append(packet.get_full_payload())
        return True


class _Framing(Framing):
    """A connection's `send_packet` and `data_received`, behind a key exchange over sockets.

    What it sends goes nowhere, and what it receives is sealed by hand with the other end's keys,
    since no packet but asyncssh's has another one before it.
    """

    def __init__(
        self, connection: asyncssh.SSHClientConnection, peer: asyncssh.SSHServerConnection
    ) -> None:
        self._connection: Any = connection
        self._peer: Any = peer
        self._wire = _Wire()
        self._inbox = _Inbox()
        channels: dict[int, Any] = self._connection._channels
        channels[0] = self._inbox

    def seal(self, payload: bytes, count: int) -> list[bytes]:
        kind, body = payload[0], payload[1:]
        connection, wire = self._connection, self._wire
        transport, connection._transport = connection._transport, wire
        try:
            send_packet = connection.send_packet
            for _ in range(count):
                send_packet(kind, body)
        finally:
            connection._transport = transport
        written, wire.written = wire.written, []
        return written

    def packets(self, payload: bytes, count: int, sealed: Sequence[Buffer]) -> bytes:
        peer = self._peer
        unaligned = 5 - peer._send_enchdrlen  # the length, where it is not encrypted with the rest
        padding = BLOCK - (len(payload) + 5 - unaligned) % BLOCK
        padding += BLOCK if padding < 4 else 0
        body = b"".join((bytes((padding,)), payload, bytes(padding)))
        length = len(body).to_bytes(4, "big")
        packets: list[bytes] = []
        for _ in range(count):
            packets += peer._send_encryption.encrypt_packet(peer._send_seq, length, body)
            peer._send_seq += 1
        return b"".join(packets)

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        data_received, inbox = self._connection.data_received, self._inbox
        for piece in pieces:
            data_received(piece)
        payloads, inbox.payloads = inbox.payloads, []
        return payloads
