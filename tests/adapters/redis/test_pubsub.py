from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.exceptions
from redis.typing import Subscription

import wirekit
from tests.interop.redis.fake_server import Command, FakeServer
from tests.interop.redis.helpers import Client, eventually, on_socket, reconnecting
from tests.servers import RunningServer
from wirekit.adapters.redis import DataError, Redis, ResponseError
from wirekit.protocols.resp import Push, encode


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[on_socket, reconnecting], ids=["socket", "connector"])
async def client(
    request: pytest.FixtureRequest, server: RunningServer, protocol: Any
) -> AsyncIterator[Client]:
    async with request.param(server, protocol=protocol, timeout=10.0) as opened:
        yield opened


@pytest.fixture
async def publisher(server: RunningServer) -> AsyncIterator[Client]:
    async with on_socket(server) as opened:
        yield opened


async def fetched(subscriber: Any) -> Any:
    return await subscriber.get_message(timeout=10)


async def test_messages_of_all_kinds(client: Client, publisher: Client) -> None:
    async with client.pubsub() as subscriber:
        await subscriber.subscribe("a", b"b")
        await subscriber.psubscribe("p*")
        await subscriber.ssubscribe("s")
        assert [(await fetched(subscriber))["type"] for _ in range(4)] == [
            "subscribe",
            "subscribe",
            "psubscribe",
            "ssubscribe",
        ]
        await publisher.publish("a", "1")
        await publisher.publish("pq", "2")
        await publisher.spublish("s", "3")
        assert [await fetched(subscriber) for _ in range(3)] == [
            {"type": "message", "pattern": None, "channel": b"a", "data": b"1"},
            {"type": "pmessage", "pattern": b"p*", "channel": b"pq", "data": b"2"},
            {"type": "smessage", "pattern": None, "channel": b"s", "data": b"3"},
        ]
        assert (subscriber.channels, subscriber.patterns, subscriber.shard_channels) == (
            {b"a": None, b"b": None},
            {b"p*": None},
            {b"s": None},
        )
        await subscriber.unsubscribe("a")
        assert await fetched(subscriber) == {
            "type": "unsubscribe",
            "pattern": None,
            "channel": b"a",
            "data": 2,
        }
        assert subscriber.channels == {b"b": None}
        await subscriber.unsubscribe()
        await subscriber.punsubscribe()
        await subscriber.sunsubscribe()
        assert not subscriber.subscribed
        assert await subscriber.ping() is True
        assert await subscriber.ping("hello") is True
    assert await client.ping() is True


async def test_ends_of_subscriptions_nobody_has(client: Client) -> None:
    async with client.pubsub() as subscriber:
        await subscriber.subscribe("a")
        await subscriber.unsubscribe("never")
        await subscriber.punsubscribe()
        await subscriber.unsubscribe()
        await subscriber.unsubscribe()
        kinds = [(await fetched(subscriber))["type"] for _ in range(3)]
        assert kinds == ["subscribe", "unsubscribe", "unsubscribe"]
        assert await subscriber.get_message() is None


async def test_handlers(client: Client, publisher: Client) -> None:
    got: list[Any] = []

    async def later(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        got.append(("later", message["data"]))

    def now(message: dict[str, Any]) -> None:
        got.append(message["data"])

    async with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe("plain", a=now)
        await subscriber.psubscribe(Subscription("p*", later))
        await publisher.publish("a", "1")
        await publisher.publish("p", "2")
        await publisher.publish("plain", "3")
        messages: list[Any] = []
        while not messages:
            message = await fetched(subscriber)
            if message is not None:
                messages.append(message)
        assert got == [b"1", ("later", b"2")]
        assert messages[0]["data"] == b"3"


async def test_a_handler_that_fails(client: Client, publisher: Client) -> None:
    def fail(message: dict[str, Any]) -> None:
        raise KeyError(message["data"])

    async with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe(a=fail)
        await publisher.publish("a", "1")
        assert await fetched(subscriber) is None
        with pytest.raises(KeyError):
            await fetched(subscriber)


async def test_listening(client: Client, publisher: Client) -> None:
    async with client.pubsub() as subscriber:
        await subscriber.subscribe("a")
        await publisher.publish("a", "1")
        await publisher.publish("a", "end")
        seen: list[Any] = []
        async for message in subscriber:
            seen.append(message["data"])
            if message["data"] == b"end":
                await subscriber.unsubscribe()
        assert seen == [1, b"1", b"end", 0]


async def test_decoded(server: RunningServer, publisher: Client) -> None:
    async with on_socket(server, decode_responses=True) as client, client.pubsub() as subscriber:
        await subscriber.subscribe("caf\u00e9")
        assert (await fetched(subscriber))["channel"] == "caf\u00e9"
        await publisher.publish("caf\u00e9", b"\xff")
        await publisher.publish("caf\u00e9", "fine")
        with pytest.raises(UnicodeDecodeError):
            await fetched(subscriber)
        assert (await fetched(subscriber))["data"] == "fine"
        assert subscriber.channels == {"caf\u00e9": None}


async def test_time_limits(client: Client) -> None:
    async with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe("a")
        assert await subscriber.get_message() is None
        assert await subscriber.get_message() is None
        assert await subscriber.get_message(timeout=0.01) is None
        waiting = asyncio.create_task(subscriber.get_message(timeout=None))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_misuse(client: Client) -> None:
    subscriber = client.pubsub()
    with pytest.raises(DataError, match="subscribe"):
        await subscriber.get_message()
    with pytest.raises(DataError, match="name"):
        await subscriber.subscribe()
    for wrong in (None, True, object()):
        name: Any = wrong
        with pytest.raises(DataError):
            await subscriber.subscribe(name)
    await subscriber.aclose()
    await subscriber.aclose()
    await subscriber.reset()
    with pytest.raises(wirekit.SocketClosed, match="closed"):
        await subscriber.subscribe("a")
    with pytest.raises(wirekit.SocketClosed, match="closed"):
        await subscriber.get_message()


def test_wrong_limits() -> None:
    client = Redis.from_url("redis://127.0.0.1")
    rule: Any = "drop-all"
    with pytest.raises(DataError, match="overflow"):
        client.pubsub(overflow=rule)
    with pytest.raises(DataError, match="at least 1"):
        client.pubsub(max_messages=0)


async def test_others_wait_for_the_only_connection(server: RunningServer) -> None:
    async with on_socket(server) as client:
        async with client.pubsub() as subscriber:
            await subscriber.subscribe("a")
            with pytest.raises(wirekit.BusyError, match="pub/sub"):
                await client.ping()
            other = asyncio.create_task(client.ping())
            await asyncio.sleep(0.02)
            assert not other.done()
        assert await other is True


async def test_closed_while_someone_listens(client: Client) -> None:
    subscriber = client.pubsub(ignore_subscribe_messages=True)
    await subscriber.subscribe("a")
    waiting = asyncio.create_task(subscriber.get_message(timeout=None))
    while not waiting.done():
        await asyncio.sleep(0.01)
        if subscriber._queue:
            continue
        await subscriber.aclose()
    outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    assert outcome is None or isinstance(outcome, wirekit.SocketClosed)
    assert await client.ping() is True


async def test_the_client_closes_first(client: Client) -> None:
    subscriber = client.pubsub()
    await subscriber.subscribe("a")
    await fetched(subscriber)
    waiting = asyncio.create_task(subscriber.get_message(timeout=None))
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await waiting
    await subscriber.aclose()


# With a fake server.


def message(data: bytes, channel: bytes = b"a") -> bytes:
    return encode(Push([b"message", channel, data]))


def confirm(command: Command) -> bytes:
    kind = command[0].lower()
    return b"".join(encode(Push([kind, name, 1])) for name in command[1:])


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [
        ("drop-oldest", [b"3", b"4"], 3),
        ("drop-newest", [b"0", b"1"], 3),
        ("error", [b"0", b"1"], 3),
    ],
)
async def test_too_many(overflow: Any, kept: list[bytes], dropped: int) -> None:
    async with (
        FakeServer(confirm) as server,
        server.client_on_socket() as client,
        client.pubsub(max_messages=2, overflow=overflow) as subscriber,
    ):
        await subscriber.subscribe("a")
        await fetched(subscriber)
        await server.write(b"".join(message(b"%d" % number) for number in range(5)))
        await eventually(lambda: subscriber.dropped)
        assert [(await fetched(subscriber))["data"] for _ in kept] == kept
        assert subscriber.dropped == dropped
        if overflow == "error":
            with pytest.raises(wirekit.BusyError) as caught:
                await fetched(subscriber)
            assert isinstance(caught.value, redis.exceptions.RedisError)
        await server.write(message(b"5"))
        assert (await fetched(subscriber))["data"] == b"5"


async def test_too_much() -> None:
    async with (
        FakeServer(confirm) as server,
        server.client_on_socket() as client,
        client.pubsub(max_bytes=10) as subscriber,
    ):
        await subscriber.subscribe("a")
        await fetched(subscriber)
        await server.write(b"".join(message(b"xx") for _ in range(3)))
        await server.write(message(b"y" * 8))
        await eventually(lambda: subscriber.dropped == 3)
        assert (await fetched(subscriber))["data"] == b"y" * 8
        # One alone is always taken, the codec has its own limit.
        await server.write(message(b"z" * 100))
        assert (await fetched(subscriber))["data"] == b"z" * 100
        assert subscriber._queue_bytes == 0


async def test_a_refused_subscription() -> None:
    def answer(command: Command) -> bytes:
        return b"-NOPERM no\r\n" if b"forbidden" in command else confirm(command)

    async with (
        FakeServer(answer) as server,
        server.client_on_socket() as client,
        client.pubsub(ignore_subscribe_messages=True) as subscriber,
    ):
        await subscriber.subscribe("a")
        with pytest.raises(ResponseError, match="no"):
            await subscriber.subscribe("a", "forbidden")
        assert subscriber.channels == {b"a": None}


async def test_subscribed_again() -> None:
    async with (
        FakeServer(confirm) as server,
        server.client() as client,
        client.pubsub(ignore_subscribe_messages=True) as subscriber,
    ):
        await subscriber.subscribe("a", "b")
        await subscriber.psubscribe("p")
        await subscriber.unsubscribe("b")
        server.received.clear()
        server.sockets[-1].abort()
        await eventually(lambda: len(server.received) == 2)
        assert server.received == [[b"SUBSCRIBE", b"a"], [b"PSUBSCRIBE", b"p"]]
        await server.write(message(b"again"))
        got = None
        while got is None:
            got = await fetched(subscriber)
        assert got["data"] == b"again"


async def test_renewing_fails_and_is_tried_again() -> None:
    refuse = False

    def answer(command: Command) -> bytes:
        return b"-NOPERM no\r\n" if refuse else confirm(command)

    async with (
        FakeServer(answer) as server,
        server.client() as client,
        client.pubsub(ignore_subscribe_messages=True) as subscriber,
    ):
        await subscriber.subscribe("a")
        assert await fetched(subscriber) is None
        refuse = True
        server.sockets[-1].abort()
        with pytest.raises(ResponseError):
            await fetched(subscriber)
        refuse = False
        assert await subscriber.get_message(timeout=1) is None
        await server.write(message(b"again"))
        assert (await fetched(subscriber))["data"] == b"again"
        await subscriber.aclose()
        assert not client._connections._lent


async def test_lost_for_good() -> None:
    async with (
        FakeServer(confirm) as server,
        server.client_on_socket() as client,
        client.pubsub(ignore_subscribe_messages=True) as subscriber,
    ):
        await subscriber.subscribe("a")
        assert await fetched(subscriber) is None
        server.sockets[-1].abort()
        for _ in range(2):
            with pytest.raises(wirekit.ConnectionLost):
                await fetched(subscriber)


async def test_closed_while_the_connection_is_being_made() -> None:
    async with FakeServer(confirm) as server, server.client(max_dedicated=1) as client:
        subscriber = client.pubsub()
        subscribing = asyncio.create_task(subscriber.subscribe("a"))
        await asyncio.sleep(0)
        await subscriber.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await subscribing
        assert not client._connections._lent
        async with client.pubsub() as another:
            await another.subscribe("a")
