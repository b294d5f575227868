"""A way to the server that takes a while: a TCP proxy in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks._model import Address

__all__ = ["ROUND_TRIP", "Delay"]

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
            *(
                sys.executable,
                "-m",
                "benchmarks.smtp._delay_proxy",
                host,
                str(port),
                str(milliseconds),
            ),
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
