"""The commands of a replication connection, and what their answers mean.

Source: https://www.postgresql.org/docs/current/protocol-replication.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from wirekit._errors import RemoteProtocolError
from wirekit.protocols.postgres.replication import format_lsn, parse_lsn

from ._lexing import quote_identifier, quote_literal
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .types import ServerVersion

__all__ = []

_SLOT = """
SELECT slot_name, slot_type, plugin, database, temporary, active, restart_lsn, confirmed_flush_lsn
FROM pg_catalog.pg_replication_slots WHERE slot_name ="""


class SystemIdentity(NamedTuple):
    """What IDENTIFY_SYSTEM returns; ``xlogpos`` is how far the WAL is flushed."""

    systemid: int
    timeline: int
    xlogpos: int
    dbname: str | None


class CreatedSlot(NamedTuple):
    """What CREATE_REPLICATION_SLOT returns.

    ``consistent_point`` is where streaming begins; the exported snapshot, if there is one, shows
    the database as it is there, until the next command on the connection.
    """

    slot_name: str
    consistent_point: int
    snapshot_name: str | None
    output_plugin: str


class ReplicationSlot(NamedTuple):
    """A slot as pg_replication_slots has it."""

    slot_name: str
    slot_type: str
    plugin: str | None
    database: str | None
    temporary: bool
    active: bool
    restart_lsn: int | None
    confirmed_flush_lsn: int | None


def _start_command(slot: str, start_lsn: int | str, options: Mapping[str, str | None]) -> str:
    lsn = format_lsn(parse_lsn(start_lsn) if isinstance(start_lsn, str) else start_lsn)
    command = f"START_REPLICATION SLOT {quote_identifier(slot)} LOGICAL {lsn}"
    if not options:
        return command
    spelled = [
        quote_identifier(name) + ("" if value is None else f" {_literal(value)}")
        for name, value in options.items()
    ]
    return f"{command} ({', '.join(spelled)})"


def _newest_proto_version(server: ServerVersion) -> int:
    return 4 if server >= (16,) else 3 if server >= (15,) else 2 if server >= (14,) else 1


def _literal(text: str) -> str:
    # In a replication command a backslash stands for itself.
    return "'" + text.replace("'", "''") + "'"


def _text(value: str | None) -> str:
    if value is None:
        raise RemoteProtocolError("NULL in the answer to a replication command")
    return value


def _lsn(value: str | None) -> int:
    try:
        return parse_lsn(_text(value))
    except ValueError:
        raise RemoteProtocolError("no LSN in the answer to a replication command") from None
