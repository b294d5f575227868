"""The Redis rows, run once and small against a real server."""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import Any

import pytest

from benchmarks._model import Address, Scale, WrongReply
from benchmarks._runner import Settings, run_adapter
from benchmarks.redis import ADAPTER
from benchmarks.redis._data import KEYS, command, connect, items, read_line, receive, value_of
from tests.servers import redis_server

SMALL = Scale(seconds=0.001, calls=500, list_items=30, big_mebibytes=1)


@pytest.fixture(scope="module")
def address() -> Generator[Address]:
    with redis_server() as server:
        found = (server.host, server.port)
        ADAPTER.prepare(found, SMALL)
        yield found


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def test_command() -> None:
    assert command("SET", "k", b"\x00") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n\x00\r\n"


def test_every_value_and_item_has_16_bytes_and_none_is_like_another() -> None:
    values = [value_of(key) for key in KEYS]
    assert {len(value) for value in values} == {16}
    assert len(set(values)) == len(KEYS)
    assert {len(item) for item in items(1000)} == {16}
    assert len(set(items(1000))) == 1000


def test_receive_tells_wrong_bytes(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    right.sendall(b"+NO\r\n")
    with pytest.raises(WrongReply, match="NO"):
        receive(left, b"+OK\r\n")


def test_read_line_tells_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    right.sendall(b"-ERR so\r\n")
    with pytest.raises(WrongReply, match="ERR so"):
        read_line(left)


def test_read_line_tells_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    right.close()
    with pytest.raises(WrongReply, match="closed"):
        read_line(left)


def test_server_version(address: Address) -> None:
    assert ADAPTER.server_version(address).split()[0] in {"Redis", "Valkey"}


def test_goals_name_peers_that_take_part() -> None:
    rows = [row for workload in ADAPTER.workloads(SMALL) for row in workload.rows]
    assert len({row.key for row in rows}) == len(rows)
    goals = [row.goal for row in rows if row.goal is not None]
    assert goals
    assert {goal.peer for goal in goals} <= set(ADAPTER.participants)


@pytest.mark.parametrize("name", ["wirekit", "redis-py", "floor"])
async def test_every_row_has_a_figure_from_who_is_always_installed(
    name: str, address: Address
) -> None:
    workloads = ADAPTER.workloads(SMALL)
    settings = Settings(1, "asyncio", lambda participant, row: None)
    results = await run_adapter(ADAPTER, [ADAPTER.participant(name)], workloads, address, settings)
    assert [result.series[0].error for result in results] == [""] * len(results)
    assert all(result.series[0].samples[0] > 0 for result in results)


@pytest.mark.parametrize("name", ["wirekit", "redis-py", "floor"])
async def test_a_wrong_value_is_found(name: str, address: Address) -> None:
    with connect(address) as connection:
        connection.sendall(command("SET", KEYS[0], "another 16 bytes"))
        receive(connection, b"+OK\r\n")
        workloads: list[Any] = [
            workload
            for workload in ADAPTER.workloads(SMALL)
            if workload.rows[0].key in {"sequential", "tasks-10", "pipeline"}
        ]
        settings = Settings(1, "asyncio", lambda participant, row: None)
        try:
            results = await run_adapter(
                ADAPTER, [ADAPTER.participant(name)], workloads, address, settings
            )
        finally:
            connection.sendall(command("SET", KEYS[0], value_of(KEYS[0])))
            receive(connection, b"+OK\r\n")
    assert len(results) == 3
    assert all(result.series[0].error.startswith("WrongReply") for result in results)
