"""A server that follows a script, at the other end of a pair of sockets in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from wirekit.adapters.smtp._bodies import Body
from wirekit.adapters.smtp._connection import Connection
from wirekit.adapters.smtp._envelope import DEFAULT_OPTIONS, Envelope, Mail, Options, make_envelope
from wirekit.adapters.smtp._queue import Queue
from wirekit.adapters.smtp._settings import Settings, open_connection
from wirekit.adapters.smtp._transaction import Transaction
from wirekit.sockets import memory_pair

PIPELINING = ("PIPELINING", "8BITMIME")
CHUNKING = ("PIPELINING", "CHUNKING", "8BITMIME")

MAIL = b"MAIL FROM:<a@example.org>\r\n"
RCPT = b"RCPT TO:<b@example.org>\r\n"
MESSAGE = b"Subject: x\r\n\r\nHello\r\n"


class Server:
    """The server's end."""

    def __init__(self, **options: Any) -> None:
        self.client, self.socket = memory_pair(allow_half_open=True, **options)

    async def expect(self, expected: bytes) -> None:
        """Take from the client what it has to send now."""
        async with asyncio.timeout(5):
            got = await self.socket.read_exactly(len(expected))
        assert got == expected

    async def say(self, *lines: str) -> None:
        """Send lines."""
        await self.socket.write("".join(f"{line}\r\n" for line in lines).encode())

    async def answer(self, expected: bytes, *lines: str) -> None:
        """Take something and answer it."""
        await self.expect(expected)
        await self.say(*lines)

    async def hello(self, *keywords: str, lmtp: bool = False) -> None:
        """Greet, and tell what the server can do."""
        await self.say("220 ready")
        await self.expect(b"LHLO client.example\r\n" if lmtp else b"EHLO client.example\r\n")
        await self.say(*ehlo_lines(*keywords))

    async def nothing_comes(self) -> None:
        """Make sure that the client sends nothing now."""
        for _ in range(10):
            await asyncio.sleep(0)
        assert not self.socket.readable._buffer  # pyright: ignore[reportPrivateUsage]

    def abort(self) -> None:
        self.client.abort()
        self.socket.abort()


def ehlo_lines(*keywords: str) -> list[str]:
    """Return the reply to EHLO."""
    lines = ["server.example", *keywords]
    return [f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines]


async def open_queue(
    *keywords: str, lmtp: bool = False, pair: dict[str, Any] | None = None, **settings: Any
) -> tuple[Queue, Server]:
    """Return an open connection, and its server."""
    server = Server(**(pair or {}))
    opening = asyncio.create_task(
        open_connection(server.client, Settings(hostname="client.example", lmtp=lmtp, **settings))
    )
    await server.hello(*keywords, lmtp=lmtp)
    return await opening, server


def envelope(
    queue: Queue,
    *recipients: str,
    sender: str = "a@example.org",
    options: Options = DEFAULT_OPTIONS,
) -> Envelope:
    mail = Mail(sender, recipients or ["b@example.org"], b"", options=options)
    return make_envelope(mail, Body(b"", size=None), queue.capabilities)


def submit(
    queue: Queue, body: Body | bytes = MESSAGE, *recipients: str, **options: Any
) -> Transaction:
    """Submit a mail."""
    if isinstance(body, bytes):
        body = Body(body)
    transaction = Transaction(queue, envelope(queue, *recipients, **options), body)
    queue.submit(transaction)
    return transaction


__all__ = [
    "CHUNKING",
    "MAIL",
    "MESSAGE",
    "PIPELINING",
    "RCPT",
    "Connection",
    "Server",
    "ehlo_lines",
    "envelope",
    "open_queue",
    "submit",
]
