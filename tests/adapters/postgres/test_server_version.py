from __future__ import annotations

import pytest

import wirekit
from tests.adapters.postgres._login import client
from tests.servers import RunningServer
from wirekit.adapters.postgres._server_version import parse_server_version
from wirekit.adapters.postgres.types import ServerVersion


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("15.18 (Debian 15.18-0+deb12u1)", (15, 0, 18, "final", 0)),
        ("18.6", (18, 0, 6, "final", 0)),
        ("10", (10, 0, 0, "final", 0)),
        ("9.6.24", (9, 6, 24, "final", 0)),
        ("9.6", (9, 6, 0, "final", 0)),
        ("8.0.2 on i686-pc-linux-gnu", (8, 0, 2, "final", 0)),
        ("PostgreSQL 16.3", (16, 0, 3, "final", 0)),
        ("19devel", (19, 0, 0, "devel", 0)),
        ("18beta2", (18, 0, 0, "beta", 2)),
        ("18rc1", (18, 0, 0, "rc", 1)),
        ("18alpha", (18, 0, 0, "alpha", 0)),
    ],
)
def test_versions(text: str, version: tuple[int, int, int, str, int]) -> None:
    parsed = parse_server_version(text)
    assert isinstance(parsed, ServerVersion)
    assert parsed == version


@pytest.mark.parametrize("text", ["", "PostgreSQL", "v15", "\u0661\u0665x", " 15"])
def test_what_is_none(text: str) -> None:
    if text[:1].isdecimal():  # digits, but not those that a server writes
        assert parse_server_version(text).major == 15
        return
    with pytest.raises(wirekit.RemoteProtocolError, match="none"):
        parse_server_version(text)


def test_a_number_without_end() -> None:
    assert parse_server_version("1" * 10_000).major == 111111111


async def test_real_servers(postgres: RunningServer) -> None:
    async with client(postgres) as db:
        version = db.get_server_version()
        assert f"postgres{version.major}" == postgres.name
        text = await db.fetchval("SHOW server_version")
        assert parse_server_version(text) == version
        number = int(await db.fetchval("SHOW server_version_num"))
        assert number == version.major * 10000 + version.micro
