"""Ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.ssh._client import Framing, SSHParticipant
from benchmarks.ssh._data import LOOPBACK, client_key
from wirekit.adapters.ssh import SSH
from wirekit.protocols.ssh import Algorithms, Codec, KeyExchanged, Packet, PrivateHostKey
from wirekit.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Role
    from benchmarks.ssh._client import Buffer
    from benchmarks.ssh._data import Suite
    from wirekit.sockets import Connector, Socket

__all__ = ["Client"]

NEVER = 1 << 62


class Client(SSHParticipant):
    """One connection, and a channel for each socket; no local port."""

    name = "wirekit"
    role: ClassVar[Role] = "ours"
    distributions: ClassVar[tuple[str, ...]] = ("wirekit",)
    note = "send_buffers() for each packet; connector(), whose channels are sockets"

    def __init__(self) -> None:
        super().__init__()
        self._connector: Connector | None = None

    async def framing(self, suite: Suite) -> Framing:
        return _Framing(suite)

    async def tunnel(self, port: int) -> Socket:
        if self._connector is None:
            ssh = await self.stack.enter_async_context(
                SSH(
                    connect(self.server.address),
                    username=self.server.user,
                    client_keys=[str(client_key())],
                    dangerously_accept_any_host_key=True,
                )
            )
            self._connector = ssh.connector()
        return await self._connector((LOOPBACK, port))


class _Framing(Framing):
    """Two codecs that have exchanged keys; one seals and the other one opens."""

    def __init__(self, suite: Suite) -> None:
        algorithms = Algorithms(
            encryption_algorithms=(suite.encryption,),
            mac_algorithms=(suite.mac or "hmac-sha2-256",),
            compression_algorithms=("none",),
        )
        key = PrivateHostKey(Ed25519PrivateKey.generate())
        self._client = Codec(
            random=os.urandom, algorithms=algorithms, rekey_bytes=NEVER, rekey_packets=NEVER
        )
        self._server = Codec("server", random=os.urandom, algorithms=algorithms, host_keys=[key])
        self._exchange_keys()

    def _exchange_keys(self) -> None:
        client, server = self._client, self._server
        said: object = True
        while said:
            said = to_server = client.data_to_send()
            server.receive_data(to_server)
            to_client = server.data_to_send()
            for event in client.receive_data(to_client):
                if isinstance(event, KeyExchanged):
                    client.accept_host_key()
            said = to_server or to_client

    def seal(self, payload: bytes, count: int) -> Sequence[Buffer]:
        send = self._client.send_buffers
        sealed: list[Buffer] = []
        for _ in range(count):
            sealed += send(payload)
        return sealed

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        receive_data = self._server.receive_data
        payloads: list[bytes] = []
        for piece in pieces:
            payloads += [event.payload for event in receive_data(piece) if type(event) is Packet]
        return payloads
