"""Sessions on everything that carries bytes."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.interop import carriers
from tests.servers import SSH_USER, CertificateAuthority, RunningServer, asyncssh_server
from wirekit.adapters.ssh import SSH

DATA = random.Random(7).randbytes(400_000)

# A server that speaks first speaks to nobody on a transport whose receiver is not yet ours.
NAMES = [name for name in carriers.CARRIERS if name != "transport"]


@dataclass
class Places:
    """Where one asyncssh server listens; as much of a `RunningServer` as the carriers need."""

    port: int
    tls_port: int
    unix_path: Path
    host: str = "127.0.0.1"


@pytest.mark.both_loops
@pytest.mark.usefixtures("sshd")
@pytest.mark.parametrize("name", NAMES)
async def test_on_everything_that_carries_bytes(
    name: str, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    context = certificate_authority.server_context()
    async with (
        asyncssh_server() as server,
        await loop.create_unix_server(server.protocol, tmp_path / "ssh"),
        await loop.create_server(server.protocol, "127.0.0.1", 0, ssl=context) as secure,
    ):
        tls_port = secure.sockets[0].getsockname()[1]
        places = cast("RunningServer", Places(server.port, tls_port, tmp_path / "ssh"))
        options: dict[str, Any] = {
            "known_hosts": b"* " + server.host_key.export_public_key(),
            "username": SSH_USER,
            "client_keys": server.user_key,
            "agent_path": None,
        }
        async with (
            carriers.CARRIERS[name](places, certificate_authority) as way,
            SSH(**way, **options) as ssh,
        ):
            result = await ssh.run("cat", input=DATA, encoding=None)
            assert result.stdout == DATA
            async with ssh.start_sftp_client() as sftp:
                (tmp_path / "here").write_bytes(DATA)
                await sftp.put(str(tmp_path / "here"), str(tmp_path / "there"))
            assert (tmp_path / "there").read_bytes() == DATA
