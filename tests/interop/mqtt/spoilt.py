"""Sessions on plain TCP of which bits are turned over: they end, and nothing is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from tests.interop.mqtt.checks import assert_nothing_is_left, assert_packet_ids_agree, assert_typed
from tests.interop.mqtt.weather import Weather
from tests.interop.waiting import outcomes
from tests.servers import RunningServer
from wirekit.adapters.mqtt import MQTT
from wirekit.sockets import Backoff, DirectConnector

AT_ONCE = 40
LIFETIME = 400  # bytes at most until a bit is turned over
TIMEOUT = 0.2  # of a call to a broker that was told something else, or nothing
PATIENCE = 20.0


async def spoilt_sessions(server: RunningServer, *, version: int, seed: int, count: int) -> int:
    """Have so many sessions; return how many bits were turned over."""
    rng = random.Random(seed)
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.append(said["message"]))
    async with Weather(server, rng, lambda: rng.randrange(1, LIFETIME), spoils=True) as weather:
        for start in range(0, count, AT_ONCE):
            names = [f"{version}/{seed}/{number}" for number in range(start, start + AT_ONCE)]
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(session(weather.address, version, name) for name in names))
    # Whose callers gave up, and whose session is that of another name by now.
    assert set(told) <= {"an MQTT message that nobody waits for was given up"}, told
    return weather.faults


async def session(address: tuple[str, int], version: int, name: str) -> None:
    """Do a bit of everything for a while, with a client that comes back; all of it ends."""
    settings: dict[str, Any] = {"clean_start": False, "version": version}
    client = MQTT(
        connector=DirectConnector(),
        address=address,
        client_id=f"plain/{name}",
        backoff=Backoff(initial=0.001, maximum=0.01),
        timeout=TIMEOUT,
        **settings,
    )
    got = await outcomes(client.open())
    for _ in range(2):
        got += await outcomes(
            client.subscribe([(f"spoilt/{name}", 2), (f"spoilt/{name}/+", 1)]),
            *(client.publish(f"spoilt/{name}", "from me", qos) for qos in (0, 1, 2, 1, 2)),
            client.messages.get(TIMEOUT),
            client.unsubscribe(f"spoilt/{name}/+"),
        )
        assert_packet_ids_agree(client)
    with contextlib.suppress(Exception):  # which is the last of `got`, if it is one
        while len(client.messages):
            await client.messages.get()
    await client.aclose()
    for outcome in got:
        if isinstance(outcome, BaseException):
            assert_typed(outcome)
    await assert_nothing_is_left(client)
