"""Memory stays bounded, whatever is sent, received, or not read."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

import wirekit
from wirekit.adapters.smtp import SMTP
from wirekit.sockets import Socket, memory_pair

from .fake_server import WAYS
from .helpers import SENDER, outcomes

TO = "to@example.org"
MEBIBYTE = 1 << 20
PIECE = (b"." + b"x" * 61 + b"\r\n") * 4096  # 256 KiB
PIECES = 800  # 200 MiB


class Sink:
    """A server that takes messages and keeps nothing of them; ``size`` is that of the last."""

    def __init__(self, way: str) -> None:
        self.size = 0
        self._keywords = WAYS[way]

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncGenerator[SMTP]:
        ours, theirs = memory_pair(allow_half_open=True)
        serving = asyncio.create_task(self._serve(theirs))
        async with SMTP(ours, hostname="client.example") as smtp:
            yield smtp
        await serving

    async def _serve(self, end: Socket) -> None:
        await end.write(b"220 sink\r\n")
        while (line := await end.read_until()) != b"QUIT\r\n":
            verb = line[:4]
            if verb == b"EHLO":
                lines = [f"250-{word}\r\n" for word in ("sink", *self._keywords)]
                await end.write("".join(lines).encode() + b"250 HELP\r\n")
            elif verb == b"DATA":
                await end.write(b"354 go\r\n")
                await self._take_mail_data(end)
                await end.write(b"250 ok\r\n")
            elif verb == b"BDAT":
                await self._take_chunk(end, int(line.split()[1]))
                await end.write(b"250 ok\r\n")
            else:
                await end.write(b"250 ok\r\n")
        await end.write(b"221 bye\r\n")
        await end.close()

    async def _take_chunk(self, end: Socket, left: int) -> None:
        self.size += left
        while left:
            left -= len(await end.read(min(left, 65536)))

    async def _take_mail_data(self, end: Socket) -> None:
        last = b"\r\n"
        while not last.endswith(b"\r\n.\r\n"):
            data = await end.read()
            self.size += len(data)
            last = (last + data)[-5:]


async def peak_of(call: Callable[[], Awaitable[object]]) -> int:
    """Return by how many bytes the memory in use grew at most."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("way", WAYS)
async def test_a_large_message_is_streamed(way: str) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(PIECES):
            yield PIECE

    sink = Sink(way)
    async with sink.client() as smtp:
        peak = await peak_of(lambda: smtp.sendmail(SENDER, TO, pieces()))
    assert sink.size >= PIECES * len(PIECE)
    assert peak < 4 * MEBIBYTE


@pytest.mark.parametrize(
    "endless",
    [b"250-x\r\n", b"250-" + b"x" * 1000 + b"\r\n", b"x" * 1000],
    ids=["lines", "long lines", "one line"],
)
async def test_a_reply_without_end(endless: bytes) -> None:
    ours, theirs = memory_pair(allow_half_open=True)

    async def serve() -> None:
        await theirs.write(b"220 hi\r\n")
        await theirs.read_until()
        await theirs.write(b"250-hi\r\n" if endless.startswith(b"250") else b"250 ")
        with contextlib.suppress(wirekit.TransportError):
            while True:
                await theirs.write(endless * 100)
                await asyncio.sleep(0)

    async def speak() -> None:
        (error,) = await outcomes(SMTP(ours, hostname="client.example").open())
        assert isinstance(error, wirekit.MessageTooLarge)

    serving = asyncio.create_task(serve())
    assert await peak_of(speak) < 2 * MEBIBYTE
    await serving


async def test_replies_that_nobody_asked_for() -> None:
    """The first of them ends the connection; what comes behind it is not even looked at."""
    ours, theirs = memory_pair(allow_half_open=True)

    async def serve() -> None:
        await theirs.write(b"220 hi\r\n")
        await theirs.read_until()
        await theirs.write(b"250 hi\r\n")
        with contextlib.suppress(wirekit.TransportError):
            while True:
                await theirs.write(b"250 ok\r\n" * 1000)
                await asyncio.sleep(0)

    async def speak() -> None:
        async with SMTP(ours, hostname="client.example") as smtp:
            (error,) = await outcomes(smtp.noop())
            assert isinstance(error, wirekit.RemoteProtocolError)

    serving = asyncio.create_task(serve())
    assert await peak_of(speak) < 2 * MEBIBYTE
    await serving
