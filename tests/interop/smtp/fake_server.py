"""A server in memory that says whatever a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import wirekit
from tests.interop import fake_server
from tests.interop.fake_server import Cut as Cut
from wirekit.adapters.smtp import SMTP
from wirekit.sockets import Socket

STEPS = ("8BITMIME", "SMTPUTF8", "SIZE 100000000", "AUTH PLAIN LOGIN CRAM-MD5")
PIPELINING = ("PIPELINING", *STEPS)
CHUNKING = ("CHUNKING", *PIPELINING)
WAYS = {"steps": STEPS, "pipelining": PIPELINING, "chunking": CHUNKING}

END = b"."  # what the answer to the mail data is asked for by
GREETING = b""

Answer = Callable[[bytes], bytes | None]


def usual(_line: bytes) -> None:
    """Answer everything as a server would."""


class FakeServer(fake_server.FakeServer):
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
        super().__init__(fragment=fragment, cut=cut)
        self.lines: list[bytes] = []
        self.mails: list[bytes] = []
        self._answer = answer
        self._keywords = keywords
        self._hasty = hasty

    def client(self, **settings: Any) -> SMTP:
        """Return a client that comes back."""
        settings = {"hostname": "client.example", "timeout": 5.0, **settings}
        return SMTP(connector=self, address="server:587", **settings)

    def client_on_socket(self, **settings: Any) -> SMTP:
        """Return a client that does not come back."""
        settings = {"hostname": "client.example", "timeout": 5.0, **settings}
        return SMTP(self.socket(), **settings)

    async def serve(self, socket: Socket) -> None:
        """Greet, and answer commands until the client, a 421 or the cut ends it."""
        greeting = self._answer(GREETING)
        if await self.reply(socket, b"220 fake\r\n" if greeting is None else greeting):
            await self._commands(socket)

    async def reply(self, socket: Socket, data: bytes) -> bool:
        return await super().reply(socket, data) and not data.startswith(b"421")

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
                if not await self.reply(socket, reply):
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
        return waiting if await self.reply(socket, reply) else None


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
