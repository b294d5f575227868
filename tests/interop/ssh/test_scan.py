"""Scanning OpenSSH's server, Dropbear and asyncssh's."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import asyncssh
import pytest

from tests.servers import RunningServer, asyncssh_server
from wirekit.adapters.ssh import Report, scan
from wirekit.sockets import connect

SEEN = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


def levels(report: Report, field: str) -> dict[str, str]:
    return {one.name: str(one.rating.level) for one in report.algorithms[field]}


def expected_keys(server: RunningServer) -> set[tuple[str, str]]:
    keys = (
        asyncssh.read_public_key(server.directory / f"host_{key_type}.pub")
        for key_type in ("ed25519", "ecdsa", "rsa")
    )
    return {(key.get_algorithm(), key.get_fingerprint()) for key in keys}


async def test_openssh(sshd: RunningServer) -> None:
    report = await scan(address=("127.0.0.1", sshd.port))
    assert report.identification.startswith("SSH-2.0-OpenSSH_")
    assert report.lines == ()
    keys = [(key.key_type, key.fingerprint) for key in report.host_keys]
    assert set(keys) == expected_keys(sshd)
    assert len(keys) == 6
    certificates = {key.certificate for key in report.host_keys} - {None}
    assert certificates == {"ed25519", "ecdsa", "rsa"}
    assert report.host_keys_not_seen == {}
    kex = levels(report, "kex_algorithms")
    assert kex["sntrup761x25519-sha512@openssh.com"] == "good"
    assert kex["curve25519-sha256"] == "warn"
    assert kex["ecdh-sha2-nistp256"] == "fail"
    assert levels(report, "server_host_key_algorithms")["ssh-rsa"] == "fail"
    encryption = levels(report, "encryption_algorithms_client_to_server")
    assert set(encryption.values()) == {"good"}
    assert levels(report, "mac_algorithms_server_to_client")["hmac-sha1"] == "fail"
    assert [str(finding.level) for finding in report.findings] == ["good"]
    assert str(report.level) == "fail"


async def test_openssh_on_one_socket(sshd: RunningServer) -> None:
    """It exchanges keys only once before a login."""
    report = await scan(connect(f"127.0.0.1:{sshd.port}"))
    assert len(report.host_keys) == 1
    assert len(report.host_keys_not_seen) >= 5
    assert "does not implement" in report.host_keys_not_seen["ecdsa-sha2-nistp256"]


@pytest.mark.parametrize("way", ["address", "socket"])
async def test_dropbear(dropbear: RunningServer, way: str) -> None:
    address = f"127.0.0.1:{dropbear.port}"
    what: Any = {"address": address} if way == "address" else {"socket": connect(address)}
    report = await scan(**what)
    assert report.identification.startswith("SSH-2.0-dropbear_")
    assert [key.key_type for key in report.host_keys] == [*SEEN]
    assert {key.bits for key in report.host_keys} == {None, 2048}
    assert report.host_keys_not_seen == {}
    assert "quantum" in " ".join(finding.text for finding in report.findings)


@pytest.mark.parametrize("way", ["address", "socket"])
async def test_asyncssh(way: str) -> None:
    async with asyncssh_server(signature_algs="+ssh-ed25519") as server:
        address = f"127.0.0.1:{server.port}"
        what: Any = {"address": address} if way == "address" else {"socket": connect(address)}
        report = await scan(**what)
        (key,) = report.host_keys
        assert key.fingerprint == server.host_key.get_fingerprint()
        assert report.host_keys_not_seen == {}
        assert "AsyncSSH" in report.identification


async def test_as_a_program(sshd: RunningServer) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wirekit.adapters.ssh", "--json", f"127.0.0.1:{sshd.port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await program.communicate()
    assert program.returncode == 3
    assert json.loads(output)["identification"].startswith("SSH-2.0-OpenSSH_")
