"""What is sealed, what goes through the tunnel, and what is known of the server."""

from __future__ import annotations

import atexit
import functools
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks._model import WrongReply

if TYPE_CHECKING:
    from benchmarks._model import Address, Scale

__all__ = [
    "BLOCK",
    "ENDING",
    "LOOPBACK",
    "SUITES",
    "TARGETS",
    "SSHServer",
    "Suite",
    "client_key",
    "payload_of",
    "prepare",
    "server_at",
    "server_version",
]

LOOPBACK = "127.0.0.1"  # where the targets are, as the server sees it
TARGETS = ("redis", "postgres", "stream")
TIMEOUT = 30

CHANNEL_DATA = 94  # RFC 4254, section 5.2

BLOCK = bytes(range(256)) * 1024  # of what goes through the tunnel, again and again
ENDING = b"the end of bytes"  # the last of them


class Suite(NamedTuple):
    """How packets are protected; an encryption that authenticates has no MAC."""

    encryption: str
    mac: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, self)).replace("@openssh.com", "")


SUITES = (
    Suite("chacha20-poly1305@openssh.com"),
    Suite("aes128-gcm@openssh.com"),
    Suite("aes256-gcm@openssh.com"),
    Suite("aes128-ctr", "hmac-sha2-256"),
    Suite("aes128-ctr", "hmac-sha2-256-etm@openssh.com"),
    Suite("aes256-ctr", "hmac-sha2-512"),
    Suite("aes256-ctr", "hmac-sha2-512-etm@openssh.com"),
)


def payload_of(size: int) -> bytes:
    """Return a payload of ``size`` bytes: SSH_MSG_CHANNEL_DATA for channel 0."""
    head = bytes((CHANNEL_DATA,)) + bytes(4) + (size - 9).to_bytes(4, "big")
    return head + (BLOCK * (size // len(BLOCK) + 1))[: size - len(head)]


@dataclass(frozen=True)
class SSHServer:
    """The server, as its identification tells: its version, who may log in, and its targets."""

    address: Address
    version: str
    user: str
    ports: dict[str, int]


def server_at(address: Address) -> SSHServer:
    """Read the server's identification, such as ``SSH-2.0-OpenSSH_9.2p1 user=me redis=6379``.

    Raises:
        WrongReply: not all of what is needed is in it.
    """
    with socket.create_connection(address, timeout=TIMEOUT) as connection:
        line = connection.makefile("rb").readline().decode().strip()
    software, _, comment = line.removeprefix("SSH-2.0-").partition(" ")
    fields: dict[str, str] = {}
    for field in comment.split():
        name, _, fields[name] = field.partition("=")
    if not {"user", *TARGETS} <= fields.keys():
        raise WrongReply(f"the server identifies itself by {line!r}"[:200])
    ports = {name: int(fields[name]) for name in TARGETS}
    return SSHServer(address, software.replace("_", " "), fields["user"], ports)


@functools.cache
def client_key() -> Path:
    """Return a file with a new private key; the server lets in whoever has one."""
    directory = tempfile.TemporaryDirectory(prefix="wirekit-benchmark-")
    atexit.register(directory.cleanup)
    path = Path(directory.name) / "id_ed25519"
    path.touch(mode=0o600)
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
    )
    return path


def server_version(address: Address) -> str:
    """Return the server's name and version, such as ``"OpenSSH 9.2p1"``."""
    return server_at(address).version


def prepare(address: Address, _scale: Scale) -> None:
    """Make sure that the server is the one that this needs."""
    server_at(address)
