"""The process of `Delay`: ``python -m benchmarks.smtp._delay_proxy <host> <port> <milliseconds>``.

It prints its port and carries bytes, each for so long, until its standard input ends. How much is
under way is not limited.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

LOOPBACK = "127.0.0.1"


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
