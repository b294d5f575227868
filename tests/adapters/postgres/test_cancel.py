"""CancelRequest on real servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres._cancel import cancel
from wirekit.protocols.postgres import BackendKeyData
from wirekit.sockets import DirectConnector, Socket, connect, memory_pair

SLEEP = "SELECT pg_sleep(1000)"


@pytest.mark.parametrize("carrier", ["tcp", "unix", "tls"])
async def test_the_query_is_cancelled(
    postgres15: RunningServer,
    certificate_authority: CertificateAuthority,
    carrier: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sockets: list[Socket] = []

    async def dial(_: object = None) -> Socket:
        target = (postgres15.host, postgres15.port)
        if carrier == "unix":
            sockets.append(connect(f"unix://{postgres15.unix_path}"))
        elif carrier == "tcp":
            sockets.append(connect(target))
        else:
            context = certificate_authority.client_context()
            sockets.append(connect(target, secure_transport="starttls", ssl_context=context))
        return sockets[-1]

    async with pg.Postgres(
        connector=dial, address="wherever:1", user="trust_user", database="wirekit"
    ) as db:
        task = asyncio.create_task(db.fetch(SLEEP))
        await asyncio.sleep(0.05)
        key = await key_of(db, monkeypatch)
        await cancel(dial, key)
        with pytest.raises(pg.QueryCanceledError):
            await task
        assert await db.fetchval("SELECT 1") == 1
        # A wrong key has no effect, and nobody is told.
        other = asyncio.create_task(db.fetchval("SELECT 7 FROM pg_sleep(0.1)"))
        await asyncio.sleep(0.02)
        await cancel(dial, BackendKeyData(key.process_id, bytes(4)))
        assert await other == 7
    assert all(socket.closed.done() for socket in sockets[1:] if socket.successor is None)


async def key_of(db: Any, monkeypatch: pytest.MonkeyPatch) -> BackendKeyData:
    """Return the key by way of what the client would send."""
    sent: list[BackendKeyData] = []

    async def note(dial: object, key: BackendKeyData, **_: object) -> None:
        sent.append(key)

    with monkeypatch.context() as patch:
        patch.setattr("wirekit.adapters.postgres._client.cancel", note)
        await db._connection.canceller()
    return sent[0]


async def test_long_keys(postgres18: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pg.Postgres(
        connector=DirectConnector(),
        address=(postgres18.host, postgres18.port),
        user="trust_user",
        database="wirekit",
        protocol_version=(3, 2),
    ) as db:
        assert db.protocol_version == (3, 2)
        assert len((await key_of(db, monkeypatch)).secret_key) == 32
        with pytest.raises(TimeoutError):
            await db.fetch(SLEEP, timeout=0.05)
        assert await db.fetchval("SELECT pg_backend_pid()", timeout=10) == db.get_server_pid()


KEY = BackendKeyData(1, b"key!")


async def test_a_server_that_says_nothing() -> None:
    ours, theirs = memory_pair()

    async def dial() -> Socket:
        return ours

    with pytest.raises(wirekit.ConnectTimeout, match=r"no CancelRequest within 0\.02 s"):
        await cancel(dial, KEY, timeout=0.02)
    assert await theirs.read() == b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1key!"
    await ours.closed
    theirs.abort()


async def test_a_connection_that_does_not_come_about() -> None:
    async def dial() -> Socket:
        raise wirekit.ConnectRefused("nobody there")

    with pytest.raises(wirekit.ConnectRefused):
        await cancel(dial, KEY)

    async def hang() -> Socket:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(wirekit.ConnectTimeout):
        await cancel(hang, KEY, timeout=0.02)

    async def slow() -> Socket:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await cancel(slow, KEY)


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_it_may_end_as_it_likes(end: str) -> None:
    ours, theirs = memory_pair()

    async def dial() -> Socket:
        return ours

    async def serve() -> None:
        await theirs.read()
        if end == "close":
            await theirs.close()
        else:
            theirs.abort()

    await asyncio.gather(cancel(dial, KEY), serve())


async def test_cancelled_itself() -> None:
    ours, theirs = memory_pair()

    async def dial() -> Socket:
        return ours

    task = asyncio.create_task(cancel(dial, KEY))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ours.closed
    theirs.abort()


async def test_a_cancel_request_that_cannot_be_sent_ends_the_connection(
    postgres15: RunningServer,
) -> None:
    refuse = False

    async def dial(address: object) -> Socket:
        if refuse:
            raise wirekit.ConnectRefused("nobody there")
        return connect((postgres15.host, postgres15.port))

    async with client(postgres15) as other:
        async with pg.Postgres(
            connector=dial, address="wherever:1", user="trust_user", database="wirekit"
        ) as db:
            refuse = True
            with pytest.raises(TimeoutError):
                await db.fetch(SLEEP, timeout=0.05)
            with pytest.raises(pg.ConnectionDoesNotExistError, match="nobody there"):
                await db.fetchval("SELECT 1", timeout=10)
            assert db.is_closed()
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = $1", SLEEP
        )
