from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeAlias, cast

import redis

from tests.interop.waiting import PATIENCE as PATIENCE
from tests.interop.waiting import eventually as eventually
from tests.interop.waiting import outcomes as outcomes
from tests.interop.waiting import turns as turns
from tests.servers import RunningServer
from wirekit.adapters.redis import Redis
from wirekit.sockets import DirectConnector, SocketLike, connect

# A Redis, or redis-py's: the results that redis-py declares are unions, which every test would have
# to narrow.
Client: TypeAlias = Any


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


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
