"""Decoding pgoutput, the server's own plugin for logical replication, protocol versions 1 to 4.

Source: https://www.postgresql.org/docs/current/protocol-logical-replication.html and
https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from wirekit._errors import MessageTooLarge, RemoteProtocolError
from wirekit.protocols import _native

from ._pgoutput_messages import (
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
    RelationColumn,
    RollbackPrepared,
    Row,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
)
from ._replication import to_datetime

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["PgOutputDecoder", "ValueDecoder"]

ValueDecoder = Callable[[int, Literal[0, 1], bytes], Any]
"""Takes the OID of the column's type, the format (0 text, 1 binary) and the value's bytes."""

_MIN_COLUMN_LENGTH = 10  # flags, an empty name, OID and modifier of the type


class PgOutputDecoder:
    """Decodes the messages of one replication stream, in their order.

    A message that raises leaves the decoder as it was.

    Args:
        proto_version: the option of that name with which the stream was started, 1 to 4.
        decode: makes the values of columns; without it, text is ``str`` and binary ``bytes``.
            What it raises comes out of `receive`.
        max_relations_length: bytes of all Relation messages together whose relations are kept.
    """

    __slots__ = (
        "_block",
        "_decode",
        "_lengths",
        "_max_relations_length",
        "_proto_version",
        "_relations",
        "_relations_length",
    )

    def __init__(
        self,
        proto_version: int,
        *,
        decode: ValueDecoder | None = None,
        max_relations_length: int = 32 * 1024 * 1024,
    ) -> None:
        if proto_version not in range(1, 5):
            raise ValueError(f"proto_version is 1 to 4, not {proto_version}")
        if max_relations_length < 1:
            raise ValueError(f"max_relations_length is at least 1, not {max_relations_length}")
        self._proto_version = proto_version
        self._decode = _decode_plain if decode is None else decode
        self._max_relations_length = max_relations_length
        self._block = _Block.NONE
        # One for all transactions, streamed or not: the server describes a relation anew wherever
        # its last description is not the one that counts.
        self._relations: dict[int, Relation] = {}
        self._lengths: dict[int, int] = {}
        self._relations_length = 0

    @property
    def relations(self) -> Mapping[int, Relation]:
        """The relations by OID, as last received."""
        return MappingProxyType(self._relations)

    def receive(self, data: bytes) -> PgOutputMessage:
        """Return the message that is the ``data`` of one `XLogData`.

        Raises:
            RemoteProtocolError: it is malformed or unknown, is not allowed here or with this
                ``proto_version``, or is about a relation that was not described.
            MessageTooLarge: the relations take more than the limit allows.
        """
        form = _FORMS.get(data[:1])
        if form is None:
            raise RemoteProtocolError(f"no pgoutput message begins with {data[:1]!r}")
        reader = _Reader(
            form.name, data, self._block, self._proto_version, self._relations, self._decode
        )
        if self._proto_version < form.since:
            raise reader.fault(f"not in proto_version {self._proto_version}")
        if self._block not in form.within:
            raise reader.fault(f"not allowed {self._block.value}")
        message = form.read(reader)
        reader.end()
        if isinstance(message, Relation):
            self._remember(message, len(data))
        if form.block_after is not None:
            self._block = form.block_after
        return message

    def _remember(self, relation: Relation, length: int) -> None:
        total = self._relations_length + length - self._lengths.get(relation.oid, 0)
        if total > self._max_relations_length:
            raise MessageTooLarge(f"Relation: more than {self._max_relations_length} bytes in all")
        self._relations[relation.oid] = relation
        self._lengths[relation.oid] = length
        self._relations_length = total


class _Block(Enum):
    """What the messages stand in; the value is for faults."""

    NONE = "outside of a transaction"
    TRANSACTION = "between Begin and Commit"
    PREPARED = "between BeginPrepare and Prepare"
    STREAM = "between StreamStart and StreamStop"


def _decode_plain(type_oid: int, value_format: Literal[0, 1], data: bytes) -> str | bytes:
    if value_format == 1:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:  # its message would show the value
        raise RemoteProtocolError(f"text of type {type_oid} that is not UTF-8") from None


class _Reader:
    """Reads one message field by field, and raises rather than read beyond its end."""

    __slots__ = (
        "_block",
        "_data",
        "_decode",
        "_name",
        "_position",
        "_relations",
        "proto_version",
    )

    def __init__(
        self,
        name: str,
        data: bytes,
        block: _Block,
        proto_version: int,
        relations: Mapping[int, Relation],
        decode: ValueDecoder,
    ) -> None:
        self._name = name
        self._data = data
        self._position = 1
        self._block = block
        self.proto_version = proto_version
        self._relations = relations
        self._decode = decode

    def fault(self, text: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{self._name}: {text}")

    def is_read(self) -> bool:
        return self._position == len(self._data)

    def end(self) -> None:
        if not self.is_read():
            raise self.fault("goes on after its end")

    def _advance(self, length: int) -> int:
        start = self._position
        if length > len(self._data) - start:
            raise self.fault("cut short")
        self._position = start + length
        return start

    def uint8(self) -> int:
        return self._data[self._advance(1)]

    def uint16(self) -> int:
        return _native.read_uint16(self._data, self._advance(2))

    def int32(self) -> int:
        return _native.read_int32(self._data, self._advance(4))

    def uint32(self) -> int:
        return _native.read_uint32(self._data, self._advance(4))

    def lsn(self) -> int:
        return _native.read_uint64(self._data, self._advance(8))

    def time(self) -> datetime:
        return to_datetime(_native.read_int64(self._data, self._advance(8)))

    def flags(self, *, known: int = 0) -> int:
        flags = self.uint8()
        if flags & ~known:
            raise self.fault(f"unknown flags {flags}")
        return flags

    def one_of(self, letters: str) -> str:
        letter = chr(self.uint8())
        if letter not in letters:
            raise self.fault(f"{letter!r} where one of {letters!r} must stand")
        return letter

    def counted(self) -> bytes:
        length = self.uint32()
        start = self._advance(length)
        return self._data[start : start + length]

    def string(self) -> str:
        start = self._position
        end = self._data.find(b"\0", start)
        if end < 0:
            raise self.fault("a string without its end")
        self._position = end + 1
        try:
            return self._data[start:end].decode()
        except UnicodeDecodeError:
            raise self.fault("a string that is not UTF-8") from None

    def namespace(self) -> str:
        return self.string() or "pg_catalog"  # "empty string for pg_catalog"

    def stream_xid(self) -> int | None:
        """Read the xid that is "only present for streamed transactions"."""
        return self.uint32() if self._block is _Block.STREAM else None

    def is_in_transaction(self) -> bool:
        return self._block is not _Block.NONE

    def count(self, count: int, min_length: int) -> range:
        """Return as many numbers if as many parts of at least this length can follow."""
        if count * min_length > len(self._data) - self._position:
            raise self.fault("cut short")
        return range(count)

    def relation(self) -> Relation:
        oid = self.uint32()
        relation = self._relations.get(oid)
        if relation is None:
            raise self.fault(f"relation {oid} was not described")
        return relation

    def row(self, relation: Relation, *, only_key: bool = False) -> Row:
        """Read TupleData; with ``only_key``, leave out the others, which are all sent as NULL."""
        count = self.uint16()
        if count != len(relation.columns):
            raise self.fault(f"{count} values for {len(relation.columns)} columns")
        row: dict[str, Any] = {}
        data, position, end = self._data, self._position, len(self._data)
        # No method calls in here: this runs for each value of a stream.
        for column in relation.columns:
            kind = data[position : position + 1]
            position += 1
            value: Any = None
            if kind == b"t" or kind == b"b":
                start = position + 4
                if start > end:
                    raise self.fault("cut short")
                position = start + _native.read_uint32(data, position)
                if position > end:
                    raise self.fault("cut short")
                if column.is_key or not only_key:
                    text_or_binary: Literal[0, 1] = 0 if kind == b"t" else 1
                    value = self._decode(column.type_oid, text_or_binary, data[start:position])
            elif kind == b"u":
                value = UNCHANGED
            elif kind != b"n":
                wrong = f"{kind!r} where one of b'nutb' must stand" if kind else "cut short"
                raise self.fault(wrong)
            if column.is_key or not only_key:
                row[column.name] = value
        self._position = position
        return row


# Transactions


def _begin(reader: _Reader) -> Begin:
    return Begin(reader.lsn(), reader.time(), reader.uint32())


def _commit(reader: _Reader) -> Commit:
    reader.flags()
    return Commit(reader.lsn(), reader.lsn(), reader.time())


def _origin(reader: _Reader) -> Origin:
    return Origin(reader.lsn(), reader.string())


def _begin_prepare(reader: _Reader) -> BeginPrepare:
    return BeginPrepare(*_prepared(reader))


def _prepare(reader: _Reader) -> Prepare:
    reader.flags()
    return Prepare(*_prepared(reader))


def _commit_prepared(reader: _Reader) -> CommitPrepared:
    reader.flags()
    return CommitPrepared(*_prepared(reader))


def _prepared(reader: _Reader) -> tuple[int, int, datetime, int, str]:
    return reader.lsn(), reader.lsn(), reader.time(), reader.uint32(), reader.string()


def _rollback_prepared(reader: _Reader) -> RollbackPrepared:
    reader.flags()
    lsns, times = (reader.lsn(), reader.lsn()), (reader.time(), reader.time())
    return RollbackPrepared(*lsns, *times, reader.uint32(), reader.string())


def _stream_start(reader: _Reader) -> StreamStart:
    return StreamStart(reader.uint32(), reader.flags(known=1) == 1)


def _stream_stop(reader: _Reader) -> StreamStop:
    return StreamStop()


def _stream_commit(reader: _Reader) -> StreamCommit:
    xid = reader.uint32()
    reader.flags()
    return StreamCommit(xid, reader.lsn(), reader.lsn(), reader.time())


def _stream_abort(reader: _Reader) -> StreamAbort:
    xid, subtransaction_xid = reader.uint32(), reader.uint32()
    if reader.proto_version < 4 or reader.is_read():
        return StreamAbort(xid, subtransaction_xid, None, None)
    return StreamAbort(xid, subtransaction_xid, reader.lsn(), reader.time())


def _stream_prepare(reader: _Reader) -> StreamPrepare:
    reader.flags()
    return StreamPrepare(*_prepared(reader))


# Their contents


def _message(reader: _Reader) -> Message:
    xid, transactional = reader.stream_xid(), reader.flags(known=1) == 1
    if transactional and not reader.is_in_transaction():
        raise reader.fault("transactional, but outside of a transaction")
    return Message(xid, transactional, reader.lsn(), reader.string(), reader.counted())


def _relation(reader: _Reader) -> Relation:
    xid, oid, namespace = reader.stream_xid(), reader.uint32(), reader.namespace()
    name, replica_identity = reader.string(), reader.one_of("dnfi")
    count = reader.count(reader.uint16(), _MIN_COLUMN_LENGTH)
    columns = tuple([_relation_column(reader) for _ in count])
    if len({column.name for column in columns}) < len(columns):
        raise reader.fault("two columns of one name")
    return Relation(xid, oid, namespace, name, replica_identity, columns)


def _relation_column(reader: _Reader) -> RelationColumn:
    is_key = reader.flags(known=1) == 1
    return RelationColumn(is_key, reader.string(), reader.uint32(), reader.int32())


def _type(reader: _Reader) -> Type:
    return Type(reader.stream_xid(), reader.uint32(), reader.namespace(), reader.string())


def _insert(reader: _Reader) -> Insert:
    xid, relation = reader.stream_xid(), reader.relation()
    reader.one_of("N")
    return Insert(xid, relation, reader.row(relation))


def _update(reader: _Reader) -> Update:
    xid, relation = reader.stream_xid(), reader.relation()
    old = None
    if (part := reader.one_of("KON")) != "N":
        old = reader.row(relation, only_key=part == "K")
        reader.one_of("N")
    return Update(xid, relation, old, reader.row(relation))


def _delete(reader: _Reader) -> Delete:
    xid, relation = reader.stream_xid(), reader.relation()
    only_key = reader.one_of("KO") == "K"
    return Delete(xid, relation, reader.row(relation, only_key=only_key))


def _truncate(reader: _Reader) -> Truncate:
    xid, count, options = reader.stream_xid(), reader.uint32(), reader.flags(known=3)
    relations = tuple([reader.relation() for _ in reader.count(count, 4)])
    return Truncate(xid, relations, bool(options & 1), bool(options & 2))


@dataclass(frozen=True, slots=True)
class _Form:
    """Since which version a message is, where it may stand, what it begins, how it is read."""

    name: str
    since: int
    within: frozenset[_Block]
    block_after: _Block | None
    read: Callable[[_Reader], PgOutputMessage]


_ANYWHERE = frozenset(_Block)
_OUTSIDE = frozenset({_Block.NONE})
_INSIDE = _ANYWHERE - _OUTSIDE
_TRANSACTION = frozenset({_Block.TRANSACTION})
_PREPARED = frozenset({_Block.PREPARED})
_STREAM = frozenset({_Block.STREAM})

_FORMS = {
    b"B": _Form("Begin", 1, _OUTSIDE, _Block.TRANSACTION, _begin),
    b"C": _Form("Commit", 1, _TRANSACTION, _Block.NONE, _commit),
    b"b": _Form("BeginPrepare", 3, _OUTSIDE, _Block.PREPARED, _begin_prepare),
    b"P": _Form("Prepare", 3, _PREPARED, _Block.NONE, _prepare),
    b"S": _Form("StreamStart", 2, _OUTSIDE, _Block.STREAM, _stream_start),
    b"E": _Form("StreamStop", 2, _STREAM, _Block.NONE, _stream_stop),
    b"c": _Form("StreamCommit", 2, _OUTSIDE, None, _stream_commit),
    b"A": _Form("StreamAbort", 2, _OUTSIDE, None, _stream_abort),
    b"p": _Form("StreamPrepare", 3, _OUTSIDE, None, _stream_prepare),
    b"K": _Form("CommitPrepared", 3, _OUTSIDE, None, _commit_prepared),
    b"r": _Form("RollbackPrepared", 3, _OUTSIDE, None, _rollback_prepared),
    b"M": _Form("Message", 1, _ANYWHERE, None, _message),
    b"O": _Form("Origin", 1, _INSIDE, None, _origin),
    b"R": _Form("Relation", 1, _INSIDE, None, _relation),
    b"Y": _Form("Type", 1, _INSIDE, None, _type),
    b"I": _Form("Insert", 1, _INSIDE, None, _insert),
    b"U": _Form("Update", 1, _INSIDE, None, _update),
    b"D": _Form("Delete", 1, _INSIDE, None, _delete),
    b"T": _Form("Truncate", 1, _INSIDE, None, _truncate),
}
