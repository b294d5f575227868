"""Nothing is lost and nothing of QoS 2 comes twice, whatever happens to connections and brokers.

The long form is ``python -m tests.interop.mqtt.storm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import servers
from tests.interop.mqtt.storm import DURABLE, Library, storm
from tests.servers import RunningServer

VERSIONS = pytest.mark.parametrize("version", [5, 4])


@pytest.fixture(scope="module")
def own_server() -> Iterator[RunningServer]:
    """A broker that the tests of this file may stop and kill."""
    with servers.mosquitto_server(persistence=True, websocket=False, config=DURABLE) as server:
        yield server


@VERSIONS
@pytest.mark.parametrize(
    ("publisher", "subscriber"), [("wirekit", "wirekit"), ("wirekit", "paho"), ("paho", "wirekit")]
)
async def test_connections_cut_at_any_byte(
    own_server: RunningServer, version: int, publisher: Library, subscriber: Library
) -> None:
    tally = await storm(
        own_server,
        version=version,
        publisher=publisher,
        subscriber=subscriber,
        name=f"cut/{version}/{publisher}/{subscriber}",
        seconds=0.5,
    )
    tally.check(publisher)
    assert tally.faults
    assert any(tally.published.values())


@VERSIONS
@pytest.mark.parametrize(
    "how", [{"broker_ends": "stop"}, {"broker_ends": "kill", "cut_after": None}]
)
async def test_a_broker_that_ends_in_the_middle(
    own_server: RunningServer, version: int, how: dict[str, Any]
) -> None:
    name = f"{how['broker_ends']}/{version}"
    tally = await storm(own_server, version=version, name=name, seconds=0.6, **how)
    tally.check("wirekit")
    assert tally.broker_ends > 0
    assert all(tally.published.values())
