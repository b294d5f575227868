"""Requests and responses over Mosquitto, between many tasks and over its restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests import servers
from tests.interop.waiting import PATIENCE, eventually
from tests.servers import RunningServer
from wirekit import ReadTimeout
from wirekit.adapters.mqtt import MQTT, MqttCodeError, Publish, ReasonCode
from wirekit.sockets import Backoff

REQUESTS = 100


def client_of(server: RunningServer, **settings: Any) -> MQTT:
    backoff = Backoff(initial=0.02, maximum=0.1)
    url = f"mqtt://{server.host}:{server.port}"
    return MQTT.from_url(url, timeout=PATIENCE, backoff=backoff, **settings)


@contextlib.asynccontextmanager
async def answering(client: MQTT, topic_filter: str) -> AsyncGenerator[Counter[str]]:
    """Answer each request with twice its number; count them by client."""
    answered: Counter[str] = Counter()

    async def answer(request: Publish) -> None:
        await client.respond(request, 2 * int(request.payload))
        answered[client.client_id] += 1

    async with (
        asyncio.TaskGroup() as tasks,
        client.subscription(
            topic_filter, 2, callback=lambda request: tasks.create_task(answer(request))
        ),
    ):
        yield answered


async def ask(client: MQTT, numbers: range, qos: int) -> None:
    found = await asyncio.gather(*(client.request("double/it", number, qos) for number in numbers))
    assert [int(message.payload) for message in found] == [2 * number for number in numbers]
    assert {message.qos for message in found} == {qos}


@pytest.mark.both_loops
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_many_ask_and_several_answer(mosquitto: RunningServer, qos: int) -> None:
    async with (
        client_of(mosquitto, client_id="first") as first,
        client_of(mosquitto, client_id="second") as second,
        answering(first, "$share/workers/double/+") as by_first,
        answering(second, "$share/workers/double/+") as by_second,
        client_of(mosquitto) as other,
    ):
        await asyncio.gather(
            ask(other, range(REQUESTS), qos),
            ask(first, range(REQUESTS, 2 * REQUESTS), qos),  # it may have to answer itself
        )
        await eventually(lambda: (by_first + by_second).total() == 2 * REQUESTS)
        assert set(by_first + by_second) == {"first", "second"}


async def test_nobody_answers(mosquitto: RunningServer) -> None:
    async with client_of(mosquitto) as client:
        with pytest.raises(MqttCodeError, match="no matching subscribers"):
            await client.request("no/such/topic", qos=1)
        async with client.subscription("silent"):
            with pytest.raises(ReadTimeout):
                await client.request("silent", qos=1, timeout=0.05)


async def respond_at_last(client: MQTT, request: Publish) -> None:
    """Respond as soon as the one who asks has connected and subscribed again."""
    for _ in range(1000):
        code = await client.respond(request, request.payload)
        if code is not ReasonCode.NO_MATCHING_SUBSCRIBERS:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits for the response")


async def test_over_a_restart_of_the_broker() -> None:
    requests: list[Publish] = []
    with servers.mosquitto_server(persistence=True) as server:
        async with (
            client_of(server, client_id="asking") as asking,
            client_of(server, client_id="answering") as client,
            client.subscription("question", 1, callback=requests.append),
        ):
            tasks = [asyncio.create_task(asking.request("question", n, 1)) for n in range(5)]
            await eventually(lambda: len(requests) == 5)
            await asyncio.to_thread(server.restart)
            for request in requests:
                await respond_at_last(client, request)
            found = await asyncio.gather(*tasks)
    assert [message.payload for message in found] == [b"%d" % n for n in range(5)]
