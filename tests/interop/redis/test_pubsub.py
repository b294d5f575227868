"""Publish and subscribe: floods, slow consumers, patterns, shard channels, in RESP2 and RESP3."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

import wirekit
from tests.interop.redis.helpers import (
    PATIENCE,
    Client,
    connections_named,
    eventually,
    on_socket,
    oracle,
    reconnecting,
)
from tests.servers import RunningServer
from wirekit.adapters.redis import PubSub

MEBIBYTE = 1024 * 1024
FLOOD = 50_000
KEPT = 1000

Overflow = Literal["drop-oldest", "drop-newest", "error"]


def publish(admin: Client, channel: str, numbers: range, size: int = 0) -> None:
    pipe = admin.pipeline(transaction=False)
    for number in numbers:
        pipe.publish(channel, b"%d" % number + b"." * size)
    pipe.execute()


@pytest.fixture(autouse=True)
def patient_server(server: RunningServer) -> Iterator[None]:
    """The server never gives a slow subscriber up, as it does by default above 32 MB."""
    with oracle(server) as admin:
        limits = admin.config_get("client-output-buffer-limit")
        admin.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        yield
        admin.config_set("client-output-buffer-limit", limits["client-output-buffer-limit"])


async def messages(pubsub: PubSub, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            message = await pubsub.get_message(timeout=None)
            if message is not None:
                found.append(message)
    return found


async def keep_calling(client: Client, done: asyncio.Event) -> int:
    """Others' commands go on all the time, each with its own reply."""
    calls = 0
    while not done.is_set():
        replies = await asyncio.gather(*(client.echo(str(calls + n)) for n in range(10)))
        assert replies == [b"%d" % (calls + n) for n in range(10)]
        calls += 10
    return calls


@pytest.mark.both_loops
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("overflow", ["drop-oldest", "drop-newest", "error"])
async def test_flood_with_a_slow_consumer(
    server: RunningServer, protocol: Any, overflow: Overflow
) -> None:
    with oracle(server) as admin:
        async with reconnecting(server, protocol=protocol) as client:
            done = asyncio.Event()
            others = asyncio.create_task(keep_calling(client, done))
            pubsub = client.pubsub(
                ignore_subscribe_messages=True, max_messages=KEPT, overflow=overflow
            )
            async with pubsub:
                await pubsub.subscribe("flood")
                await asyncio.sleep(0)
                assert await pubsub.get_message() is None  # the confirmation
                for start in range(0, FLOOD, 5000):
                    await asyncio.to_thread(publish, admin, "flood", range(start, start + 5000))
                    assert len(pubsub._queue) <= KEPT
                await eventually(lambda: pubsub.dropped == FLOOD - KEPT)
                done.set()
                assert await others > 0
                numbers = [int(message["data"]) for message in await messages(pubsub, KEPT)]
                if overflow == "drop-oldest":
                    assert numbers == list(range(FLOOD - KEPT, FLOOD))
                else:
                    assert numbers == list(range(KEPT))
                if overflow == "error":
                    with pytest.raises(wirekit.BusyError):
                        await pubsub.get_message()
                # It goes on afterwards.
                await client.publish("flood", "last")
                assert (await messages(pubsub, 1))[0]["data"] == b"last"


@pytest.mark.parametrize("overflow", ["drop-oldest", "drop-newest"])
async def test_memory_of_a_flood_of_large_messages(
    server: RunningServer, overflow: Overflow
) -> None:
    """100 MB of them, of which 1 MiB may be kept."""
    with oracle(server) as admin:
        async with reconnecting(server) as client:
            pubsub = client.pubsub(max_bytes=MEBIBYTE, overflow=overflow)
            async with pubsub:
                await pubsub.subscribe("flood")
                tracemalloc.start()
                try:
                    for _ in range(10):
                        await asyncio.to_thread(publish, admin, "flood", range(100), 100_000)
                        assert pubsub._queue_bytes <= MEBIBYTE
                    # The publisher's own 10 MB are among these.
                    assert tracemalloc.get_traced_memory()[1] < 40 * MEBIBYTE
                finally:
                    tracemalloc.stop()
                await eventually(lambda: len(pubsub._queue) + pubsub.dropped == 1001)


@pytest.mark.both_loops
@pytest.mark.parametrize("protocol", [2, 3])
async def test_flood_with_a_fast_consumer_loses_nothing(
    server: RunningServer, protocol: Any
) -> None:
    with oracle(server) as admin:
        async with (
            reconnecting(server, protocol=protocol) as client,
            client.pubsub(ignore_subscribe_messages=True, max_messages=FLOOD) as pubsub,
        ):
            await pubsub.subscribe("flood")
            publishing = asyncio.to_thread(publish, admin, "flood", range(20_000))
            consuming = messages(pubsub, 20_000)
            _, found = await asyncio.gather(publishing, consuming)
            assert [int(message["data"]) for message in found] == list(range(20_000))
            assert pubsub.dropped == 0


@pytest.mark.both_loops
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("carrier", [reconnecting, on_socket])
async def test_all_kinds_of_subscription(
    server: RunningServer, protocol: Any, carrier: Callable[..., Client]
) -> None:
    handled: list[Any] = []

    async def handle(message: dict[str, Any]) -> None:
        handled.append(message["data"])

    with oracle(server) as admin:
        async with carrier(server, protocol=protocol, decode_responses=True) as client:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe("plain", "grün")
                await pubsub.psubscribe("pattern:*", "p?ain")
                await pubsub.ssubscribe("shard")
                await pubsub.subscribe(handled=handle)
                confirmations = await messages(pubsub, 6)
                assert Counter(message["type"] for message in confirmations) == {
                    "subscribe": 3,
                    "psubscribe": 2,
                    "ssubscribe": 1,
                }
                admin.publish("plain", "1")
                admin.publish("grün", "zwei")
                admin.publish("pattern:x", "3")
                admin.spublish("shard", "4")
                admin.publish("handled", "5")
                admin.publish("nobody", "6")
                found = await messages(pubsub, 5)
                assert [
                    (message["type"], message["pattern"], message["channel"], message["data"])
                    for message in found
                ] == [
                    ("message", None, "plain", "1"),
                    ("pmessage", "p?ain", "plain", "1"),
                    ("message", None, "grün", "zwei"),
                    ("pmessage", "pattern:*", "pattern:x", "3"),
                    ("smessage", None, "shard", "4"),
                ]
                assert await pubsub.get_message(timeout=1) is None  # for its handler
                assert handled == ["5"]

                await pubsub.unsubscribe("plain")
                await pubsub.punsubscribe()
                await pubsub.sunsubscribe("shard")
                kinds = Counter(message["type"] for message in await messages(pubsub, 4))
                assert kinds == {"unsubscribe": 1, "punsubscribe": 2, "sunsubscribe": 1}
                admin.publish("plain", "7")
                admin.spublish("shard", "8")
                admin.publish("grün", "9")
                assert [message["data"] for message in await messages(pubsub, 1)] == ["9"]
            # The connection is given back, and of use for everything else.
            assert await client.ping() is True
            assert await client.blpop(["nothing"], timeout=0.01) is None


@pytest.mark.parametrize("protocol", [2, 3])
async def test_many_subscribers_come_and_go(server: RunningServer, protocol: Any) -> None:
    """Each gets what is published while it listens, and leaves nothing behind."""
    with oracle(server) as admin:
        client = reconnecting(server, client_name="subscribers", protocol=protocol)
        async with client:

            async def listen(number: int) -> None:
                async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(f"channel:{number}")
                    await client.publish(f"channel:{number}", number)
                    (message,) = await messages(pubsub, 1)
                    assert message["data"] == b"%d" % number

            await asyncio.gather(*(listen(number) for number in range(100)))
            subscribed: Any = admin.pubsub_channels("channel:*")
            assert subscribed == []
            assert len(connections_named(admin, "subscribers")) <= 17
        await eventually(lambda: not connections_named(admin, "subscribers"))


@pytest.mark.parametrize("protocol", [2, 3])
async def test_subscribers_that_are_cancelled_leave_nothing_behind(
    server: RunningServer, protocol: Any
) -> None:
    with oracle(server) as admin:
        client = reconnecting(server, client_name="cancelled", protocol=protocol, max_dedicated=3)
        async with client:

            async def listen(number: int) -> None:
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe(f"channel:{number}")
                    await messages(pubsub, 1000)

            for pause in range(40):
                tasks = [asyncio.create_task(listen(number)) for number in range(3)]
                for _ in range(pause):
                    await asyncio.sleep(0)
                if pause % 4 == 0:
                    await asyncio.sleep(0.005)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            # Had one of them kept its connection, there would be none for these.
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(client.blpop([f"q:{n}"], timeout=0.01) for n in range(6)))
            await eventually(lambda: admin.pubsub_channels("channel:*") == [])
        await eventually(lambda: not connections_named(admin, "cancelled"))
