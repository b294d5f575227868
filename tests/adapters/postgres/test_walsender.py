"""The connection to a walsender; test_replication.py and its kin have what is streamed on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wirekit.adapters.postgres import PostgresSyntaxError
from wirekit.adapters.postgres._walsender import Walsender
from wirekit.sockets import connect

if TYPE_CHECKING:
    from tests.servers import RunningServer


def walsender(server: RunningServer) -> Walsender:
    socket = connect((server.host, server.port))
    return Walsender(socket, user="postgres", database="wirekit")


async def test_commands_and_queries_give_rows_of_text(postgres: RunningServer) -> None:
    async with walsender(postgres) as sender:
        (identity,) = await sender.rows("IDENTIFY_SYSTEM")
        assert identity[3] == "wirekit"
        assert await sender.rows("SELECT 1, NULL") == [("1", None)]


async def test_an_error_leaves_it_usable(postgres: RunningServer) -> None:
    async with walsender(postgres) as sender:
        with pytest.raises(PostgresSyntaxError):
            await sender.rows("IDENTIFY NOTHING")
        assert await sender.rows("SELECT 1") == [("1",)]


async def test_the_servers_time_limit_is_known(postgres: RunningServer) -> None:
    async with walsender(postgres) as sender:
        (row,) = await sender.rows(
            "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'"
        )
        assert await sender.reply_timeout() == int(row[0] or 0) / 1000
