from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from tests.servers import RunningServer
from wirekit.adapters.redis import Redis
from wirekit.adapters.redis._connection import Connection
from wirekit.sockets import DirectConnector, connect

PATIENCE = 20.0  # seconds after which something that was to happen never will


def on_socket(server: RunningServer, **settings: Any) -> Redis:
    """Return a client on one socket, which it cannot make anew."""
    return Redis(connect((server.host, server.port)), **settings)


def reconnecting(server: RunningServer, **settings: Any) -> Redis:
    """Return a client that makes its connections itself."""
    return Redis(connector=DirectConnector(), address=(server.host, server.port), **settings)


def shared_connection(client: Redis) -> Connection:
    connection = client._connections.shared
    assert connection is not None
    return connection


@contextlib.contextmanager
def oracle(server: RunningServer, *, flush: bool = False) -> Iterator[redis.Redis]:
    """redis-py's own blocking client, which shares nothing with ours."""
    with redis.Redis(host=server.host, port=server.port, protocol=2) as client:
        if flush:
            client.flushall()
        yield client


def connections_named(admin: redis.Redis, name: str) -> list[dict[str, str]]:
    """Return the server's clients of this name."""
    clients: Any = admin.client_list()
    return [client for client in clients if client["name"] == name]


@contextlib.contextmanager
def stopped(server: RunningServer) -> Iterator[None]:
    """Keep the server from running, so that nobody takes what is written to it."""
    process = server._process
    assert process is not None
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


async def turns(count: int) -> None:
    """Let the event loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
