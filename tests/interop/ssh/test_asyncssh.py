"""The codec with asyncssh, as its client and as its server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import asyncssh
import pytest

from tests.interop.ssh.wire import Wire
from tests.protocols.ssh._oracles import generate_key
from tests.protocols.ssh._pair import SUITES, host_key, only
from wirekit.protocols.ssh import (
    Algorithms,
    Disconnect,
    DisconnectReason,
    KeyExchanged,
    NegotiatedAlgorithms,
    ServiceRequest,
)

# asyncssh has these, but does not offer them by itself.
EVERYTHING: dict[str, Any] = {
    "kex_algs": "+diffie-hellman-group18-sha512",
    "encryption_algs": "+aes128-ctr",
    "signature_algs": "+ssh-ed25519",
}

# Its Diffie-Hellman is `cryptography`'s, which is deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Diffie-Hellman over finite fields:cryptography.utils.CryptographyDeprecationWarning"
)


@contextlib.asynccontextmanager
async def listening() -> AsyncGenerator[int]:
    """Run an asyncssh server, and give its port."""
    key = generate_key("ssh-ed25519")
    listener = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[key], **EVERYTHING)
    async with listener:
        yield listener.get_port()


def open_wire(port: int, algorithms: Algorithms, step: int | None = None) -> NegotiatedAlgorithms:
    with Wire(port, algorithms=algorithms, step=step) as wire:
        wire.open()
        return wire.rekey().algorithms


async def check_client(algorithms: Algorithms, step: int | None = None) -> NegotiatedAlgorithms:
    async with listening() as port:
        return await asyncio.to_thread(open_wire, port, algorithms, step)


@pytest.mark.parametrize("kex", Algorithms().kex_algorithms)
async def test_every_key_exchange_as_its_client(kex: str) -> None:
    assert (await check_client(only(kex=kex))).kex == kex


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
async def test_every_protection_as_its_client(encryption: str, mac: str) -> None:
    chosen = await check_client(only(kex="curve25519-sha256", encryption=encryption, mac=mac))
    assert chosen.encryption_client_to_server == encryption
    assert chosen.mac_server_to_client == mac


async def test_byte_by_byte() -> None:
    await check_client(only(kex="curve25519-sha256"), step=1)


def serve(listener: socket.socket, algorithms: Algorithms, key_type: str) -> KeyExchanged:
    """Serve one client until it wants to authenticate."""
    connection, _ = listener.accept()
    settings: dict[str, Any] = {"algorithms": algorithms, "host_keys": [host_key(key_type)]}
    extensions = {"server-sig-algs": b"ssh-ed25519"}
    with Wire(connection, "server", extensions=extensions, **settings) as wire:
        exchanged = wire.wait_for(KeyExchanged)
        wire.wait_for(ServiceRequest)
        wire.send(Disconnect(DisconnectReason.BY_APPLICATION, "enough"))
        return exchanged


async def check_server(algorithms: Algorithms, key_type: str = "ssh-ed25519") -> KeyExchanged:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(serve, listener, algorithms, key_type))
        host, port = listener.getsockname()
        with pytest.raises(asyncssh.DisconnectError, match="enough"):
            await asyncssh.connect(host, port, known_hosts=None, config=None, **EVERYTHING)
        return await serving


@pytest.mark.parametrize("kex", Algorithms().kex_algorithms)
async def test_every_key_exchange_as_its_server(kex: str) -> None:
    assert (await check_server(only(kex=kex))).algorithms.kex == kex


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
async def test_every_protection_as_its_server(encryption: str, mac: str) -> None:
    await check_server(only(kex="curve25519-sha256", encryption=encryption, mac=mac))


@pytest.mark.parametrize(
    ("algorithm", "key_type"),
    [
        ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
        ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
        ("rsa-sha2-256", "ssh-rsa"),
        ("rsa-sha2-512", "ssh-rsa"),
    ],
)
async def test_every_host_key_as_its_server(algorithm: str, key_type: str) -> None:
    exchanged = await check_server(only(host_key=algorithm), key_type)
    assert exchanged.algorithms.server_host_key == algorithm
