"""The commands of a replication connection, and what their answers say.

Source: https://www.postgresql.org/docs/current/protocol-replication.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wirekit._errors import RemoteProtocolError
from wirekit.protocols.postgres.replication import format_lsn, parse_lsn

from ._lexing import quote_identifier, quote_literal
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from .types import ServerVersion

    Row = tuple[str | None, ...]

__all__ = [
    "CreatedSlot",
    "ReplicationSlot",
    "Snapshot",
    "SystemIdentity",
    "create_slot_command",
    "drop_slot_command",
    "newest_proto_version",
    "publication_names",
    "show_command",
    "slot_query",
    "start_command",
]

Snapshot = Literal["export", "use", "nothing"]

_SLOT = """
SELECT slot_name, slot_type, plugin, database, temporary, active, restart_lsn, confirmed_flush_lsn
FROM pg_catalog.pg_replication_slots WHERE slot_name ="""


# Answers


class SystemIdentity(NamedTuple):
    """What IDENTIFY_SYSTEM returns; ``xlogpos`` is how far the WAL is flushed."""

    systemid: int
    timeline: int
    xlogpos: int
    dbname: str | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return what a row says."""
        return cls(*_parsed(row, int, int, parse_lsn, _optional))


class CreatedSlot(NamedTuple):
    """What CREATE_REPLICATION_SLOT returns.

    ``consistent_point`` is where streaming begins; an exported snapshot shows the database as it
    is there, until the next command on the connection.
    """

    slot_name: str
    consistent_point: int
    snapshot_name: str | None
    output_plugin: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return what a row says."""
        return cls(*_parsed(row, str, parse_lsn, _optional, str))


class ReplicationSlot(NamedTuple):
    """A slot, of any kind, as pg_replication_slots has it."""

    slot_name: str
    slot_type: str
    plugin: str | None
    database: str | None
    temporary: bool
    active: bool
    restart_lsn: int | None
    confirmed_flush_lsn: int | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return what a row says."""
        texts = (str, str, _optional, _optional)
        return cls(*_parsed(row, *texts, _bool, _bool, _optional_lsn, _optional_lsn))


def _parsed(row: Row, *parsers: Callable[[str], Any]) -> list[Any]:
    """Return the values of a row, of which one with `_optional` may be null."""
    if len(row) < len(parsers):
        raise RemoteProtocolError(f"{len(row)} columns in the answer to a replication command")
    values: list[Any] = []
    try:
        for value, parse in zip(row, parsers, strict=False):
            if value is None and parse not in (_optional, _optional_lsn):
                raise ValueError("null")
            values.append(None if value is None else parse(value))
    except ValueError:
        raise RemoteProtocolError("a wrong value in the answer to a replication command") from None
    return values


def _optional(value: str) -> str:
    return value


def _optional_lsn(value: str) -> int:
    return parse_lsn(value)


def _bool(value: str) -> bool:
    return value == "t"


# Commands


def create_slot_command(
    server: ServerVersion,
    name: str,
    plugin: str,
    *,
    temporary: bool,
    two_phase: bool,
    snapshot: Snapshot,
) -> str:
    """Return CREATE_REPLICATION_SLOT, as this server spells it."""
    if snapshot not in ("export", "use", "nothing"):
        raise InterfaceError(f"snapshot is 'export', 'use' or 'nothing', not {snapshot!r}")
    kind = "TEMPORARY LOGICAL" if temporary else "LOGICAL"
    command = f"CREATE_REPLICATION_SLOT {quote_identifier(name)} {kind} {quote_identifier(plugin)}"
    if server >= (15,):
        return f"{command} (SNAPSHOT '{snapshot}'{', TWO_PHASE true' * two_phase})"
    spelled = {"export": "EXPORT", "use": "USE", "nothing": "NOEXPORT"}[snapshot]
    return f"{command} {spelled}_SNAPSHOT{' TWO_PHASE' * two_phase}"


def drop_slot_command(name: str, *, wait: bool) -> str:
    """Return DROP_REPLICATION_SLOT."""
    return f"DROP_REPLICATION_SLOT {quote_identifier(name)}{' WAIT' * wait}"


def slot_query(name: str) -> str:
    """Return the query for a slot; READ_REPLICATION_SLOT does not know logical ones."""
    return f"{_SLOT} {quote_literal(name)}"


def show_command(name: str) -> str:
    """Return SHOW."""
    return f"SHOW {'.'.join([quote_identifier(part) for part in name.split('.')])}"


def start_command(slot: str, start_lsn: int | str, options: Mapping[str, str | None]) -> str:
    """Return START_REPLICATION with the options of the plugin."""
    lsn = format_lsn(parse_lsn(start_lsn) if isinstance(start_lsn, str) else start_lsn)
    command = f"START_REPLICATION SLOT {quote_identifier(slot)} LOGICAL {lsn}"
    if not options:
        return command
    spelled = [
        quote_identifier(name) + ("" if value is None else f" {_literal(value)}")
        for name, value in options.items()
    ]
    return f"{command} ({', '.join(spelled)})"


def publication_names(names: str | Sequence[str]) -> str:
    """Return names of publications as pgoutput's option has them."""
    listed = [names] if isinstance(names, str) else names
    return ",".join([quote_identifier(name) for name in listed])


def newest_proto_version(server: ServerVersion) -> int:
    """Return the newest version of pgoutput's protocol that a server has."""
    return 4 if server >= (16,) else 3 if server >= (15,) else 2 if server >= (14,) else 1


def _literal(text: str) -> str:
    # In a replication command, other than in SQL, a backslash always stands for itself.
    return "'" + text.replace("'", "''") + "'"
