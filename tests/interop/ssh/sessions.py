"""What the tests of sessions share: servers, and clients of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import SSH_PASSWORD, SSH_USER, AsyncsshServer, RunningServer
from wirekit.adapters.ssh import SSH
from wirekit.sockets import connect, memory_pair


@dataclass
class Target:
    """A server that runs, and what a client needs to come in by its key.

    Attributes:
        name: ``"openssh"``, ``"dropbear"`` or ``"asyncssh"``.
        known_hosts: the line of a known_hosts file that names its key.
    """

    name: str
    port: int
    known_hosts: bytes = field(repr=False)
    user_key: object = field(repr=False)

    def client(self, **options: Any) -> SSH:
        """Return a client on a new TCP connection."""
        return SSH(connect(("127.0.0.1", self.port)), **{**self.login, **options})

    @property
    def login(self) -> dict[str, Any]:
        """What a client needs to come in by its key."""
        return {**self.trust, "client_keys": self.user_key, "agent_path": None}

    @property
    def password(self) -> dict[str, Any]:
        """What a client needs to come in by password."""
        return {**self.trust, "client_keys": None, "password": SSH_PASSWORD}

    @property
    def trust(self) -> dict[str, Any]:
        return {"username": SSH_USER, "known_hosts": self.known_hosts}


def running(name: str, server: RunningServer) -> Target:
    """Return OpenSSH's or Dropbear's server, with its Ed25519 key known."""
    key = _public_key(server.directory / "host_ed25519")
    return Target(
        name, server.port, _line(server.port, key), str(server.directory / "user_ed25519")
    )


def embedded(server: AsyncsshServer) -> Target:
    """Return asyncssh's server."""
    key = server.host_key.export_public_key()
    return Target("asyncssh", server.port, _line(server.port, key), server.user_key)


def _line(port: int, key: bytes) -> bytes:
    return b"[127.0.0.1]:%d %s" % (port, key)


def _public_key(path: Path) -> bytes:
    public = path.with_suffix(".pub")
    if public.exists():
        return public.read_bytes()
    # Dropbear's own format: "ssh-ed25519", and 64 bytes, the last half of which is public.
    blob = path.read_bytes()
    key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + blob[-32:]
    return b"ssh-ed25519 " + base64.b64encode(key) + b"\n"


@contextlib.asynccontextmanager
async def joined(
    server: AsyncsshServer, fragment: int | Callable[[int], int] | None = None, **options: Any
) -> AsyncGenerator[tuple[SSH, asyncio.Transport]]:
    """Give a client in memory, and the transport at its server's end."""
    ours, theirs = memory_pair(fragment=fragment)
    transport = theirs.attach(server.protocol())
    settings: dict[str, Any] = {
        "known_hosts": b"* " + server.host_key.export_public_key(),
        "username": SSH_USER,
        "client_keys": server.user_key,
        "agent_path": None,
    }
    async with SSH(ours, **{**settings, **options}) as ssh:
        yield ssh, transport
