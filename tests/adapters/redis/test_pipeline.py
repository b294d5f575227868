from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.exceptions
from redis.commands import AsyncCoreCommands

import wirekit
from tests.interop.redis.fake_server import OK, Command, FakeServer
from tests.interop.redis.helpers import eventually, on_socket, reconnecting
from tests.servers import RunningServer
from wirekit.adapters.redis import DataError, Pipeline, ResponseError


@pytest.fixture(params=[on_socket, reconnecting], ids=["socket", "connector"])
async def client(request: pytest.FixtureRequest, server: RunningServer) -> AsyncIterator[Any]:
    async with request.param(server, timeout=10.0) as opened:
        await opened.flushall()
        yield opened


async def test_results_in_order(client: Any) -> None:
    pipe = client.pipeline()
    assert pipe.set("a", 1).incr("a") is pipe
    pipe.hset("h", mapping={"f": "v"})
    pipe.hgetall("h")
    pipe.zadd("z", {"m": 1})
    pipe.zrange("z", 0, -1, withscores=True)
    assert len(pipe) == 6
    assert pipe
    assert await pipe.execute() == [True, 2, 1, {b"f": b"v"}, 1, [(b"m", 1.0)]]
    assert len(pipe) == 0
    assert await pipe.execute() == []


@pytest.mark.parametrize("transaction", [True, False])
async def test_errors(client: Any, transaction: bool) -> None:
    await client.set("s", "text")
    pipe = client.pipeline(transaction=transaction)
    pipe.get("s").lpush("s", "hunter2").set("s", "after")
    with pytest.raises(ResponseError, match="WRONGTYPE") as caught:
        await pipe.execute()
    assert caught.value.__notes__ == ["command #2 (LPUSH) of the pipeline"]
    assert isinstance(caught.value, redis.exceptions.ResponseError)
    # As Redis has it, the others ran.
    assert await client.get("s") == b"after"
    pipe.get("s").lpush("s", "x")
    results = await pipe.execute(raise_on_error=False)
    assert results[0] == b"after"
    assert isinstance(results[1], ResponseError)


async def test_a_command_that_is_refused_stops_the_transaction(client: Any) -> None:
    pipe = client.pipeline()
    pipe.set("k", "v")
    pipe.execute_command("NOSUCH", "hunter2")
    with pytest.raises(ResponseError, match="unknown command") as caught:
        await pipe.execute()
    assert caught.value.__notes__ == ["command #2 (NOSUCH) of the pipeline"]
    assert await client.get("k") is None


async def test_watch(client: Any) -> None:
    await client.set("n", 1)
    async with client.pipeline() as pipe:
        await pipe.watch("n")
        assert pipe.watching
        number = int(await pipe.get("n"))
        pipe.multi()
        pipe.set("n", number + 1)
        assert await pipe.execute() == [True]
        assert not pipe.watching
    assert await client.get("n") == b"2"


async def test_a_watched_key_changes(client: Any, server: RunningServer) -> None:
    async with client.pipeline() as pipe, on_socket(server) as other:
        await pipe.watch("n")
        await other.set("n", 5)
        pipe.multi()
        pipe.set("n", 6)
        with pytest.raises(redis.exceptions.WatchError) as caught:
            await pipe.execute()
        assert isinstance(caught.value, wirekit.Error)
        # The pipeline serves again.
        pipe.get("n")
        assert await pipe.execute() == [b"5"]


async def test_a_transaction_of_nothing_still_looks(client: Any, server: RunningServer) -> None:
    async with client.pipeline() as pipe, on_socket(server) as other:
        await pipe.watch("n")
        pipe.multi()
        assert await pipe.execute() == []
        await pipe.watch("n")
        await other.set("n", 5)
        pipe.multi()
        with pytest.raises(redis.exceptions.WatchError):
            await pipe.execute()


async def test_unwatch(client: Any, server: RunningServer) -> None:
    async with client.pipeline() as pipe, on_socket(server) as other:
        await pipe.watch("n")
        assert await pipe.unwatch() is True
        await other.set("n", 5)
        pipe.incr("n")
        assert await pipe.execute() == [6]
        assert await pipe.unwatch() is True


async def test_a_connection_serves_one_watch_after_the_other(server: RunningServer) -> None:
    async with reconnecting(server) as client:
        before = await client.info("stats")
        for _ in range(5):
            async with client.pipeline() as pipe:
                await pipe.watch("n")
        after = await client.info("stats")
        assert after["total_connections_received"] == before["total_connections_received"] + 1


async def test_what_ends_a_watch_leaves_no_watch_behind(client: Any, server: RunningServer) -> None:
    async with on_socket(server) as other:
        for end in ("reset", "discard", "aclose"):
            pipe = client.pipeline()
            await pipe.watch("n")
            await other.incr("n")
            await getattr(pipe, end)()
            # On the connection that watched: a WATCH left there would make this fail.
            async with client.pipeline() as again:
                await again.watch("other")
                again.multi()
                again.get("n")
                assert len(await again.execute()) == 1


async def test_order_of_watch_and_multi(client: Any) -> None:
    async with client.pipeline() as pipe:
        pipe.multi()
        with pytest.raises(redis.exceptions.RedisError, match="before"):
            pipe.multi()
        with pytest.raises(redis.exceptions.RedisError, match="after multi"):
            await pipe.watch("n")
    async with client.pipeline() as pipe:
        pipe.get("n")
        with pytest.raises(redis.exceptions.RedisError, match="before watch"):
            pipe.multi()


async def test_other_tasks_wait_for_the_only_connection(server: RunningServer) -> None:
    async with on_socket(server) as client:
        async with client.pipeline() as pipe:
            await pipe.watch("n")
            with pytest.raises(wirekit.BusyError):
                await client.get("n")
            other = asyncio.create_task(client.ping())
            await asyncio.sleep(0.02)
            assert not other.done()
        assert await other is True


async def test_blocking_commands_wait_in_no_pipeline(client: Any) -> None:
    await client.rpush("l", "a")
    with pytest.raises(DataError, match="BLPOP cannot wait in a pipeline"):
        client.pipeline(transaction=False).blpop("l", timeout=1)
    async with client.pipeline() as pipe:
        await pipe.watch("n")
        with pytest.raises(DataError, match="BLPOP cannot wait in a pipeline"):
            await pipe.blpop("l", timeout=1)
    pipe = client.pipeline().blpop("l", timeout=1).blpop("l", timeout=1)
    assert await pipe.execute() == [(b"l", b"a"), None]  # MULTI does not wait


@pytest.mark.parametrize("watching", [True, False])
async def test_cancelled_in_execute(client: Any, watching: bool) -> None:
    for turns in range(1, 5):
        pipe = client.pipeline()
        if watching:
            await pipe.watch("w")
            pipe.multi()
        for _ in range(100):
            pipe.incr("n")
        task = asyncio.create_task(pipe.execute())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not pipe.watching
        assert await client.echo("mine") == b"mine"
        assert int(await client.get("n") or 0) % 100 == 0


async def test_cancelled_in_watch(client: Any) -> None:
    for turns in range(4):
        pipe = client.pipeline()
        task = asyncio.create_task(pipe.watch("w"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not pipe.watching
        assert await client.echo("mine") == b"mine"
    await eventually(lambda: not client._connections._lent)


async def test_scripts(client: Any) -> None:
    script = client.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    assert await script(["n"], [2]) == 2
    await client.script_flush()
    assert await script(["n"], [2]) == 4
    for watching in (False, True):
        await client.script_flush()
        async with client.pipeline() as pipe:
            if watching:
                await pipe.watch("w")
                pipe.multi()
            assert await script(["n"], [3], client=pipe) is pipe
            pipe.get("n")
            results = await pipe.execute()
            assert results[1] == str(results[0]).encode()
    own = client.pipeline()
    in_pipeline = own.register_script("return ARGV[1]")
    await in_pipeline(args=["x"])
    assert await own.execute() == [b"x"]
    assert await client.get("n") == b"10"


async def test_refused(client: Any) -> None:
    pipe = client.pipeline()
    for words in (("SUBSCRIBE", "c"), ("MULTI",), ("CLIENT", "REPLY", "OFF"), ("SELECT", 1)):
        with pytest.raises(DataError):
            pipe.execute_command(*words)
    await pipe.watch("n")
    with pytest.raises(DataError):
        await pipe.execute_command("SELECT", 1)
    await pipe.reset()


async def test_immediately_without_watching(client: Any) -> None:
    pipe = client.pipeline()
    assert await pipe.immediate_execute_command("PING") is True
    assert await pipe is pipe


async def test_options_of_the_commands(client: Any) -> None:
    pipe = client.pipeline(transaction=False)
    pipe.mget([])
    pipe.slowlog_get(0)
    assert await pipe.execute() == [[], []]


async def test_multi_is_refused() -> None:
    def opening(command: Command) -> bytes | None:
        return OK if command[0] == b"CLIENT" else None

    async with (
        FakeServer(lambda command: b"-ERR no\r\n", opening=opening) as fake,
        fake.client_on_socket(protocol=2) as client,
    ):
        pipe: Any = client.pipeline()
        with pytest.raises(ResponseError) as caught:
            await pipe.set("k", "v").execute()
        assert caught.value.__notes__ == ["command #0 (MULTI) of the pipeline"]


@pytest.mark.parametrize("answer", [b"*0\r\n", b"+OK\r\n", b"*2\r\n:1\r\n:2\r\n"])
async def test_an_answer_to_exec_that_is_none(answer: bytes) -> None:
    def reply(command: Command) -> bytes:
        return answer if command == [b"EXEC"] else OK

    async with FakeServer(reply) as fake, fake.client_on_socket() as client:
        with pytest.raises(wirekit.RemoteProtocolError, match="EXEC"):
            await client.pipeline().set("k", "v").execute()
        with pytest.raises(wirekit.RemoteProtocolError):
            await client.ping()


async def test_modules(client: Any) -> None:
    pipe = client.pipeline(transaction=False)
    pipe.json().get("k")
    assert len(pipe) == 1
    with pytest.raises(ResponseError, match="unknown command"):
        await pipe.execute()


def test_every_command_of_redis_py_is_there() -> None:
    assert {name for name in dir(AsyncCoreCommands) if not name.startswith("_")} <= {*dir(Pipeline)}
