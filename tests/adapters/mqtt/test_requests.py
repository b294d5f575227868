from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.interop.waiting import outcomes, turns
from wirekit import BusyError, ConnectionLost, LocalProtocolError, ReadTimeout, SocketClosed
from wirekit.adapters.mqtt import MQTT, MqttCodeError, MqttError, Properties, Publish, ReasonCode
from wirekit.protocols.mqtt import (
    Connect,
    PubAck,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
)

from ._peer import Network, Server, opened, reconnecting


async def subscribed(server: Server, topic: str = "response/tester") -> None:
    """Answer the subscription to the responses, be it after the end of an earlier one."""
    packet = await subscribe(server)
    assert packet.subscriptions == (Subscription(topic, 2, retain_handling=2),)
    await server.send(SubAck(packet.packet_id, (ReasonCode.GRANTED_QOS_2,)))


async def subscribe(server: Server) -> Subscribe:
    while isinstance(packet := await server.packet(), Unsubscribe):
        await server.send(UnsubAck(packet.packet_id, (ReasonCode.SUCCESS,)))
    assert isinstance(packet, Subscribe)
    return packet


def acknowledgement(request: Publish, code: ReasonCode = ReasonCode.SUCCESS) -> PubAck:
    assert request.packet_id is not None
    return PubAck(request.packet_id, code)


def response(request: Publish, payload: bytes = b"response", **settings: Any) -> Publish:
    wanted = request.properties
    assert "correlation_data" in wanted
    assert "response_topic" in wanted
    properties: Properties = {"correlation_data": wanted["correlation_data"]}
    return Publish(wanted["response_topic"], payload, properties=properties, **settings)


@pytest.fixture
async def asking() -> AsyncIterator[tuple[MQTT, Server]]:
    """A client that has made a request, so that it is subscribed to the responses."""
    async with opened() as (client, server):
        task = asyncio.create_task(client.request("topic"))
        await subscribed(server)
        await server.send(response(await server.receive(Publish)))
        await task
        yield client, server


async def test_a_request_and_its_response() -> None:
    async with opened(timeout=7.2) as (client, server):
        task = asyncio.create_task(client.request("topic", "request", 1))
        await subscribed(server)
        request = await server.receive(Publish)
        assert (request.topic, request.payload, request.qos) == ("topic", b"request", 1)
        assert request.properties.get("response_topic") == "response/tester"
        assert len(request.properties.get("correlation_data", b"")) == 16
        assert request.properties.get("message_expiry_interval") == 8
        await server.send(response(request, qos=1, packet_id=1), acknowledgement(request))
        assert (await task).payload == b"response"
        assert await server.receive(PubAck) == PubAck(1)
        assert not len(client.messages)


async def test_responses_in_another_order(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    tasks = [asyncio.create_task(client.request("topic", index)) for index in range(10)]
    requests = [await server.receive(Publish) for _ in tasks]
    await server.send(*(response(request, request.payload) for request in reversed(requests)))
    found = [await task for task in tasks]
    assert [message.payload for message in found] == [b"%d" % index for index in range(10)]


async def test_the_first_response_counts(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    task = asyncio.create_task(client.request("topic"))
    request = await server.receive(Publish)
    await server.send(
        Publish("response/tester", b"without Correlation Data", 1, packet_id=1),
        Publish("response/tester", b"of another", properties={"correlation_data": b"x"}),
        response(request, b"first", qos=1, packet_id=2),
        response(request, b"second", qos=1, packet_id=3),
    )
    assert (await task).payload == b"first"
    assert [(await server.receive(PubAck)).packet_id for _ in range(3)] == [1, 2, 3]
    assert not len(client.messages)


async def test_manual_acknowledgement_is_not_for_responses() -> None:
    async with opened(manual_acknowledgement=True) as (client, server):
        task = asyncio.create_task(client.request("topic"))
        await subscribed(server)
        await server.send(response(await server.receive(Publish), qos=1, packet_id=1))
        await task
        assert await server.receive(PubAck) == PubAck(1)


@pytest.mark.parametrize(
    ("information", "topic"),
    [
        ("replies/7", "replies/7/responses"),
        ("replies/7/", "replies/7/responses"),
        ("replies/#", "response/tester"),
        ("", "response/tester"),
    ],
)
async def test_response_information(information: str, topic: str) -> None:
    async with opened({"response_information": information}) as (client, server):
        task = asyncio.create_task(client.request("topic"))
        await subscribed(server, topic)
        await server.send(response(await server.receive(Publish)))
        await task


@pytest.mark.parametrize("given", [{}, {"request_response_information": 0}])
async def test_response_information_is_asked_for(given: Properties) -> None:
    network = Network()
    client = MQTT(connector=network, address=("broker", 1883), properties=given)
    opening = asyncio.create_task(client.open())
    connect = await (await network.server()).receive(Connect)
    assert connect.properties.get("request_response_information") == int(not given)
    opening.cancel()
    await outcomes(opening)
    await client.aclose()
    network.close()


@pytest.mark.parametrize("client_id", ["a/+", "#", "x" * 65530])
async def test_a_client_id_that_cannot_be_in_a_topic(client_id: str) -> None:
    async with opened(client_id=client_id) as (client, server):
        task = asyncio.create_task(client.request("topic"))
        packet = await subscribe(server)
        topic = packet.subscriptions[0].topic_filter
        assert topic.startswith("response/")
        assert len(topic) == 73
        task.cancel()


async def test_what_the_caller_gives_is_used_as_it_is(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    properties: Properties = {
        "response_topic": "elsewhere",
        "correlation_data": b"mine",
        "message_expiry_interval": 5,
        "content_type": "text",
    }
    task = asyncio.create_task(client.request("topic", properties=properties))
    await subscribed(server, "elsewhere")
    request = await server.receive(Publish)
    assert request.properties == properties
    with pytest.raises(BusyError) as caught:
        await client.request("topic", properties=properties)
    assert isinstance(caught.value, MqttError)
    await server.send(response(request))
    await task


async def test_too_late(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    with pytest.raises(ReadTimeout, match="no response from 'topic'"):
        await client.request("topic", "secret", timeout=0.01)
    late = await server.receive(Publish)
    assert late.properties.get("message_expiry_interval") == 1
    task = asyncio.create_task(client.request("topic"))
    request = await server.receive(Publish)
    await server.send(response(late, qos=1, packet_id=1), response(request, b"in time"))
    assert (await task).payload == b"in time"
    assert await server.receive(PubAck) == PubAck(1)
    assert not len(client.messages)


async def test_a_cancelled_request_leaves_the_others(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    tasks = [asyncio.create_task(client.request("topic", qos=1)) for _ in range(3)]
    requests = [await server.receive(Publish) for _ in tasks]
    tasks[1].cancel()
    await turns(2)
    await server.send(*(acknowledgement(request) for request in requests))
    await server.send(*(response(request) for request in requests))
    first, second, third = await outcomes(*tasks)
    assert isinstance(second, asyncio.CancelledError)
    assert first.payload == third.payload == b"response"


async def test_who_subscribes_is_cancelled_and_the_next_does_it() -> None:
    async with opened() as (client, server):
        first, second = (asyncio.create_task(client.request("topic", index)) for index in (1, 2))
        packet = await subscribe(server)
        first.cancel()
        await turns(3)
        await server.send(SubAck(packet.packet_id, (ReasonCode.GRANTED_QOS_2,)))
        await subscribed(server)
        request = await server.receive(Publish)
        assert request.payload == b"2"
        await server.send(response(request))
        await second
        assert first.cancelled()


async def test_nobody_is_subscribed(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    task = asyncio.create_task(client.request("topic", qos=1))
    request = await server.receive(Publish)
    await server.send(acknowledgement(request, ReasonCode.NO_MATCHING_SUBSCRIBERS))
    with pytest.raises(MqttCodeError, match="no matching subscribers"):
        await task


async def test_the_request_is_refused(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    task = asyncio.create_task(client.request("topic", qos=1))
    request = await server.receive(Publish)
    await server.send(acknowledgement(request, ReasonCode.NOT_AUTHORIZED))
    with pytest.raises(MqttCodeError, match="not authorized"):
        await task


async def test_the_subscription_is_refused() -> None:
    async with opened() as (client, server):
        for _ in range(2):
            task = asyncio.create_task(client.request("topic"))
            packet = await subscribe(server)
            await server.send(SubAck(packet.packet_id, (ReasonCode.NOT_AUTHORIZED,)))
            with pytest.raises(MqttCodeError, match="not authorized"):
                await task


async def test_the_connection_is_lost(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    tasks = [asyncio.create_task(client.request("topic", qos=qos)) for qos in (0, 1)]
    await server.receive(Publish)
    await server.receive(Publish)
    await server.socket.close()
    for error in await outcomes(*tasks, client.request("topic")):
        assert isinstance(error, ConnectionLost)
        assert isinstance(error, MqttError)


async def test_the_client_is_closed(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    task = asyncio.create_task(client.request("topic"))
    await server.receive(Publish)
    await client.aclose()
    with pytest.raises(SocketClosed):
        await task
    packet = await server.receive(Unsubscribe)
    assert packet.topic_filters == ("response/tester",)


async def test_a_response_on_the_next_connection() -> None:
    async with reconnecting() as (client, network, server):
        task = asyncio.create_task(client.request("topic"))
        await subscribed(server)
        request = await server.receive(Publish)
        await server.socket.close()
        server = await network.server()
        await server.accept()
        await subscribed(server)
        await server.send(response(request))
        assert (await task).payload == b"response"


async def test_the_subscription_is_refused_on_the_next_connection() -> None:
    async with reconnecting() as (client, network, server):
        task = asyncio.create_task(client.request("topic"))
        await subscribed(server)
        await server.receive(Publish)
        await server.socket.close()
        server = await network.server()
        await server.accept()
        packet = await subscribe(server)
        await server.send(SubAck(packet.packet_id, (ReasonCode.NOT_AUTHORIZED,)))
        with pytest.raises(MqttCodeError, match="not authorized"):
            await task
        task = asyncio.create_task(client.request("topic"))
        await subscribed(server)
        await server.send(response(await server.receive(Publish)))
        await task


async def test_response_topics_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._requests._KEPT", 2)
    async with opened() as (client, server):
        unused: list[str] = []
        for index in range(6):
            topic = f"responses/{index}"
            task = asyncio.create_task(
                client.request("topic", properties={"response_topic": topic})
            )
            await subscribed(server, topic)
            await server.send(response(await server.receive(Publish)))
            await task
            if index >= 2:
                packet = await server.receive(Unsubscribe)
                unused += packet.topic_filters
                await server.send(UnsubAck(packet.packet_id, (ReasonCode.SUCCESS,)))
        assert unused == [f"responses/{index}" for index in range(4)]


async def test_a_response_topic_with_a_wildcard(asking: tuple[MQTT, Server]) -> None:
    client, server = asking
    with pytest.raises(LocalProtocolError) as caught:
        await client.request("topic", properties={"response_topic": "a/+"})
    assert isinstance(caught.value, MqttError)
    await server.silent()


async def test_3_1_1_has_no_requests() -> None:
    async with opened(version=4) as (client, server):
        with pytest.raises(LocalProtocolError, match="no requests"):
            await client.request("topic")
        await server.silent()


# Responding.


@pytest.mark.parametrize(("received", "given", "sent"), [(0, None, 0), (1, None, 1), (1, 0, 0)])
async def test_respond(received: int, given: int | None, sent: int) -> None:
    request = Publish(
        "topic",
        qos=received,
        packet_id=received or None,
        properties={"response_topic": "there", "correlation_data": b"7", "content_type": "theirs"},
    )
    async with opened() as (client, server):
        responding = asyncio.create_task(
            client.respond(request, "payload", given, properties={"content_type": "text"})
        )
        message = await server.receive(Publish)
        if sent:
            await server.send(acknowledgement(message))
        assert await responding is ReasonCode.SUCCESS
        assert (message.topic, message.payload, message.qos) == ("there", b"payload", sent)
        assert message.properties == {"correlation_data": b"7", "content_type": "text"}


async def test_respond_without_correlation_data() -> None:
    async with opened() as (client, server):
        await client.respond(Publish("topic", properties={"response_topic": "there"}))
        assert (await server.receive(Publish)).properties == {}


async def test_respond_to_what_is_no_request() -> None:
    async with opened() as (client, server):
        with pytest.raises(LocalProtocolError, match="wants no response") as caught:
            await client.respond(Publish("topic"))
        assert isinstance(caught.value, MqttError)
        await server.silent()
