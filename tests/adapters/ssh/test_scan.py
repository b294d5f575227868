from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.adapters.ssh._peer import Peer
from tests.protocols.ssh._packet import clear_packet, kexinit
from tests.protocols.ssh._pair import host_key
from wirekit import AddressError, ConnectionLost
from wirekit.adapters.ssh import SSHError, SSHTimeoutError, scan
from wirekit.adapters.ssh._ratings import Level
from wirekit.adapters.ssh._report import Report
from wirekit.protocols.ssh import Algorithms, Disconnect, HostKey, KexInit
from wirekit.sockets import AddressLike, Socket, memory_pair

TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


class Server:
    """Serves as many connections as are made, in memory."""

    def __init__(self, **settings: Any) -> None:
        defaults: dict[str, Any] = {
            "algorithms": Algorithms(),
            "host_keys": [host_key(key_type) for key_type in TYPES],
        }
        self.settings = {**defaults, **settings}
        self.peers: list[Peer] = []
        self.serving: list[asyncio.Task[None]] = []
        self.addresses: list[AddressLike] = []

    async def connect(self, address: AddressLike) -> Socket:
        """Return the client's end of another connection."""
        self.addresses.append(address)
        return self.make()

    def make(self) -> Socket:
        ours, theirs = memory_pair()
        peer = Peer(theirs, **self.settings)
        self.peers.append(peer)
        self.serving.append(asyncio.create_task(self.serve(peer)))
        return ours

    async def serve(self, peer: Peer) -> None:
        await peer.run()


def fingerprints(report: Report) -> dict[str, str]:
    return {key.key_type: key.fingerprint for key in report.host_keys}


EXPECTED = {key_type: HostKey(host_key(key_type).blob).fingerprint for key_type in TYPES}


async def test_on_an_address() -> None:
    server = Server(identification="SSH-2.0-peer comment")
    report = await scan(connector=server.connect, address="example.com")
    assert fingerprints(report) == EXPECTED
    assert report.host_keys_not_seen == {}
    assert report.identification == "SSH-2.0-peer comment"
    assert report.lines == ()
    assert [str(address) for address in server.addresses] == ["example.com:22"] * 3
    await asyncio.gather(*server.serving)
    for peer in server.peers:
        assert isinstance(peer.events[-1], Disconnect)
    names = [one.name for one in report.algorithms["encryption_algorithms_client_to_server"]]
    assert names == [*Algorithms().encryption_algorithms]
    assert report.level is Level.FAIL  # of ECDSA


async def test_on_a_socket() -> None:
    server = Server()
    report = await scan(server.make())
    assert fingerprints(report) == EXPECTED
    assert len(server.peers) == 1


async def test_a_socket_of_a_server_that_exchanges_keys_only_once() -> None:
    class Once(Server):
        async def serve(self, peer: Peer) -> None:
            await peer.flush()
            while await peer.receive():
                if sum(isinstance(event, KexInit) for event in peer.events) > 1:
                    peer.socket.abort()
                    return

    server = Once()
    report = await scan(server.make())
    assert len(report.host_keys) == 1
    assert set(report.host_keys_not_seen) == {"ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"}


async def test_nothing_in_common() -> None:
    class Old(Server):
        async def serve(self, peer: Peer) -> None:
            old = kexinit(
                kex_algorithms=("diffie-hellman-group1-sha1",),
                server_host_key_algorithms=("ssh-dss",),
            )
            await peer.socket.write(b"SSH-1.99-old\r\n" + clear_packet(old))
            while await peer.socket.read():
                pass

    report = await scan(connector=Old().connect, address="example.com:2222")
    assert report.host_keys == ()
    assert "no key exchange algorithm" in report.host_keys_not_seen["ssh-dss"]
    texts = " ".join(finding.text for finding in report.findings)
    assert "SSH 1" in texts
    assert "quantum" in texts
    assert report.level is Level.FAIL


async def test_no_server_at_all() -> None:
    ours, theirs = memory_pair()
    scanning = asyncio.create_task(scan(ours))
    await theirs.write(b"HTTP/1.1 400 Bad Request\r\n")
    await theirs.close()
    with pytest.raises(ConnectionLost) as caught:
        await scanning
    assert isinstance(caught.value, SSHError)


async def test_a_server_that_says_nothing() -> None:
    ours, _ = memory_pair()
    with pytest.raises(SSHTimeoutError):
        await scan(ours, timeout=0.02)


async def test_what_to_scan() -> None:
    ours, _ = memory_pair()
    with pytest.raises(AddressError, match="either"):
        await scan()
    with pytest.raises(AddressError, match="either"):
        await scan(ours, address="example.com")
    with pytest.raises(AddressError):
        await scan(address="example.com:port")
    await ours.close()


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        await scan(address="127.0.0.1:1")
