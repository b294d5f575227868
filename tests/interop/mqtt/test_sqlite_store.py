"""Publishers that are killed in the middle, and go on with what their store has."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
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
