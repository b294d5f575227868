"""A client that is opened more than once, one time after the other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MQTT, MemoryStore, MqttError, StoreError
from wirekit.protocols.mqtt import (
    ConnAck,
    Connect,
    Properties,
    PubAck,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    Unsubscribe,
)

from ._peer import Network, Server, inside, on_network, on_socket


async def accepted(client: MQTT, network: Network) -> Server:
    """Open the client; return its server."""
    opening = asyncio.create_task(client.open())
    server = await network.server()
    await server.accept()
    await opening
    return server


async def test_a_block_within_its_own_block() -> None:
    client, server = on_socket()
    accepting = asyncio.create_task(server.accept())
    async with client:
        await accepting
        with pytest.raises(wirekit.BusyError, match="one after the other") as caught:
            await client.__aenter__()
        assert isinstance(caught.value, MqttError)
        assert client.connected


async def test_a_socket_serves_once() -> None:
    client, server = on_socket()
    accepting = asyncio.create_task(server.accept())
    async with client:
        await accepting
    for _ in range(2):
        with pytest.raises(wirekit.SocketClosed, match="only one socket") as caught:
            await client.__aenter__()
        assert isinstance(caught.value, MqttError)


async def test_the_loop_that_users_of_aiomqtt_know() -> None:
    """One client for all of it: what is new each time, and that nothing old gets in."""
    client, network = on_network(client_id="tester")
    network.fail(wirekit.ConnectRefused("nobody"))
    with pytest.raises(MqttError, match="nobody"):
        await client.__aenter__()
    with pytest.raises(wirekit.SocketClosed):
        await client.publish("a")
    seen: list[bytes] = []
    for number in range(3):
        entering = asyncio.create_task(client.__aenter__())
        server = await network.server()
        assert (await server.accept()).clean_start
        assert await entering is client
        messages = client.messages
        await server.send(Publish("a", b"%d" % number), Publish("b", b"untaken", 1, packet_id=1))
        seen.append((await messages.get()).payload)
        late = asyncio.create_task(client.publish("c", qos=1))
        await server.receive(Publish)
        await client.__aexit__(None, None, None)
        with pytest.raises(wirekit.SocketClosed):
            await late
        assert [message async for message in messages] == []
        assert not client.connected
        assert client.messages is messages
    assert seen == [b"0", b"1", b"2"]
    network.close()


async def test_a_session_that_goes_on_from_one_time_to_the_next() -> None:
    client, network = on_network(client_id="tester", session_expiry_interval=100)
    opening = asyncio.create_task(client.open())
    server = await network.server()
    assert (await server.accept()).clean_start
    await opening
    calls = [asyncio.create_task(client.publish(name, qos=2)) for name in "ab"]
    subscribing = asyncio.create_task(client.subscribe("s"))
    entering = asyncio.create_task(client.subscription("own").__aenter__())
    for kind in (Publish, Publish, Subscribe, Subscribe):
        await server.receive(kind)
    granted = (ReasonCode.SUCCESS,)
    await server.send(PubRec(1), SubAck(3, granted), SubAck(4, granted))
    await server.send(Publish("m", b"untaken", 2, packet_id=7), Publish("m", b"1", 1, packet_id=8))
    await subscribing
    await entering
    await eventually(lambda: len(client.messages) == 2)
    await client.aclose()
    for call in calls:
        with pytest.raises(wirekit.SocketClosed) as caught:
            await call
        assert vars(caught.value)["sent"]

    opening = asyncio.create_task(client.open())
    server = await network.server()
    assert not (await server.accept(session_present=True)).clean_start
    await opening
    assert await server.receive(PubRel) == PubRel(1)
    assert (await server.receive(Unsubscribe)).topic_filters == ("own",)
    again = await server.receive(Publish)
    assert (again.topic, again.duplicate, again.packet_id) == ("b", True, 2)
    assert "s" in inside(client)._session.subscriptions
    # What there is for the block of then is nobody's.
    properties: Properties = {"subscription_identifier": [268_435_455]}
    await server.send(Publish("own", b"", 1, packet_id=9, properties=properties))
    assert await server.receive(PubAck) == PubAck(9)
    await server.send(Publish("m", b"untaken", 2, True, duplicate=True, packet_id=7))
    await server.send(Publish("m", b"1", 1, duplicate=True, packet_id=8))
    for expected in (b"untaken", b"1"):
        assert (await client.messages.get()).payload == expected
    await client.publish("last")
    kinds = [type(await server.packet()) for _ in range(3)]
    assert sorted(kind.__name__ for kind in kinds) == ["PubAck", "PubRec", "Publish"]
    assert not len(client.messages)
    await client.aclose()
    network.close()


@pytest.mark.parametrize(
    ("settings", "clean_starts"),
    [
        ({}, [True, True]),
        ({"session_expiry_interval": 0}, [True, True]),
        ({"session_expiry_interval": 9}, [True, False]),
        ({"session_expiry_interval": 9, "clean_start": True}, [True, True]),
        ({"session_expiry_interval": 9, "clean_start": False}, [False, False]),
        ({"clean_start": False}, [False, False]),
        ({"store": MemoryStore()}, [False, False]),
        ({"store": MemoryStore(), "clean_start": True}, [True, True]),
        ({"version": 4}, [True, True]),
        ({"version": 4, "clean_start": False}, [False, False]),
    ],
)
async def test_which_session_each_time(settings: dict[str, Any], clean_starts: list[bool]) -> None:
    client, network = on_network(client_id="tester", **settings)
    for clean_start in clean_starts:
        entering = asyncio.create_task(client.__aenter__())
        server = await network.server()
        assert (await server.accept()).clean_start is clean_start
        await entering
        await client.__aexit__(None, None, None)
    network.close()


async def test_an_opening_that_comes_to_its_end_in_the_next_life() -> None:
    client, network = on_network(client_id="tester")
    late = asyncio.create_task(client.open())
    slow = await network.server()
    await slow.receive(Connect)
    await client.aclose()
    server = await accepted(client, network)
    await slow.send(ConnAck())
    with pytest.raises(wirekit.SocketClosed):
        await late
    publishing = asyncio.create_task(client.publish("a", qos=1))
    await server.receive(Publish)
    await server.send(PubAck(1))
    await publishing
    await client.aclose()
    network.close()


async def test_two_who_close_and_one_who_opens_again() -> None:
    store = MemoryStore()
    client, network = on_network(client_id="tester", store=store)
    await accepted(client, network)
    closing = [asyncio.create_task(client.aclose()) for _ in range(2)]
    await closing[0]
    server = await accepted(client, network)
    await closing[1]
    await client.publish("a")
    await server.receive(Publish)
    assert inside(store)._open is not None
    await client.aclose()
    assert inside(store)._open is None
    network.close()


async def test_a_store_that_another_client_uses() -> None:
    store = MemoryStore()
    client, network = on_network(client_id="tester", store=store)
    server = await accepted(client, network)
    other, _ = on_network(client_id="tester", store=store)
    with pytest.raises(StoreError, match="in use by another client"):
        async with other:
            raise AssertionError("it was opened")
    publishing = asyncio.create_task(client.publish("a", qos=1))
    await server.receive(Publish)
    await server.send(PubAck(1))
    await publishing
    await client.aclose()
    assert inside(store)._open is None
    network.close()
