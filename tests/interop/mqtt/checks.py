"""What holds of every client, whatever was done to it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MQTT, MqttError


def inside(thing: object) -> Any:
    """Return the same, with all that is private about it."""
    return cast("Any", thing)


def assert_typed(error: object) -> None:
    """It is an error of ours, and those who catch aiomqtt's catch it too."""
    assert isinstance(error, wirekit.Error), repr(error)
    assert isinstance(error, MqttError), repr(error)


async def assert_nothing_is_left(client: MQTT) -> None:
    """A client that is closed waits for nothing, and runs nothing."""
    session, link = inside(client)._session, inside(client)._link
    assert link.current is None
    assert not link._waiters
    assert link._task is None or link._task.done()
    assert not session.subscriptions._pending
    assert session.connection is None
    flows = (*session.outgoing._waiting.values(), *session.outgoing._published.values())
    assert all(flow.future is None or flow.future.done() for flow in flows)
    assert_packet_ids_agree(client)
    assert not inside(client)._deadlines._due
    await eventually(lambda: not tasks_of_wirekit())


def assert_packet_ids_agree(client: MQTT) -> None:
    """Those in use are those of what is under way, and no others."""
    session = inside(client)._session
    outgoing = session.outgoing
    assert outgoing._ids._used == {
        *outgoing._published,
        *outgoing._released,
        *outgoing._unknown,
        *session.subscriptions._pending,
    }


def tasks_of_wirekit() -> list[asyncio.Task[Any]]:
    """Return the tasks that the library has begun and not ended."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("wirekit")]
