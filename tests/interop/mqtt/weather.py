"""A TCP relay between clients and a broker that cuts, delays and fragments, and can stand still."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Self

from tests.servers import RunningServer

_SPOILT = 0.1  # seconds that a connection may have behind a bit that was turned over


class Weather:
    """Where connections go through, and how rough it is.

    Args:
        server: where to.
        rng: makes the faults.
        lifetime: bytes that a connection may carry, both ways together; None for any number.
        port: of the server.
        rough: whether data is cut into pieces and held up.
        spoils: whether a bit of the last byte is turned over, in place of a cut. A connection that
            does not end by it, as who has a wrong length may wait for more, is cut a bit later.

    Attributes:
        faults: connections cut or spoilt.
    """

    def __init__(
        self,
        server: RunningServer,
        rng: random.Random,
        lifetime: Callable[[], int | None] = lambda: None,
        *,
        port: int | None = None,
        rough: bool = False,
        spoils: bool = False,
    ) -> None:
        self.faults = 0
        self.lifetime = lifetime
        self.rough = rough
        self._spoils = spoils
        self._host, self._port = server.host, port or server.port
        self._rng = rng
        self._moving = asyncio.Event()
        self._moving.set()
        self._listener: asyncio.Server | None = None
        self._links: set[tuple[asyncio.StreamWriter, ...]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()
        return host, port

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut_all()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stand_still(self) -> None:
        """Carry nothing more; what is under way is held up, or lost by `cut_all`."""
        self._moving.clear()

    def move(self) -> None:
        self._moving.set()

    def cut_all(self) -> None:
        """Cut every connection now, and lose what is under way."""
        for writers in list(self._links):
            self._cut(writers)
        self._moving.set()

    def _cut(self, writers: tuple[asyncio.StreamWriter, ...]) -> None:
        if writers in self._links:
            self._links.discard(writers)
            self.faults += not self._spoils
        for writer in writers:
            writer.transport.abort()

    def _spoilt(self, data: bytes, place: int) -> bytes:
        self.faults += 1
        spoilt = bytearray(data)
        spoilt[place - 1] ^= 1 << self._rng.randrange(8)
        return bytes(spoilt)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            there_reader, there = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        writers = (writer, there)
        self._links.add(writers)
        left = [self.lifetime()]
        await asyncio.gather(
            self._carry(reader, there, left, writers),
            self._carry(there_reader, writer, left, writers),
        )
        self._links.discard(writers)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: list[int | None],
        writers: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self._rng.choice((1, 7, 100, 1500, 65536))):
                await self._moving.wait()
                if self.rough and self._rng.random() < 0.05:
                    await asyncio.sleep(self._rng.random() * 0.01)
                if left[0] is not None and self._spoils and left[0] <= len(data):
                    data = self._spoilt(data, left[0])
                    left[0] = None
                    asyncio.get_running_loop().call_later(_SPOILT, self._cut, writers)
                elif left[0] is not None:
                    data = data[: left[0]]
                    left[0] -= len(data)
                writer.write(data)
                await writer.drain()
                if left[0] == 0:
                    if self._rng.random() < 0.5:  # or what was just written is lost as well
                        await asyncio.sleep(0.001)
                    self._cut(writers)
                    return
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
