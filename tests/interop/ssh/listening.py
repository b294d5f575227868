"""A server on everything that carries bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.interop import carriers
from tests.servers import AsyncsshServer, CertificateAuthority, RunningServer, asyncssh_server

# A server that speaks first speaks to nobody on a transport whose receiver is not yet ours.
CARRIERS = [name for name in carriers.CARRIERS if name != "transport"]


@dataclass
class _Places:
    """As much of a `RunningServer` as the carriers need."""

    port: int
    tls_port: int
    unix_path: Path
    host: str = "127.0.0.1"


@contextlib.asynccontextmanager
async def listening(
    directory: Path, certificate_authority: CertificateAuthority
) -> AsyncGenerator[tuple[AsyncsshServer, RunningServer]]:
    """Run asyncssh's server on TCP, TLS and a Unix socket; yield it, and where it listens."""
    loop = asyncio.get_running_loop()
    context = certificate_authority.server_context()
    path = directory / "ssh"
    async with (
        asyncssh_server() as server,
        await loop.create_unix_server(server.protocol, path),
        await loop.create_server(server.protocol, "127.0.0.1", 0, ssl=context) as secure,
    ):
        tls_port = secure.sockets[0].getsockname()[1]
        yield server, cast("RunningServer", _Places(server.port, tls_port, path))
