"""OpenSSH's client."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess

from benchmarks._model import Unsupported
from benchmarks.ssh._client import Framing, SSHParticipant
from benchmarks.ssh._data import LOOPBACK, Suite, client_key
from wirekit.sockets import Socket, connect

__all__ = ["Client"]

PROGRAM = "ssh"
if shutil.which(PROGRAM) is None:
    raise ModuleNotFoundError(f"no program named {PROGRAM!r}")  # as for a library
START_TIMEOUT = 30.0  # seconds
OPTIONS = (
    *("BatchMode=yes", "ExitOnForwardFailure=yes", "IdentitiesOnly=yes", "LogLevel=ERROR"),
    *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null"),
)


class Client(SSHParticipant):
    """A process for each target, and its local port."""

    name = "openssh"
    note = "ssh -L, which is a process of its own"

    def __init__(self) -> None:
        super().__init__()
        self._ports: dict[int, int] = {}

    @classmethod
    def version(cls) -> str:
        said = subprocess.run([PROGRAM, "-V"], capture_output=True, text=True, check=True).stderr
        return said.partition(",")[0].removeprefix("OpenSSH_")

    async def framing(self, suite: Suite) -> Framing:
        raise Unsupported("a program, whose packet layer nobody can call")

    async def tunnel(self, port: int) -> Socket:
        if port not in self._ports:
            self._ports[port] = await self._forward(port)
        return connect((LOOPBACK, self._ports[port]))

    async def _forward(self, port: int) -> int:
        host, server_port = self.server.address
        with socket.create_server((LOOPBACK, 0)) as listener:
            local_port: int = listener.getsockname()[1]
        arguments = [argument for option in OPTIONS for argument in ("-o", option)]
        arguments += ["-F", "none", "-i", str(client_key()), "-N"]
        arguments += ["-L", f"{LOOPBACK}:{local_port}:{LOOPBACK}:{port}"]
        arguments += ["-p", str(server_port), "-l", self.server.user, host]
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *arguments, stdin=asyncio.subprocess.DEVNULL
        )
        self.stack.push_async_callback(_end, process)
        async with asyncio.timeout(START_TIMEOUT):
            while process.returncode is None:
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection(LOOPBACK, local_port)
                    writer.close()
                    await writer.wait_closed()
                    return local_port
                await asyncio.sleep(0.01)
        raise RuntimeError(f"ssh ended with {process.returncode}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
