from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from tests.interop import fake_server
from tests.interop.fake_server import Cut as Cut
from tests.interop.redis.helpers import Client, new_client
from wirekit.protocols.resp import Codec, SimpleString, encode
from wirekit.sockets import Socket

Command = list[bytes]
Answer = Callable[[Command], Any]

OK = encode(SimpleString(b"OK"))
PONG = b"+PONG\r\n"
NULL = b"_\r\n"
HELLO = encode({b"server": b"redis", b"version": b"7.2.0", b"proto": 3, b"id": 7})


def echo_server(command: Command) -> bytes:
    return encode(command[-1])


class FakeServer(fake_server.FakeServer):
    """A server in memory; it is the connector that leads to itself.

    Args:
        answer: from a command to the bytes of its reply; b"" for none. May be async. What a client
            says at the opening is answered as Redis would, unless ``opening`` is given.
        opening: from a command to the bytes of its reply, or None for what is none of its business.
        fragment: bytes that arrive at the client at a time.
        cut: ends each session early.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        opening: Answer | None = None,
        fragment: int | None = None,
        cut: Cut | None = None,
    ) -> None:
        super().__init__(fragment=fragment, cut=cut)
        self.received: list[Command] = []
        self._answer = answer
        self._opening = opening or _usual_opening

    def client(self, **settings: Any) -> Client:
        """Return a client that comes back."""
        return new_client(connector=self, address="server:6379", **settings)

    def client_on_socket(self, **settings: Any) -> Client:
        """Return a client that does not come back."""
        return new_client(self.socket(), **settings)

    async def serve(self, socket: Socket) -> None:
        """Answer commands until the client or the cut ends it."""
        codec = Codec()
        opened = self._opening is not _usual_opening  # an opening ends with a PING
        while data := await socket.read():
            for command in cast("list[Command]", codec.receive_data(data)):
                reply: Any = self._opening(command)
                if command == [b"PING"] and not opened:
                    opened, reply = True, PONG
                if reply is None:
                    self.received.append(command)
                    reply = self._answer(command)
                if inspect.isawaitable(reply):
                    reply = await reply
                if not await self.reply(socket, reply):
                    return


def _usual_opening(command: Command) -> bytes | None:
    if command[0] == b"HELLO":
        return HELLO
    if command[:2] in ([b"CLIENT", b"SETINFO"], [b"CLIENT", b"TRACKING"]):
        return OK
    if command[:2] == [b"CLIENT", b"ID"]:
        return b":7\r\n"
    return None
