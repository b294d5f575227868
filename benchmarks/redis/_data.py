"""The keys on the server, and a few commands sent by hand to put them there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from benchmarks._model import WrongReply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address, Scale

__all__ = [
    "BIG_KEY",
    "KEYS",
    "LIST_KEY",
    "command",
    "connect",
    "encoded",
    "items",
    "prepare",
    "read_line",
    "receive",
    "server_version",
    "value_of",
]

KEYS = [f"key:{number:04}" for number in range(1000)]
LIST_KEY = "list"
BIG_KEY = "big"

BATCH = 1000


def value_of(key: str) -> bytes:
    """Return the 16-byte value that ``key`` holds; no two keys hold the same."""
    return f"value of {key}".rjust(16).encode()[-16:]


def items(count: int) -> list[bytes]:
    """Return the 16-byte items of the list."""
    return [f"item {number:011}".encode() for number in range(count)]


def command(*arguments: bytes | str) -> bytes:
    """Encode one command, which is an array of bulk strings on the wire."""
    return encoded(
        [argument.encode() if isinstance(argument, str) else argument for argument in arguments]
    )


def encoded(strings: Sequence[bytes]) -> bytes:
    """Encode an array of bulk strings (the Redis serialization protocol, "Arrays")."""
    parts = [b"*%d\r\n" % len(strings)]
    for string in strings:
        parts += [b"$%d\r\n" % len(string), string, b"\r\n"]
    return b"".join(parts)


def connect(address: Address) -> socket.socket:
    """Return a connected blocking socket."""
    connection = socket.create_connection(address, timeout=120)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection: socket.socket, expected: bytes) -> None:
    """Read exactly ``expected``.

    Raises:
        WrongReply: other bytes came, or the connection ended.
    """
    received = bytearray()
    while len(received) < len(expected):
        chunk = connection.recv(1 << 18)
        if not chunk:
            raise WrongReply("the server closed the connection")
        received += chunk
    if bytes(received) != expected:
        raise WrongReply(f"the server answered {bytes(received[:80])!r}")


def prepare(address: Address, scale: Scale) -> None:
    """Put every key that the workloads read on an otherwise empty server."""
    with connect(address) as connection:
        connection.sendall(command("FLUSHALL"))
        receive(connection, b"+OK\r\n")
        connection.sendall(b"".join(command("SET", key, value_of(key)) for key in KEYS))
        receive(connection, b"+OK\r\n" * len(KEYS))
        everything = items(scale.list_items)
        for start in range(0, len(everything), BATCH):
            batch = everything[start : start + BATCH]
            connection.sendall(command("RPUSH", LIST_KEY, *batch))
            receive(connection, b":%d\r\n" % (start + len(batch)))


def read_line(connection: socket.socket) -> bytes:
    """Read one line, byte by byte so that nothing after it is taken; the line end is cut off.

    Raises:
        WrongReply: the line is an error, or the connection ended.
    """
    line = bytearray()
    while not line.endswith(b"\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise WrongReply("the server closed the connection")
        line += byte
    if line.startswith(b"-"):
        raise WrongReply(line.decode().strip())
    return bytes(line[:-2])


def server_version(address: Address) -> str:
    """Return the server's name and version, such as ``"Redis 7.0.15"``, from its INFO."""
    with connect(address) as connection:
        connection.sendall(command("INFO", "server"))
        length = int(read_line(connection)[1:])
        text = bytearray()
        while len(text) < length:
            text += connection.recv(length - len(text))
    fields = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    if "valkey_version" in fields:
        return f"Valkey {fields['valkey_version']}"
    return f"Redis {fields['redis_version']}"
