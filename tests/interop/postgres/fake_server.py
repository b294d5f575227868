from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, cast

import wirekit
from tests.interop.postgres.helpers import eventually
from tests.protocols.postgres import _server as wire
from wirekit.adapters import postgres
from wirekit.sockets import AddressLike, Socket, memory_pair

scramp: Any = importlib.import_module("scramp")  # which has no types

PASSWORD = "a secret password"

# From a message's type and body to the bytes that answer it; None for the usual ones.
Answer = Callable[[bytes, bytes], Any]
Login = Callable[["Session"], Awaitable[object]]


@dataclass(frozen=True)
class Table:
    """What a query is answered with."""

    columns: Sequence[bytes] = ()
    rows: Sequence[bytes] = ()
    parameters: Sequence[int] = ()
    tag: str = "SELECT 1"


TABLES = {
    "SELECT a, b": Table(
        [wire.column("a"), wire.column("b", wire.TEXT, size=-1)],
        [wire.data_row(1, b"x"), wire.data_row(None, b"")],
    ),
    "SELECT $1": Table([wire.column("a")], [wire.data_row(42)], [wire.INT4]),
    "BEGIN": Table(tag="BEGIN"),
}


class Spoiler:
    """What becomes of the bytes on their way to the client."""

    over = False  # whether the connection ends behind them

    def __call__(self, data: bytes) -> bytes:
        return data


class Cut(Spoiler):
    """Ends each session after so many bytes, in order or by a reset."""

    def __init__(self, after: int, *, reset: bool = False) -> None:
        self.left = after
        self.reset = reset

    def __call__(self, data: bytes) -> bytes:
        data = data[: self.left]
        self.left -= len(data)
        self.over = self.left == 0
        return data


class Change(Spoiler):
    """Changes the byte at an offset."""

    def __init__(self, offset: int, change: Callable[[int], int]) -> None:
        self.offset = offset
        self.change = change

    def __call__(self, data: bytes) -> bytes:
        offset, self.offset = self.offset, self.offset - len(data)
        if not 0 <= offset < len(data):
            return data
        return data[:offset] + bytes([self.change(data[offset])]) + data[offset + 1 :]


class Recorder(Spoiler):
    """Keeps everything."""

    def __init__(self) -> None:
        self.data = b""

    def __call__(self, data: bytes) -> bytes:
        self.data += data
        return data


async def trust(session: Session) -> None:
    await session.write(wire.AUTHENTICATION_OK)
    for name, value in (("server_version", "18.1"), ("client_encoding", "UTF8")):
        await session.write(wire.parameter_status(name, value))
    await session.write(wire.backend_key_data() + wire.ready_for_query())


async def scram(session: Session) -> None:
    """Log the user in by SCRAM-SHA-256."""
    mechanism = scramp.ScramMechanism()
    information = mechanism.make_auth_info(PASSWORD, iteration_count=4096)

    def find(user: str) -> Any:
        return information

    exchange = mechanism.make_server(find)
    await session.write(wire.authentication_sasl("SCRAM-SHA-256"))
    _, body = await session.message()
    exchange.set_client_first(body[body.index(b"\0") + 5 :].decode())
    await session.write(wire.authentication_sasl_continue(exchange.get_server_first().encode()))
    _, body = await session.message()
    try:
        exchange.set_client_final(body.decode())
    except scramp.ScramException:
        await session.write(wire.error_response("no", code="28P01", severity="FATAL"))
        raise _Over from None
    await session.write(wire.authentication_sasl_final(exchange.get_server_final().encode()))
    await trust(session)


class _Over(EOFError):
    """The session ends here."""


class FakeServer:
    """A server in memory; it is the connector that leads to itself.

    Args:
        answer: see `Answer`; may be async.
        login: what happens behind the StartupMessage.
        spoil: makes a session's `Spoiler`.
        encryption: the answer to SSLRequest.
        fragment: bytes that arrive at the client at a time.
        tables: by their queries.
    """

    def __init__(
        self,
        answer: Answer = lambda kind, body: None,
        *,
        login: Login = trust,
        spoil: Callable[[], Spoiler] = Spoiler,
        encryption: bytes = b"N",
        fragment: int | None = None,
        tables: dict[str, Table] | None = None,
    ) -> None:
        self.sockets: list[Socket] = []  # the server's ends
        self.cancelled: list[bytes] = []  # what CancelRequests said
        self.startups: list[bytes] = []
        self.received: list[tuple[bytes, bytes]] = []
        self.answer: Answer = answer
        self.login = login
        self.spoil = spoil
        self.encryption = encryption
        self.tables = TABLES if tables is None else tables
        self._fragment = fragment
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, address: AddressLike) -> Socket:
        ours, theirs = memory_pair(fragment=self._fragment, allow_half_open=True)
        self.sockets.append(theirs)
        task = asyncio.create_task(self.serve(theirs))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return ours

    async def connect(self, **settings: Any) -> Any:
        """Return a client of this server."""
        settings = {"ssl": "disable", "password": PASSWORD, "timeout": 20, **settings}
        return await postgres.connect(
            host="server", user="somebody", database="d", connector=self, **settings
        )

    async def write(self, data: bytes) -> None:
        """Send something to the first client of the server's own accord; it arrives at once."""
        await self.sockets[0].write(data)

    async def aclose(self) -> None:
        for socket in self.sockets:
            socket.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # a mistake in the test itself

    async def serve(self, socket: Socket) -> None:
        """Serve on a socket until it ends."""
        with contextlib.suppress(wirekit.TransportError, EOFError):
            await Session(self, socket, self.spoil()).run()
            await socket.close()


@dataclass
class Session:
    """One connection, from the server's side."""

    server: FakeServer
    socket: Socket
    spoiler: Spoiler
    statements: dict[str, str] = field(default_factory=dict[str, str])
    statement: str = ""  # which is bound
    status: str = "I"
    failed: bool = False

    async def run(self) -> None:
        while True:
            body = await self._body()
            code = int.from_bytes(body[:4], "big")
            if code >> 16 == 3:
                break
            if code == 80877102:
                self.server.cancelled.append(body[4:])
                return
            await self.write(self.server.encryption)
        self.server.startups.append(body)
        await self.server.login(self)
        while True:
            kind, body = await self.message()
            if kind == b"X":
                return
            self.server.received.append((kind, body))
            answer = self.server.answer(kind, body)
            if inspect.isawaitable(answer):
                answer = await answer
            await self.write(self.usual(kind, body) if answer is None else answer)

    async def _body(self) -> bytes:
        length = int.from_bytes(await self.socket.read_exactly(4), "big")
        return await self.socket.read_exactly(length - 4)

    async def message(self) -> tuple[bytes, bytes]:
        """Return the type and the body of the next message."""
        kind = await self.socket.read_exactly(1)
        return kind, await self._body()

    async def write(self, data: bytes) -> None:
        data = self.spoiler(data)
        if data:
            await self.socket.write(data)
        if not self.spoiler.over:
            return
        if isinstance(self.spoiler, Cut) and self.spoiler.reset:
            transport = cast("Any", self.socket)._transport
            await eventually(lambda: not transport.get_write_buffer_size())  # a reset overtakes it
            self.socket.abort()
        else:
            await self.socket.close()
        raise _Over

    def usual(self, kind: bytes, body: bytes) -> bytes:
        """Return what PostgreSQL would say."""
        if kind == b"S":
            self.failed = False
            return wire.ready_for_query(self.status)
        if self.failed:
            return b""
        if kind == b"P":
            name, query = (part.decode() for part in body.split(b"\0")[:2])
            self.statements[name] = query
            if query not in self.server.tables:
                return self._fail(f"there is no answer to {query}")
            return wire.PARSE_COMPLETE
        if kind == b"D":
            table = self.server.tables[self.statements[body[1:-1].decode()]]
            return wire.statement_answer(table.parameters, table.columns)[5:-6]
        if kind == b"B":
            self.statement = self.statements[body.split(b"\0")[1].decode()]
            return wire.BIND_COMPLETE
        if kind == b"E":
            return self._result(self.statement)
        if kind == b"C":
            return wire.CLOSE_COMPLETE
        if kind == b"Q":
            return self._simple(body[:-1].decode())
        return b""

    def _result(self, query: str) -> bytes:
        table = self.server.tables[query]
        if table.tag == "BEGIN":
            self.status = "T"
        elif table.tag in ("COMMIT", "ROLLBACK"):
            self.status = "I"
        return b"".join(table.rows) + wire.command_complete(table.tag)

    def _simple(self, query: str) -> bytes:
        query = query.rstrip(";")
        if query not in self.server.tables:
            return wire.error_response(code="42601") + wire.ready_for_query(self.status)
        columns = self.server.tables[query].columns
        described = wire.row_description(*columns) if columns else b""
        result = self._result(query)
        return described + result + wire.ready_for_query(self.status)

    def _fail(self, text: str) -> bytes:
        self.failed = True
        return wire.error_response(text, code="42601")
