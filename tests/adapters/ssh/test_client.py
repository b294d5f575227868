"""The client's own part; tests/interop/ssh speaks to real servers."""

from __future__ import annotations

from typing import Any

import pytest

import wirekit
from wirekit.adapters.ssh import SSH, SSHConnector, connect
from wirekit.sockets import memory_pair


async def nowhere(address: object) -> Any:
    raise wirekit.ConnectRefused(f"nobody at {address}")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"address": "host"},
        {"connector": nowhere},
        {"connector": nowhere, "address": "host", "known_hosts": None},
        {"connector": nowhere, "address": "host", "fingerprints": "MD5:00"},
        {"connector": nowhere, "address": "host", "tunnel": "other"},
        {"connector": nowhere, "address": "host", "timeout": -1},
    ],
    ids=["nothing", "address", "connector", "known_hosts", "fingerprints", "tunnel", "timeout"],
)
def test_arguments_that_do_not_go_together(arguments: dict[str, Any]) -> None:
    with pytest.raises(wirekit.AddressError):
        SSH(**arguments)


def test_a_client_needs_no_event_loop_unless_it_takes_over_a_socket() -> None:
    assert repr(SSH(connector=nowhere, address="host", password="secret")) == "<SSH not open>"
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(RuntimeError, match="within a coroutine"):
        SSH(ours)


async def test_before_it_is_open_and_after_it_was_closed() -> None:
    ours, theirs = memory_pair()
    ssh = SSH(ours, password="secret")
    assert not ssh.is_connected
    for use in (lambda: ssh.connection, lambda: ssh.get_extra_info("peername")):
        with pytest.raises(wirekit.SocketClosed, match="not open"):
            use()
    with pytest.raises(wirekit.SocketClosed, match="not open"):
        await ssh.run("true")
    await ssh.aclose()
    await ssh.close()
    assert await theirs.read() == b""
    with pytest.raises(wirekit.SocketClosed, match="was closed"):
        await ssh.run("true")
    with pytest.raises(wirekit.SocketClosed, match="was closed"):
        await ssh.open()


async def test_an_error_of_the_connector_is_ours() -> None:
    for attempt in (
        SSH(connector=nowhere, address="host").open(),
        connect("ssh://ada:secret@host", connector=nowhere),
    ):
        with pytest.raises(wirekit.ConnectRefused, match="nobody at host"):
            await attempt


async def test_it_gives_connectors() -> None:
    assert isinstance(SSH(connector=nowhere, address="host").connector(), SSHConnector)
