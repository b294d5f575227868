"""A way to the server that takes a while: a TCP proxy in a process of its own.

``python -m benchmarks.smtp._delay <host> <port> <milliseconds>`` prints its port and carries bytes,
each for so long, until its standard input ends. How much is under way is not limited.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._model import Address

__all__ = ["ROUND_TRIP", "Delay", "main"]

LOOPBACK = "127.0.0.1"
ROUND_TRIP = 20  # milliseconds that are added, half of them each way


@dataclass(frozen=True)
class Delay:
    """The process, and where it listens."""

    address: Address
    _process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, target: Address, milliseconds: float = ROUND_TRIP / 2) -> Delay:
        """Start a proxy in front of ``target``, with so much delay each way."""
        host, port = target
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.smtp._delay", host, str(port), str(milliseconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        line = await process.stdout.readline()
        return cls((LOOPBACK, int(line)), process)

    async def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class _Lane(asyncio.Protocol):
    """One end; what comes in goes out at the other end, so many seconds later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.transport: asyncio.Future[asyncio.Transport] = (
            asyncio.get_running_loop().create_future()
        )
        self.other: _Lane | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport.set_result(transport)

    def data_received(self, data: bytes) -> None:
        self._later(lambda transport: transport.write(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._later(lambda transport: transport.close())

    def _later(self, what: Callable[[asyncio.Transport], None]) -> None:
        # Timers of one length fire in order.
        asyncio.get_running_loop().call_later(self._seconds, self._now, what)

    def _now(self, what: Callable[[asyncio.Transport], None]) -> None:
        if self.other is not None and not (transport := self.other.transport.result()).is_closing():
            what(transport)


async def _carry(host: str, port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def join(near: _Lane) -> None:
        far = _Lane(seconds)
        await near.transport
        await loop.create_connection(lambda: far, host, port)
        near.other, far.other = far, near

    def accept() -> _Lane:
        near = _Lane(seconds)
        task = loop.create_task(join(near))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return near

    server = await loop.create_server(accept, LOOPBACK, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


def main(arguments: list[str]) -> None:
    """Be the process."""
    host, port, milliseconds = arguments
    asyncio.run(_carry(host, int(port), float(milliseconds) / 1000))


if __name__ == "__main__":
    main(sys.argv[1:])
