"""The floor: a bare blocking socket with prebuilt bytes.

It sends what one loop turn of the tasks would send at once, reads the answers into a buffer of
their size, and compares them as bytes; no answer becomes an object. The distance to it is the price
of a client library.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks._model import Role, WrongReply
from benchmarks.postgres._client import PostgresParticipant, Tally
from benchmarks.postgres._data import (
    LINE,
    LINES_TABLE,
    LINES_WHERE,
    SELECT_ARGUMENT,
    SELECT_ONE,
    select_lines,
)
from benchmarks.postgres._wire import (
    BIND_COMPLETE,
    COPY_DONE,
    COPY_HEADER,
    COPY_TRAILER,
    ENCODERS,
    EXECUTE,
    PARSE_COMPLETE,
    READY,
    SYNC,
    bind,
    command_complete,
    connect,
    fields,
    message,
    parse,
    query,
    read_message,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import (
        Awaitable,
        Callable,
        Hashable,
        Iterable,
        Iterator,
        Sequence,
    )

    from benchmarks._model import Address
    from benchmarks.postgres._client import Rows
    from benchmarks.postgres._data import Selection, Table

__all__ = ["Client", "Exchange"]

PIECE = 1 << 16  # bytes sent before what has come is taken in
COPY_PIECE = 1 << 18  # bytes in a CopyData; fewer and larger ones cost the server less
ROOM = 1 << 18
INT4 = [ENCODERS["int4"]]


@dataclass(frozen=True)
class Exchange:
    """Prebuilt: the bytes to send, the bytes that must come, and room for them."""

    request: bytes
    reply: bytearray
    room: bytearray

    @classmethod
    def of(cls, request: bytes, reply: bytes) -> Exchange:
        """Prepare to send ``request`` and to get ``reply``."""
        return cls(request, bytearray(reply), bytearray(len(reply)))

    def check(self) -> None:
        """Compare what came.

        Raises:
            WrongReply: it is something else.
        """
        if self.room != self.reply:
            raise WrongReply(f"the server answered {bytes(self.room[:80])!r}")

    def check_start(self) -> None:
        """Tell an error from the first bytes that came; it may be shorter than the reply.

        Raises:
            WrongReply: it is one.
        """
        if self.room[0] == ord("E"):
            self.check()


class Client(PostgresParticipant):
    """Not a library: what the machine, the kernel and the server allow."""

    name = "floor"
    role: ClassVar[Role] = "floor"
    note = "a blocking socket, prebuilt bytes out, bytes compared and no objects made"

    def __init__(self) -> None:
        self._statements: dict[str, str] = {}
        self._exchanges: dict[Hashable, Exchange] = {}

    @classmethod
    def version(cls) -> str:
        return "standard library"

    async def connect(self, address: Address) -> None:
        self._socket = connect(address)

    async def close(self) -> None:
        self._socket.close()

    async def sequential(self, count: int) -> list[Any]:
        statement = await self._prepared(SELECT_ONE)
        exchange = self._exchange(
            SELECT_ONE,
            lambda: Exchange.of(bind(statement) + EXECUTE + SYNC, _one_int4(1) + READY),
        )
        for _ in range(count):
            await self._run(exchange)
        return [1] * count

    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        statement = await self._prepared(SELECT_ARGUMENT)
        exchange = self._exchange(
            ("tasks", *arguments),
            lambda: Exchange.of(
                b"".join(_bind_int4(statement, number) + SYNC for number in arguments),
                b"".join(_one_int4(number) + READY for number in arguments),
            ),
        )
        for _ in range(each):
            await self._run(exchange)
        return [[number] * each for number in arguments]

    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        return await self.tasks(arguments, each)

    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        statement = await self._prepared(SELECT_ARGUMENT)
        exchange = self._exchange(
            ("pipeline", *arguments),
            lambda: Exchange.of(
                b"".join(_bind_int4(statement, number) for number in arguments) + SYNC,
                b"".join(map(_one_int4, arguments)) + READY,
            ),
        )
        await self._run(exchange)
        return list(arguments)

    async def fetch(self, selection: Selection) -> Rows:
        statement = await self._prepared(selection.query)
        exchange = self._exchange(
            selection.query,
            lambda: Exchange.of(bind(statement) + EXECUTE + SYNC, _selected(selection)),
        )
        await self._run(exchange)
        return _Rows(selection)

    async def copy_records(
        self, table: Table, records: Sequence[tuple[Any, ...]], share: int
    ) -> None:
        def build() -> Exchange:
            rows = b"".join(map(table.encode, records))
            data = memoryview(COPY_HEADER + rows + COPY_TRAILER)
            pieces = [data[start : start + COPY_PIECE] for start in range(0, len(data), COPY_PIECE)]
            return Exchange.of(
                query(table.copy(share))
                + b"".join(message(b"d", piece) for piece in pieces)
                + COPY_DONE,
                _copy_in_response(len(table.columns))
                + command_complete(f"COPY {len(range(0, len(records), share))}")
                + READY,
            )

        await self._run(self._exchange((table.name, len(records), share), build))

    async def insert_many(self, table: Table, records: Sequence[tuple[Any, ...]]) -> None:
        statement = await self._prepared(table.insert("$1, $2, $3"))
        await self._run(
            self._exchange(
                (table.name, len(records)),
                lambda: Exchange.of(
                    b"".join(bind(statement, table.encode(row)) + EXECUTE for row in records)
                    + SYNC,
                    (BIND_COMPLETE + command_complete("INSERT 0 1")) * len(records) + READY,
                ),
            )
        )

    async def copy_in(self, chunks: Iterable[bytes]) -> int:
        self._socket.sendall(query(f"copy {LINES_TABLE} from stdin where {LINES_WHERE}"))
        for chunk in chunks:
            self._socket.sendall(message(b"d", chunk))
        self._socket.sendall(COPY_DONE)
        bodies: dict[bytes, bytes] = {}
        while b"Z" not in bodies:
            kind, body = read_message(self._socket)
            bodies[kind] = body
        return int(bodies[b"C"].removeprefix(b"COPY ").rstrip(b"\0"))

    async def copy_out(self, count: int, tally: Tally) -> None:
        self._socket.sendall(query(f"copy ({select_lines(count)}) to stdout"))
        read_message(self._socket)  # CopyOutResponse
        around = len(COPY_DONE + command_complete(f"COPY {count}") + READY)
        around += count * len(message(b"d"))
        expected = count * len(LINE) + around
        with memoryview(bytearray(ROOM)) as room:
            while tally.length < expected:
                received = self._socket.recv_into(room)
                if not received:
                    raise WrongReply("the server closed the connection")
                tally.add(room[:received])
        tally.length -= around

    def _exchange(self, key: Hashable, build: Callable[[], Exchange]) -> Exchange:
        if key not in self._exchanges:
            self._exchanges[key] = build()
        return self._exchanges[key]

    async def _prepared(self, sql: str) -> str:
        if sql not in self._statements:
            name = f"statement {len(self._statements)}"
            await self._run(Exchange.of(parse(name, sql) + SYNC, PARSE_COMPLETE + READY))
            self._statements[sql] = name
        return self._statements[sql]

    def _run(self, exchange: Exchange) -> Awaitable[None]:
        return _blocking(self._socket, exchange)


async def _blocking(connection: socket.socket, exchange: Exchange) -> None:
    with memoryview(exchange.room) as room, memoryview(exchange.request) as request:
        received = 0
        for start in range(0, len(request), PIECE):
            connection.sendall(request[start : start + PIECE])
            if start + PIECE < len(request):
                # Else the server could wait for us to read while we wait for it to do so.
                received += _take_what_is_there(connection, room[received:])
        while received < len(room):
            count = connection.recv_into(room[received:])
            if not count:
                raise WrongReply("the server closed the connection")
            received += count
            exchange.check_start()
    exchange.check()


def _take_what_is_there(connection: socket.socket, room: memoryview) -> int:
    is_there, _, _ = select.select([connection], [], [], 0)
    return connection.recv_into(room) if is_there and room else 0


class _Rows:
    """The rows that were compared as bytes, made only when they are looked at."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def __len__(self) -> int:
        return self._selection.count

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._selection.rows()


def _bind_int4(statement: str, number: int) -> bytes:
    return bind(statement, fields(INT4, [number])) + EXECUTE


def _one_int4(number: int) -> bytes:
    return BIND_COMPLETE + message(b"D", fields(INT4, [number])) + command_complete("SELECT 1")


def _selected(selection: Selection) -> bytes:
    encode = selection.table.encode
    rows = b"".join(message(b"D", encode(row)) for row in selection.rows())
    return BIND_COMPLETE + rows + command_complete(f"SELECT {selection.count}") + READY


def _copy_in_response(columns: int) -> bytes:
    binary = b"\0\1"
    return message(b"G", b"\1" + columns.to_bytes(2) + binary * columns)
