"""The floor: a bare blocking socket with prebuilt bytes.

It sends what one loop turn of the tasks would send at once, reads the replies into a buffer of
their size, and compares them as bytes; no reply becomes an object. The distance to it is the price
of a client library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks._model import Role, WrongReply
from benchmarks.redis._client import RedisParticipant
from benchmarks.redis._data import command, connect, encoded, items, read_line, value_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from benchmarks._model import Address

__all__ = ["Client"]


@dataclass(frozen=True)
class _Exchange:
    """Prebuilt: the bytes to send, the bytes that must come, and room for them."""

    request: bytes
    reply: bytearray
    room: bytearray

    @classmethod
    def of(cls, request: bytes, reply: bytes) -> _Exchange:
        return cls(request, bytearray(reply), bytearray(len(reply)))

    def run(self, connection: socket.socket) -> None:
        connection.sendall(self.request)
        _fill(connection, self.room)
        if self.room != self.reply:
            raise WrongReply(f"the server answered {bytes(self.room[:80])!r}")


class Client(RedisParticipant):
    """Not a library: what the machine, the kernel and the server allow."""

    name = "floor"
    role: ClassVar[Role] = "floor"
    note = "a blocking socket, prebuilt bytes out, bytes compared and no objects made"

    def __init__(self) -> None:
        self._gets: dict[tuple[str, ...], _Exchange] = {}
        self._lists: dict[str, tuple[_Exchange, list[bytes]]] = {}

    @classmethod
    def version(cls) -> str:
        return "standard library"

    async def connect(self, address: Address) -> None:
        self._socket = connect(address)

    async def close(self) -> None:
        self._socket.close()

    async def sequential(self, key: str, count: int) -> list[Any]:
        exchange = self._get_all([key])
        for _ in range(count):
            exchange.run(self._socket)
        return [value_of(key)] * count

    async def tasks(self, keys: Sequence[str], each: int) -> list[list[Any]]:
        exchange = self._get_all(keys)
        for _ in range(each):
            exchange.run(self._socket)
        return [[value_of(key)] * each for key in keys]

    async def tasks_by_execute(self, keys: Sequence[str], each: int) -> list[list[Any]]:
        return await self.tasks(keys, each)

    async def pipeline(self, keys: Sequence[str]) -> Sequence[Any]:
        self._get_all(keys).run(self._socket)
        return [value_of(key) for key in keys]

    async def lrange(self, key: str) -> Sequence[Any]:
        if key not in self._lists:
            self._socket.sendall(command("LLEN", key))
            expected = items(int(read_line(self._socket)[1:]))
            request = command("LRANGE", key, "0", "-1")
            self._lists[key] = (_Exchange.of(request, encoded(expected)), expected)
        exchange, expected = self._lists[key]
        exchange.run(self._socket)
        return expected

    async def set_value(self, key: str, value: bytes) -> None:
        header = command("SET", key, b"")[: -len(b"$0\r\n\r\n")] + b"$%d\r\n" % len(value)
        self._socket.sendall(header)
        self._socket.sendall(value)
        self._socket.sendall(b"\r\n")
        read_line(self._socket)

    async def get_value(self, key: str) -> bytearray:
        self._socket.sendall(command("GET", key))
        value = bytearray(int(read_line(self._socket)[1:]))
        _fill(self._socket, value)
        read_line(self._socket)
        return value

    def _get_all(self, keys: Sequence[str]) -> _Exchange:
        names = tuple(keys)
        if names not in self._gets:
            request = b"".join(command("GET", name) for name in names)
            reply = b"".join(b"$16\r\n%s\r\n" % value_of(name) for name in names)
            self._gets[names] = _Exchange.of(request, reply)
        return self._gets[names]


def _fill(connection: socket.socket, room: bytearray) -> None:
    with memoryview(room) as view:
        received = 0
        while received < len(room):
            count = connection.recv_into(view[received:])
            if not count:
                raise WrongReply("the server closed the connection")
            received += count
