"""Clients that are killed in the middle, and go on with what their store has."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.interop.waiting import PATIENCE, eventually
from tests.servers import RunningServer
from wirekit.adapters.mqtt import MQTT

KILLS = 4

PUBLISHER = """
import asyncio, itertools, os, sys
from wirekit.adapters.mqtt import MQTT, SQLiteStore

url, path, topic, qos, first = sys.argv[1:]

async def publish(client, number):
    os.write(1, b"begun %d\\n" % number)  # all of it or nothing
    await client.publish(topic, number, qos=int(qos))
    os.write(1, b"done %d\\n" % number)

async def main():
    store = SQLiteStore(path)
    settings = {"client_id": topic, "store": store, "session_expiry_interval": 600}
    async with MQTT.from_url(url, **settings) as client:
        for start in itertools.count(int(first), 20):
            await asyncio.gather(*(publish(client, number) for number in range(start, start + 20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_killed_publisher(mosquitto: RunningServer, tmp_path: Path, qos: int) -> None:
    topic = f"store/{qos}"
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    arrived: Counter[int] = Counter()
    done: set[int] = set()
    begun = -1
    async with (
        MQTT.from_url(url, timeout=PATIENCE) as client,
        client.subscription(
            topic, 2, callback=lambda message: arrived.update([int(message.payload)])
        ),
    ):
        for _ in range(KILLS):
            begun = await asyncio.to_thread(
                publish_until_killed, [url, str(tmp_path / "db"), topic, str(qos)], begun + 1, done
            )
        await eventually(lambda: done <= set(arrived))
        # What one was killed with, the next one sent again before anything else.
        assert len(done) > 20 * KILLS
    assert max(arrived) <= begun
    if qos == 2:
        assert set(arrived.values()) == {1}


def publish_until_killed(arguments: list[str], first: int, done: set[int]) -> int:
    """Run the publisher for a while; return the last number that it began to publish."""
    command = [sys.executable, "-c", PUBLISHER, *arguments, str(first)]
    begun = first - 1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdout is not None
        lines = random.randint(100, 400)
        for count, line in enumerate(publisher.stdout):
            if count == lines:
                publisher.kill()  # and read what it has still said
            what, number = line.split()
            if what == "done":
                done.add(int(number))
            else:
                begun = int(number)
    return begun


# It says what it has taken, and when its store has noted that: until then it could not have known
# of it in another life.
SUBSCRIBER = """
import asyncio, os, sys
from wirekit.adapters.mqtt import MQTT, SQLiteStore

url, path, topic = sys.argv[1:]

class Store(SQLiteStore):
    def flush(self):
        super().flush()
        os.write(1, b"noted\\n")  # all of it or nothing

async def main():
    settings = {"client_id": topic, "store": Store(path), "session_expiry_interval": 600}
    async with MQTT.from_url(url, receive_maximum=20, **settings) as client:
        await client.subscribe(topic, 2)
        os.write(1, b"ready\\n")
        async for message in client.messages:
            os.write(1, b"%d %s\\n" % (message.qos, message.payload))

asyncio.run(main())
"""


async def test_a_killed_subscriber(mosquitto: RunningServer, tmp_path: Path) -> None:
    """Of QoS 2 it gets everything once, but for what it had no time to note."""
    topic = "store/subscriber"
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    lives: list[Life] = []
    published: dict[int, list[int]] = {1: [], 2: []}
    numbers = itertools.count()

    async def publish(client: MQTT) -> None:
        number = next(numbers)
        await client.publish(topic, number, qos := 1 + number % 2)
        published[qos].append(number)

    def got(qos: int) -> list[int]:
        return [number for life in lives for number in life.got[qos]]

    @contextlib.asynccontextmanager
    async def living(most: int | None) -> AsyncGenerator[Life]:
        life = Life([url, str(tmp_path / "db"), topic])
        lives.append(life)
        over = asyncio.create_task(asyncio.to_thread(life.live, most))
        try:
            await eventually(lambda: life.ready or over.done())
            yield life
            if most is not None:
                await asyncio.wait_for(asyncio.shield(over), PATIENCE)
        finally:
            life.kill()
            await over

    async with MQTT.from_url(url, timeout=PATIENCE) as client:
        for _ in range(KILLS):
            async with living(random.randint(20, 180)):
                await asyncio.gather(*(publish(client) for _ in range(200)))
        async with living(None) as life:
            await eventually(lambda: all(set(published[qos]) == set(got(qos)) for qos in (1, 2)))
            await eventually(lambda: life.noted == set(life.got[2]))
    noted: set[int] = set()
    for life in lives:
        assert len(life.got[2]) == len(set(life.got[2]))
        assert noted.isdisjoint(life.got[2])
        noted |= life.noted
    assert noted == set(published[2])


class Life:
    """One life of the subscriber, and what it said in it."""

    def __init__(self, arguments: list[str]) -> None:
        self.ready = False
        self.got: dict[int, list[int]] = {1: [], 2: []}
        self.noted: set[int] = set()  # those of QoS 2 that will not come again
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def live(self, most: int | None) -> None:
        """Run it until it has taken so many messages."""
        command = [sys.executable, "-c", SUBSCRIBER, *self._arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as self._process:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                if line == "ready\n":
                    self.ready = True
                elif line == "noted\n":
                    self.noted.update(self.got[2])
                else:
                    qos, number = map(int, line.split())
                    self.got[qos].append(number)
                    if sum(map(len, self.got.values())) == most:
                        self.kill()  # and read what it has still said

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
