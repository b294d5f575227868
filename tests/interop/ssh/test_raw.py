"""`SSHTransport` with OpenSSH's server, Dropbear and asyncssh's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import asyncssh
import pytest

from tests import servers
from tests.interop.ssh.raw import ask, log_in, relay
from tests.protocols.ssh._pair import KINDS, SUITES, only
from tests.servers import RunningServer, asyncssh_server
from wirekit.adapters.ssh import HostKeyError, SSHTransport
from wirekit.protocols.ssh import Algorithms, HostKey
from wirekit.sockets import connect

# Its Diffie-Hellman is `cryptography`'s, which is deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Diffie-Hellman over finite fields:cryptography.utils.CryptographyDeprecationWarning"
)

ANY: dict[str, Any] = {"dangerously_accept_any_host_key": True}
SERVERS: tuple[str, ...] = ("openssh", "dropbear", "asyncssh")

# What each has of ours.
KEX: dict[str, list[str]] = {name: [*Algorithms().kex_algorithms] for name in SERVERS}
KEX["openssh"] = [name for name in KEX["openssh"] if "mlkem" not in name]
KEX["dropbear"] = [name for name in KEX["openssh"] if "sha512" not in name]
PROTECTIONS: dict[str, list[tuple[str, str]]] = dict.fromkeys(SERVERS, SUITES)
PROTECTIONS["dropbear"] = [
    suite
    for suite in SUITES
    if suite[0] in ("chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr")
    and suite[1] in ("", "hmac-sha2-256")
]


@contextlib.asynccontextmanager
async def port_of(name: str, request: pytest.FixtureRequest) -> AsyncGenerator[int]:
    """Give the port of a server."""
    if name == "asyncssh":
        everything = {
            "kex_algs": "+diffie-hellman-group18-sha512",
            "encryption_algs": "+aes128-ctr",
        }
        async with asyncssh_server(**everything) as server:
            yield server.port
    else:
        running: RunningServer = request.getfixturevalue("sshd" if name == "openssh" else name)
        yield running.port


@contextlib.asynccontextmanager
async def opened(port: int, **options: Any) -> AsyncGenerator[SSHTransport]:
    """Give a transport on which a user is logged in."""
    async with SSHTransport(connect(f"127.0.0.1:{port}"), **{**ANY, **options}) as transport:
        await log_in(transport)
        yield transport


@pytest.mark.parametrize("name", SERVERS)
async def test_combinations(name: str, request: pytest.FixtureRequest) -> None:
    """Each key exchange, and each protection of packets, with a third of the others.

    test_transport.py has all of them, by the codec.
    """
    async with port_of(name, request) as port, opened(port) as transport:
        for number, kex in enumerate(KEX[name]):
            # The groups of 4096 and 8192 bits take their time.
            step = 10 if "sha512" in kex else 3
            for encryption, mac in PROTECTIONS[name][number % 3 :: step]:
                await transport.rekey(only(kex=kex, encryption=encryption, mac=mac))
                chosen = transport.algorithms
                assert chosen.kex == kex
                assert chosen.encryption_client_to_server == encryption
                assert chosen.mac_server_to_client == mac
                await ask(transport, 2)


@pytest.mark.both_loops
@pytest.mark.parametrize("name", SERVERS)
async def test_keys_change_every_few_packets_under_load(
    name: str, request: pytest.FixtureRequest
) -> None:
    async with port_of(name, request) as port, opened(port, rekey_packets=20) as transport:
        first = transport.session_id
        await ask(transport, 400, 100)
        assert transport.session_id == first


async def test_both_change_keys_every_few_packets_under_load() -> None:
    with servers.sshd_server(config={"RekeyLimit": "1K"}) as server:
        async with opened(server.port, rekey_packets=20) as transport:
            await ask(transport, 200, 100)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
async def test_byte_by_byte(
    name: str, kind: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    if kind not in PROTECTIONS[name]:
        kind = PROTECTIONS[name][-1]
    algorithms = only(kex="curve25519-sha256", encryption=kind[0], mac=kind[1])
    async with (
        port_of(name, request) as port,
        relay(port, fragment=1) as socket,
        SSHTransport(socket, algorithms=algorithms, **ANY) as transport,
    ):
        await log_in(transport)
        await transport.rekey()
        await ask(transport, 5)


@pytest.mark.parametrize("name", SERVERS)
async def test_everything_at_once(name: str, request: pytest.FixtureRequest) -> None:
    async with (
        port_of(name, request) as port,
        relay(port, delay=0.01) as socket,
        SSHTransport(socket, rekey_packets=50, **ANY) as transport,
    ):
        await log_in(transport)
        await ask(transport, 200, 1000)


async def test_compression(sshd: RunningServer) -> None:
    algorithms = only(compression="zlib@openssh.com")
    async with opened(sshd.port, algorithms=algorithms, rekey_packets=20) as transport:
        assert transport.algorithms.compression_client_to_server == "zlib@openssh.com"
        await ask(transport, 100, 20_000)


@pytest.mark.parametrize("key_type", ["ed25519", "ecdsa", "rsa"])
async def test_known_hosts(sshd: RunningServer, key_type: str) -> None:
    """The key that is known is the one that is asked for."""
    written = (sshd.directory / f"host_{key_type}.pub").read_text()
    known_hosts = f"[localhost]:{sshd.port} {written}".encode()
    address = f"127.0.0.1:{sshd.port}"
    async with SSHTransport(
        connect(address), host="localhost", known_hosts=known_hosts
    ) as transport:
        key = HostKey(asyncssh.import_public_key(written).public_data)
        assert transport.host_key == key
    with pytest.raises(HostKeyError, match="not known"):
        await SSHTransport(connect(address), known_hosts=known_hosts).__aenter__()
    transport = SSHTransport(connect(address), fingerprints=key.fingerprint)
    if key_type == "ed25519":  # the one that is preferred
        async with transport:
            pass
    else:
        with pytest.raises(HostKeyError, match=r"ed25519 SHA256:\S+, is not known"):
            await transport.__aenter__()


async def test_a_certificate(sshd: RunningServer) -> None:
    authority = (sshd.directory / "authority.pub").read_text()
    for host, is_good in (("a.wirekit.example", True), ("b.example", False)):
        transport = SSHTransport(
            connect(f"127.0.0.1:{sshd.port}"), host=host, certificate_authorities=authority
        )
        if is_good:
            async with transport:
                assert transport.host_key.certificate is not None
        else:
            with pytest.raises(HostKeyError, match="of another host"):
                await transport.__aenter__()


async def test_many_at_once(sshd: RunningServer) -> None:
    async def one() -> None:
        async with opened(sshd.port) as transport:
            await ask(transport, 20)

    await asyncio.gather(*(one() for _ in range(10)))
