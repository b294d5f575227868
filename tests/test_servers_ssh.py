"""The SSH servers of tests/servers: they identify themselves, and leave nothing behind."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from tests import servers

if TYPE_CHECKING:
    from tests.servers import RunningServer


def identification(server: RunningServer) -> bytes:
    with socket.create_connection((server.host, server.port), timeout=5) as client:
        return client.makefile("rb").readline()


def test_openssh(sshd: RunningServer) -> None:
    assert identification(sshd).startswith(f"SSH-2.0-OpenSSH_{sshd.version}".encode())
    names = {path.name for path in sshd.directory.iterdir()}
    for key_type in ("ed25519", "ecdsa", "rsa"):
        assert {f"host_{key_type}", f"host_{key_type}.pub", f"host_{key_type}-cert.pub"} <= names
    assert {"authority.pub", "user_ed25519", "user_ed25519.pub"} <= names


def test_dropbear(dropbear: RunningServer) -> None:
    assert identification(dropbear).startswith(f"SSH-2.0-dropbear_{dropbear.version}".encode())


async def test_asyncssh() -> None:
    async with servers.asyncssh_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert (await reader.readline()).startswith(b"SSH-2.0-AsyncSSH_")
        writer.close()


def test_a_server_that_is_killed_can_be_started_again() -> None:
    with servers.sshd_server() as server:
        assert identification(server)
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            identification(server)
        server.start()
        assert identification(server)
    assert not server.directory.exists()


def test_directives_can_be_set() -> None:
    with servers.sshd_server(config={"VersionAddendum": "of ours"}) as server:
        assert b" of ours" in identification(server)
