"""The messages of pgoutput, the server's own plugin for logical replication, versions 1 to 4.

Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html, which has
the names. LSNs are ``int``, times aware datetimes. An ``xid`` that may be None is given only inside
a stream block, and may there be that of a subtransaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "UNCHANGED",
    "Begin",
    "BeginPrepare",
    "Commit",
    "CommitPrepared",
    "Delete",
    "Insert",
    "Message",
    "Origin",
    "PgOutputMessage",
    "Prepare",
    "Relation",
    "RelationColumn",
    "RollbackPrepared",
    "Row",
    "StreamAbort",
    "StreamCommit",
    "StreamPrepare",
    "StreamStart",
    "StreamStop",
    "Truncate",
    "Type",
    "Unchanged",
    "Update",
]


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Stands for a value that was stored out of line, did not change and therefore was not sent."""

Row = Mapping[str, Any]
"""The values of a row by column name, in the order of the columns: None is NULL."""


class PgOutputMessage:
    """Root of all that `PgOutputDecoder.receive` returns."""

    __slots__ = ()


# Transactions


@dataclass(frozen=True, slots=True)
class Begin(PgOutputMessage):
    """A transaction that was committed begins here."""

    final_lsn: int
    commit_time: datetime
    xid: int


@dataclass(frozen=True, slots=True)
class Commit(PgOutputMessage):
    """The transaction ends."""

    commit_lsn: int
    end_lsn: int
    commit_time: datetime


@dataclass(frozen=True, slots=True)
class Origin(PgOutputMessage):
    """The transaction came to the server by replication from here; may stand in it repeatedly."""

    commit_lsn: int
    name: str


@dataclass(frozen=True, slots=True)
class BeginPrepare(PgOutputMessage):
    """A transaction that was prepared for two-phase commit begins here."""

    prepare_lsn: int
    end_lsn: int
    prepare_time: datetime
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class Prepare(PgOutputMessage):
    """The transaction that was prepared ends."""

    prepare_lsn: int
    end_lsn: int
    prepare_time: datetime
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class CommitPrepared(PgOutputMessage):
    """A transaction that was prepared before is now committed."""

    commit_lsn: int
    end_lsn: int
    commit_time: datetime
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class RollbackPrepared(PgOutputMessage):
    """A transaction that was prepared before is now rolled back."""

    prepare_end_lsn: int
    rollback_end_lsn: int
    prepare_time: datetime
    rollback_time: datetime
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class StreamStart(PgOutputMessage):
    """A block of changes of a transaction that goes on begins; ``first_segment`` says if anew."""

    xid: int
    first_segment: bool


@dataclass(frozen=True, slots=True)
class StreamStop(PgOutputMessage):
    """The block ends."""


@dataclass(frozen=True, slots=True)
class StreamCommit(PgOutputMessage):
    """The transaction whose blocks came before was committed."""

    xid: int
    commit_lsn: int
    end_lsn: int
    commit_time: datetime


@dataclass(frozen=True, slots=True)
class StreamAbort(PgOutputMessage):
    """The transaction whose blocks came before was rolled back, or a subtransaction of it was.

    LSN and time come only with ``proto_version`` 4 and ``streaming`` "parallel".
    """

    xid: int
    subtransaction_xid: int
    abort_lsn: int | None
    abort_time: datetime | None


@dataclass(frozen=True, slots=True)
class StreamPrepare(PgOutputMessage):
    """The transaction whose blocks came before was prepared for two-phase commit."""

    prepare_lsn: int
    end_lsn: int
    prepare_time: datetime
    xid: int
    gid: str


# Their contents


@dataclass(frozen=True, slots=True)
class Message(PgOutputMessage):
    """What ``pg_logical_emit_message`` wrote; outside of any transaction unless transactional."""

    xid: int | None
    transactional: bool
    lsn: int
    prefix: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column of a relation: with ``is_key`` it belongs to the replica identity."""

    is_key: bool
    name: str
    type_oid: int
    type_modifier: int


@dataclass(frozen=True, slots=True)
class Relation(PgOutputMessage):
    """A relation as it is from here on; stands before its first change, and again when altered.

    ``replica_identity`` is as in pg_class: "d" (the primary key), "i" (an index), "f" (all
    columns) or "n" (nothing).
    """

    xid: int | None
    oid: int
    namespace: str
    name: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True, slots=True)
class Type(PgOutputMessage):
    """A type that is not built in, for a relation that follows; of a domain, the base type."""

    xid: int | None
    oid: int
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Insert(PgOutputMessage):
    """A new row."""

    xid: int | None
    relation: Relation
    new: Row = field(repr=False)


@dataclass(frozen=True, slots=True)
class Update(PgOutputMessage):
    """A changed row; ``old`` is as in `Delete`, or None where no column of the key changed."""

    xid: int | None
    relation: Relation
    old: Row | None = field(repr=False)
    new: Row = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delete(PgOutputMessage):
    """A deleted row; ``old`` has the columns of the key, with a full replica identity all."""

    xid: int | None
    relation: Relation
    old: Row = field(repr=False)


@dataclass(frozen=True, slots=True)
class Truncate(PgOutputMessage):
    """Relations that were emptied together."""

    xid: int | None
    relations: tuple[Relation, ...]
    cascade: bool
    restart_identity: bool
