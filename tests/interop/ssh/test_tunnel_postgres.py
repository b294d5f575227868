"""Postgres through SSH: cancelling at the server, TLS inside, bulk data, pools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.postgres.test_cancellation import Storm, assert_sound
from tests.interop.ssh.sessions import running
from tests.interop.ssh.tunnels import Counting, address_of, cuttable
from tests.interop.waiting import eventually
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters import postgres as pg
from wirekit.sockets import TCPAddress

pytestmark = pytest.mark.both_loops

LOGIN: dict[str, Any] = {"user": "trust_user", "database": "wirekit"}


async def test_a_query_is_cancelled_at_the_server(
    sshd: RunningServer, postgres15: RunningServer
) -> None:
    async with running("openssh", sshd).client() as ssh:
        through = Counting(ssh.connector())
        address = address_of(postgres15)
        async with pg.Postgres(connector=through, address=address, **LOGIN) as db:
            pid = db.get_server_pid()
            for _ in range(3):
                made = len(through.sockets)
                with pytest.raises(TimeoutError):
                    await db.fetchval("SELECT pg_sleep(1000)", timeout=0.2)
                assert await db.fetchval("SELECT pg_backend_pid()") == pid
                assert len(through.sockets) == made + 1  # which carried the CancelRequest
            assert set(through.addresses) == {address}
        await asyncio.gather(*(socket.closed for socket in through.sockets))
        assert ssh.is_connected


async def test_cancelled_callers_disturb_no_other(
    sshd: RunningServer, postgres15: RunningServer
) -> None:
    async with (
        running("openssh", sshd).client() as ssh,
        pg.Postgres(connector=ssh.connector(), address=address_of(postgres15), **LOGIN) as db,
    ):
        await db.execute("CREATE TEMP TABLE pairs (a int4, b int4)")
        pid = db.get_server_pid()
        storm = Storm(db, seed=3)
        await storm.run(15)
        assert storm.cancelled > 20
        assert storm.completed > 20
        await assert_sound(db, pid)


async def test_tls_inside_knows_the_server_by_its_name(
    sshd: RunningServer, postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    context = certificate_authority.client_context()
    options: dict[str, Any] = {"port": postgres15.port, "ssl": context, **LOGIN}
    async with running("openssh", sshd).client() as ssh:
        through = Counting(ssh.connector())
        db: Any = await pg.connect(host="localhost", connector=through, **options)
        assert await db.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        with pytest.raises(TimeoutError):
            await db.fetchval("SELECT pg_sleep(1000)", timeout=0.2)
        assert await db.fetchval("SELECT 1") == 1
        await db.close()
        assert through.addresses == [TCPAddress("localhost", postgres15.port)] * 2
        stranger = ssh.connector(
            secure_transport="starttls", ssl_context=context, server_hostname="db.internal"
        )
        address = address_of(postgres15)
        with pytest.raises(wirekit.TLSError, match=r"db\.internal"):
            async with pg.Postgres(connector=stranger, address=address, **LOGIN):
                pass
        assert ssh.is_connected


async def test_bulk_data_both_ways(sshd: RunningServer, postgres15: RunningServer) -> None:
    rows = [(number, f"row {number} " * 20) for number in range(20_000)]
    async with (
        running("openssh", sshd).client() as ssh,
        pg.Postgres(connector=ssh.connector(), address=address_of(postgres15), **LOGIN) as db,
    ):
        await db.execute("CREATE TEMP TABLE bulk (n int4, t text)")
        await db.copy_records_to_table("bulk", records=rows)
        got = await db.fetch("SELECT n, t FROM bulk ORDER BY n")
        assert [tuple(row) for row in got] == rows


async def test_a_pool_outlives_the_ssh_connection(
    sshd: RunningServer, postgres15: RunningServer
) -> None:
    async with cuttable(sshd) as (ssh, proxy):
        options: dict[str, Any] = {"host": postgres15.host, "port": postgres15.port, **LOGIN}
        async with pg.create_pool(
            min_size=3, max_size=3, ssl=False, connector=ssh.connector(), **options
        ) as pool:
            held = await pool.acquire()
            asleep = asyncio.create_task(held.execute("SELECT pg_sleep(1000)"))
            await asyncio.sleep(0.05)
            proxy.cut_all()
            with pytest.raises(pg.ConnectionDoesNotExistError):
                await asleep
            await pool.release(held)
            await eventually(lambda: not ssh.is_connected)
            numbers = await asyncio.gather(
                *(pool.fetchval("SELECT $1::int4", number) for number in range(20))
            )
            assert numbers == list(range(20))
            assert proxy.connections == 2
