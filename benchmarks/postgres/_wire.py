"""Messages of the protocol made by hand, for the floor and to fill the tables.

Sections named are those of chapter 55 of the PostgreSQL documentation, "Frontend/Backend Protocol".
"""

from __future__ import annotations

import datetime
import socket
import struct
from typing import TYPE_CHECKING, Any

from benchmarks._model import WrongReply

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from benchmarks._model import Address

__all__ = [
    "BIND_COMPLETE",
    "COPY_DONE",
    "COPY_HEADER",
    "COPY_TRAILER",
    "DATABASE",
    "ENCODERS",
    "EXECUTE",
    "PARSE_COMPLETE",
    "READY",
    "SYNC",
    "USER",
    "bind",
    "command_complete",
    "connect",
    "fields",
    "message",
    "parse",
    "query",
    "read_message",
    "simple_query",
]

USER = DATABASE = "postgres"

PROTOCOL_VERSION = 3 << 16
TIMEOUT = 30  # seconds in which the server must send or take something

EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)

NUMERIC_BASE = 10_000  # of a digit on the wire
NUMERIC_POSITIVE, NUMERIC_NEGATIVE = 0x0000, 0x4000
INT4_OID = 23

_int2 = struct.Struct("!h").pack
_int4 = struct.Struct("!i").pack


def message(kind: bytes, body: bytes | memoryview = b"") -> bytes:
    """Return one message: its kind, and its length, which counts itself."""
    return b"".join((kind, _int4(len(body) + 4), body))


SYNC = message(b"S")
EXECUTE = message(b"E", b"\0" + _int4(0))  # the unnamed portal, all rows
COPY_DONE = message(b"c")
PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
READY = message(b"Z", b"I")
# "File Formats, Binary Format" on the page of COPY.
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = _int2(-1)


def query(sql: str) -> bytes:
    """Return a Query."""
    return message(b"Q", sql.encode() + b"\0")


def parse(statement: str, sql: str) -> bytes:
    """Return a Parse that leaves the types of the parameters to the server."""
    return message(b"P", f"{statement}\0{sql}\0".encode() + _int2(0))


def bind(statement: str, parameters: bytes = _int2(0)) -> bytes:
    """Return a Bind to the unnamed portal; `fields` makes ``parameters``, all is binary."""
    every_one_binary = _int2(1) + _int2(1)
    name = f"\0{statement}\0".encode()
    return message(b"B", name + every_one_binary + parameters + every_one_binary)


def command_complete(tag: str) -> bytes:
    """Return a CommandComplete."""
    return message(b"C", tag.encode() + b"\0")


def fields(encoders: Sequence[Callable[[Any], bytes]], values: Sequence[Any]) -> bytes:
    """Return how many fields there are, and each with its length.

    So they stand in Bind, in DataRow and in a tuple of a binary COPY.
    """
    parts = [_int2(len(values))]
    for encode, value in zip(encoders, values, strict=True):
        field = encode(value)
        parts += [_int4(len(field)), field]
    return b"".join(parts)


def _numeric(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    assert exponent % 4 == 0, "as many places as whole wire digits"
    rest = int("".join(map(str, digits)))
    groups: list[int] = []
    while rest:
        rest, group = divmod(rest, NUMERIC_BASE)
        groups.insert(0, group)
    weight = len(groups) - 1 + exponent // 4
    while groups and groups[-1] == 0:
        groups.pop()
    sign_field = NUMERIC_NEGATIVE if sign else NUMERIC_POSITIVE
    head = struct.pack("!hhHh", len(groups), weight if groups else 0, sign_field, -exponent)
    return head + b"".join(map(_int2, groups))


def _timestamptz(value: datetime.datetime) -> bytes:
    return struct.pack("!q", (value - EPOCH) // datetime.timedelta(microseconds=1))


def _date(value: datetime.date) -> bytes:
    return _int4((value - EPOCH.date()).days)


def _uuid(value: uuid.UUID) -> bytes:
    return value.bytes


def _int4_array(values: Sequence[int]) -> bytes:
    no_nulls, first_index = 0, 1
    head = struct.pack("!iiiii", 1, no_nulls, INT4_OID, len(values), first_index)
    return head + b"".join(_int4(4) + _int4(value) for value in values)


# The binary form of each type, as its ``…send`` function on the server writes it.
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "int4": _int4,
    "int8": struct.Struct("!q").pack,
    "float8": struct.Struct("!d").pack,
    "bool": struct.Struct("!?").pack,
    "text": str.encode,
    "numeric(12,4)": _numeric,
    "timestamptz": _timestamptz,
    "date": _date,
    "uuid": _uuid,
    "int4[]": _int4_array,
}


def connect(address: Address) -> socket.socket:
    """Return a blocking socket on which the server is ready for queries ("Start-up").

    Raises:
        WrongReply: the server did not let us in.
    """
    connection = socket.create_connection(address, timeout=TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    parameters = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    connection.sendall(_int4(8 + len(parameters)) + _int4(PROTOCOL_VERSION) + parameters)
    while read_message(connection)[0] != b"Z":
        pass
    return connection


def read_message(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read one message and not a byte more; return its kind and body.

    Raises:
        WrongReply: it is an error, or the connection ended.
    """
    head = _read(connection, 5)
    body = _read(connection, int.from_bytes(head[1:]) - 4)
    if head[:1] == b"E":
        # Each field is a letter and a string; V is the severity and M the text.
        told = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0")}
        raise WrongReply(f"{told.get(b'V')}: {told.get(b'M')}")
    return head[:1], body


def _read(connection: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise WrongReply("the server closed the connection")
        received += chunk
    return bytes(received)


def simple_query(connection: socket.socket, sql: str) -> list[list[str]]:
    """Run a simple query and return its rows as text; null is the empty string.

    Raises:
        WrongReply: the server answered with an error.
    """
    connection.sendall(query(sql))
    rows: list[list[str]] = []
    while True:
        kind, body = read_message(connection)
        if kind == b"Z":
            return rows
        if kind == b"D":
            rows.append(_text_fields(body))


def _text_fields(body: bytes) -> list[str]:
    texts: list[str] = []
    position = 2
    for _ in range(int.from_bytes(body[:2])):
        (length,) = struct.unpack_from("!i", body, position)
        start, position = position + 4, position + 4 + max(length, 0)
        texts.append(body[start:position].decode())
    return texts
