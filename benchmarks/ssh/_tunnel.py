"""Bytes, Redis and Postgres through the tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.ssh._data import BLOCK, ENDING

if TYPE_CHECKING:
    from benchmarks.ssh._client import SSHParticipant

__all__ = ["download", "upload"]

CHUNK = 256 * 1024
REPLY = 64  # bytes at most


async def download(client: SSHParticipant, size: int) -> tuple[int, bytes]:
    """Have so many bytes sent; return how many came, and the last of them."""
    async with await client.tunnel(client.server.ports["stream"]) as socket:
        await socket.write(b"get %d\n" % size)
        count, ending = 0, b""
        while count < size and (chunk := await socket.read(CHUNK)):
            count += len(chunk)
            ending = (ending + chunk[-len(ENDING) :])[-len(ENDING) :]
    return count, ending


async def upload(client: SSHParticipant, size: int) -> tuple[int, bytes]:
    """Send so many bytes; return how many the server says came, and the last of them."""
    async with await client.tunnel(client.server.ports["stream"]) as socket:
        await socket.write(b"put %d\n" % size)
        left = size - len(ENDING)
        while left:
            block = BLOCK[:left]
            await socket.write(block)
            left -= len(block)
        await socket.write(ENDING)
        count, _, ending = (await socket.read_until(b"\n", REPLY)).rstrip(b"\n").partition(b" ")
    return int(count), ending
