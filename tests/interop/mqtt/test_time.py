"""What takes its time, on Mosquitto: delayed wills, and messages that expire."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.interop.mqtt.checks import inside
from tests.interop.waiting import PATIENCE, eventually, outcomes
from tests.servers import RunningServer
from wirekit.adapters.mqtt import MQTT, MessageExpired, Properties, Will
from wirekit.sockets import Backoff, connect

SECOND: Properties = {"message_expiry_interval": 1}
LONG: Properties = {"message_expiry_interval": 100}


def new_client(server: RunningServer, **settings: Any) -> MQTT:
    given: dict[str, Any] = {"backoff": Backoff(initial=0.001, maximum=0.01), **settings}
    return MQTT.from_url(f"mqtt://{server.host}:{server.port}", timeout=PATIENCE, **given)


def lose_connection(client: MQTT) -> None:
    inside(client)._link.current._socket.abort()


async def test_a_delayed_will(mosquitto: RunningServer) -> None:
    """It is published some time after the connection was lost, unless the client comes back."""

    def settings_of(name: str) -> dict[str, Any]:
        properties: Properties = {"will_delay_interval": 1, "content_type": "text/plain"}
        will = Will(f"delayed/{name}", b"gone", 1, properties=properties)
        return {"will": will, "client_id": f"delayed-{name}", "session_expiry_interval": 60}

    async with (
        new_client(mosquitto) as watcher,
        watcher.subscription("delayed/+", 2) as wills,
        new_client(mosquitto, **settings_of("back")) as back,
        MQTT(connect((mosquitto.host, mosquitto.port)), **settings_of("gone")) as gone,
    ):
        lose_connection(back)
        lose_connection(gone)
        await eventually(lambda: back.session_present)
        async with new_client(mosquitto, **settings_of("said goodbye")):
            pass
        message = await wills.get(PATIENCE)
        assert (message.topic, message.payload) == ("delayed/gone", b"gone")
        assert message.properties.get("content_type") == "text/plain"
        assert not len(wills)


async def test_messages_expire_wherever_they_wait(mosquitto: RunningServer) -> None:
    """At the broker, as we are away; in our queue, untaken; and before they are sent."""
    away: dict[str, Any] = {"client_id": "expiring", "session_expiry_interval": 60}
    never = Backoff(initial=PATIENCE, maximum=PATIENCE, random=lambda: 1.0)
    async with (
        new_client(mosquitto, backoff=never) as publisher,
        new_client(mosquitto) as busy,
        busy.subscription("expiring", 2) as queue,
    ):
        async with new_client(mosquitto, **away) as client:
            await client.subscribe("expiring", 2)
        for qos in (1, 2):
            await publisher.publish("expiring", "short", qos, properties=SECOND)
            await publisher.publish("expiring", "long", qos, properties=LONG)
            await publisher.publish("expiring", "endless", qos)
        await eventually(lambda: len(queue) == 6)
        lose_connection(publisher)
        await eventually(lambda: not publisher.connected)
        for got in await outcomes(
            *(publisher.publish("expiring", "unsent", qos, properties=SECOND) for qos in range(3))
        ):
            assert isinstance(got, MessageExpired), repr(got)
        assert not publisher.connected
        await asyncio.sleep(1.1)  # Mosquitto counts whole seconds
        async with new_client(mosquitto, clean_start=False, **away) as client:
            for messages in (queue, client.messages):
                found = [await messages.get(PATIENCE) for _ in range(4)]
                assert [(message.payload, message.qos) for message in found] == [
                    (payload, qos) for qos in (1, 2) for payload in (b"long", b"endless")
                ]
                assert not len(messages)
            # What time is left is told.
            left = [message.properties.get("message_expiry_interval") for message in found]
            assert left[1] is left[3] is None
            assert all(seconds is not None and seconds < 100 for seconds in left[::2])
        assert queue.expired == 2
        # Those that nobody got are acknowledged.
        assert not inside(busy)._session.incoming.unacknowledged
