"""paramiko, and sshtunnel on top of it."""

from __future__ import annotations

import asyncio
import importlib
import os
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks._model import Unsupported
from benchmarks.ssh._client import Framing, SSHParticipant
from benchmarks.ssh._data import LOOPBACK, TARGETS, client_key
from wirekit.sockets import Socket, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.ssh._data import Suite

__all__ = ["Client"]

# They have no types.
paramiko: Any = importlib.import_module("paramiko")
sshtunnel: Any = importlib.import_module("sshtunnel")

NEVER = 1 << 62
Transport = paramiko.transport.Transport


class Client(SSHParticipant):
    """Threads of this process, and a local port for each target."""

    name = "paramiko"
    distributions: ClassVar[tuple[str, ...]] = ("paramiko", "sshtunnel")
    note = "Packetizer; the tunnel is sshtunnel's, a thread for each connection"

    def __init__(self) -> None:
        super().__init__()
        self._ports: dict[int, int] = {}

    async def framing(self, suite: Suite) -> Framing:
        if suite.encryption not in Transport._cipher_info:
            raise Unsupported("it has no ChaCha20-Poly1305")
        return _Framing(suite)

    async def tunnel(self, port: int) -> Socket:
        if not self._ports:
            await self._forward()
        return connect((LOOPBACK, self._ports[port]))

    async def _forward(self) -> None:
        targets = [(LOOPBACK, self.server.ports[name]) for name in TARGETS]
        forwarder = sshtunnel.SSHTunnelForwarder(
            self.server.address,
            ssh_username=self.server.user,
            ssh_pkey=str(client_key()),
            ssh_config_file=None,
            allow_agent=False,
            host_pkey_directories=[],
            local_bind_addresses=[(LOOPBACK, 0)] * len(targets),
            remote_bind_addresses=targets,
        )
        await asyncio.to_thread(forwarder.start)
        self.stack.push_async_callback(asyncio.to_thread, forwarder.stop)
        self._ports = {remote[1]: local[1] for remote, local in forwarder.tunnel_bindings.items()}


class _Stream:
    """What paramiko takes for a socket."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.readable: list[bytes] = []
        self._position = 0

    def send(self, data: bytes) -> int:
        self.written.append(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        """Return at most so much of one piece."""
        piece, start = self.readable[0], self._position
        data = piece[start : start + size]
        self._position += len(data)
        if self._position == len(piece):
            del self.readable[0]
            self._position = 0
        return data

    def settimeout(self, timeout: float) -> None:
        """There is nothing to wait for."""


class _Framing(Framing):
    """A Packetizer that sends to itself."""

    def __init__(self, suite: Suite) -> None:
        self._stream = _Stream()
        self._packetizer = paramiko.packet.Packetizer(self._stream)
        self._packetizer.REKEY_BYTES = self._packetizer.REKEY_PACKETS = NEVER
        info = Transport._cipher_info[suite.encryption]
        aead, block = info.get("is_aead", False), info["block-size"]
        key, iv = os.urandom(info["key-size"]), os.urandom(info.get("iv-size", block))
        digest, size, mac_key = None, 16, b""
        if not aead:
            mac = Transport._mac_info[suite.mac]
            digest, size = mac["class"], mac["size"]
            mac_key = os.urandom(digest().digest_size)
        transport = Transport.__new__(Transport)

        def engine(operation: object) -> Any:
            return transport._get_engine(
                name=suite.encryption, key=key, iv=iv, operation=operation, aead=aead
            )

        ways = {"etm": "-etm@" in suite.mac, "aead": aead}
        settings = (block, digest, size, mac_key)
        self._packetizer.set_outbound_cipher(
            engine(Transport._ENCRYPT), *settings, sdctr=not aead, iv_out=iv, **ways
        )
        self._packetizer.set_inbound_cipher(engine(Transport._DECRYPT), *settings, iv_in=iv, **ways)

    def seal(self, payload: bytes, count: int) -> list[bytes]:
        stream, send_message, message = self._stream, self._packetizer.send_message, _message
        for _ in range(count):
            send_message(message(payload))
        written, stream.written = stream.written, []
        return written

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        stream, read_message = self._stream, self._packetizer.read_message
        stream.readable += pieces
        found: list[tuple[int, Any]] = []
        while stream.readable:
            found.append(read_message())
        return [bytes((number,)) + message.asbytes() for number, message in found]


_message = paramiko.Message
