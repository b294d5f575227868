"""How tests log in to the servers they run."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from wirekit.adapters.postgres import Postgres, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.servers import RunningServer


def login(server: RunningServer, **options: Any) -> dict[str, Any]:
    """Return what ``connect`` and ``create_pool`` take to reach a server without a password."""
    return {
        "host": server.host,
        "port": server.port,
        "user": "trust_user",
        "database": "wirekit",
        "ssl": False,
        **options,
    }


async def opened(server: RunningServer, **options: Any) -> Postgres:
    """Return an open client."""
    client: Postgres = await connect(**login(server, **options))
    return client


@asynccontextmanager
async def client(server: RunningServer, **options: Any) -> AsyncGenerator[Postgres]:
    """Have an open client while the block lasts."""
    client = await opened(server, **options)
    try:
        yield client
    finally:
        await client.close()
