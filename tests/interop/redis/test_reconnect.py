"""A connection that is lost comes back, and no command that may have run is sent twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
import redis.exceptions

import wirekit
from tests import servers
from tests.interop.redis.helpers import (
    Client,
    connections_named,
    eventually,
    new_client,
    oracle,
    outcomes,
    reconnecting,
    shared_connection,
)
from tests.interop.redis.proxy import Proxy
from tests.servers import RunningServer
from wirekit.adapters.redis import Cache
from wirekit.sockets import AddressLike, Backoff, DirectConnector, Policy, Socket

AT_ONCE = Backoff(initial=0.001, maximum=0.01)
# What is written is on the disk before the reply is.
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture(params=["redis", "valkey"])
def own_server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server for one test, which may kill it."""
    with servers.redis_server(program=request.param, config=DURABLE) as server:
        yield server
        if not server.is_running:
            server.start()


class CountingConnector:
    """Connects directly, under a policy that may change, and counts."""

    def __init__(self) -> None:
        self.policy = Policy.any()
        self.attempts = 0

    async def __call__(self, address: AddressLike) -> Socket:
        self.attempts += 1
        return await DirectConnector(policy=self.policy)(address)


class Tally:
    """What became of the increments of one key."""

    def __init__(self) -> None:
        self.successes: list[int] = []
        self.unknown = 0  # may have run

    def failed(self, error: wirekit.Error) -> None:
        assert isinstance(error, redis.exceptions.RedisError)
        if getattr(error, "sent", True):
            self.unknown += 1

    def assert_agrees(self, value: int) -> None:
        """Each success ran once, each unknown one at most once, the others never."""
        assert len(self.successes) <= value <= len(self.successes) + self.unknown
        assert self.successes == sorted(set(self.successes))
        assert not self.successes or self.successes[-1] <= value


async def increment_for_ever(client: Client, key: str, tally: Tally, pause: float) -> None:
    rng = random.Random(key)
    while True:
        try:
            if rng.random() < 0.2:
                pipe = client.pipeline(transaction=rng.random() < 0.5)
                *_, value = await pipe.echo("x" * rng.randrange(500)).incr(key).execute()
            else:
                value = await client.incr(key)
        except asyncio.CancelledError:
            tally.unknown += 1
            raise
        except wirekit.Error as error:
            tally.failed(error)
        else:
            tally.successes.append(value)
        await asyncio.sleep(pause)


async def read_for_ever(client: Client, key: str, done: Counter[str]) -> None:
    """What is idempotent never fails, but is sent again."""
    number = 0
    while True:
        number += 1
        try:
            assert await client.idempotent.set(key, number) is True
            assert await client.idempotent.get(key) == b"%d" % number
        except redis.exceptions.BusyLoadingError:  # the server's own word, just after its start
            await asyncio.sleep(0.001)
        else:
            done[key] += 1


@asynccontextmanager
async def traffic(client: Client, pause: float = 0.0) -> AsyncGenerator[dict[str, Tally]]:
    """Run callers of all kinds; none may fail in a way that it does not expect."""
    tallies = {f"counter:{number}": Tally() for number in range(8)}
    done: Counter[str] = Counter()
    tasks = [
        *(
            asyncio.create_task(increment_for_ever(client, key, tally, pause))
            for key, tally in tallies.items()
        ),
        *(asyncio.create_task(read_for_ever(client, f"own:{n}", done)) for n in range(3)),
    ]
    try:
        yield tallies
        reached = dict(done)
        await eventually(
            lambda: (
                all(done[key] > reached.get(key, 0) for key in done)
                or any(task.done() for task in tasks)
            )
        )
    finally:
        for task in tasks:
            task.cancel()
        ends = await outcomes(*tasks)
    for end in ends:
        assert isinstance(end, asyncio.CancelledError), repr(end)
    assert len(done) == 3


def assert_counters(admin: Client, tallies: dict[str, Tally]) -> None:
    for key, tally in tallies.items():
        value: Any = admin.get(key)
        tally.assert_agrees(int(value or 0))


async def at_least(tallies: dict[str, Tally], more: int) -> None:
    """Wait until so many more increments have succeeded."""

    def successes() -> int:
        return sum(len(tally.successes) for tally in tallies.values())

    wanted = successes() + more
    await eventually(lambda: successes() >= wanted)


async def test_kill_and_restart_in_the_middle_of_traffic(own_server: RunningServer) -> None:
    async with reconnecting(
        own_server, backoff=Backoff(0.01, 0.2), reconnect_attempts=100
    ) as client:
        async with traffic(client, pause=0.001) as tallies:
            for _ in range(3):
                await at_least(tallies, 100)
                await asyncio.to_thread(own_server.kill)
                await asyncio.sleep(0.05)
                await asyncio.to_thread(own_server.start)
        with oracle(own_server) as admin:
            assert_counters(admin, tallies)


@pytest.mark.both_loops
async def test_connections_cut_at_any_byte(server: RunningServer) -> None:
    rng = random.Random(5)
    with oracle(server, flush=True) as admin:
        async with Proxy(server, lambda: rng.randrange(1, rng.choice((300, 3000, 9000)))) as proxy:
            client = new_client(
                connector=DirectConnector(),
                address=proxy.address,
                backoff=AT_ONCE,
                reconnect_attempts=1000,
            )
            while True:  # the first connection has one attempt only
                try:
                    await client.open()
                except (wirekit.ConnectError, wirekit.RemoteProtocolError):
                    continue
                break
            async with traffic(client) as tallies:
                await eventually(lambda: proxy.cuts >= 400)
                proxy.lifetime = lambda: None
                proxy.cut_all()
            await client.aclose()
        assert_counters(admin, tallies)
    assert sum(len(tally.successes) for tally in tallies.values()) > 100
    assert sum(tally.unknown for tally in tallies.values()) > 10


async def test_killed_by_the_server(server: RunningServer) -> None:
    with oracle(server, flush=True) as admin:
        async with reconnecting(server, client_name="victim", backoff=AT_ONCE) as client:
            async with traffic(client) as tallies:
                for _ in range(20):
                    for connection in connections_named(admin, "victim"):
                        admin.client_kill_filter(_id=connection["id"])
                    await asyncio.sleep(0.01)
            assert_counters(admin, tallies)
        await eventually(lambda: not connections_named(admin, "victim"))


async def test_commands_wait_while_the_server_is_away(own_server: RunningServer) -> None:
    async with reconnecting(
        own_server, backoff=Backoff(0.01, 0.1), reconnect_attempts=200
    ) as client:
        await asyncio.to_thread(own_server.kill)
        await eventually(lambda: shared_connection(client).error is not None)
        waiting = [
            *(asyncio.create_task(client.incr("counter")) for _ in range(50)),
            *(asyncio.create_task(client.pipeline().incr("counter").execute()) for _ in range(10)),
            asyncio.create_task(client.blpop(["queue"], timeout=0)),
        ]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        await asyncio.to_thread(own_server.start)
        *counted, blocked = waiting
        await asyncio.wait_for(asyncio.gather(*counted), 10)
        assert await client.get("counter") == b"60"
        await client.rpush("queue", "item")
        assert await asyncio.wait_for(blocked, 10) == (b"queue", b"item")


async def test_attempts_and_pauses_are_bounded(own_server: RunningServer) -> None:
    drawn: list[float] = []

    def highest() -> float:
        drawn.append(1.0)
        return 1.0

    connector = CountingConnector()
    client = new_client(
        connector=connector,
        address=(own_server.host, own_server.port),
        reconnect_attempts=5,
        backoff=Backoff(initial=0.001, maximum=0.004, random=highest),
    )
    async with client:
        await asyncio.to_thread(own_server.kill)
        await eventually(lambda: shared_connection(client).error is not None)
        connector.attempts = 0
        for outcome in await outcomes(
            *(client.get(f"key:{number}") for number in range(30)),
            client.idempotent.get("key"),
            client.pipeline().get("key").execute(),
        ):
            assert isinstance(outcome, wirekit.ConnectRefused), repr(outcome)
            assert isinstance(outcome, redis.exceptions.ConnectionError)
            assert outcome.sent is False  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        assert connector.attempts == 5  # for all of them together
        assert len(drawn) == 4
        # It is not given up for good.
        await asyncio.to_thread(own_server.start)
        assert await client.get("key") is None


async def test_waiters_who_left_leave_no_complaint(own_server: RunningServer) -> None:
    async with reconnecting(own_server, backoff=AT_ONCE, reconnect_attempts=4) as client:
        await asyncio.to_thread(own_server.kill)
        await eventually(lambda: shared_connection(client).error is not None)
        waiting = [asyncio.create_task(client.get("key")) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert all(task.cancelled() for task in waiting)
        await asyncio.sleep(0.1)


async def test_closed_while_reconnecting(own_server: RunningServer) -> None:
    client = reconnecting(own_server, reconnect_attempts=1000, backoff=Backoff(10, 10))
    async with client:
        await asyncio.to_thread(own_server.kill)
        await eventually(lambda: shared_connection(client).error is not None)
        waiting = [
            *(asyncio.create_task(client.get("key")) for _ in range(5)),
            asyncio.create_task(client.blpop(["key"], timeout=0)),
        ]
        await asyncio.sleep(0.05)
    # They were not cancelled; the client was closed.
    for outcome in await asyncio.wait_for(outcomes(*waiting), 5):
        assert isinstance(outcome, wirekit.SocketClosed), repr(outcome)


async def test_the_policy_is_asked_each_time(server: RunningServer) -> None:
    connector = CountingConnector()
    async with new_client(connector=connector, address=(server.host, server.port)) as client:
        assert await client.ping()
        connector.policy = Policy(deny=["127.0.0.0/8"])
        connector.attempts = 0
        with oracle(server) as admin:
            admin.client_kill_filter(_id=await client.client_id())
        await eventually(lambda: shared_connection(client).error is not None)
        for outcome in await outcomes(
            *(client.get("key") for _ in range(10)), client.idempotent.get("key")
        ):
            assert isinstance(outcome, wirekit.BlockedError), repr(outcome)
        assert connector.attempts == 1
        with pytest.raises(wirekit.BlockedError):
            await client.blpop(["key"], timeout=1)
        assert connector.attempts == 2
        connector.policy = Policy.any()
        assert await client.ping()


@pytest.mark.parametrize("program", ["redis", "valkey"])
async def test_a_password_that_is_refused_is_not_tried_again(program: str) -> None:
    password = "first"

    with servers.redis_server(program=program, password="first") as server:
        connector = CountingConnector()
        client = new_client(
            connector=connector,
            address=(server.host, server.port),
            credentials=lambda: ("default", password),
        )
        async with client:
            client_id = await client.client_id()
            connector.attempts = 0
            password = "another"
            with oracle(server, password="first") as admin:
                admin.client_kill_filter(_id=client_id)
            await eventually(lambda: shared_connection(client).error is not None)
            for outcome in await outcomes(client.get("key"), client.idempotent.get("key")):
                assert isinstance(outcome, redis.exceptions.AuthenticationError), repr(outcome)
                assert isinstance(outcome, wirekit.ServerError)
                assert outcome.code == "WRONGPASS"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            assert connector.attempts == 1
            password = "first"
            assert await client.ping()


@pytest.mark.both_loops
@pytest.mark.parametrize("protocol", [2, 3])
async def test_subscriptions_come_back(server: RunningServer, protocol: Any) -> None:
    rng = random.Random(protocol)
    with oracle(server) as admin:
        async with (
            Proxy(server) as proxy,
            new_client(
                connector=DirectConnector(),
                address=proxy.address,
                protocol=protocol,
                backoff=AT_ONCE,
                reconnect_attempts=1000,
            ) as client,
            client.pubsub(ignore_subscribe_messages=True) as pubsub,
        ):
            await pubsub.subscribe("channel")
            await pubsub.psubscribe("pattern:*")
            await pubsub.ssubscribe("shard")
            for number in range(20):
                proxy.lifetime = lambda: rng.randrange(1, 600)
                proxy.cut_all()
                await asyncio.sleep(0.03)
                proxy.lifetime = lambda: None
                proxy.cut_all()
                await _all_arrive(admin, pubsub, f"number {number}".encode())
            assert proxy.cuts > 50


async def _all_arrive(admin: Any, pubsub: Any, data: bytes) -> None:
    """Publish until every subscription has got it."""
    missing = {"message", "pmessage", "smessage"}
    async with asyncio.timeout(10):
        while missing:
            admin.publish("channel", data)
            admin.publish("pattern:1", data)
            admin.spublish("shard", data)
            while message := await pubsub.get_message(timeout=0.01):
                if message["data"] == data:
                    missing.discard(message["type"])


async def test_nothing_cached_survives_the_connection(server: RunningServer) -> None:
    with oracle(server, flush=True) as admin:
        async with reconnecting(server, cache=Cache(), backoff=AT_ONCE) as client:
            for number in range(20):
                admin.set("key", number)
                await client.ping()
                assert await client.get("key") == b"%d" % number
                hits = client._cache.hits
                assert await client.get("key") == b"%d" % number
                assert client._cache.hits == hits + 1
                # Nobody tells a client that is gone.
                admin.client_kill_filter(_id=client._connections.shared.client_id)
                admin.set("key", -1)
                await eventually(lambda: shared_connection(client).error is not None)
                assert await client.get("key") == b"-1"
