"""The methods that open something: asyncssh's, but on a connection that stands."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any, Self, cast

import asyncssh
import pytest

import wirekit
from wirekit.adapters.ssh import ChannelListenError, ChannelOpenError, SSHTimeoutError
from wirekit.adapters.ssh._bridge import Connection
from wirekit.adapters.ssh._sessions import Pending, Sessions

# What asyncssh's connection opens, and Sessions does not: it would be a connection beside ours,
# or needs a server that is built for it.
LEFT_OUT = {
    "connect_reverse_ssh", "connect_ssh", "create_ssh_connection", "listen_reverse_ssh",
    "listen_ssh", "create_tap", "create_tun", "open_tap", "open_tun", "forward_tap", "forward_tun",
    "forward_connection", "forward_unix_connection",
}  # fmt: skip


class Opened:
    closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.closed = True


class Clients(Sessions):
    """Sessions on a connection whose every method is the one given."""

    def __init__(self, method: Any, *, is_usable: bool = True, timeout: float = 5.0) -> None:
        self._timeout = timeout
        self.given_up = False
        self._connection = SimpleNamespace(
            start_sftp_client=method,
            open_connection=method,
            is_usable=is_usable,
            error=wirekit.ConnectionLost("it is gone"),
            socket=SimpleNamespace(remote_address="host:22"),
            unless_it_fails=self,
        )

    def __call__(self) -> Clients:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, exc_type: object, *rest: object) -> None:
        self.given_up = exc_type is not None

    async def _ready(self) -> Connection:
        return cast("Connection", self._connection)


def names(kind: type) -> set[str]:
    return {
        name
        for name in vars(kind)
        if name.startswith(("create_", "forward_", "listen_", "open_", "run", "start_", "connect_"))
    }


def test_every_method_of_asyncsshs_is_there() -> None:
    theirs = names(asyncssh.SSHClientConnection) | names(asyncssh.SSHClientConnection.__bases__[0])
    plain = {name for name in theirs if name.endswith("_channel") or name == "create_task"}
    assert names(Sessions) == theirs - plain - LEFT_OUT - {"forward_tuntap"}
    for name in names(Sessions):
        ours, their = getattr(Sessions, name), getattr(asyncssh.SSHClientConnection, name)
        # What may be awaited or entered with them, may with us.
        wrapped = inspect.iscoroutinefunction(inspect.unwrap(their))
        assert wrapped
        assert inspect.iscoroutinefunction(ours) == (their is inspect.unwrap(their))


async def test_it_is_awaited_or_entered() -> None:
    opened = Opened()

    async def method() -> Opened:
        return opened

    clients = Clients(method)
    pending = clients.start_sftp_client()
    assert isinstance(pending, Pending)
    assert cast("object", await pending) is opened
    async with clients.start_sftp_client() as entered:
        assert cast("object", entered) is opened
    assert opened.closed
    assert not clients.given_up


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (asyncssh.ChannelOpenError(1, "no"), ChannelOpenError),
        (asyncssh.ChannelListenError("no"), ChannelListenError),
        (asyncssh.ProtocolError("no"), wirekit.Error),
        (FileNotFoundError("no"), FileNotFoundError),
        (asyncssh.SFTPFailure("no"), asyncssh.SFTPFailure),
        (TimeoutError("no"), TimeoutError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
async def test_errors_are_ours_and_theirs(theirs: Exception, ours: type[Exception]) -> None:
    async def method(*args: object) -> None:
        raise theirs

    clients = Clients(method)
    with pytest.raises(ours, match="no") as raised:
        await clients.open_connection("host", 1)
    assert isinstance(raised.value, type(theirs))
    assert clients.given_up


async def test_where_the_connection_was_lost_that_is_the_error() -> None:
    async def method() -> None:
        raise BrokenPipeError

    with pytest.raises(wirekit.ConnectionLost, match="it is gone"):
        await Clients(method, is_usable=False).start_sftp_client()


async def test_the_server_has_so_long_to_answer() -> None:
    async def method() -> None:
        await asyncio.get_running_loop().create_future()

    clients = Clients(method, timeout=0.01)
    with pytest.raises(SSHTimeoutError, match=r"host:22 did not answer within 0\.01 s"):
        await clients.start_sftp_client()
    assert clients.given_up
