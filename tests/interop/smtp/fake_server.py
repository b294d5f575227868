"""A server in memory that says whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Self, cast

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.smtp import SMTP
from wirekit.sockets import AddressLike, Socket, memory_pair

STEPS = ("8BITMIME", "SMTPUTF8", "SIZE 100000000", "AUTH PLAIN LOGIN CRAM-MD5")
PIPELINING = ("PIPELINING", *STEPS)
CHUNKING = ("CHUNKING", *PIPELINING)
WAYS = {"steps": STEPS, "pipelining": PIPELINING, "chunking": CHUNKING}

END = b"."  # what the answer to the mail data is asked for by
GREETING = b""

Answer = Callable[[bytes], bytes | None]


def usual(_line: bytes) -> None:
    """Answer everything as a server would."""


class Cut:
    """Where a session ends: after so many bytes from the server, in order or by a reset."""

    def __init__(self, after: int, *, reset: bool) -> None:
        self.left = after
        self.reset = reset


class FakeServer:
    """A server in memory; it is the connector that leads to itself.

    Args:
        answer: from a command's line, `END` or `GREETING` to the bytes of the reply; b"" for none,
            None for the usual one.
        keywords: what EHLO is answered.
        fragment: bytes that arrive at the client at a time.
        cut: ends each session early.
        hasty: throws away what came together with a command, as a server does that offers
            PIPELINING and cannot do it.

    Attributes:
        lines: the commands that came.
        mails: the content of those that were accepted, whether the client learnt it or not.
    """

    def __init__(
        self,
        answer: Answer = usual,
        *,
        keywords: Sequence[str] = CHUNKING,
        fragment: int | None = None,
        cut: Cut | None = None,
        hasty: bool = False,
    ) -> None:
        self.lines: list[bytes] = []
        self.mails: list[bytes] = []
        self.sockets: list[Socket] = []  # the server's ends
        self._answer = answer
        self._keywords = keywords
        self._fragment = fragment
        self._cut = cut
        self._hasty = hasty
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, address: AddressLike) -> Socket:
        return self.socket()

    def socket(self) -> Socket:
        """Return a socket to this server."""
        ours, theirs = memory_pair(fragment=self._fragment, allow_half_open=True)
        self.sockets.append(theirs)
        task = asyncio.create_task(self._serve(theirs))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return ours

    def client(self, **settings: Any) -> SMTP:
        """Return a client that comes back."""
        settings = {"hostname": "client.example", "timeout": 5.0, **settings}
        return SMTP(connector=self, address="server:587", **settings)

    def client_on_socket(self, **settings: Any) -> SMTP:
        """Return a client that does not come back."""
        settings = {"hostname": "client.example", "timeout": 5.0, **settings}
        return SMTP(self.socket(), **settings)

    async def write(self, data: bytes) -> None:
        """Send something of the server's own accord."""
        await self.sockets[-1].write(data)

    async def aclose(self) -> None:
        for socket in self.sockets:
            socket.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        task.result()  # a mistake in the test itself

    async def _serve(self, socket: Socket) -> None:
        with contextlib.suppress(wirekit.TransportError):
            if await self._reply(socket, GREETING, b"220 fake\r\n"):
                await self._commands(socket)
            await socket.close()

    async def _commands(self, socket: Socket) -> None:
        waiting: bytes = b""
        accepted = 0
        content = b""
        while data := await socket.read():
            waiting += data
            while b"\r\n" in waiting:
                line, waiting = _first_line(waiting)
                if self._hasty:
                    waiting = b""
                self.lines.append(line)
                verb = line[:4].upper()
                usual = self._usual(verb, accepted=accepted)
                if verb in (b"MAIL", b"RSET"):
                    accepted, content = 0, b""
                last = False
                if verb == b"BDAT":
                    words = line.split(b" ")
                    waiting, piece = await _take(socket, waiting, int(words[1]))
                    content += piece
                    last = words[2:] == [b"LAST"]
                    usual = usual if accepted else b"554 nobody\r\n"
                    line = END if last else line
                reply = self._answer(line)
                reply = usual if reply is None else reply
                if verb == b"RCPT":
                    accepted += reply.startswith(b"2")
                if last and accepted and reply.startswith(b"2"):
                    self.mails.append(content)
                if not await self._write(socket, reply):
                    return
                if verb == b"DATA" and reply.startswith(b"354"):
                    behind = await self._mail_data(socket, waiting, accepted=accepted)
                    if behind is None:
                        return
                    waiting = behind
                if last or verb == b"DATA":
                    accepted, content = 0, b""

    def _usual(self, verb: bytes, *, accepted: int) -> bytes:
        if verb == b"EHLO":
            shown = "\r\n250-".join(["fake.example", *self._keywords])
            return f"250-{shown}\r\n250 HELP\r\n".encode()
        if verb == b"DATA":
            return b"354 go\r\n" if accepted else b"554 nobody\r\n"
        return {b"QUIT": b"221 bye\r\n", b"AUTH": b"235 in\r\n"}.get(verb, b"250 2.0.0 ok\r\n")

    async def _mail_data(self, socket: Socket, waiting: bytes, *, accepted: int) -> bytes | None:
        """Take mail data behind a 354; return what comes behind it, None if that was all."""
        waiting, content = await _take_mail_data(socket, waiting)
        reply = self._answer(END)
        reply = b"250 2.0.0 ok\r\n" if reply is None else reply
        if reply.startswith(b"2") and accepted:
            self.mails.append(content)
        return waiting if await self._write(socket, reply) else None

    async def _reply(self, socket: Socket, line: bytes, usual: bytes) -> bool:
        reply = self._answer(line)
        return await self._write(socket, usual if reply is None else reply)

    async def _write(self, socket: Socket, reply: bytes) -> bool:
        if self._cut is not None:
            reply = reply[: self._cut.left]
            self._cut.left -= len(reply)
        if reply:
            await socket.write(reply)
        if self._cut is None or self._cut.left:
            return not reply.startswith(b"421")
        if self._cut.reset:
            transport = cast("Any", socket)._transport
            await eventually(lambda: not transport.get_write_buffer_size())  # a reset overtakes it
            socket.abort()
        return False


def _first_line(waiting: bytes) -> tuple[bytes, bytes]:
    line, _, rest = waiting.partition(b"\r\n")
    return line, rest


async def _take(socket: Socket, waiting: bytes, count: int) -> tuple[bytes, bytes]:
    while len(waiting) < count:
        waiting += await _more(socket)
    return waiting[count:], waiting[:count]


async def _take_mail_data(socket: Socket, waiting: bytes) -> tuple[bytes, bytes]:
    taken = bytearray(b"\r\n" + waiting)
    while (end := taken.find(b"\r\n.\r\n")) < 0:
        taken += await _more(socket)
    content = bytes(taken[2 : end + 2]).replace(b"\r\n.", b"\r\n")
    return bytes(taken[end + 5 :]), content.removeprefix(b".")


async def _more(socket: Socket) -> bytes:
    data = await socket.read()
    if not data:
        raise wirekit.ConnectionLost("the client went away")
    return data
