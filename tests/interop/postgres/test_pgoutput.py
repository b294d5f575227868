"""What real servers send as pgoutput, replayed: the tables that come out are those they have."""

from __future__ import annotations

import asyncio
import importlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.protocols.postgres._pgoutput import encode, raw_decoder, receive_all
from wirekit.protocols.postgres._pgoutput import PgOutputDecoder
from wirekit.protocols.postgres._pgoutput_messages import (
    UNCHANGED,
    Begin,
    BeginPrepare,
    Commit,
    CommitPrepared,
    Delete,
    Insert,
    Message,
    Origin,
    PgOutputMessage,
    Prepare,
    Relation,
    RollbackPrepared,
    Row,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    Truncate,
    Type,
    Update,
)
from wirekit.protocols.postgres._replication import (
    PrimaryKeepalive,
    StandbyStatusUpdate,
    XLogData,
    parse_lsn,
    read_replication_message,
)

if TYPE_CHECKING:
    from tests.servers import RunningServer

asyncpg: Any = importlib.import_module("asyncpg")  # which has no types

SCHEMA = """
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE item (id int PRIMARY KEY, name text, mood mood, sold bool);
    CREATE TABLE log (at int, note text);
    ALTER TABLE log REPLICA IDENTITY FULL;
    CREATE TABLE big (id int PRIMARY KEY, body text, n int);
    ALTER TABLE big ALTER body SET STORAGE EXTERNAL;
    CREATE PUBLICATION everything FOR ALL TABLES;
"""
INTEGER, BOOLEAN = 23, 16


async def connect(server: RunningServer, database: str) -> Any:
    # Decoding by SQL goes only as far as WAL was flushed.
    settings = {"synchronous_commit": "on", "logical_decoding_work_mem": "64kB"}
    return await asyncpg.connect(
        host=server.host,
        port=server.port,
        user="postgres",
        database=database,
        server_settings=settings,
    )


class Publisher:
    """A database of its own, with a slot whose changes are read by SQL."""

    def __init__(self, server: RunningServer, database: str, connection: Any) -> None:
        self.server = server
        self.database = database
        self.connection = connection
        self.execute = connection.execute

    @property
    def newest_version(self) -> int:
        return 3 if self.server.name == "postgres15" else 4

    async def changes(self, version: int, **options: str) -> list[bytes]:
        """Return the messages that have come, and forget them."""
        options = {
            "proto_version": str(version),
            "publication_names": "everything",
            "binary": "true",
            "messages": "true",
        } | options
        rows = await self.connection.fetch(
            "SELECT data FROM pg_logical_slot_get_binary_changes"
            "('slot', NULL, NULL, VARIADIC $1::text[])",
            [word for option in options.items() for word in option],
        )
        return [row["data"] for row in rows]

    async def clock(self) -> datetime:
        time: datetime = await self.connection.fetchval("SELECT clock_timestamp()")
        return time

    async def confirmed(self, slot: str) -> int:
        """Return up to where the server need not send again."""
        query = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1"
        return parse_lsn(await self.connection.fetchval(query, slot))

    async def tables(self, *names: str) -> dict[str, list[Row]]:
        """Return the rows of tables that are not empty."""
        tables = {name: await self.connection.fetch(f"SELECT * FROM {name}") for name in names}
        return {name: [dict(row) for row in rows] for name, rows in tables.items() if rows}


@pytest.fixture
async def publisher(postgres: RunningServer) -> AsyncIterator[Publisher]:
    administrator = await connect(postgres, "postgres")
    try:
        await administrator.execute("DROP DATABASE IF EXISTS pgoutput")
        await administrator.execute("CREATE DATABASE pgoutput")
        connection = await connect(postgres, "pgoutput")
        try:
            await connection.execute(SCHEMA)
            # Temporary: it goes with the connection.
            await connection.execute(
                "SELECT pg_create_logical_replication_slot('slot', 'pgoutput', true, true)"
            )
            yield Publisher(postgres, "pgoutput", connection)
        finally:
            await connection.close()
        await administrator.execute("DROP DATABASE pgoutput WITH (FORCE)")
    finally:
        await administrator.close()


def decode(type_oid: int, value_format: int, data: bytes) -> Any:
    if type_oid == INTEGER:
        return int.from_bytes(data, "big", signed=True) if value_format else int(data)
    if type_oid == BOOLEAN:
        return data == (b"\1" if value_format else b"t")
    return data.decode()


class Replica:
    """Tables that follow the messages."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {}
        self._waiting: dict[int, list[tuple[int | None, PgOutputMessage]]] = {}
        self._current: list[tuple[int | None, PgOutputMessage]] = []

    def take(self, message: PgOutputMessage) -> None:
        match message:
            case Begin() | BeginPrepare():
                self._current = []
            case StreamStart(xid):
                self._current = self._waiting.setdefault(xid, [])
            case Insert() | Update() | Delete() | Truncate():
                self._current.append((message.xid, message))
            case Commit():
                self._apply(self._current)
            case Prepare():
                self._waiting[message.xid] = self._current
            case StreamCommit(xid) | CommitPrepared(xid=xid):
                self._apply(self._waiting.pop(xid))
            case RollbackPrepared():
                del self._waiting[message.xid]
            case StreamAbort(xid, subtransaction_xid):
                kept = [
                    change
                    for change in self._waiting[xid]
                    if subtransaction_xid not in (xid, change[0])
                ]
                self._waiting[xid] = kept
            case _:
                pass

    def _apply(self, changes: list[tuple[int | None, PgOutputMessage]]) -> None:
        for _, change in changes:
            match change:
                case Insert(_, relation, new):
                    self.tables.setdefault(relation.name, []).append(new)
                case Update(_, relation, old, new):
                    replaced = self._remove(relation, new if old is None else old)
                    row = {
                        name: replaced[name] if value is UNCHANGED else value
                        for name, value in new.items()
                    }
                    self.tables.setdefault(relation.name, []).append(row)
                case Delete(_, relation, old):
                    self._remove(relation, old)
                case Truncate(_, relations):
                    for relation in relations:
                        self.tables.pop(relation.name, None)
                case _:
                    raise TypeError(change)

    def _remove(self, relation: Relation, row: Row) -> Row:
        key = [column.name for column in relation.columns if column.is_key]
        rows = self.tables[relation.name]
        for index, candidate in enumerate(rows):
            if all(candidate[name] == row[name] for name in key):
                del rows[index]
                if not rows:
                    del self.tables[relation.name]
                return candidate
        raise LookupError(row)


def by_content(tables: dict[str, list[Row]]) -> dict[str, list[str]]:
    """Return the rows in a form to compare; a new column is NULL in the rows that were there."""

    def content(row: Row) -> str:
        return repr(sorted(item for item in row.items() if item[1] is not None))

    return {name: sorted(map(content, rows)) for name, rows in tables.items()}


def replay(version: int, data: list[bytes], replica: Replica) -> list[PgOutputMessage]:
    """Let the replica follow, and make sure that the messages say all that the bytes did."""
    assert [encode(message) for message in receive_all(raw_decoder(version), data)] == data
    messages = receive_all(PgOutputDecoder(version, decode=decode), data)
    for message in messages:
        replica.take(message)
    return messages


CHANGES = """
    INSERT INTO item VALUES (1, 'tea', 'happy', true), (2, NULL, NULL, NULL), (3, '', 'sad', false);
    UPDATE item SET name = 'coffee' WHERE id = 1;
    UPDATE item SET id = 20, name = 'Käse' WHERE id = 2;
    DELETE FROM item WHERE id = 3;
    INSERT INTO log VALUES (1, 'a'), (1, 'b'), (NULL, NULL);
    UPDATE log SET note = 'c' WHERE note = 'b';
    DELETE FROM log WHERE note = 'a';
    INSERT INTO big SELECT 1, repeat('x', 10000), 1;
    UPDATE big SET n = 2;
    ALTER TABLE item ADD COLUMN weight int DEFAULT 7;
    INSERT INTO item (id) VALUES (4);
    ALTER TABLE item DROP COLUMN sold;
    UPDATE item SET weight = weight + id;
"""


@pytest.mark.parametrize("binary", ["false", "true"])
async def test_changes(publisher: Publisher, binary: str) -> None:
    began = await publisher.clock()
    for statement in CHANGES.strip().split(";\n"):
        await publisher.execute(statement)
    replica = Replica()
    messages = replay(1, await publisher.changes(1, binary=binary), replica)
    tables = await publisher.tables("item", "log", "big")
    assert by_content(replica.tables) == by_content(tables)
    assert any(UNCHANGED in m.new.values() for m in messages if isinstance(m, Update))
    assert {m.name for m in messages if isinstance(m, Type)} == {"mood"}
    times = [m.commit_time for m in messages if isinstance(m, (Begin, Commit))]
    assert began <= min(times) <= max(times) <= await publisher.clock()

    await publisher.execute("TRUNCATE item, log RESTART IDENTITY; TRUNCATE big CASCADE")
    messages = replay(1, await publisher.changes(1, binary=binary), replica)
    assert replica.tables == {} == await publisher.tables("item", "log", "big")
    truncates = [message for message in messages if isinstance(message, Truncate)]
    assert [[r.name for r in truncate.relations] for truncate in truncates] == [
        ["item", "log"],
        ["big"],
    ]
    assert [(t.cascade, t.restart_identity) for t in truncates] == [(False, True), (True, False)]


MANY = "INSERT INTO item SELECT i, repeat('n', 200), 'sad' FROM generate_series({}, {}) i;"


@pytest.mark.parametrize("streaming", ["on", "parallel"])
async def test_streamed_transactions(publisher: Publisher, streaming: str) -> None:
    version = publisher.newest_version
    if version < 4:
        streaming = "on"  # 15 knows no other
    await publisher.execute(
        "BEGIN;"
        + MANY.format(1, 300)
        + "SELECT pg_logical_emit_message(true, 'audit', 'streamed');"
        + "SAVEPOINT one;"
        + MANY.format(301, 600)
        + "ROLLBACK TO one;"
        + "ALTER TABLE item ADD COLUMN extra int;"
        + "UPDATE item SET extra = id WHERE id < 200;"
        + "INSERT INTO log VALUES (1, 'in between'); TRUNCATE log;"
        + "COMMIT"
    )
    await publisher.execute("INSERT INTO item (id, extra) VALUES (1000, 5)")
    replica = Replica()
    data = await publisher.changes(version, streaming=streaming)
    messages = replay(version, data, replica)
    assert by_content(replica.tables) == by_content(await publisher.tables("item"))
    assert len(replica.tables["item"]) == 301
    starts = [message for message in messages if isinstance(message, StreamStart)]
    assert [start.first_segment for start in starts] == [True] + [False] * (len(starts) - 1)
    assert len(starts) > 1
    aborts = [message for message in messages if isinstance(message, StreamAbort)]
    assert len(aborts) == 1
    assert (aborts[0].abort_lsn is not None) == (streaming == "parallel")
    emitted = [message for message in messages if isinstance(message, Message)]
    assert [(m.xid, m.content) for m in emitted] == [(starts[0].xid, b"streamed")]


async def test_transactions_side_by_side(publisher: Publisher) -> None:
    other = await connect(publisher.server, publisher.database)
    try:
        await other.execute("BEGIN;" + MANY.format(1, 400))
        await publisher.execute("BEGIN;" + MANY.format(1001, 1400) + "COMMIT")
        await other.execute(MANY.format(401, 800))
        await publisher.execute("INSERT INTO item (id) VALUES (2000)")
        await other.execute("UPDATE item SET name = 'short' WHERE id < 400; COMMIT")
    finally:
        await other.close()
    replica = Replica()
    replay(2, await publisher.changes(2, streaming="on"), replica)
    assert by_content(replica.tables) == by_content(await publisher.tables("item"))
    assert len(replica.tables["item"]) == 1201


@pytest.mark.parametrize("streaming", ["off", "on"])
async def test_two_phase_commit(publisher: Publisher, streaming: str) -> None:
    for number, end in enumerate(["COMMIT PREPARED", "ROLLBACK PREPARED"]):
        first = number * 1000
        await publisher.execute(
            f"BEGIN; {MANY.format(first, first + 500)} PREPARE TRANSACTION 'number {number}'"
        )
        await publisher.execute(f"{end} 'number {number}'")
    replica = Replica()
    data = await publisher.changes(3, streaming=streaming)
    messages = replay(3, data, replica)
    assert by_content(replica.tables) == by_content(await publisher.tables("item"))
    assert len(replica.tables["item"]) == 501
    # 18 does not stream the one of which it knows already that it will be rolled back.
    prepare = next(m for m in messages if isinstance(m, (Prepare, StreamPrepare)))
    assert type(prepare) is (Prepare if streaming == "off" else StreamPrepare)
    (commit,) = [message for message in messages if isinstance(message, CommitPrepared)]
    (rollback,) = [message for message in messages if isinstance(message, RollbackPrepared)]
    assert (commit.gid, commit.xid) == (prepare.gid, prepare.xid) == ("number 0", commit.xid)
    assert rollback.gid == "number 1"
    assert rollback.prepare_time <= rollback.rollback_time


async def test_messages(publisher: Publisher) -> None:
    await publisher.execute(
        "BEGIN; SELECT pg_logical_emit_message(true, 'inside', '\\x00ff'::bytea);"
        "SELECT pg_logical_emit_message(false, 'outside', ''); COMMIT"
    )
    messages = replay(1, await publisher.changes(1), Replica())
    emitted = [message for message in messages if isinstance(message, Message)]
    assert [(m.transactional, m.prefix, m.content) for m in emitted] == [
        (False, "outside", b""),
        (True, "inside", b"\0\xff"),
    ]
    assert messages.index(emitted[0]) == 0


async def test_origins(publisher: Publisher) -> None:
    await publisher.execute(
        "SELECT pg_replication_origin_create('elsewhere');"
        "SELECT pg_replication_origin_session_setup('elsewhere');"
    )
    try:
        await publisher.execute(
            "BEGIN; SELECT pg_replication_origin_xact_setup('16/B374D848', '2020-02-29 12:00Z');"
            "INSERT INTO item (id) VALUES (1); COMMIT"
        )
    finally:
        await publisher.execute(
            "SELECT pg_replication_origin_session_reset();"
            "SELECT pg_replication_origin_drop('elsewhere');"
        )
    messages = replay(1, await publisher.changes(1), Replica())
    assert isinstance(messages[0], Begin)
    assert messages[0].commit_time == datetime(2020, 2, 29, 12, tzinfo=UTC)
    assert messages[1] == Origin(parse_lsn("16/B374D848"), "elsewhere")


class WalSender:
    """A replication connection, as little of it as it takes to stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, publisher: Publisher, command: str) -> WalSender:
        self = cls(*await asyncio.open_connection(publisher.server.host, publisher.server.port))
        parameters = {
            "user": "postgres",
            "database": publisher.database,
            "replication": "database",
        }
        words = [word for parameter in parameters.items() for word in parameter]
        self._send(b"", struct.pack("!i", 196608) + "\0".join([*words, "", ""]).encode())
        while (await self._receive())[0] != b"Z":
            pass
        self._send(b"Q", command.encode() + b"\0")
        assert (await self._receive())[0] == b"W"  # CopyBothResponse
        return self

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!i", 4 + len(body)) + body)

    async def _receive(self) -> tuple[bytes, bytes]:
        kind, length = struct.unpack("!ci", await self._reader.readexactly(5))
        return kind, await self._reader.readexactly(length - 4)

    def send(self, message: StandbyStatusUpdate) -> None:
        self._send(b"d", message.encode())

    async def receive(self) -> XLogData | PrimaryKeepalive:
        kind, body = await self._receive()
        assert kind == b"d", body
        return read_replication_message(body)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def test_a_walsender(publisher: Publisher) -> None:
    await publisher.execute(
        "SELECT pg_create_logical_replication_slot('pgoutput_walsender', 'pgoutput')"
    )
    began = await publisher.clock()
    await publisher.execute(CHANGES)
    end = parse_lsn(await publisher.connection.fetchval("SELECT pg_current_wal_lsn()::text"))
    sender = await WalSender.start(
        publisher,
        "START_REPLICATION SLOT pgoutput_walsender LOGICAL 0/0"
        " (proto_version '1', publication_names 'everything', binary 'true')",
    )
    try:
        decoder, replica = PgOutputDecoder(1, decode=decode), Replica()
        while True:
            message = await sender.receive()
            assert began <= message.server_time <= await publisher.clock()
            if isinstance(message, XLogData):
                received = decoder.receive(message.data)
                replica.take(received)
                if isinstance(received, Commit):
                    break
        assert by_content(replica.tables) == by_content(
            await publisher.tables("item", "log", "big")
        )
        # It believes what we say, and answers; it may have sent keepalives before that.
        sender.send(StandbyStatusUpdate(end, end, end, datetime.now(UTC), reply_requested=True))
        while await publisher.confirmed("pgoutput_walsender") != end:
            assert isinstance(await sender.receive(), PrimaryKeepalive)
    finally:
        await sender.close()
        await publisher.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE slot_name = 'pgoutput_walsender' AND active"
        )
        await drop_slot(publisher, "pgoutput_walsender")


async def drop_slot(publisher: Publisher, slot: str) -> None:
    """Drop it as soon as the server has seen that nobody uses it any more."""
    while True:
        try:
            await publisher.connection.execute("SELECT pg_drop_replication_slot($1)", slot)
        except asyncpg.ObjectInUseError:
            await asyncio.sleep(0.01)
        else:
            return
