from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from typing import Any, Self, cast

import wirekit
from tests.interop.redis.helpers import Client, eventually, new_client
from wirekit.protocols.resp import Codec, SimpleString, encode
from wirekit.sockets import AddressLike, Socket, memory_pair

Command = list[bytes]
Answer = Callable[[Command], Any]

OK = encode(SimpleString(b"OK"))
PONG = b"+PONG\r\n"
NULL = b"_\r\n"
HELLO = encode({b"server": b"redis", b"version": b"7.2.0", b"proto": 3, b"id": 7})


def echo_server(command: Command) -> bytes:
    return encode(command[-1])


class Cut:
    """Where a session ends: after so many bytes from the server, in order or by a reset."""

    def __init__(self, after: int, *, reset: bool) -> None:
        self.left = after
        self.reset = reset


class FakeServer:
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
        self.received: list[Command] = []
        self.sockets: list[Socket] = []  # the server's ends
        self.cut = cut
        self._answer = answer
        self._opening = opening or _usual_opening
        self._fragment = fragment
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

    def client(self, **settings: Any) -> Client:
        """Return a client that comes back."""
        return new_client(connector=self, address="server:6379", **settings)

    def client_on_socket(self, **settings: Any) -> Client:
        """Return a client that does not come back."""
        return new_client(self.socket(), **settings)

    async def write(self, data: bytes) -> None:
        """Send something of the server's own accord; it arrives as one chunk."""
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
        codec = Codec()
        opened = self._opening is not _usual_opening  # an opening ends with a PING
        with contextlib.suppress(wirekit.TransportError):
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
                    if not await self._write(socket, reply):
                        return
            await socket.close()

    async def _write(self, socket: Socket, reply: bytes) -> bool:
        if self.cut is not None:
            reply = reply[: self.cut.left]
            self.cut.left -= len(reply)
        if reply:
            await socket.write(reply)
        if self.cut is None or self.cut.left:
            return True
        if self.cut.reset:
            transport = cast("Any", socket)._transport
            await eventually(lambda: not transport.get_write_buffer_size())  # a reset overtakes it
            socket.abort()
        else:
            await socket.close()
        return False


def _usual_opening(command: Command) -> bytes | None:
    if command[0] == b"HELLO":
        return HELLO
    if command[:2] in ([b"CLIENT", b"SETINFO"], [b"CLIENT", b"TRACKING"]):
        return OK
    if command[:2] == [b"CLIENT", b"ID"]:
        return b":7\r\n"
    return None
