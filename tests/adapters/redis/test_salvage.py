from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.exceptions

import wirekit
from tests.interop.redis.fake_server import OK, Command, FakeServer
from tests.interop.redis.helpers import Client, eventually, on_socket, reconnecting, turns
from tests.servers import RunningServer
from wirekit.adapters.redis import _commands


@pytest.fixture(params=[2, None], ids=["resp2", "resp3"])
async def client(request: pytest.FixtureRequest, server: RunningServer) -> AsyncIterator[Any]:
    async with reconnecting(server, protocol=request.param) as opened:
        await opened.flushall()
        yield opened


def lent(client: Client) -> int:
    return len(client._connections._lent)


async def waiting_for(client: Client, coroutine: Any) -> asyncio.Task[Any]:
    """Return a task of a command that the server is waiting in."""
    task = asyncio.create_task(coroutine)

    for _ in range(1000):
        about: Any = await client.info("clients")
        if about["blocked_clients"]:
            return task
        await asyncio.sleep(0.005)
    raise AssertionError("the server does not wait in it")


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_others_go_on_meanwhile(client: Any) -> None:
    task = await waiting_for(client, client.blpop("l", timeout=0))
    assert await client.ping() is True
    await client.rpush("l", "x")
    assert await task == (b"l", b"x")
    assert lent(client) == 0


async def test_a_cancelled_wait_takes_nothing(client: Any) -> None:
    task = await waiting_for(client, client.blpop("l", timeout=0))
    await cancelled(task)
    await client.rpush("l", "x")
    await eventually(lambda: lent(client) == 0)
    assert await client.lrange("l", 0, -1) == [b"x"]
    # The connection serves again.
    assert await client.blpop("l", timeout=1) == (b"l", b"x")


@pytest.mark.parametrize(
    ("fill", "wait", "left"),
    [
        (("RPUSH", "k", "1", "2", "3"), ("BLPOP", "k", 0), [b"1", b"2", b"3"]),
        (("RPUSH", "k", "1", "2", "3"), ("BRPOP", "k", 0), [b"1", b"2", b"3"]),
        (
            ("RPUSH", "k", "1", "2", "3"),
            ("BLMPOP", 0, 1, "k", "LEFT", "COUNT", 2),
            [b"1", b"2", b"3"],
        ),
        (
            ("RPUSH", "k", "1", "2", "3"),
            ("BLMPOP", 0, 1, "k", "RIGHT", "COUNT", 2),
            [b"1", b"2", b"3"],
        ),
        (("ZADD", "k", "1", "a", "2.5", "b"), ("BZPOPMIN", "k", 0), [(b"a", 1.0), (b"b", 2.5)]),
        (("ZADD", "k", "1", "a", "2.5", "b"), ("BZPOPMAX", "k", 0), [(b"a", 1.0), (b"b", 2.5)]),
        (
            ("ZADD", "k", "1", "a", "2.5", "b"),
            ("BZMPOP", 0, 1, "k", "MIN", "COUNT", 5),
            [(b"a", 1.0), (b"b", 2.5)],
        ),
    ],
)
async def test_what_was_popped_for_nobody_is_put_back(
    client: Any, fill: Any, wait: Any, left: Any
) -> None:
    await client.blpop("nothing", timeout=0.01)  # makes the connection that is lent below
    await client.execute(*fill)
    task = asyncio.create_task(client.execute(*wait))
    await turns(2)  # the command is written
    assert lent(client) == 1
    await cancelled(task)
    await eventually(lambda: lent(client) == 0)
    if isinstance(left[0], tuple):
        assert await client.zrange("k", 0, -1, withscores=True) == left
    else:
        assert await client.lrange("k", 0, -1) == left


async def test_an_error_reply_keeps_the_connection(client: Any) -> None:
    await client.set("s", "text")
    for _ in range(3):
        with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
            await client.blpop("s", timeout=1)
    assert lent(client) == 0
    assert len(client._connections._idle) == 1
    with pytest.raises(redis.exceptions.ResponseError, match="not a float"):
        await client.blpop("l", timeout="soon")
    assert len(client._connections._idle) == 1


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_commands, "_SLICE", 0.1)


@pytest.mark.usefixtures("short_slices")
async def test_on_the_only_connection_others_get_their_turn(server: RunningServer) -> None:
    async with on_socket(server) as client, on_socket(server) as other:
        await client.flushall()
        task = asyncio.create_task(client.blpop("l", timeout=0))
        await asyncio.sleep(0.01)
        await client.set("k", "v")  # behind one slice
        assert not task.done()
        await other.rpush("l", "x")
        assert await task == (b"l", b"x")
        assert await client.brpop("l", timeout=0.25) is None
        with pytest.raises(redis.exceptions.ResponseError, match="not a float"):
            await client.blpop("l", timeout="soon")
        assert await client.xread({"x": "$"}, block=20) in ([], {})
        assert await client.wait(0, 1) == 0


@pytest.mark.usefixtures("short_slices")
async def test_cancelled_on_the_only_connection(server: RunningServer) -> None:
    async with on_socket(server) as client:
        await client.flushall()
        task = asyncio.create_task(client.blpop("l", timeout=0))
        await asyncio.sleep(0.01)
        await cancelled(task)
        assert await client.rpush("l", "x") == 1  # waits for the rest of the slice
        assert await client.lrange("l", 0, -1) == [b"x"]
        # What cannot be cut into slices cannot be taken back.
        task = asyncio.create_task(client.xread({"x": "$"}, block=0))
        await asyncio.sleep(0.01)
        await cancelled(task)
        with pytest.raises(wirekit.SocketClosed, match="cancelled"):
            await client.ping()


async def test_the_wait_outlasts_the_timeout_of_others(server: RunningServer) -> None:
    async with reconnecting(server, timeout=0.2) as client:
        assert await client.blpop("nothing", timeout=0.5) is None


async def test_closing_waits_for_what_is_put_back(server: RunningServer) -> None:
    async with on_socket(server) as other:
        await other.flushall()
        async with reconnecting(server) as client:
            task = await waiting_for(client, client.blpop("l", timeout=0))
            await cancelled(task)
        await other.rpush("l", "x")
        assert await other.lrange("l", 0, -1) == [b"x"]


async def test_closed_while_waiting(server: RunningServer) -> None:
    async with reconnecting(server) as client:
        await client.flushall()
        task = await waiting_for(client, client.blpop("l", timeout=0))
    with pytest.raises(wirekit.SocketClosed):
        await task


async def test_unblocked_again_until_it_works() -> None:
    """CLIENT UNBLOCK comes before the command it is to end, as it may on two connections."""
    unblocked = 0

    async def answer(command: Command) -> bytes:
        nonlocal unblocked
        if command[:2] == [b"CLIENT", b"UNBLOCK"]:
            unblocked += 1
            if unblocked == 3:
                await server.sockets[-1].write(b"_\r\n")
            return b":%d\r\n" % (unblocked == 3)
        return b"" if command[0] == b"BLPOP" else OK

    async with FakeServer(answer) as server, server.client() as client:
        task = asyncio.create_task(client.blpop("l", timeout=0))
        await eventually(lambda: [b"BLPOP", b"l", b"0"] in server.received)
        await cancelled(task)
        await eventually(lambda: lent(client) == 0)
        assert unblocked == 3
        assert len(client._connections._idle) == 1


async def test_what_cannot_be_put_back_is_told_to_the_loop() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    async def answer(command: Command) -> bytes:
        if command[:2] == [b"CLIENT", b"UNBLOCK"]:
            await server.sockets[-1].write(b"*2\r\n$1\r\nl\r\n$7\r\nhunter2\r\n")
            return b":1\r\n"
        if command[0] == b"LPUSH":
            return b"-WRONGTYPE no\r\n"
        return b"" if command[0] == b"BLPOP" else OK

    async with FakeServer(answer) as server, server.client() as client:
        task = asyncio.create_task(client.blpop("l", timeout=0))
        await eventually(lambda: [b"BLPOP", b"l", b"0"] in server.received)
        await cancelled(task)
        await eventually(lambda: lent(client) == 0)
    assert len(told) == 1
    assert "could not be put back" in told[0]["message"]
    assert "hunter2" not in str(told)
