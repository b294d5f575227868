"""The Postgres rows, run once and small against a real server."""

from __future__ import annotations

import datetime
import socket
import uuid
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest

from benchmarks._model import Address, Scale, WrongReply
from benchmarks._result import Result
from benchmarks._runner import Settings, run_adapter
from benchmarks.postgres import ADAPTER
from benchmarks.postgres._client import Tally
from benchmarks.postgres._data import COPIED, MIXED, NUMBERS, Selection
from benchmarks.postgres._wire import (
    ENCODERS,
    bind,
    connect,
    fields,
    message,
    parse,
    query,
    read_message,
    simple_query,
)
from tests.servers import postgres_server

MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)

SMALL = Scale(seconds=0.001, calls=500, rows=300, most_rows=400, copy_mebibytes=1)

# Those whose libraries are in the extra "test".
PARTICIPANTS = ("wirekit", "asyncpg", "pg8000", "loop floor", "floor")


@pytest.fixture(scope="module")
def address() -> Generator[Address]:
    with postgres_server() as server:
        found = (server.host, server.port)
        ADAPTER.prepare(found, SMALL)
        yield found


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


async def run(name: str, address: Address, keys: set[str] | None = None) -> list[Result]:
    workloads: list[Any] = [
        workload
        for workload in ADAPTER.workloads(SMALL)
        if keys is None or workload.rows[0].key in keys
    ]
    settings = Settings(1, "asyncio", lambda participant, row: None)
    return await run_adapter(ADAPTER, [ADAPTER.participant(name)], workloads, address, settings)


def test_messages() -> None:
    assert message(b"S") == b"S\0\0\0\4"
    assert query("x") == b"Q\0\0\0\6x\0"
    assert parse("s", "x") == b"P\0\0\0\x0as\0x\0\0\0"
    assert bind("s") == b"B\0\0\0\x11\0s\0\0\1\0\1\0\0\0\1\0\1"


def test_fields() -> None:
    encoders = [ENCODERS["int4"], ENCODERS["text"]]
    assert fields(encoders, [1, "ab"]) == b"\0\2\0\0\0\4\0\0\0\1\0\0\0\2ab"


@pytest.mark.parametrize(
    ("kind", "send", "value"),
    [
        ("numeric(12,4)", "numeric_send", Decimal("0.0000")),
        ("numeric(12,4)", "numeric_send", Decimal("-1.2345")),
        ("numeric(12,4)", "numeric_send", Decimal("0.0012")),
        ("numeric(12,4)", "numeric_send", Decimal("98760000.5000")),
        ("numeric(12,4)", "numeric_send", Decimal("10000.0000")),
        ("timestamptz", "timestamptz_send", MOMENT),
        ("date", "date_send", datetime.date(1969, 12, 31)),
        ("uuid", "uuid_send", uuid.UUID(int=1)),
        ("bool", "boolsend", True),
        ("float8", "float8send", -0.5),
        ("text", "textsend", "\N{EURO SIGN}"),
    ],
)
def test_a_value_is_written_as_the_server_does(
    address: Address, kind: str, send: str, value: object
) -> None:
    with connect(address) as connection:
        [[written]] = simple_query(connection, f"select {send}('{value}'::{kind})")
    assert bytes.fromhex(written.removeprefix("\\x")) == ENCODERS[kind](value)


def test_an_array_is_written_as_the_server_does(address: Address) -> None:
    with connect(address) as connection:
        [[written]] = simple_query(connection, "select array_send('{1,-2}'::int4[])")
    assert bytes.fromhex(written.removeprefix("\\x")) == ENCODERS["int4[]"]([1, -2])


def test_simple_query_tells_an_error(address: Address) -> None:
    with connect(address) as connection, pytest.raises(WrongReply, match="division by zero"):
        simple_query(connection, "select 1/0")


def test_read_message_tells_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    right.sendall(b"Z\0\0")
    right.close()
    with pytest.raises(WrongReply, match="closed"):
        read_message(left)


@pytest.mark.parametrize("table", [NUMBERS, MIXED, COPIED])
def test_no_row_is_like_another(table: Any) -> None:
    rows = list(table.rows(1000))
    assert {len(row) for row in rows} == {len(table.columns)}
    assert len({repr(row) for row in rows}) == 1000
    assert len({table.encode(row) for row in rows}) == 1000


def test_the_tables_hold_their_rows(address: Address) -> None:
    with connect(address) as connection:
        numbers = simple_query(connection, Selection.of(NUMBERS, 400).query)
        [[mixed]] = simple_query(connection, "select count(*) from mixed")
    assert [tuple(map(int, row)) for row in numbers] == list(NUMBERS.rows(400))
    assert mixed == "300"


def test_tally() -> None:
    tally = Tally()
    tally.add(b"a\nb")
    tally.add(memoryview(b"\n"))
    assert (tally.length, tally.lines) == (4, 2)


def test_server_version(address: Address) -> None:
    assert ADAPTER.server_version(address).startswith("PostgreSQL 1")


def test_goals_name_peers_that_take_part() -> None:
    rows = [row for workload in ADAPTER.workloads(SMALL) for row in workload.rows]
    assert len({row.key for row in rows}) == len(rows)
    goals = [row.goal for row in rows if row.goal is not None]
    assert goals
    assert {goal.peer for goal in goals} <= set(ADAPTER.participants)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.both_loops] if name == "wirekit" else [])
        for name in PARTICIPANTS
    ],
)
async def test_every_row_has_a_figure_or_a_reason(name: str, address: Address) -> None:
    results = await run(name, address)
    series = [result.series[0] for result in results]
    assert [one.error for one in series] == [""] * len(series)
    assert all(one.unsupported or one.samples[0] > 0 for one in series)
    if name in {"wirekit", "floor"}:
        assert not any(one.unsupported for one in series)


@pytest.mark.parametrize("name", PARTICIPANTS)
async def test_a_wrong_value_is_found(name: str, address: Address) -> None:
    with connect(address) as connection:
        # In place and of the same length, so that it is the value that tells.
        simple_query(connection, "create table kept as select * from mixed")
        simple_query(connection, "truncate mixed")
        simple_query(
            connection,
            "insert into mixed select number, product, quotient, label, moment, flag, list, name, "
            "amount, day + (number = 7)::int from kept order by number",
        )
        try:
            [result] = await run(name, address, {"mixed"})
        finally:
            simple_query(connection, "truncate mixed")
            simple_query(connection, "insert into mixed select * from kept order by number")
            simple_query(connection, "drop table kept")
    assert result.series[0].error.startswith("WrongReply")


@pytest.mark.parametrize("name", ["wirekit", "asyncpg", "floor"])
async def test_rows_that_are_not_stored_are_found(name: str, address: Address) -> None:
    with connect(address) as connection:
        rule = "create trigger lose before insert on {} for each row when (new.number = 7) {}"
        lose = "execute function lose()"
        simple_query(
            connection,
            "create or replace function lose() returns trigger language plpgsql as "
            "'begin new.number = 8; return new; end'",
        )
        for table in ("copied", "inserted"):
            simple_query(connection, rule.format(table, lose))
        try:
            results = await run(name, address, {"copy-records", "executemany"})
        finally:
            for table in ("copied", "inserted"):
                simple_query(connection, f"drop trigger lose on {table}")
    assert len(results) == 2
    assert all(result.series[0].error.startswith("WrongReply") for result in results)
