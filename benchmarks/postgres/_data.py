"""The tables on the server, what stands in them, and how they are put there."""

from __future__ import annotations

import datetime
import itertools
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from benchmarks.postgres._wire import (
    COPY_DONE,
    COPY_HEADER,
    COPY_TRAILER,
    ENCODERS,
    connect,
    fields,
    message,
    query,
    read_message,
    simple_query,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks._model import Address, Scale

__all__ = [
    "COPIED",
    "INSERTED",
    "LINE",
    "LINES_TABLE",
    "LINES_WHERE",
    "LINE_SHARE",
    "MIXED",
    "NUMBERS",
    "SELECT_ARGUMENT",
    "SELECT_ONE",
    "Selection",
    "Table",
    "prepare",
    "select_lines",
    "server_version",
]

SELECT_ONE = "select 1"
SELECT_ARGUMENT = "select $1::int4"

BATCH = 10_000  # rows sent at once when a table is filled


@dataclass(frozen=True)
class Table:
    """A table: the types of its columns by their names, and the values of each row."""

    name: str
    columns: dict[str, str]
    row: Callable[[int], tuple[Any, ...]]

    def rows(self, count: int) -> Iterator[tuple[Any, ...]]:
        """Yield the first ``count`` rows."""
        return map(self.row, range(count))

    def encode(self, row: Sequence[Any]) -> bytes:
        """Return ``row`` as it stands in a DataRow and in a binary COPY."""
        return fields([ENCODERS[kind] for kind in self.columns.values()], row)

    def insert(self, placeholders: str) -> str:
        """Return the INSERT of one row; ``placeholders`` is in the library's own notation."""
        return f"insert into {self.name} values ({placeholders})"

    def copy(self, share: int = 1) -> str:
        """Return the COPY that takes rows in binary; the server keeps one in ``share`` of them."""
        where = self.where(share)
        return f"copy {self.name} from stdin (format binary)" + (f" where {where}" if where else "")

    def where(self, share: int) -> str | None:
        """Return the condition on ``number`` that one in ``share`` of the rows meets."""
        return f"number % {share} = 0" if share > 1 else None


@dataclass(frozen=True)
class Selection:
    """The first ``count`` rows of a table, and the query that fetches them."""

    table: Table
    count: int
    query: str

    @classmethod
    def of(cls, table: Table, count: int) -> Selection:
        """Select ``count`` rows of ``table``."""
        return cls(
            table, count, f"select {', '.join(table.columns)} from {table.name} limit {count}"
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that must come."""
        return self.table.rows(self.count)


def _number_row(number: int) -> tuple[Any, ...]:
    return (number, number * 7919 % 1_000_003, -number, number * 1024, 0x7FFFFFFF - number)


FIRST_MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FIRST_DAY = datetime.date(1970, 1, 1)


def _mixed_row(number: int) -> tuple[Any, ...]:
    return (
        number,
        number * 10_000_000_019,
        number / 7,
        f"row {number} of the m\N{LATIN SMALL LETTER I WITH DIAERESIS}xed table",
        FIRST_MOMENT + datetime.timedelta(seconds=number * 61, microseconds=number),
        number % 3 == 0,
        [number, -number, number * 2],
        uuid.UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)),
        Decimal(number * 12_347 - 50_000_000).scaleb(-4),
        FIRST_DAY + datetime.timedelta(days=number),
    )


def _record(number: int) -> tuple[Any, ...]:
    return (number, number * 10_000_000_019, f"record {number}")


_RECORD_COLUMNS = {"number": "int4", "product": "int8", "label": "text"}

NUMBERS = Table("numbers", dict.fromkeys("abcde", "int4"), _number_row)
MIXED = Table(
    "mixed",
    {
        "number": "int4",
        "product": "int8",
        "quotient": "float8",
        "label": "text",
        "moment": "timestamptz",
        "flag": "bool",
        "list": "int4[]",
        "name": "uuid",
        "amount": "numeric(12,4)",
        "day": "date",
    },
    _mixed_row,
)
COPIED = Table("copied", _RECORD_COLUMNS, _record)
INSERTED = Table("inserted", _RECORD_COLUMNS, _record)

# What the big COPY moves. Only one line of LINE_SHARE is stored, so that the disk has no say, and
# any that is not as long as it should be; the number of stored lines tells whether all were right.
LINE = b"x" * 1023 + b"\n"
LINE_SHARE = 1024
LINES_TABLE = "lines"
LINES_WHERE = f"length(line) <> {len(LINE) - 1} or nextval('line_number') % {LINE_SHARE} = 0"


def select_lines(count: int) -> str:
    """Return the query for ``count`` times `LINE`."""
    return f"select repeat('x', {len(LINE) - 1}) from generate_series(1, {count})"


# Every scan begins at the first row and gives the rows in order.
SETTINGS = ("synchronize_seqscans = off", "max_parallel_workers_per_gather = 0", "jit = off")


def prepare(address: Address, scale: Scale) -> None:
    """Make every table that the workloads use, and fill those that they read."""
    with connect(address) as connection:
        for setting in SETTINGS:
            simple_query(connection, f"alter database postgres set {setting}")
        for table in (NUMBERS, MIXED, COPIED, INSERTED):
            columns = ", ".join(f"{name} {kind}" for name, kind in table.columns.items())
            simple_query(connection, f"drop table if exists {table.name}")
            simple_query(connection, f"create unlogged table {table.name} ({columns})")
        simple_query(connection, f"drop table if exists {LINES_TABLE}")
        simple_query(connection, f"create unlogged table {LINES_TABLE} (line text)")
        simple_query(connection, "drop sequence if exists line_number")
        simple_query(connection, "create sequence line_number")
        _fill(connection, NUMBERS, max(scale.rows, scale.most_rows))
        _fill(connection, MIXED, scale.rows)


def _fill(connection: socket.socket, table: Table, count: int) -> None:
    connection.sendall(query(table.copy()))
    assert read_message(connection)[0] == b"G"
    connection.sendall(message(b"d", COPY_HEADER))
    rows = table.rows(count)
    while batch := [table.encode(row) for row in itertools.islice(rows, BATCH)]:
        connection.sendall(message(b"d", b"".join(batch)))
    connection.sendall(message(b"d", COPY_TRAILER) + COPY_DONE)
    while read_message(connection)[0] != b"Z":
        pass
    # So that no reader has to set hint bits.
    simple_query(connection, f"vacuum analyze {table.name}")


def server_version(address: Address) -> str:
    """Return the server's name and version, such as ``"PostgreSQL 15.18"``."""
    with connect(address) as connection:
        [[version]] = simple_query(connection, "show server_version")
    return f"PostgreSQL {version.split()[0]}"
