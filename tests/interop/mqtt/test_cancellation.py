"""Cancelling callers at any moment harms nobody else; nothing is lost, and nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.interop.mqtt.checks import assert_nothing_is_left, assert_packet_ids_agree, inside
from tests.interop.waiting import PATIENCE, eventually
from tests.servers import RunningServer
from wirekit.adapters.mqtt import MQTT, Publish, ReasonCode
from wirekit.sockets import Backoff, DirectConnector

VERSIONS = pytest.mark.parametrize("version", [5, 4])
CANCELLED = 3000
GROUP = 60  # callers at once


def new_client(server: RunningServer, **settings: Any) -> MQTT:
    backoff = Backoff(initial=0.001, maximum=0.01)
    address = (server.host, server.port)
    given: dict[str, Any] = {"timeout": PATIENCE, "backoff": backoff, **settings}
    return MQTT(connector=DirectConnector(), address=address, **given)


class Callers:
    """What is cancelled: calls on one client, each of which checks its own outcome."""

    def __init__(self, client: MQTT, topic: str, rng: random.Random) -> None:
        self.client = client
        self.topic = topic
        self.rng = rng
        self.number = 0
        self.done: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}

    def any(self) -> Callable[[], Awaitable[None]]:
        calls = [self.publish, self.publish, self.publish, self.subscribe, self.unsubscribe]
        return self.rng.choice([*calls, self.subscription, self.echo])

    async def publish(self) -> None:
        self.number += 1
        number, qos = self.number, self.rng.randrange(3)
        await self.client.publish(f"{self.topic}/{qos}", number, qos)
        self.done[qos].add(number)

    async def subscribe(self) -> None:
        name = f"{self.topic}/other/{self.rng.randrange(20)}"
        assert await self.client.subscribe([(name, 1), (f"{name}/+", 2)]) == (1, 2)

    async def unsubscribe(self) -> None:
        name = f"{self.topic}/other/{self.rng.randrange(20)}"
        codes = await self.client.unsubscribe([name, f"{name}/+"])
        assert set(codes) <= {ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED}

    async def subscription(self) -> None:
        self.number += 1
        name = f"{self.topic}/own/{self.number}"
        async with self.client.subscription(name, 2) as messages:
            await self.client.publish(name, "mine", 2)
            assert (await messages.get(PATIENCE)).payload == b"mine"

    async def echo(self) -> None:
        """Ask oneself; who answers is in `answering`."""
        if inside(self.client)._settings.version == 4:
            return
        self.number += 1
        answer = await self.client.request(f"{self.topic}/ask", self.number, 1)
        assert answer.payload == b"%d" % self.number or answer.payload.isdigit()


async def cancel_at_random(callers: Callers, wanted: int) -> None:
    """Run groups of callers and cancel most of them after some turns of the loop."""
    rng, cancelled = callers.rng, 0
    while cancelled < wanted:
        tasks = [asyncio.create_task(call_once(callers.any())) for _ in range(GROUP)]
        turns = [rng.choice((1, 1, 2, 2, 3, 4, 5, 7, 10, 15, 25, 99)) for _ in tasks]
        for turn in range(1, 26):
            await asyncio.sleep(0.0002 if turn % 5 == 0 else 0)
            for task, its_turn in zip(tasks, turns, strict=True):
                if its_turn == turn:
                    task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), repr(outcome)
            cancelled += outcome is not None


async def call_once(call: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(PATIENCE):
        await call()


@pytest.mark.both_loops
@VERSIONS
async def test_cancelled_callers_disturb_no_other(mosquitto: RunningServer, version: int) -> None:
    topic = f"cancelled/{version}/{type(asyncio.get_running_loop()).__module__}"
    arrived: dict[int, Counter[int]] = {0: Counter(), 1: Counter(), 2: Counter()}

    def note(message: Publish) -> None:
        qos = int(message.topic.rpartition("/")[2])
        arrived[qos][int(message.payload)] += 1

    async with new_client(mosquitto) as other:
        filters = [f"{topic}/{qos}" for qos in range(3)]
        answering = asyncio.create_task(answer(other, f"{topic}/ask"))
        async with (
            other.subscription(filters, 2, callback=note),
            new_client(mosquitto, version=version) as client,
        ):
            callers = Callers(client, topic, random.Random(version))
            await cancel_at_random(callers, CANCELLED)
            session, link = inside(client)._session, inside(client)._link
            connection = link.current
            # Those who left are waited for nevertheless: their identifiers are in use until then.
            await eventually(lambda: not inside(session.outgoing._ids)._used)
            assert not session.outgoing._waiting
            assert not session.subscriptions._pending
            assert not inside(client)._deadlines._due
            assert not session.router.subscribers(f"{topic}/own/1")
            assert link.current is connection
            await client.publish(f"{topic}/2", 0, 2)
            await eventually(lambda: arrived[2][0])
            await eventually(
                lambda: all(callers.done[qos] <= set(arrived[qos]) for qos in range(3))
            )
        answering.cancel()
        await asyncio.wait([answering])
    await assert_nothing_is_left(client)
    for qos in range(3):
        assert len(callers.done[qos]) > 50
        assert set(arrived[qos].values()) == {1}


async def answer(client: MQTT, topic: str) -> None:
    async with client.subscription(topic, 1) as requests:
        async for request in requests:
            await client.respond(request, request.payload)


@pytest.mark.both_loops
@VERSIONS
@pytest.mark.parametrize("qos", [1, 2])
async def test_cancelled_consumers_lose_nothing(
    mosquitto: RunningServer, version: int, qos: int
) -> None:
    total = 600
    topic = f"consumers/{version}/{qos}/{type(asyncio.get_running_loop()).__module__}"
    rng = random.Random(qos)
    got: list[int] = []

    async def take(client: MQTT, how: int) -> None:
        if how == 0:
            message = await anext(client.messages)
        else:
            message = await client.messages.get(0.001 if how == 1 else None)
        got.append(int(message.payload))  # with no await between: it is ours

    async with (
        new_client(mosquitto, version=version, receive_maximum=20) as client,
        new_client(mosquitto) as publisher,
    ):
        await client.subscribe(topic, qos)
        publishing = [
            asyncio.create_task(publisher.publish(topic, number, qos)) for number in range(total)
        ]
        cancelled = 0
        async with asyncio.timeout(PATIENCE):
            while len(got) < total:
                tasks = [asyncio.create_task(take(client, rng.randrange(3))) for _ in range(10)]
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
                for task in tasks:
                    if rng.random() < 0.7:
                        task.cancel()
                await asyncio.sleep(0.0005)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                cancelled += sum(task.cancelled() for task in tasks)
                for task in tasks:
                    assert task.cancelled() or isinstance(task.exception(), TimeoutError | None), (
                        repr(task.exception())
                    )
        await asyncio.gather(*publishing)
        assert sorted(got) == list(range(total))
        assert cancelled > 100
        assert not inside(client)._session.incoming.unacknowledged
        assert not inside(client.messages)._waiters
        assert_packet_ids_agree(client)


@VERSIONS
async def test_cancelled_while_connections_come_and_go(
    mosquitto: RunningServer, version: int
) -> None:
    topic = f"coming and going/{version}"
    settings: dict[str, Any] = {"version": version, "client_id": topic}
    if version == 4:
        settings["clean_start"] = False
    arrived: Counter[int] = Counter()
    async with (
        new_client(mosquitto) as other,
        other.subscription(topic, 2, callback=lambda m: arrived.update([int(m.payload)])),
        new_client(mosquitto, **settings) as client,
    ):
        rng = random.Random(version)
        done: set[int] = set()

        async def publish(number: int) -> None:
            await client.publish(topic, number, 2)
            done.add(number)

        tasks: list[asyncio.Task[None]] = []
        for number in range(1500):
            tasks.append(asyncio.create_task(publish(number)))
            if rng.random() < 0.5:
                rng.choice(tasks[-30:]).cancel()
            if number % 10 == 0:
                await asyncio.sleep(0.001)
            if number % 100 == 50 and inside(client)._link.current is not None:
                inside(client)._link.current._socket.abort()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        await eventually(lambda: done <= set(arrived))
        await eventually(lambda: not inside(client)._session.outgoing._ids._used)
    await assert_nothing_is_left(client)
    assert len(done) > 300
    assert set(arrived.values()) == {1}
