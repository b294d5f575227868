"""Several hosts, of which some are dead, and servers that have to be of a kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import login
from tests.servers import RunningServer, postgres_replica, postgres_server
from wirekit.adapters.postgres import (
    ClientConfigurationError,
    TargetServerAttributeNotMatched,
    connect,
)

DEAD = 1  # a port where nobody listens


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def primary() -> Iterator[RunningServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def standby(primary: RunningServer) -> Iterator[RunningServer]:
    with postgres_replica(primary) as server:
        yield server


async def where(hosts: list[RunningServer], **options: Any) -> int:
    """Return the port of the server that is connected to."""
    ports = [server.port for server in hosts]
    options = login(hosts[0], **options)
    options.update(host=[server.host for server in hosts], port=ports)
    db = await connect(**options)
    port = int(await db.fetchval("SELECT current_setting('port')"))
    await db.close()
    return port


@pytest.mark.parametrize(
    ("attribute", "of_both", "of_primary", "of_standby"),
    [
        ("any", "first", "primary", "standby"),
        ("primary", "primary", "primary", None),
        ("standby", "standby", None, "standby"),
        ("prefer-standby", "standby", "primary", "standby"),
        ("read-write", "primary", "primary", None),
        ("read-only", "standby", None, "standby"),
    ],
)
async def test_target_session_attrs(
    primary: RunningServer,
    standby: RunningServer,
    attribute: str,
    of_both: str,
    of_primary: str | None,
    of_standby: str | None,
) -> None:
    ports = {"primary": primary.port, "standby": standby.port}
    for hosts, wanted in (
        ([primary, standby], of_both),
        ([standby, primary], of_both),
        ([primary], of_primary),
        ([standby], of_standby),
    ):
        if wanted is None:
            with pytest.raises(TargetServerAttributeNotMatched, match=attribute):
                await where(hosts, target_session_attrs=attribute)
        else:
            port = hosts[0].port if wanted == "first" else ports[wanted]
            assert await where(hosts, target_session_attrs=attribute) == port


async def test_read_only_by_a_setting(primary: RunningServer, standby: RunningServer) -> None:
    """A primary whose transactions are read-only by default is no good for writing."""
    settings = {"default_transaction_read_only": "on"}
    options: dict[str, Any] = {"server_settings": settings}
    with pytest.raises(TargetServerAttributeNotMatched):
        await where([primary], target_session_attrs="read-write", **options)
    port = await where([primary], target_session_attrs="read-only", **options)
    assert port == primary.port
    port = await where([primary], target_session_attrs="primary", **options)
    assert port == primary.port


async def test_dead_hosts_come_first(primary: RunningServer, standby: RunningServer) -> None:
    hosts = f"127.0.0.1:{DEAD},127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
    dsn = f"postgresql://trust_user@{hosts}/wirekit?sslmode=disable"
    for attribute, port in (("any", standby.port), ("primary", primary.port)):
        db = await connect(dsn, target_session_attrs=attribute)
        assert await db.fetchval("SELECT current_setting('port')") == str(port)
        await db.close()
    words = (
        f"host=/nowhere,127.0.0.1,127.0.0.1 port={DEAD},{DEAD},{primary.port} user=trust_user"
        " dbname=wirekit"
    )
    db = await connect(words)
    assert await db.fetchval("SELECT 1") == 1
    await db.close()


async def test_unix_and_tcp(primary: RunningServer, standby: RunningServer) -> None:
    options = login(primary)
    options.update(
        host=["/nowhere", str(standby.directory), primary.host],
        port=[DEAD, standby.port, primary.port],
    )
    db = await connect(**options)
    assert await db.fetchval("SELECT inet_server_addr() IS NULL") is True
    await db.close()
    db = await connect(**options, target_session_attrs="read-write")
    assert await db.fetchval("SELECT inet_server_addr() IS NULL") is False
    await db.close()


async def test_hosts_of_the_environment(
    primary: RunningServer, standby: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1,127.0.0.1")
    monkeypatch.setenv("PGPORT", f"{standby.port},{primary.port}")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-write")
    db = await connect(user="trust_user", database="wirekit")
    assert await db.fetchval("SELECT pg_is_in_recovery()") is False
    await db.close()


async def test_all_are_dead(primary: RunningServer) -> None:
    with pytest.raises(wirekit.ConnectRefused, match=str(DEAD)):
        await connect(**login(primary, host=["127.0.0.1"] * 2, port=DEAD))
    with pytest.raises(ConnectionRefusedError, match=f":{DEAD + 1}") as refused:
        await connect(**login(primary, host=["127.0.0.1"] * 2, port=[DEAD, DEAD + 1]))
    (note,) = refused.value.__notes__
    assert note.startswith(f"before that: cannot connect to 127.0.0.1:{DEAD}")
    with pytest.raises(ClientConfigurationError, match="do not match"):
        await connect(**login(primary, host=["127.0.0.1"] * 2, port=[1, 2, 3]))


async def test_one_is_dead_and_the_other_does_not_fit(
    primary: RunningServer, standby: RunningServer
) -> None:
    options = login(primary, target_session_attrs="primary")
    options.update(host=["127.0.0.1"] * 2, port=[DEAD, standby.port])
    with pytest.raises(wirekit.ConnectRefused) as refused:
        await connect(**options)
    assert refused.value.__notes__ == [
        f"127.0.0.1:{standby.port} can be reached, and is not primary"
    ]


async def test_load_balancing(primary: RunningServer, standby: RunningServer) -> None:
    hosts = [primary, standby]
    assert {await where(hosts) for _ in range(5)} == {primary.port}
    found: set[int] = set()
    for _ in range(100):  # that it is none of them, is one chance in 2^100
        found.add(await where(hosts, load_balance_hosts="random"))
        if len(found) == 2:
            break
    assert found == {primary.port, standby.port}


async def test_after_a_failover(primary: RunningServer, standby: RunningServer) -> None:
    """The same DSN leads to whoever is the primary then; it is the last test, as it promotes."""
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    dsn = f"postgresql://postgres@{hosts}/wirekit?sslmode=disable&target_session_attrs=read-write"
    db = await connect(dsn)
    assert await db.fetchval("SELECT current_setting('port')") == str(primary.port)
    old = await connect(**login(standby, user="postgres"))
    primary.stop()
    assert await old.fetchval("SELECT pg_promote()") is True
    await old.close()
    with pytest.raises(ConnectionError):
        await db.fetchval("SELECT 1")
    db = await connect(dsn)
    assert await db.fetchval("SELECT current_setting('port')") == str(standby.port)
    assert await db.execute("CREATE TABLE after_it (n int)") == "CREATE TABLE"
    await db.close()
    primary.start()
