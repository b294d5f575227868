"""asyncssh's server, in the event loop of the test; it needs no system's package."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, cast

import asyncssh

from ._running import LOOPBACK
from ._sshd import PASSWORD, USER


@dataclass(eq=False)
class AsyncsshServer:
    """An asyncssh server.

    Attributes:
        port: where it listens.
        host_key: whose public half clients have to know.
        user_key: with which `USER` can log in, beside his password.
        authority: signs the certificates of users.
        connections: those that came so far, the first one first.
    """

    host_key: asyncssh.SSHKey
    user_key: asyncssh.SSHKey
    authority: asyncssh.SSHKey
    options: dict[str, Any] = field(repr=False)
    port: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(
        default_factory=list[asyncssh.SSHServerConnection], repr=False
    )

    _running: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]], repr=False)

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run the client's command, or a shell."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await _run(process)
        finally:
            self._running.discard(task)

    async def aclose(self) -> None:
        """End every connection and what runs there."""
        for connection in self.connections:
            connection.abort()
        tasks = [*self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def protocol(self) -> asyncio.Protocol:
        """Return what serves one connection, on whatever transport it is put."""
        construct = cast("Any", asyncssh.SSHServerConnectionOptions)
        loop = asyncio.get_running_loop()
        return asyncssh.SSHServerConnection(loop, construct(**self.options))


class _Users(asyncssh.SSHServer):
    def __init__(self, server: AsyncsshServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        return True

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return True

    def unix_server_requested(self, listen_path: str) -> bool:
        return True


@contextlib.asynccontextmanager
async def asyncssh_server(**options: Any) -> AsyncGenerator[AsyncsshServer]:
    """Run an asyncssh server until the block ends; it runs commands, SFTP and forwards.

    ``options`` are further ones of ``asyncssh.SSHServerConnectionOptions``.
    """
    server = AsyncsshServer(_new_key(), _new_key(), _new_key(), options={})
    authorized = server.user_key.export_public_key() + b"cert-authority "
    server.options |= {
        "server_factory": lambda: _Users(server),
        "server_host_keys": [server.host_key],
        "authorized_client_keys": asyncssh.import_authorized_keys(
            (authorized + server.authority.export_public_key()).decode()
        ),
        "process_factory": server.run,
        "sftp_factory": True,
        "encoding": None,
        **options,
    }
    async with await asyncssh.listen(LOOPBACK, 0, **server.options) as listener:
        server.port = listener.get_port()
        try:
            yield server
        finally:
            await server.aclose()


def _new_key() -> asyncssh.SSHKey:
    key: asyncssh.SSHKey = cast("Any", asyncssh).generate_private_key("ssh-ed25519")
    return key


async def _run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_shell(
        process.command or "exec sh",
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, **process.env},
        start_new_session=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stderr is not None
    tasks = [
        asyncio.create_task(_feed(process.stdin, program.stdin)),
        asyncio.create_task(_pass_on(program.stdout, process.stdout)),
        asyncio.create_task(_pass_on(program.stderr, process.stderr)),
    ]
    try:
        await asyncio.gather(*tasks[1:])
        process.exit(await program.wait())
    except (OSError, asyncssh.Error):
        process.close()  # the client is gone
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        await asyncio.gather(program.stdout.read(), program.stderr.read(), program.wait())


async def _feed(source: asyncssh.SSHReader[bytes], target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
