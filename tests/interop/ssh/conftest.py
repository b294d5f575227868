"""Servers for sessions: OpenSSH, Dropbear and asyncssh."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.interop.ssh.sessions import Target, embedded, running
from tests.servers import asyncssh_server

SERVERS = ("openssh", "dropbear", "asyncssh")


@pytest.fixture(params=SERVERS)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    """The three servers in turn."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "openssh":
            yield running("openssh", request.getfixturevalue("sshd"))
        elif request.param == "dropbear":
            yield running("dropbear", request.getfixturevalue("dropbear"))
        else:
            yield embedded(await stack.enter_async_context(asyncssh_server()))
