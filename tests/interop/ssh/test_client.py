"""The codec as a server of OpenSSH's client."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.ssh.wire import Wire
from tests.interop.waiting import PATIENCE
from tests.protocols.ssh._pair import SUITES, host_key, only
from wirekit.protocols.ssh import (
    Algorithms,
    Disconnect,
    DisconnectReason,
    Identified,
    KeyExchanged,
    ServiceRequest,
)

if TYPE_CHECKING:
    pass

OPENSSH_KEX = tuple(name for name in Algorithms().kex_algorithms if "mlkem" not in name)
QUIET = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
EVERYTHING = ("HostKeyAlgorithms=+ssh-rsa", "KexAlgorithms=+diffie-hellman-group14-sha256")

pytestmark = pytest.mark.usefixtures("sshd")  # whose package brings the client


def serve_ssh(algorithms: Algorithms, key_type: str, step: int | None = None) -> KeyExchanged:
    """Let ``ssh`` come until it wants to authenticate, and send it away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        options = [f"-o{option}" for option in (*QUIET, *EVERYTHING)]
        command = ["ssh", "-F", "none", *options, "-p", str(listener.getsockname()[1])]
        with subprocess.Popen(
            [*command, "127.0.0.1"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as ssh:
            connection, _ = listener.accept()
            settings: dict[str, Any] = {"algorithms": algorithms, "host_keys": [host_key(key_type)]}
            with Wire(connection, "server", step=step, **settings) as wire:
                exchanged = wire.wait_for(KeyExchanged)
                request = wire.wait_for(ServiceRequest)
                assert request.service_name == "ssh-userauth"
                wire.send(Disconnect(DisconnectReason.BY_APPLICATION, "enough of it"))
            _, errors = ssh.communicate(timeout=PATIENCE)
    assert "enough of it" in errors
    assert ssh.returncode == 255
    identified = next(event for event in wire.events if isinstance(event, Identified))
    assert identified.identification.softwareversion.startswith("OpenSSH_")
    return exchanged


@pytest.mark.parametrize("kex", OPENSSH_KEX)
def test_every_key_exchange(kex: str) -> None:
    assert serve_ssh(only(kex=kex), "ssh-ed25519").algorithms.kex == kex


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
def test_every_protection(encryption: str, mac: str) -> None:
    algorithms = only(kex="curve25519-sha256", encryption=encryption, mac=mac)
    serve_ssh(algorithms, "ssh-ed25519")


@pytest.mark.parametrize(
    ("algorithm", "key_type"),
    [
        ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
        ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
        ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
        ("rsa-sha2-256", "ssh-rsa"),
        ("rsa-sha2-512", "ssh-rsa"),
        ("ssh-rsa", "ssh-rsa"),
    ],
)
def test_every_host_key(algorithm: str, key_type: str) -> None:
    exchanged = serve_ssh(only(kex="curve25519-sha256", host_key=algorithm), key_type)
    assert exchanged.algorithms.server_host_key == algorithm


def test_byte_by_byte() -> None:
    serve_ssh(only(kex="curve25519-sha256"), "ssh-ed25519", step=1)
