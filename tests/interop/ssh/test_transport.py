"""The codec as a client of OpenSSH's server and of Dropbear."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import pytest

from tests import servers
from tests.interop.ssh.wire import Wire
from tests.protocols.ssh._pair import KINDS, SUITES, inside, only
from wirekit.protocols.ssh import (
    Algorithms,
    Disconnect,
    DisconnectReason,
    ExtInfo,
    Identified,
    KexInit,
    KeyExchanged,
    Packet,
    Ping,
    Pong,
    SSHProtocolError,
    State,
    check_host_certificate,
)

if TYPE_CHECKING:
    from tests.servers import RunningServer

REQUEST_FAILURE = 82
KEEPALIVE = b"\x50\0\0\0\x15keepalive@openssh.com\1"

# What Debian's OpenSSH 9.2 and Dropbear 2022.83 have of ours.
OPENSSH_KEX = tuple(name for name in Algorithms().kex_algorithms if "mlkem" not in name)
DROPBEAR_KEX = tuple(name for name in OPENSSH_KEX if "sha512" not in name)
DROPBEAR_SUITES = [
    suite
    for suite in SUITES
    if suite[0] in ("chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr")
    and suite[1] in ("", "hmac-sha2-256")
]
HOST_KEYS = {
    "ssh-ed25519": "ed25519",
    "ecdsa-sha2-nistp256": "ecdsa",
    "rsa-sha2-512": "rsa",
    "rsa-sha2-256": "rsa",
    "ssh-rsa": "rsa",
}


@pytest.fixture
def session(sshd: RunningServer) -> Iterator[Wire]:
    """A connection to sshd on which the user is logged in."""
    with Wire(sshd.port, algorithms=only(kex="curve25519-sha256")) as wire:
        wire.open()
        wire.log_in(getpass.getuser(), sshd.directory / "user_ed25519")
        yield wire


def check_traffic(wire: Wire, count: int = 3) -> None:
    """Send requests that sshd refuses, and get as many refusals."""
    before = refusals(wire)
    wire.send(*[KEEPALIVE + bytes(size) for size in range(count)])
    wait_for_refusals(wire, before + count)


def wait_for_refusals(wire: Wire, count: int) -> None:
    """Wait until so many requests have been refused, and keys are not being changed."""
    wire.wait_until(lambda: refusals(wire) >= count and wire.codec.state is State.OPEN)


def refusals(wire: Wire) -> int:
    """Return how many requests have been refused."""
    packets = [event for event in wire.events if isinstance(event, Packet)]
    return sum(packet.number == REQUEST_FAILURE for packet in packets)


def public_key(directory: Path, name: str) -> asyncssh.SSHKey:
    return asyncssh.read_public_key(directory / f"{name}.pub")


def test_identification(sshd: RunningServer, dropbear: RunningServer) -> None:
    for server, name in ((sshd, "OpenSSH_"), (dropbear, "dropbear_")):
        with Wire(server.port) as wire:
            identified = wire.wait_for(Identified)
            assert identified.identification.protoversion == "2.0"
            assert identified.identification.softwareversion.startswith(name)
            assert identified.lines == ()
            wire.open()


@pytest.mark.parametrize("kex", OPENSSH_KEX)
def test_every_key_exchange_of_openssh(sshd: RunningServer, kex: str) -> None:
    with Wire(sshd.port, algorithms=only(kex=kex)) as wire:
        assert wire.open().algorithms.kex == kex


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
def test_every_protection_of_openssh(sshd: RunningServer, encryption: str, mac: str) -> None:
    algorithms = only(kex="curve25519-sha256", encryption=encryption, mac=mac)
    with Wire(sshd.port, algorithms=algorithms) as wire:
        chosen = wire.open().algorithms
        assert chosen.encryption_client_to_server == encryption
        assert chosen.mac_server_to_client == mac


@pytest.mark.parametrize("algorithm", HOST_KEYS)
def test_every_host_key_of_openssh(sshd: RunningServer, algorithm: str) -> None:
    with Wire(sshd.port, algorithms=only(kex="curve25519-sha256", host_key=algorithm)) as wire:
        key = wire.open().host_key
        expected = public_key(sshd.directory, f"host_{HOST_KEYS[algorithm]}")
        assert key.blob == expected.public_data
        assert key.fingerprint == expected.get_fingerprint()


@pytest.mark.parametrize("algorithm", [name for name in HOST_KEYS if name != "ssh-rsa"])
def test_every_host_certificate_of_openssh(sshd: RunningServer, algorithm: str) -> None:
    name = f"{algorithm}-cert-v01@openssh.com"
    with Wire(sshd.port, algorithms=only(kex="curve25519-sha256", host_key=name)) as wire:
        key = wire.open().host_key
    expected = public_key(sshd.directory, f"host_{HOST_KEYS[algorithm]}")
    assert key.key_blob == expected.public_data
    assert key.certificate is not None
    authority = public_key(sshd.directory, "authority").public_data
    for host in ("localhost", "a.wirekit.example", "127.0.0.1"):
        check_host_certificate(key.certificate, host, authorities=[authority], time=2e9)
    with pytest.raises(SSHProtocolError, match="of another host"):
        check_host_certificate(key.certificate, "x.example", authorities=[authority], time=2e9)


@pytest.mark.parametrize("kex", OPENSSH_KEX)
def test_every_combination_of_openssh_by_changing_keys(session: Wire, kex: str) -> None:
    # The groups of 4096 and 8192 bits take their time.
    for encryption, mac in KINDS if "sha512" in kex else SUITES:
        chosen = only(kex=kex, encryption=encryption, mac=mac)
        inside(session.codec)._algorithms = chosen
        exchanged = session.rekey()
        assert exchanged.algorithms.kex == kex
        assert exchanged.algorithms.encryption_server_to_client == encryption
        assert exchanged.algorithms.mac_client_to_server == mac
        check_traffic(session)


def test_ext_info_and_ping(session: Wire) -> None:
    (info,) = [event for event in session.events if isinstance(event, ExtInfo)]
    assert b"ssh-ed25519" in info.extensions["server-sig-algs"].split(b",")
    if "ping@openssh.com" in info.extensions:  # OpenSSH 9.5
        session.send(Ping(b"data"))
        assert session.wait_for(Pong) == Pong(b"data")


def test_strict_key_exchange(session: Wire, sshd: RunningServer) -> None:
    offered = next(event for event in session.events if isinstance(event, KexInit))
    is_strict = "kex-strict-s-v00@openssh.com" in offered.kex_algorithms
    assert is_strict  # Debian has it in its 9.2
    assert inside(session.codec)._strict
    session.rekey()
    check_traffic(session)
    assert inside(session.codec)._writer.sequence == 3


def test_compression(sshd: RunningServer) -> None:
    algorithms = only(kex="curve25519-sha256", compression="zlib@openssh.com")
    with Wire(sshd.port, algorithms=algorithms) as wire:
        wire.open()
        wire.log_in(getpass.getuser(), sshd.directory / "user_ed25519")
        for number in range(3):
            before = wire.sent
            wire.send(KEEPALIVE + bytes(20000))
            assert wire.sent - before < 300
            wait_for_refusals(wire, number + 1)
            wire.rekey()


def test_byte_by_byte(sshd: RunningServer) -> None:
    with Wire(sshd.port, step=1) as wire:
        wire.open()
        wire.log_in(getpass.getuser(), sshd.directory / "user_ed25519")
        wire.rekey()
        check_traffic(wire)


def test_we_change_keys_every_few_packets(session: Wire) -> None:
    for size in range(30):
        session.send(KEEPALIVE + bytes(size * 100))
        session.codec.rekey()
        session.send(KEEPALIVE)  # which waits
        wait_for_refusals(session, 2 * size + 2)


def test_openssh_changes_keys_every_few_packets() -> None:
    with servers.sshd_server(config={"RekeyLimit": "1K"}) as server, Wire(server.port) as wire:
        wire.open()
        wire.log_in(getpass.getuser(), server.directory / "user_ed25519")
        for _ in range(30):
            check_traffic(wire, 5)
        exchanged = [event for event in wire.events if isinstance(event, KeyExchanged)]
        assert len(exchanged) > 5
        assert [event.first for event in exchanged].count(True) == 1


def test_both_change_keys_all_the_time() -> None:
    with (
        servers.sshd_server(config={"RekeyLimit": "1K"}) as server,
        Wire(server.port, step=500, rekey_bytes=1000) as wire,
    ):
        wire.open()
        wire.log_in(getpass.getuser(), server.directory / "user_ed25519")
        for _ in range(30):
            if wire.codec.needs_rekey:
                wire.codec.rekey()
            check_traffic(wire, 5)


@pytest.mark.parametrize("position", [0, 4, 30, -1])
def test_a_changed_bit_ends_the_connection(session: Wire, position: int) -> None:
    data = bytearray(session.codec.send(KEEPALIVE))
    data[position] ^= 1
    session.write(bytes(data) + (bytes(300_000) if position == 0 else b""))
    with contextlib.suppress(ConnectionError):  # it may say why before it goes, or not
        session.wait_until(lambda: session.codec.state is State.CLOSED)
    assert refusals(session) == 0


def test_nothing_in_common(sshd: RunningServer) -> None:
    if "mlkem768x25519-sha256" not in Algorithms().kex_algorithms:
        pytest.fail("this OpenSSL has no ML-KEM")
    with Wire(sshd.port, algorithms=only(kex="mlkem768x25519-sha256")) as wire:
        with pytest.raises(SSHProtocolError, match="no key exchange algorithm") as caught:
            wire.open()
        assert caught.value.reason_code is DisconnectReason.KEY_EXCHANGE_FAILED
        wire.send(Disconnect(caught.value.reason_code, str(caught.value)))


# Dropbear


@pytest.mark.parametrize("kex", DROPBEAR_KEX)
def test_every_key_exchange_of_dropbear(dropbear: RunningServer, kex: str) -> None:
    with Wire(dropbear.port, algorithms=only(kex=kex)) as wire:
        assert wire.open().algorithms.kex == kex


@pytest.mark.parametrize(("encryption", "mac"), DROPBEAR_SUITES)
def test_every_protection_of_dropbear(dropbear: RunningServer, encryption: str, mac: str) -> None:
    algorithms = only(kex="curve25519-sha256", encryption=encryption, mac=mac)
    with Wire(dropbear.port, algorithms=algorithms) as wire:
        assert wire.open().algorithms.encryption_client_to_server == encryption


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256"])
def test_every_host_key_of_dropbear(dropbear: RunningServer, algorithm: str) -> None:
    with Wire(dropbear.port, algorithms=only(host_key=algorithm)) as wire:
        assert wire.open().algorithms.server_host_key == algorithm


def test_dropbear_byte_by_byte(dropbear: RunningServer) -> None:
    with Wire(dropbear.port, step=1) as wire:
        wire.open()
