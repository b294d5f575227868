from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MQTT, Messages, MqttCodeError
from wirekit.adapters.mqtt._subscription import OwnSubscription
from wirekit.protocols.mqtt import (
    PubAck,
    Publish,
    ReasonCode,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)

from ._peer import Server, inside, opened, reconnecting

OK = ReasonCode.SUCCESS
FIRST = 268_435_455  # the first identifier that we give


async def entered(
    own: OwnSubscription[Any], server: Server, *codes: ReasonCode
) -> tuple[Any, list[Subscribe]]:
    """Enter a subscription whose SUBSCRIBEs the server answers."""
    entering = asyncio.create_task(own.__aenter__())
    packets: list[Subscribe] = []
    for code in codes:
        packets.append(await server.receive(Subscribe))
        await server.send(SubAck(packets[-1].packet_id, (code,)))
    return await entering, packets


async def leave(own: OwnSubscription[Any]) -> None:
    await own.__aexit__(None, None, None)


async def unsubscribed(server: Server) -> tuple[str, ...]:
    packet = await server.receive(Unsubscribe)
    await server.send(UnsubAck(packet.packet_id, (OK,) * len(packet.topic_filters)))
    return packet.topic_filters


def message(topic: str, identifier: int | None = None, packet_id: int | None = None) -> Publish:
    qos = 0 if packet_id is None else 1
    properties: Any = {} if identifier is None else {"subscription_identifier": [identifier]}
    return Publish(topic, b"", qos, packet_id=packet_id, properties=properties)


async def test_its_messages_go_to_a_consumer_of_its_own() -> None:
    async with opened() as (client, server):
        own = client.subscription(["a/#", "b"], 1)
        messages, packets = await entered(own, server, OK, OK)
        assert [packet.properties.get("subscription_identifier") for packet in packets] == [
            [FIRST],
            [FIRST - 1],
        ]
        assert [packet.subscriptions[0].qos for packet in packets] == [1, 1]
        await server.send(message("a/1", FIRST), message("c"), message("b", FIRST - 1))
        assert [(await messages.get()).topic for _ in range(2)] == ["a/1", "b"]
        assert (await client.messages.get()).topic == "c"
        await leave(own)
        assert await unsubscribed(server) == ("a/#", "b")
        await eventually(lambda: inside(client)._session.router.empty)
        assert [entry async for entry in messages] == []


async def test_what_is_under_way_at_the_end_counts_as_taken() -> None:
    async with opened() as (client, server):
        own = client.subscription("a/#")
        messages, _ = await entered(own, server, OK)
        await server.send(message("a/1", FIRST, packet_id=1))
        await eventually(lambda: len(messages) == 1)
        await leave(own)
        packet = await server.receive(PubAck)
        assert packet == PubAck(1)
        await server.send(message("a/2", FIRST, packet_id=2))
        assert await unsubscribed(server) == ("a/#",)
        assert await server.receive(PubAck) == PubAck(2)
        assert len(client.messages) == 0


async def test_manual_acknowledgement_ends_with_the_block() -> None:
    async with opened(manual_acknowledgement=True) as (client, server):
        own = client.subscription("a/#")
        messages, _ = await entered(own, server, OK)
        await server.send(*[message("a/1", FIRST, packet_id=number) for number in (1, 2)])
        taken = await messages.get()
        await server.silent()
        await client.acknowledge(taken)
        assert await server.receive(PubAck) == PubAck(1)
        await leave(own)
        assert await server.receive(PubAck) == PubAck(2)


async def test_callbacks() -> None:
    async with opened() as (client, server):
        called: list[Publish] = []
        own = client.subscription("a/#", callback=called.append)
        await entered(own, server, OK)
        await server.send(message("a/1", FIRST, packet_id=1))
        assert await server.receive(PubAck) == PubAck(1)
        assert [entry.topic for entry in called] == ["a/1"]
        await leave(own)
        await unsubscribed(server)


async def test_3_1_1_has_no_identifiers() -> None:
    async with opened(version=4) as (client, server):
        messages, [packet] = await entered(client.subscription("a/#"), server, OK)
        assert packet.properties == {}
        await server.send(message("a/1"))
        assert (await messages.get()).topic == "a/1"


async def test_a_server_without_identifiers() -> None:
    properties: Any = {"subscription_identifier_available": 0}
    async with opened(properties) as (client, server):
        messages, [packet] = await entered(client.subscription("a/#"), server, OK)
        assert packet.properties == {}
        await server.send(message("a/1"))
        assert (await messages.get()).topic == "a/1"


async def test_two_for_the_same_filter_share_it() -> None:
    async with opened() as (client, server):
        owns = [client.subscription("a") for _ in range(2)]
        consumers: list[Messages] = []
        for own in owns:
            messages, [packet] = await entered(own, server, OK)
            consumers.append(messages)
            assert packet.properties.get("subscription_identifier") == [FIRST]
        await server.send(message("a", FIRST))
        for messages in consumers:
            await messages.get()
        await leave(owns[0])
        await server.silent()
        await leave(owns[1])
        assert await unsubscribed(server) == ("a",)


async def test_a_plain_subscription_stays() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(client.subscribe("a"))
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (OK,)))
        await calling
        own = client.subscription("a")
        await entered(own, server, OK)
        await leave(own)
        await server.silent()
        await server.send(message("a", FIRST))
        assert (await client.messages.get()).topic == "a"


async def test_a_refusal_undoes_all() -> None:
    async with opened() as (client, server):
        own = client.subscription(["a", "b"])
        with pytest.raises(MqttCodeError, match="subscribe to 'b': not authorized"):
            await entered(own, server, OK, ReasonCode.NOT_AUTHORIZED)
        assert await unsubscribed(server) == ("a", "b")
        await eventually(lambda: inside(client)._session.router.empty)


async def test_cancelling_undoes_all() -> None:
    async with opened() as (client, server):
        entering = asyncio.create_task(client.subscription("a").__aenter__())
        await server.receive(Subscribe)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert await unsubscribed(server) == ("a",)
        await eventually(lambda: inside(client)._session.router.empty)


async def test_what_must_not_be_sent_undoes_all() -> None:
    properties: Any = {"wildcard_subscription_available": 0}
    async with opened(properties) as (client, server):
        with pytest.raises(wirekit.LocalProtocolError, match="wildcard"):
            await client.subscription(["a", "b/#"]).__aenter__()
        assert (await server.receive(Subscribe)).subscriptions[0].topic_filter == "a"
        assert await unsubscribed(server) == ("a", "b/#")


async def test_it_is_entered_once() -> None:
    async with opened() as (client, server):
        own = client.subscription("a")
        await entered(own, server, OK)
        with pytest.raises(wirekit.BusyError, match="only once"):
            await own.__aenter__()


async def test_left_without_a_connection_it_is_put_right_later() -> None:
    async with reconnecting() as (client, network, server):
        own = client.subscription("a")
        await entered(own, server, OK)
        server.socket.abort()
        await eventually(lambda: not client.connected)
        await leave(own)
        server = await network.server()
        await server.accept(session_present=True)
        # What had been kept for it is nobody's, and must not fill anything.
        await server.send(message("a", FIRST, 1))
        assert await unsubscribed(server) == ("a",)
        assert await server.receive(PubAck) == PubAck(1)
        await eventually(lambda: inside(client)._session.router.empty)
        assert not len(client.messages)
        await server.send(message("a", packet_id=2))
        await eventually(lambda: len(client.messages))


async def test_left_without_a_connection_and_the_session_is_gone() -> None:
    async with reconnecting() as (client, network, server):
        own = client.subscription("a")
        await entered(own, server, OK)
        server.socket.abort()
        await eventually(lambda: not client.connected)
        await leave(own)
        server = await network.server()
        await server.accept()
        await eventually(lambda: inside(client)._session.router.empty)
        await server.silent()


@pytest.mark.parametrize("version", [5, 4])
async def test_while_it_is_left_a_plain_subscription_gets_its_copy(version: int) -> None:
    async with opened(version=version) as (client, server):
        subscribing = asyncio.create_task(client.subscribe("a/#", 1))
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (ReasonCode.GRANTED_QOS_1,)))
        await subscribing
        own = client.subscription("a/b", 1)
        messages, _ = await entered(own, server, OK)
        await server.send(message("a/b", packet_id=1) if version == 4 else message("a/b", FIRST, 1))
        await messages.get()
        assert await server.receive(PubAck) == PubAck(1)
        await leave(own)
        await server.send(message("a/b", packet_id=2))
        assert (await client.messages.get(1)).packet_id == 2


async def test_it_ends_with_the_client() -> None:
    async with opened() as (client, server):
        messages, _ = await entered(client.subscription("a"), server, OK)
        waiting = asyncio.create_task(collect(messages))
        await asyncio.sleep(0)
        await client.aclose()
        assert await waiting == []


async def collect(messages: Messages) -> list[Publish]:
    return [entry async for entry in messages]


async def test_it_ends_with_the_connection() -> None:
    async with opened() as (client, server):
        messages, _ = await entered(client.subscription("a"), server, OK)
        server.socket.abort()
        with pytest.raises(wirekit.ConnectionLost):
            await collect(messages)


def subscribe_type(client: MQTT) -> OwnSubscription[Messages]:
    """Is here for the type checkers."""
    return client.subscription("a")
