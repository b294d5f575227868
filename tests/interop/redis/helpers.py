from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias, cast

import redis

from tests.servers import RunningServer
from wirekit.adapters.redis import Redis
from wirekit.sockets import DirectConnector, SocketLike, connect

# A Redis, or redis-py's: the results that redis-py declares are unions, which every test would have
# to narrow.
Client: TypeAlias = Any

PATIENCE = 20.0  # seconds after which something that was to happen never will


def new_client(socket: SocketLike | None = None, **settings: Any) -> Client:
    return Redis(socket, **settings)


def on_socket(server: RunningServer, **settings: Any) -> Client:
    """Return a client on one socket, which it cannot make anew."""
    return new_client(connect((server.host, server.port)), **settings)


def reconnecting(server: RunningServer, **settings: Any) -> Client:
    """Return a client that makes its connections itself."""
    return new_client(connector=DirectConnector(), address=(server.host, server.port), **settings)


def shared_connection(client: Client) -> Any:
    """Return what the client's callers share, with all that is private about it."""
    assert client._connections.shared is not None
    return client._connections.shared


@contextlib.contextmanager
def oracle(
    server: RunningServer, *, flush: bool = False, password: str | None = None
) -> Generator[Client]:
    """redis-py's own blocking client, which shares nothing with ours."""
    client: Client = redis.Redis(host=server.host, port=server.port, password=password, protocol=2)
    with client:
        if flush:
            client.flushall()
        yield client


def connections_named(admin: Client, name: str) -> list[dict[str, str]]:
    """Return the server's clients of this name."""
    return [client for client in admin.client_list() if client["name"] == name]


@contextlib.contextmanager
def stopped(server: RunningServer) -> Generator[None]:
    """Keep the server from running, so that nobody takes what is written to it."""
    process = cast("Any", server)._process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        await asyncio.sleep(0.005)


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    """Return what each call returned or raised; none may hang."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*calls, return_exceptions=True)


async def turns(count: int) -> None:
    """Let the event loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
