"""pgoutput for tests: vectors from real servers, and an encoder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any, NamedTuple

from wirekit.protocols.postgres import _pgoutput_messages as messages
from wirekit.protocols.postgres._pgoutput import PgOutputDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

# The messages that have all the same fields, with what stands before them.
PREPARED: dict[type, bytes] = {
    messages.BeginPrepare: b"b",
    messages.Prepare: b"P\0",
    messages.CommitPrepared: b"K\0",
    messages.StreamPrepare: b"p\0",
}


def load_vectors() -> dict[str, tuple[int, list[bytes]]]:
    """Return the ``proto_version`` and the messages of each vector."""
    vectors: dict[str, tuple[int, list[bytes]]] = {}
    lines: list[bytes] = []
    for line in Path(__file__).with_name("pgoutput_vectors.txt").read_text().splitlines():
        if line.startswith("["):
            name, _, version = line.split()
            lines = []
            vectors[name.strip("[]")] = int(version), lines
        elif line and not line.startswith("#"):
            lines.append(bytes.fromhex(line))
    return vectors


class Field(NamedTuple):
    """A value as it stands on the wire."""

    type_oid: int
    format: int
    data: bytes


def raw_decoder(proto_version: int) -> PgOutputDecoder:
    """Return a decoder that gives `Field` for values."""
    return PgOutputDecoder(proto_version, decode=Field)


def receive_all(decoder: PgOutputDecoder, data: Iterable[bytes]) -> list[Any]:
    return [decoder.receive(message) for message in data]


# Encoding, for rows of `Field`. A message knows by its xid that it stands in a stream block.


def encode(message: messages.PgOutputMessage) -> bytes:
    """Return a message as the server would send it."""
    if (beginning := PREPARED.get(type(message))) is not None:
        return beginning + _prepared(*_fields(message))
    match message:
        case messages.Begin(lsn, time, xid):
            return pack("!cQqI", b"B", lsn, _time(time), xid)
        case messages.Commit(lsn, end, time):
            return pack("!cBQQq", b"C", 0, lsn, end, _time(time))
        case messages.Origin(lsn, name):
            return pack("!cQ", b"O", lsn) + _string(name)
        case messages.RollbackPrepared(prepare, rollback, prepare_time, time, xid, gid):
            times = _time(prepare_time), _time(time)
            return pack("!cBQQqqI", b"r", 0, prepare, rollback, *times, xid) + _string(gid)
        case messages.StreamStart(xid, first):
            return pack("!cI?", b"S", xid, first)
        case messages.StreamStop():
            return b"E"
        case messages.StreamCommit(xid, lsn, end, time):
            return pack("!cIBQQq", b"c", xid, 0, lsn, end, _time(time))
        case messages.StreamAbort(xid, subtransaction_xid, lsn, time):
            abort_info = b"" if lsn is None or time is None else pack("!Qq", lsn, _time(time))
            return pack("!cII", b"A", xid, subtransaction_xid) + abort_info
        case _:
            return _encode_content(message)


def _encode_content(message: Any) -> bytes:
    xid = b"" if message.xid is None else pack("!I", message.xid)
    match message:
        case messages.Message(_, transactional, lsn, prefix, content):
            head = b"M" + xid + pack("!?Q", transactional, lsn)
            return head + _string(prefix) + _counted(content)
        case messages.Relation(_, oid, namespace, name, identity, columns):
            head = b"R" + xid + pack("!I", oid) + _namespace(namespace) + _string(name)
            return (
                head
                + pack("!cH", identity.encode(), len(columns))
                + b"".join(
                    pack("!?", column.is_key)
                    + _string(column.name)
                    + pack("!Ii", column.type_oid, column.type_modifier)
                    for column in columns
                )
            )
        case messages.Type(_, oid, namespace, name):
            return b"Y" + xid + pack("!I", oid) + _namespace(namespace) + _string(name)
        case messages.Insert(_, relation, new):
            return b"I" + xid + pack("!I", relation.oid) + b"N" + _row(relation, new)
        case messages.Update(_, relation, old, new):
            key = b"" if old is None else _kind(relation, old) + _row(relation, old)
            return b"U" + xid + pack("!I", relation.oid) + key + b"N" + _row(relation, new)
        case messages.Delete(_, relation, old):
            key = _kind(relation, old) + _row(relation, old)
            return b"D" + xid + pack("!I", relation.oid) + key
        case messages.Truncate(_, relations, cascade, restart_identity):
            head = b"T" + xid + pack("!IB", len(relations), cascade + 2 * restart_identity)
            return head + b"".join(pack("!I", relation.oid) for relation in relations)
        case _:
            raise TypeError(message)


def _fields(message: Any) -> tuple[Any, ...]:
    return tuple(getattr(message, name) for name in message.__match_args__)


def _prepared(lsn: int, end: int, time: datetime, xid: int, gid: str) -> bytes:
    return pack("!QQqI", lsn, end, _time(time), xid) + _string(gid)


def _time(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def _string(text: str) -> bytes:
    return text.encode() + b"\0"


def _namespace(text: str) -> bytes:
    return b"\0" if text == "pg_catalog" else _string(text)


def _counted(data: bytes) -> bytes:
    return pack("!I", len(data)) + data


def _kind(relation: messages.Relation, row: messages.Row) -> bytes:
    """Return 'K' for a key; with all columns in the key, what a server would say."""
    whole = len(row) == len(relation.columns)
    all_in_key = all(column.is_key for column in relation.columns)
    return b"O" if whole and (relation.replica_identity == "f" or not all_in_key) else b"K"


def _row(relation: messages.Relation, row: messages.Row) -> bytes:
    out = pack("!H", len(relation.columns))
    for column in relation.columns:
        value = row.get(column.name)
        if value is None:
            out += b"n"
        elif value is messages.UNCHANGED:
            out += b"u"
        else:
            out += b"tb"[value.format : value.format + 1] + _counted(value.data)
    return out
