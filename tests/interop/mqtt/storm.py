"""Publishers and subscribers in bad weather: ``python -m tests.interop.mqtt.storm --seconds 60``.

Every message of QoS 1 has to arrive at least once, every one of QoS 2 exactly once, and no
publisher may get an error, whether connections are cut, the broker ends, or bits are turned over on
the way. The last only below TLS, which notices: what is spoilt between TCP and MQTT is a different
message that is as good. There no promise can hold but that of a client that stays in order:
test_corruption.py.

Mosquitto 2.0.11 and paho 2.2.0 themselves break the promise of QoS 2: when a connection is cut
while they are about to send PUBREL again, they go back to PUBLISH on the next one, although they
have had PUBREC. The broker's log shows that, so as many second arrivals are excused as there are
such steps. Of our own there may be none. What paho publishes it may publish twice, so there only
losses count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import signal
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests import servers
from tests.interop.mqtt.spoilt import spoilt_sessions
from tests.interop.mqtt.weather import Weather
from tests.interop.waiting import eventually
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.mqtt import MQTT
from wirekit.sockets import Backoff, DirectConnector

Library = Literal["wirekit", "paho"]
Arrived = Callable[[str, bytes], None]

# What is there before the broker is stopped is there after that, and nothing is dropped.
DURABLE = {"max_queued_messages": "0", "max_inflight_messages": "20", "log_type": "all"}
PUBLISHERS = 6
PATIENCE = 60.0


@dataclass
class Tally:
    """What became of the messages."""

    published: dict[int, set[int]] = field(default_factory=lambda: {1: set(), 2: set()})
    arrived: dict[int, Counter[int]] = field(default_factory=lambda: {1: Counter(), 2: Counter()})
    failed: list[BaseException] = field(default_factory=list[BaseException])
    faults: int = 0  # connections cut or spoilt
    broker_ends: int = 0
    steps_back: int = 0  # of the broker's and of paho's

    def note(self, topic: str, payload: bytes) -> None:
        self.arrived[int(topic.rpartition("/")[2])][int(payload.partition(b" ")[0])] += 1

    @property
    def complete(self) -> bool:
        return all(self.published[qos] <= set(self.arrived[qos]) for qos in (1, 2))

    @property
    def lost(self) -> dict[int, list[int]]:
        return {qos: sorted(self.published[qos] - set(self.arrived[qos])) for qos in (1, 2)}

    @property
    def duplicates(self) -> dict[int, int]:
        return {qos: sum(self.arrived[qos].values()) - len(self.arrived[qos]) for qos in (1, 2)}

    def check(self, publisher: Library) -> None:
        assert not self.failed, self.failed
        assert self.lost == {1: [], 2: []}, self.lost
        if publisher == "paho":  # it publishes some messages of QoS 2 anew, under other identifiers
            return
        twice = [number for number, times in self.arrived[2].items() if times > 1]
        assert self.duplicates[2] <= self.steps_back, twice

    def __str__(self) -> str:
        messages = ", ".join(f"{len(self.published[qos])} of QoS {qos}" for qos in (1, 2))
        lost = sum(map(len, self.lost.values()))
        return (
            f"{self.faults} connections cut or spoilt, {self.broker_ends} ends of the broker; "
            f"{messages}; {lost} lost; duplicates: {self.duplicates[1]} of QoS 1, "
            f"{self.duplicates[2]} of QoS 2 ({self.steps_back} steps back of other peers)"
        )


class Where(NamedTuple):
    """Where the broker is, and whether it is to be reached by TLS."""

    address: tuple[str, int]
    tls: ssl.SSLContext | None


# Both libraries, with the same two things to do. -------------------------------------------------


def settings_for(version: int) -> dict[str, Any]:
    session: dict[str, Any] = {"clean_start": False}
    if version == 5:
        session["session_expiry_interval"] = 3600
    return session


@asynccontextmanager
async def wirekit_subscriber(
    where: Where, version: int, topic: str, arrived: Arrived
) -> AsyncGenerator[None]:
    async with wirekit_client(where, version, f"{topic}/in") as client:
        await client.subscribe(f"{topic}/+", 2)

        async def consume() -> None:
            async for message in client.messages:
                arrived(message.topic, message.payload)

        consumer = asyncio.create_task(consume())
        yield
    await consumer


def wirekit_client(where: Where, version: int, client_id: str) -> MQTT:
    tls: Any = {"secure_transport": "on", "ssl_context": where.tls} if where.tls else {}
    return MQTT(
        connector=DirectConnector(**tls),
        address=where.address,
        version=version,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client_id=client_id,
        backoff=Backoff(initial=0.001, maximum=0.02),
        timeout=PATIENCE,
        **settings_for(version),
    )


Publish = Callable[[str, bytes, int], Any]


@asynccontextmanager
async def wirekit_publisher(where: Where, version: int, topic: str) -> AsyncGenerator[Publish]:
    async with wirekit_client(where, version, f"{topic}/out") as client:
        yield client.publish


@asynccontextmanager
async def paho_client(
    where: Where, version: int, client_id: str, on_message: Any = None, topic: str = ""
) -> AsyncGenerator[paho.Client]:
    protocol = paho.MQTTv5 if version == 5 else paho.MQTTv311
    clean: dict[str, Any] = {} if version == 5 else {"clean_session": False}
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol, **clean)
    client.reconnect_delay_set(0.01, 0.05)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ready = threading.Event()

    def on_connect(client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if topic and not ready.is_set():
            client.subscribe(topic, 2)
        else:
            ready.set()

    client.on_connect = on_connect

    def on_subscribe(*answer: Any) -> None:
        ready.set()

    client.on_subscribe = on_subscribe
    if on_message is not None:
        client.on_message = on_message
    more: dict[str, Any] = {}
    if version == 5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 3600
        more = {"clean_start": False, "properties": properties}
    if where.tls is not None:
        cast("Any", client).tls_set_context(where.tls)
    await asyncio.to_thread(client.connect, *where.address, **more)
    client.loop_start()
    try:
        assert await asyncio.to_thread(ready.wait, 20)
        yield client
    finally:
        await asyncio.to_thread(client.disconnect)
        await asyncio.to_thread(client.loop_stop)


@asynccontextmanager
async def paho_subscriber(
    where: Where, version: int, topic: str, arrived: Arrived
) -> AsyncGenerator[None]:
    def on_message(client: Any, userdata: Any, message: Any) -> None:
        arrived(message.topic, message.payload)

    async with paho_client(where, version, f"{topic}/in", on_message, f"{topic}/+"):
        yield


@asynccontextmanager
async def paho_publisher(where: Where, version: int, topic: str) -> AsyncGenerator[Publish]:
    async with paho_client(where, version, f"{topic}/out") as client:

        async def publish(name: str, payload: bytes, qos: int) -> None:
            info: Any = client.publish(name, payload, qos)
            # Its own wait_for_publish() gives up if there was no connection at the beginning.
            await eventually(lambda: info._published)

        yield publish


SUBSCRIBERS: dict[Library, Any] = {"wirekit": wirekit_subscriber, "paho": paho_subscriber}
PUBLISHES: dict[Library, Any] = {"wirekit": wirekit_publisher, "paho": paho_publisher}


# The storm. --------------------------------------------------------------------------------------


async def storm(
    server: RunningServer,
    *,
    version: int,
    publisher: Library = "wirekit",
    subscriber: Library = "wirekit",
    seed: int = 0,
    seconds: float = 1.0,
    cut_after: int | None = 4000,
    broker_ends: str = "",
    spoilt: CertificateAuthority | None = None,
    name: str = "storm",
) -> Tally:
    """Publish and subscribe while connections are cut; return what became of all.

    Args:
        server: a Mosquitto of one's own, with persistence if it is to end.
        version: of both clients.
        publisher: which library publishes.
        subscriber: which one subscribes.
        seed: of the faults.
        seconds: how long.
        cut_after: bytes at most after which each connection is cut; None: it is not.
        broker_ends: "stop" or "kill" to end and start the broker now and then.
        spoilt: connections are by TLS, with a certificate of this authority, and a bit below it is
            turned over where they would be cut.
        name: of the topics and the sessions.
    """
    rng = random.Random(seed)
    tally = Tally()
    port = server.tls_port if spoilt else server.port
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        weather = await enter(Weather(server, rng, port=port, spoils=spoilt is not None))
        where = Where(weather.address, spoilt.client_context() if spoilt else None)
        await enter(SUBSCRIBERS[subscriber](where, version, name, tally.note))
        publish = await enter(PUBLISHES[publisher](where, version, name))
        if cut_after is not None:
            if spoilt:
                cut_after += 4000  # for the handshake, which is spoilt as well
            weather.lifetime = lambda: rng.randrange(1, rng.choice((300, 1000, cut_after)))
            weather.cut_all()
        weather.rough = True
        ends_at = time.monotonic() + seconds
        publishing = [
            asyncio.create_task(_publish(publish, number, name, tally, ends_at, seed))
            for number in range(PUBLISHERS)
        ]
        while time.monotonic() < ends_at:
            await asyncio.sleep(min(0.3, seconds))
            if broker_ends:
                await _end_and_start(server, weather, broker_ends)
                tally.broker_ends += 1
        await asyncio.wait(publishing, timeout=seconds)
        tally.faults = weather.faults
        weather.lifetime = lambda: None
        weather.rough = False
        weather.cut_all()
        await asyncio.wait_for(asyncio.gather(*publishing), PATIENCE)
        with contextlib.suppress(AssertionError):  # `check` says what is missing
            await eventually(lambda: tally.complete)
        await asyncio.sleep(0.05)  # for what comes twice
    by_broker, by_publisher = _steps_back(server, name)
    assert not (by_publisher and publisher == "wirekit"), "a PUBLISH again behind its PUBREL"
    tally.steps_back = by_broker + by_publisher
    return tally


async def _publish(
    publish: Publish, number: int, topic: str, tally: Tally, ends_at: float, seed: int
) -> None:
    rng = random.Random(f"{seed} {number}")
    while time.monotonic() < ends_at:
        number += PUBLISHERS
        qos = rng.choice((1, 2))
        payload = b"%d " % number + bytes(rng.choice((0, 10, 500)))
        try:
            await publish(f"{topic}/{qos}", payload, qos)
        except Exception as error:
            tally.failed.append(error)
            return
        tally.published[qos].add(number)


async def _end_and_start(server: RunningServer, weather: Weather, how: str) -> None:
    if how == "kill":
        # Mosquitto acknowledges before it writes to the disk, and writes only when messages come
        # and go: what it had not written it would have to lose. So the network stands still until
        # it has. What is under way is lost, as ever.
        weather.stand_still()
        await asyncio.sleep(0.1)
        saves = _saves(server)
        cast("Any", server)._process.send_signal(signal.SIGUSR1)
        await eventually(lambda: _saves(server) > saves)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.kill)
        weather.cut_all()
    else:
        await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


def _steps_back(server: RunningServer, name: str) -> tuple[int, int]:
    """Return how often a PUBLISH came again behind its PUBREC: by the broker, by the publisher."""
    log = server.log_path.read_text()
    inward, outward = re.escape(f"{name}/in"), re.escape(f"{name}/out")
    by_broker = (
        rf"Received (?P<kind>PUBREC|PUBCOMP) from {inward} \(Mid: (?P<answered>\d+)"
        rf"|Sending PUBLISH to {inward} \(d(?P<again>[01]), q2, r0, m(?P<sent>\d+),"
    )
    by_publisher = (
        rf"(?:Received|Sending) (?P<kind>PUBREL|PUBCOMP) (?:from|to) {outward}"
        rf" \((?:Mid: |m)(?P<answered>\d+)"
        rf"|Received PUBLISH from {outward} \(d(?P<again>[01]), q2, r0, m(?P<sent>\d+),"
    )
    return _count_steps(by_broker, "PUBREC", log), _count_steps(by_publisher, "PUBREL", log)


def _count_steps(pattern: str, released_by: str, log: str) -> int:
    released: set[str] = set()
    steps = 0
    for line in re.finditer(pattern, log):
        if line["kind"] == released_by:
            released.add(line["answered"])
        elif line["kind"] is None:
            steps += line["again"] == "1" and line["sent"] in released
            released.discard(line["sent"])
        elif released_by == "PUBREC":  # the subscriber's PUBCOMP has arrived, so that it is over
            released.discard(line["answered"])
    return steps


def _saves(server: RunningServer) -> int:
    return server.log_path.read_text().count("Saving in-memory database")


def main() -> None:
    """Run storms of all kinds, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.mqtt.storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of all together (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    authority = CertificateAuthority()
    ways: dict[str, dict[str, Any]] = {
        "connections cut": {},
        "bits turned over": {"spoilt": authority},
        "broker stopped": {"broker_ends": "stop"},
        "broker killed": {"broker_ends": "kill", "cut_after": None},
    }
    kinds: list[tuple[str, dict[str, Any]]] = [
        (how, {"version": version, "publisher": publisher, "subscriber": subscriber, **ways[how]})
        for version in (5, 4)
        for how in ways
        for publisher, subscriber in (
            ("wirekit", "wirekit"),
            ("wirekit", "paho"),
            ("paho", "wirekit"),
        )
    ]
    faults, failed = 0, False
    for number, (how, kind) in enumerate(kinds):
        seed = options.seed + number
        with servers.mosquitto_server(
            persistence=True, websocket=False, tls=authority, config=DURABLE
        ) as server:
            seconds = options.seconds / len(kinds)
            tally = asyncio.run(storm(server, seed=seed, seconds=seconds, **kind))
        faults += tally.faults
        clients = f"{kind['publisher']} to {kind['subscriber']}, version {kind['version']}"
        print(f"{how}, {clients}:\n    {tally}", flush=True)  # noqa: T201
        try:
            tally.check(kind["publisher"])
        except AssertionError as error:
            failed = True
            print(f"    WRONG (seed {seed}): {error}", flush=True)  # noqa: T201
    for version in (5, 4):
        with servers.mosquitto_server(websocket=False) as server:
            count = int(options.seconds * 4)
            found = asyncio.run(
                spoilt_sessions(server, version=version, seed=options.seed, count=count)
            )
        faults += found
        print(f"bits turned over on plain TCP, version {version}:\n    {found}")  # noqa: T201
    print(f"{faults} faults in all")  # noqa: T201
    sys.exit(failed)


if __name__ == "__main__":
    main()
