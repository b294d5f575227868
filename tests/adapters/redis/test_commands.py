from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.exceptions
from redis.client import NEVER_DECODE
from redis.commands import AsyncCoreCommands

import wirekit
from tests.interop.redis.fake_server import OK, Command, FakeServer
from tests.interop.redis.helpers import eventually, on_socket, reconnecting
from tests.servers import RunningServer
from wirekit.adapters.redis import Cache, DataError, Redis, ResponseError
from wirekit.adapters.redis._commands import Commands
from wirekit.protocols.resp import Push, VerbatimString, encode


@pytest.fixture(params=[on_socket, reconnecting], ids=["socket", "connector"])
async def client(request: pytest.FixtureRequest, server: RunningServer) -> AsyncIterator[Any]:
    async with request.param(server, timeout=10.0) as opened:
        await opened.flushall()
        yield opened


async def test_many_callers_at_once(client: Any) -> None:
    numbers = await asyncio.gather(*(client.incr("n") for _ in range(500)))
    assert sorted(numbers) == list(range(1, 501))


async def test_raw_replies(client: Any) -> None:
    assert await client.execute("SET", "k", "v") == b"OK"
    assert await client.execute("get", "k") == b"v"
    assert await client.execute(b"HSET", b"h", "f", 1) == 1
    assert await client.execute("HGETALL", "h") == {b"f": b"1"}
    assert await client.execute("CONFIG GET", "hz") == await client.execute("CONFIG", "GET", "hz")
    assert await client.execute("SADD", "s", "a", "b") == 2
    assert await client.execute("SMEMBERS", "s") == {b"a", b"b"}
    with pytest.raises(ResponseError) as caught:
        await client.execute("LPUSH", "k", "x")
    assert caught.value.code == "WRONGTYPE"


async def test_what_cannot_be_sent(client: Any) -> None:
    wrong: Any
    for wrong in (
        (),
        (None,),
        ("SET", "k", None),
        ("SET", "k", True),
        ("SELECT", 1),
        ("CLIENT", "REPLY", "OFF"),
    ):
        with pytest.raises(DataError) as caught:
            await client.execute(*wrong)
        assert isinstance(caught.value, redis.exceptions.DataError)
    assert await client.ping() is True


async def test_iterators(client: Any) -> None:
    await client.mset({f"k{number}": number for number in range(50)})
    await client.hset("h", mapping={"f": "v"})
    await client.sadd("s", "m")
    await client.zadd("z", {"m": 1})
    keys = {key async for key in client.scan_iter("k*", count=10)}
    assert len(keys) == 50
    assert [pair async for pair in client.hscan_iter("h")] == [(b"f", b"v")]
    assert [member async for member in client.sscan_iter("s")] == [b"m"]
    assert [pair async for pair in client.zscan_iter("z")] == [(b"m", 1.0)]


async def test_decoding(server: RunningServer) -> None:
    async with on_socket(server, decode_responses=True) as client:
        await client.set("k", "caf\u00e9")
        assert await client.get("k") == "caf\u00e9"
        assert await client.execute("GET", "k") == "caf\u00e9".encode()
        assert (
            await client.execute_command("GET", "k", **{NEVER_DECODE: []}) == "caf\u00e9".encode()
        )
        payload: Any = await client.dump("k")
        assert isinstance(payload, bytes)
        await client.set("bad", b"\xff")
        calls: list[Any] = [client.get(key) for key in ("k", "bad", "k")]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert (outcomes[0], outcomes[2]) == ("caf\u00e9", "caf\u00e9")
        assert isinstance(outcomes[1], UnicodeDecodeError)
        assert await client.ping() is True
    async with on_socket(server, decode_responses=True, encoding_errors="replace") as client:
        assert await client.get("bad") == "\ufffd"


async def test_a_callback_of_ones_own(client: Any) -> None:
    assert await client.get("k") is None

    def shaped(reply: Any, **options: Any) -> Any:
        return "mine", reply

    client.set_response_callback("GET", shaped)
    assert await client.get("k") == ("mine", None)
    assert await client.execute("GET", "k") is None


async def test_reply_types_of_resp3() -> None:
    async with (
        FakeServer(lambda command: encode(VerbatimString(b"text"))) as server,
        server.client_on_socket() as client,
    ):
        reply = await client.execute_command("NOSUCH")
        assert (type(reply), reply) == (bytes, b"text")
        assert type(await client.execute("NOSUCH")) is VerbatimString


async def test_modules_send_what_they_should() -> None:
    async with (
        FakeServer(lambda command: b"-ERR no module\r\n") as server,
        server.client_on_socket() as client,
    ):
        calls: list[tuple[Any, list[bytes]]] = [
            (client.json().set("k", "$", {"a": 1}), [b"JSON.SET", b"k", b"$", b'{"a": 1}']),
            (client.ts().add("k", 1, 2.5), [b"TS.ADD", b"k", b"1", b"2.5"]),
            (client.bf().add("k", "x"), [b"BF.ADD", b"k", b"x"]),
            (client.cf().add("k", "x"), [b"CF.ADD", b"k", b"x"]),
            (client.cms().incrby("k", ["x"], [2]), [b"CMS.INCRBY", b"k", b"x", b"2"]),
            (client.topk().add("k", "x"), [b"TOPK.ADD", b"k", b"x"]),
            (client.tdigest().reset("k"), [b"TDIGEST.RESET", b"k"]),
            (client.ft("i").info(), [b"FT.INFO", b"i"]),
            (client.vset().vcard("k"), [b"VCARD", b"k"]),
        ]
        for call, command in calls:
            with pytest.raises(ResponseError, match="no module"):
                await call
            assert server.received[-1] == command


# Sending again.


class Breaking:
    """A server whose connections end at the first GET, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.server = FakeServer(self.answer)

    async def answer(self, command: Command) -> bytes:
        if command[0] == b"GET" and self.times:
            self.times -= 1
            await self.server.sockets[-1].close()
        return OK


async def test_what_may_have_run_is_not_sent_again() -> None:
    breaking = Breaking(1)
    async with breaking.server as server, server.client() as client:
        with pytest.raises(wirekit.ConnectionLost) as caught:
            await client.get("k")
        assert vars(caught.value)["sent"] is True
        assert isinstance(caught.value, redis.exceptions.ConnectionError)
        assert await client.get("k") == b"OK"


@pytest.mark.parametrize("raw", [True, False])
async def test_what_is_idempotent_is_sent_again(raw: bool) -> None:
    breaking = Breaking(3)
    async with breaking.server as server, server.client() as client:
        call = client.idempotent.execute("GET", "k") if raw else client.idempotent.get("k")
        assert await call == b"OK"
        assert server.received.count([b"GET", b"k"]) == 4
        assert not client._replay


async def test_attempts_end() -> None:
    breaking = Breaking(100)
    async with breaking.server as server, server.client(reconnect_attempts=3) as client:
        with pytest.raises(wirekit.ConnectionLost):
            await client.idempotent.get("k")
        assert server.received.count([b"GET", b"k"]) == 4


async def test_what_was_never_sent_is_sent_again() -> None:
    async with FakeServer(lambda command: OK) as server, server.client() as client:
        call = asyncio.create_task(client.get("k"))
        await asyncio.sleep(0)
        shared = client._connections.shared
        assert shared is not None
        shared.fail(wirekit.ConnectionLost("gone before it was written"))
        assert await call == b"OK"
        assert server.received == [[b"GET", b"k"]]


async def test_nothing_is_sent_again_on_a_socket() -> None:
    breaking = Breaking(1)
    async with breaking.server as server, server.client_on_socket() as client:
        for _ in range(2):
            with pytest.raises(wirekit.ConnectionLost):
                await client.idempotent.get("k")


# Caching.


async def test_cached_until_it_changes(server: RunningServer) -> None:
    cache = Cache()
    async with reconnecting(server, cache=cache) as client, on_socket(server) as other:
        await client.flushall()
        await client.hset("h", "f", "v")
        for _ in range(3):
            assert await client.hgetall("h") == {b"f": b"v"}
        assert (cache.hits, len(cache)) == (2, 1)
        await other.hset("h", "f", "w")
        await eventually(lambda: len(cache) == 0)
        assert await client.hgetall("h") == {b"f": b"w"}
        await client.hset("h", "f", "x")
        assert await client.hgetall("h") == {b"f": b"x"}
        await client.pipeline().hset("h", "f", "y").execute()
        assert await client.hgetall("h") == {b"f": b"y"}
        await client.execute("HSET", "h", "f", "z")
        assert await client.hgetall("h") == {b"f": b"z"}
        await other.flushall()
        await eventually(lambda: len(cache) == 0)
        assert await client.hgetall("h") == {}


async def test_the_cache_goes_on_behind_a_lease_of_the_only_connection(
    server: RunningServer,
) -> None:
    cache = Cache()
    async with on_socket(server, cache=cache) as client, on_socket(server) as other:
        await client.flushall()
        async with client.pubsub() as subscriber:
            assert await client.get("k") is None
            await subscriber.subscribe("a")
            await other.set("k", "v")
            await eventually(lambda: len(cache) == 0)
        assert await client.get("k") == b"v"
        await other.set("k", "w")
        await eventually(lambda: len(cache) == 0)
        assert await client.get("k") == b"w"


async def test_nothing_is_kept_of_an_error_or_of_one_who_left() -> None:
    cache = Cache()
    replies = iter([b"-ERR no\r\n", b"", b"$1\r\nv\r\n"])
    async with FakeServer(lambda command: next(replies)) as server:
        client = server.client(cache=cache)
        async with client:
            with pytest.raises(ResponseError):
                await client.get("k")
            task = asyncio.create_task(client.get("k"))
            await eventually(lambda: len(server.received) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.write(b"$3\r\nold\r\n" + encode(Push([b"invalidate", [b"k"]])))
            await asyncio.sleep(0.01)
            assert await client.get("k") == b"v"
            assert await client.get("k") == b"v"
            assert len(server.received) == 3


def test_every_command_of_redis_py_is_there() -> None:
    names = {name for name in dir(AsyncCoreCommands) if not name.startswith("_")}
    assert len(names) > 300
    assert names <= {*dir(Redis)}
    assert issubclass(Redis, Commands)


async def test_a_cancelled_caller_may_change_his_buffer(client: Any) -> None:
    buffer = bytearray(b"x" * 20_000)
    task = asyncio.create_task(client.set("big", buffer))
    await asyncio.sleep(0)
    task.cancel()
    buffer.clear()
    keys = [f"k{number}" for number in range(300)]
    assert await asyncio.gather(*(client.set(key, key) for key in keys)) == [True] * 300
    assert await client.mget(keys) == [key.encode() for key in keys]
    assert await client.get("big") in (None, b"x" * 20_000)


async def test_blocked_callers_let_others_pass(client: Any) -> None:
    blocked = [asyncio.create_task(client.blpop("nothing", timeout=0)) for _ in range(3)]
    await asyncio.sleep(0.05)
    for number in range(3):
        assert await client.incr("n") == number + 1
    for task in blocked:
        task.cancel()
    await asyncio.gather(*blocked, return_exceptions=True)


async def test_wait_asks_on_the_connection_that_wrote(client: Any) -> None:
    await client.set("k", "v")
    assert await client.wait(1, 50) == 0  # there is no replica: the time limit passes
    with pytest.raises(DataError, match="WAIT keeps every caller of this connection waiting"):
        await client.wait(1, 0)


@pytest.mark.parametrize(
    "command",
    [
        ("REPLCONF", "ACK", "0"),
        ("CLIENT", bytearray(b"reply"), "SKIP"),
        ("AUTH", "low", "secret"),
        ("CLIENT", "TRACKING", "OFF"),
    ],
)
async def test_what_would_change_the_connection_is_refused(
    client: Any, command: tuple[Any, ...]
) -> None:
    with pytest.raises(DataError, match="cannot be sent here") as caught:
        await client.execute(*command)
    assert "secret" not in str(caught.value)


async def test_an_unknown_command_does_not_show_its_arguments(client: Any) -> None:
    with pytest.raises(ResponseError, match="unknown command") as caught:
        await client.execute("SETT", "k", "secret")
    assert "secret" not in str(caught.value)


async def test_an_error_of_ones_own_callback_is_shown(client: Any) -> None:
    await client.set("k", "xyz")

    def as_number(reply: Any, **_: Any) -> int:
        return int(reply)

    client.set_response_callback("GET", as_number)
    with pytest.raises(ValueError, match="xyz"):
        await client.get("k")
