from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
import pytest
import pytest_asyncio

from tests.adapters.ssh._far import Far, Road, road
from tests.interop.waiting import turns
from wirekit.adapters.ssh._channel import watch


class Session(Far):
    """Says in what order it learns of the end."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.error: Exception | None = None

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return super().eof_received()

    def channel_closed(self) -> None:
        self.calls.append("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.error = exc
        super().connection_lost(exc)


@pytest_asyncio.fixture
async def way() -> AsyncIterator[Road]:
    async with road() as made:
        yield made


async def watched(way: Road, *, paused: bool = False) -> tuple[Session, Far]:
    channel: Any
    channel, session = await way.ssh.create_connection(Session, "db", 1)
    watch(channel)
    assert isinstance(channel, asyncssh.SSHTCPChannel)
    if paused:
        channel.pause_reading()
    assert isinstance(session, Session)
    return session, await way.ways.ends.get()


@pytest.mark.parametrize("eof", [False, True])
@pytest.mark.parametrize("paused", [False, True])
async def test_the_peers_close_is_told_at_once(eof: bool, paused: bool, way: Road) -> None:
    session, far = await watched(way, paused=paused)
    far.channel.write(b"unread")
    if eof:
        far.channel.write_eof()
    far.channel.close()
    await turns(30)
    told = ["eof"] if eof and not paused else []
    assert session.calls[: len(told) + 1] == [*told, "closed"]
    session.channel.resume_reading()
    await session.lost.wait()
    assert session.error is None
    assert session.data == b"unread"


async def test_our_own_close_is_not_the_peers(way: Road) -> None:
    session, far = await watched(way)
    session.channel.close()
    await session.lost.wait()
    await far.lost.wait()
    assert session.calls == ["lost"]


@pytest.mark.parametrize("cut", [False, True])
async def test_the_end_of_the_connection_is_an_error(cut: bool, way: Road) -> None:
    session, _ = await watched(way)
    if cut:
        way.server_transport.abort()
    else:
        way.ssh.connection.close()
    await session.lost.wait()
    assert isinstance(session.error, asyncssh.ConnectionLost)
    assert session.calls == ["lost"]


async def test_channels_of_one_kind_become_one_kind(way: Road) -> None:
    first, _ = await watched(way)
    second, _ = await watched(way)
    assert type(first.channel) is type(second.channel)
    await asyncio.sleep(0)
