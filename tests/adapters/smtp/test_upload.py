from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.interop.waiting import turns
from wirekit.adapters.smtp import SMTPNotSupported
from wirekit.adapters.smtp._bodies import Body
from wirekit.adapters.smtp._upload import Upload
from wirekit.protocols import smtp

from ._script import CHUNKING, MAIL, RCPT, Server, open_queue
from .test_transaction import bdat

CHUNK = b"x" * 65536


class Source:
    """Chunks, one after another; ``taken`` counts them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self.closed = False

    async def pieces(self) -> AsyncGenerator[bytes]:
        try:
            while self.taken < self.count:
                self.taken += 1
                yield CHUNK
            yield b"end"
        finally:
            self.closed = True


async def begun(source: Source, chunks: int, refused: list[None]) -> tuple[Upload, Server]:
    queue, server = await open_queue(*CHUNKING)
    connection = queue.connection
    asked = connection.ask(smtp.Mail("a@example.org"), smtp.Rcpt("b@example.org"))
    await server.answer(MAIL + RCPT, "250 ok", "250 ok")
    await asked
    upload = Upload(
        connection,
        Body(open_pieces=source.pieces),
        ascii_only=True,
        chunks=chunks,
        on_refused=lambda: refused.append(None),
    )
    return upload, server


async def test_no_more_chunks_than_allowed_wait_for_their_replies() -> None:
    source = Source(5)
    upload, server = await begun(source, 2, [])
    sending = asyncio.create_task(upload.send())
    await server.expect(bdat(CHUNK, last=False) * 2)
    await turns(10)
    assert source.taken == 2
    for _ in range(3):
        await server.say("250 ok")
        await server.expect(bdat(CHUNK, last=False))
    assert not sending.done()
    await server.say("250 ok")
    assert await sending == b"end"
    assert source.closed


async def test_a_chunk_is_refused() -> None:
    refused: list[None] = []
    source = Source(100)
    upload, server = await begun(source, 1, refused)
    sending = asyncio.create_task(upload.send())
    await server.answer(bdat(CHUNK, last=False), "452 no")
    await turns(3)
    assert len(refused) == 1
    upload.stop()  # as whoever is told does
    assert await sending is None
    assert upload.refusal is not None
    assert upload.refusal.code == 452
    assert source.closed


async def test_it_is_stopped_while_it_waits() -> None:
    source = Source(100)
    upload, server = await begun(source, 1, [])
    sending = asyncio.create_task(upload.send())
    await server.expect(bdat(CHUNK, last=False))
    upload.stop()
    assert await sending is None
    assert source.closed
    assert source.taken == 1


async def test_it_is_not_ascii() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield "ä".encode()

    queue, _ = await open_queue()
    upload = Upload(queue.connection, Body(open_pieces=pieces), ascii_only=True)
    with pytest.raises(SMTPNotSupported, match="8BITMIME"):
        await upload.send()
