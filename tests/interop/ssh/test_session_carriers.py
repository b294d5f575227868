"""Sessions on everything that carries bytes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.interop import carriers
from tests.interop.ssh.listening import CARRIERS, listening
from tests.servers import SSH_USER, CertificateAuthority
from wirekit.adapters.ssh import SSH

DATA = random.Random(7).randbytes(400_000)


@pytest.mark.both_loops
@pytest.mark.usefixtures("sshd")
@pytest.mark.parametrize("name", CARRIERS)
async def test_on_everything_that_carries_bytes(
    name: str, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with listening(tmp_path, certificate_authority) as (server, places):
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
