"""Client-side caching never gives what the client could know to be stale."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import pytest

from tests.interop.redis.fake_server import OK, Command, FakeServer
from tests.interop.redis.helpers import Client, eventually, oracle, reconnecting, turns
from tests.servers import RunningServer
from wirekit.adapters.redis import Cache, Pipeline
from wirekit.protocols.resp import encode

# Races, driven by a server that says precisely what comes when ------------------------------------


class Script:
    """A server that holds back every reply until it is told to send it."""

    def __init__(self) -> None:
        self.server = FakeServer(lambda command: b"")
        self.cache = Cache()
        self.client = self.server.client(cache=self.cache)

    async def __aenter__(self) -> Self:
        await self.client.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.client.aclose()
        await self.server.aclose()

    async def asked(self, call: Awaitable[Any], commands: int = 1) -> asyncio.Task[Any]:
        """Begin a call; return when the server has read its commands."""
        count = len(self.server.received)
        task = asyncio.ensure_future(call)
        await eventually(lambda: len(self.server.received) >= count + commands or task.done())
        return task

    async def says(self, *chunks: bytes) -> None:
        for chunk in chunks:
            await self.server.write(chunk)
            await turns(4)

    async def reads(self, key: str, value: str) -> None:
        """Read a value, which is not cached before and is afterwards."""
        task = await self.asked(self.client.get(key))
        assert not task.done()
        await self.says(encode(value))
        assert await task == value.encode()
        assert await self.is_cached(key)

    async def is_cached(self, key: str) -> bool:
        hits = self.cache.hits
        task = asyncio.ensure_future(self.client.get(key))
        await turns(4)
        if task.done():
            assert self.cache.hits == hits + 1
            return True
        await self.says(encode("something else"))
        await task
        self.cache.clear()
        return False


def invalidation(*keys: str) -> bytes:
    return b">2\r\n$10\r\ninvalidate\r\n" + encode(list(keys))


FLUSHED = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
OLD = encode("old")


@pytest.mark.parametrize("cut", [False, True], ids=["one chunk", "two chunks"])
@pytest.mark.parametrize(
    ("chunks", "kept"),
    [
        ([invalidation("key"), OLD], False),
        ([OLD, invalidation("key")], False),
        ([invalidation("a", "key", "b"), OLD], False),
        ([FLUSHED, OLD], False),
        ([OLD, FLUSHED], False),
        ([invalidation("other"), OLD], True),
        ([OLD, invalidation("other")], True),
        ([invalidation("ke"), OLD, invalidation("keyy")], True),
        ([b">2\r\n+news\r\n+key\r\n", OLD], True),
    ],
)
async def test_invalidation_around_a_reply(chunks: list[bytes], kept: bool, cut: bool) -> None:
    async with Script() as script:
        task = await script.asked(script.client.get("key"))
        await script.says(*(chunks if cut else [b"".join(chunks)]))
        assert await task == b"old"
        assert await script.is_cached("key") is kept


async def test_two_readers_and_an_invalidation_between_their_replies() -> None:
    async with Script() as script:
        first = await script.asked(script.client.get("key"))
        second = await script.asked(script.client.get("key"))
        await script.says(OLD, invalidation("key"), encode("new"))
        assert [await first, await second] == [b"old", b"new"]
        task = await script.asked(script.client.get("key"))
        assert not task.done() or await task == b"new"
        await script.says(encode("new"))
        assert await task == b"new"


async def test_a_reader_who_left_does_not_fill_the_cache() -> None:
    async with Script() as script:
        task = await script.asked(script.client.get("key"))
        task.cancel()
        await asyncio.wait([task])
        await script.says(OLD)
        assert len(script.cache) == 0
        assert await script.is_cached("key") is False
        await script.reads("key", "new")


async def test_an_error_is_not_kept() -> None:
    async with Script() as script:
        task = await script.asked(script.client.get("key"))
        await script.says(b"-WRONGTYPE no\r\n")
        with pytest.raises(Exception, match="no"):
            await task
        await script.reads("key", "value")


@dataclass(frozen=True)
class Write:
    """A write of ours: how, its number of commands, and the replies to it."""

    how: Callable[[Client], Awaitable[Any]]
    commands: int
    replies: bytes


QUEUED = b"+QUEUED\r\n"
OWN_WRITES = {
    "method": Write(lambda client: client.set("key", "new"), 1, OK),
    "execute": Write(lambda client: client.execute("SET", "key", "new"), 1, OK),
    "execute, lower case": Write(lambda client: client.execute(b"set", b"key", "new"), 1, OK),
    "script": Write(lambda client: client.eval("…", 1, "key"), 1, OK),
    "pipeline": Write(
        lambda client: client.pipeline(transaction=False).ping().set("key", "new").execute(),
        2,
        b"+PONG\r\n" + OK,
    ),
    "transaction": Write(
        lambda client: client.pipeline().set("key", "new").execute(),
        3,
        OK + QUEUED + b"*1\r\n" + OK,
    ),
    "rename": Write(lambda client: client.rename("other", "key"), 1, OK),
    "flush": Write(lambda client: client.flushdb(), 1, OK),
    "flush by execute": Write(lambda client: client.execute("FLUSHALL"), 1, OK),
    "refused": Write(lambda client: client.execute("SETRANGE", "key", 1, "x"), 1, b"-OOM no\r\n"),
}


@pytest.mark.parametrize("write", OWN_WRITES)
async def test_own_write_then_own_read(write: str) -> None:
    """Also before the server's invalidation, which comes behind the reply, is there."""
    own = OWN_WRITES[write]
    async with Script() as script:
        await script.reads("key", "old")
        task = await script.asked(own.how(script.client), own.commands)
        await script.says(own.replies)
        await asyncio.wait([task])
        assert task.exception() is None or write == "refused"
        assert await script.is_cached("key") is False


async def test_own_write_while_the_connection_is_congested() -> None:
    """A read that overtakes a write which waits must not leave its value behind."""
    async with Script() as script:
        connection = script.client._connections.shared
        assert connection is not None
        connection.pause_writing()
        write = asyncio.ensure_future(script.client.set("key", "new"))
        await turns(2)
        connection.resume_writing()
        read = asyncio.ensure_future(script.client.get("key"))
        await eventually(lambda: len(script.server.received) >= 2)
        order = [command[0] for command in script.server.received]
        replies = {b"SET": OK, b"GET": encode("old" if order[0] == b"GET" else "new")}
        await script.says(*(replies[name] for name in order))
        await asyncio.wait([write, read])
        if order[0] == b"GET":
            assert await script.is_cached("key") is False


async def test_a_write_that_was_cancelled_may_still_run() -> None:
    async with Script() as script:
        await script.reads("key", "old")
        task = await script.asked(script.client.set("key", "new"))
        task.cancel()
        await asyncio.wait([task])
        read = await script.asked(script.client.get("key"))
        await script.says(OK, encode("new"))
        assert await read == b"new"


async def test_equal_arguments_of_different_types_are_different_keys() -> None:
    def answer(command: Command) -> bytes:
        return encode(command[-1])

    async with FakeServer(answer) as server, server.client(cache=Cache()) as client:
        for _ in range(2):
            assert await client.get("1") == b"1"
            assert await client.get(b"1") == b"1"
            assert await client.execute_command("GET", 1, keys=[1]) == b"1"
            assert await client.execute_command("GET", 1.0, keys=[1.0]) == b"1.0"
        assert len(server.received) == 4


async def test_a_caller_may_change_what_it_got() -> None:
    async with (
        FakeServer(lambda command: encode([b"a", b"b"])) as server,
        server.client(cache=Cache()) as client,
    ):
        for _ in range(3):
            items: Any = await client.lrange("key", 0, -1)
            assert items == [b"a", b"b"]
            items.clear()
        assert len(server.received) == 1


# Real servers, random interleavings ---------------------------------------------------------------

KEYS = 6
Reader = Callable[[Client, int], Awaitable[int]]
Writer = Callable[[Client, int], Awaitable[Any]]


async def _get(client: Client, key: int) -> int:
    return int(await client.get(f"n:{key}") or 0)


async def _mget(client: Client, key: int) -> int:
    values: Any = await client.mget([f"n:{number}" for number in range(KEYS)])
    return int(values[key] or 0)


async def _hget(client: Client, key: int) -> int:
    values: Any = await client.hgetall(f"h:{key}")
    return int(values.get(b"field", 0))


async def _llen(client: Client, key: int) -> int:
    return int(await client.llen(f"l:{key}"))


async def _incr_by_script(client: Client, key: int) -> Any:
    return await client.eval("return redis.call('INCR', KEYS[1])", 1, f"n:{key}")


async def _incr_by_watch(client: Client, key: int) -> Any:
    def increment(pipe: Pipeline) -> None:
        pipe.multi()
        pipe.incr(f"n:{key}")

    return await client.transaction(increment, f"n:{key}")


async def _incr_between_watch_and_multi(client: Client, key: int) -> Any:
    async with client.pipeline() as pipe:
        await pipe.watch("nothing")
        return await pipe.incr(f"n:{key}")


async def _move_back(client: Client, key: int) -> Any:
    """Write by a blocking command, on a connection of its own."""
    await client.rpush(f"spare:{key}", "item")
    return await client.blmove(f"spare:{key}", f"l:{key}", 1)


# Everything only ever grows, so that a stale value is one that is too small.
SHAPES: dict[str, tuple[list[Reader], list[Writer]]] = {
    "numbers": (
        [_get, _mget],
        [
            lambda client, key: client.incr(f"n:{key}"),
            lambda client, key: client.execute("INCR", f"n:{key}"),
            lambda client, key: client.pipeline().incr(f"n:{key}").execute(),
            lambda client, key: client.pipeline(transaction=False).incr(f"n:{key}").execute(),
            _incr_by_script,
            _incr_by_watch,
            _incr_between_watch_and_multi,
        ],
    ),
    "hashes": ([_hget], [lambda client, key: client.hincrby(f"h:{key}", "field", 1)]),
    "lists": ([_llen], [lambda client, key: client.rpush(f"l:{key}", "item"), _move_back]),
}


class Model:
    """Tasks that read and write through a caching client and past it, and know what is stale."""

    def __init__(self, shape: str, caching: Client, other: Client) -> None:
        self.readers, self.writers = SHAPES[shape]
        self.caching = caching
        self.other = other
        self.written = dict.fromkeys(range(KEYS), 0)  # successes, of anybody
        self.known = dict.fromkeys(range(KEYS), 0)  # those that the caching client was told of

    async def run(self, seed: int, steps: int) -> None:
        rng = random.Random(seed)
        for _ in range(steps):
            key = rng.randrange(KEYS)
            action = rng.random()
            if action < 0.6:
                await self._read(key, rng.choice(self.readers))
            elif action < 0.8:
                await rng.choice(self.writers)(self.caching, key)
                self.written[key] += 1
                self.known[key] += 1
                await self._read(key, rng.choice(self.readers))
            else:
                await self.writers[0](self.other, key)
                self.written[key] += 1
                if rng.random() < 0.5:
                    # What the server says to this comes behind the invalidation.
                    written = self.written[key]
                    await self.caching.ping()
                    self.known[key] = max(self.known[key], written)
            if rng.random() < 0.1:
                await asyncio.sleep(0)

    async def _read(self, key: int, reader: Reader) -> None:
        least = self.known[key]
        assert await reader(self.caching, key) >= least


@pytest.mark.both_loops
@pytest.mark.parametrize("shape", SHAPES)
async def test_no_stale_read_in_random_interleavings(server: RunningServer, shape: str) -> None:
    with oracle(server, flush=True):
        cache = Cache()
        async with reconnecting(server, cache=cache) as caching, reconnecting(server) as other:
            model = Model(shape, caching, other)
            await asyncio.gather(*(model.run(seed, 150) for seed in range(8)))
            assert cache.hits > 50
            await caching.ping()
            for key in range(KEYS):
                for reader in model.readers:
                    assert await reader(caching, key) == model.written[key]


@pytest.mark.parametrize("connections", ["own", "one"])
async def test_write_by_another_then_round_trip(server: RunningServer, connections: str) -> None:
    rng = random.Random(connections)
    with oracle(server, flush=True) as admin:
        cache: Any = Cache(max_entries=20)
        async with reconnecting(server, cache=cache) as client:
            for number in range(1, 400):
                key = f"key:{rng.randrange(40)}"
                if rng.random() < 0.5:
                    await client.get(key)
                else:
                    admin.set(key, number)
                    await client.ping()
                    assert await client.get(key) == b"%d" % number
                assert len(cache) <= 20
                assert len(cache._places) <= 20
                assert sum(map(len, cache._by_key.values())) <= 20
            admin.flushall()
            await client.ping()
            assert len(cache) == 0
            assert await client.get("key:1") is None
