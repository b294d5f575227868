from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually, turns
from wirekit.adapters.mqtt import (
    MessageExpired,
    MqttCodeError,
    MqttError,
    SessionLost,
    Subscription,
)
from wirekit.protocols.mqtt import (
    Disconnect,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)

from ._peer import inside, opened, reconnecting

OK = ReasonCode.SUCCESS
REFUSED = ReasonCode.NOT_AUTHORIZED


# Publishing.


async def test_qos_0_is_sent_without_waiting() -> None:
    async with opened() as (client, server):
        calling = client.publish("a", b"x", retain=True)
        with pytest.raises(StopIteration) as stopped:
            calling.send(None)
        assert stopped.value.value is OK
        assert await server.receive(Publish) == Publish("a", b"x", 0, True)


async def test_what_is_sent() -> None:
    async with opened() as (client, server):
        properties: Any = {"content_type": "text/plain"}
        await client.publish("a", "text", properties=properties)
        await client.publish("b")
        assert await server.receive(Publish) == Publish("a", b"text", properties=properties)
        assert await server.receive(Publish) == Publish("b")


async def test_qos_1_and_2() -> None:
    async with opened() as (client, server):
        first = asyncio.create_task(client.publish("a", qos=1))
        second = asyncio.create_task(client.publish("b", qos=2))
        await server.receive(Publish)
        await server.receive(Publish)
        await server.send(PubRec(2), PubAck(1, ReasonCode.NO_MATCHING_SUBSCRIBERS))
        assert await first is ReasonCode.NO_MATCHING_SUBSCRIBERS
        await server.receive(PubRel)
        assert not second.done()
        await server.send(PubComp(2))
        assert await second is OK


async def test_a_refused_message() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(client.publish("a", qos=1))
        await server.receive(Publish)
        await server.send(PubAck(1, ReasonCode.QUOTA_EXCEEDED))
        with pytest.raises(MqttCodeError, match="refused the message: quota exceeded"):
            await calling


@pytest.mark.parametrize("qos", [0, 1, 3])
async def test_what_must_not_be_published(qos: int) -> None:
    async with opened() as (client, server):
        with pytest.raises(wirekit.LocalProtocolError) as caught:
            await client.publish("a/#", qos=qos)
        assert isinstance(caught.value, MqttError)
        assert vars(caught.value)["sent"] is False
        await server.silent()


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_this_server_does_not_take(qos: int) -> None:
    async with opened({"maximum_packet_size": 20}) as (client, server):
        with pytest.raises(wirekit.LocalProtocolError) as caught:
            await client.publish("a", bytes(20), qos)
        assert isinstance(caught.value, MqttError)
        await client.publish("a")
        assert await server.receive(Publish) == Publish("a")


async def test_a_server_that_does_not_acknowledge() -> None:
    async with opened(timeout=0.02) as (client, server):
        with pytest.raises(wirekit.ReadTimeout, match=r"not acknowledged within 0\.02 s") as caught:
            await client.publish("a", qos=1)
        assert isinstance(caught.value, MqttError)
        with pytest.raises(wirekit.ReadTimeout, match=r"0\.001 s"):
            await client.publish("a", qos=1, timeout=0.001)
        # Both go on to their end.
        await server.receive(Publish)
        await server.receive(Publish)
        await server.send(PubAck(1), PubAck(2))
        await eventually(lambda: not len(inside(client)._session.outgoing))


async def test_cancelling_what_was_sent() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(client.publish("a", qos=2))
        await server.receive(Publish)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.send(PubRec(1))
        await server.receive(PubRel)
        await server.send(PubComp(1))
        await eventually(lambda: not len(inside(client)._session.outgoing))


async def test_cancelling_what_was_not_sent() -> None:
    async with opened({"receive_maximum": 1}) as (client, server):
        first = asyncio.create_task(client.publish("a", qos=1))
        second = asyncio.create_task(client.publish("b", qos=1))
        await server.receive(Publish)
        second.cancel()
        await server.send(PubAck(1))
        await first
        await server.silent()
        with pytest.raises(asyncio.CancelledError):
            await second


async def test_publishers_wait_for_a_server_that_does_not_read() -> None:
    async with opened(timeout=0.05) as (client, server):

        async def flood() -> None:
            while True:
                await client.publish("a", bytes(10_000))

        with pytest.raises(wirekit.ReadTimeout, match="was not sent within"):
            await flood()
        assert inside(client)._link.current is not None
        assert inside(client)._link.current._gathered < 200_000
        server.socket.abort()


async def test_a_publisher_that_never_waits_lets_others_run() -> None:
    async with opened() as (client, server):

        async def flood() -> None:
            for _ in range(20_000):
                await client.publish("a", b"0123456789")

        flooding = asyncio.create_task(flood())
        ticks = 0
        while not flooding.done():
            await asyncio.sleep(0)
            ticks += 1
        assert ticks > 4
        for _ in range(20_000):
            await server.receive(Publish)


async def test_without_a_connection_messages_wait() -> None:
    async with reconnecting() as (client, network, server):
        server.socket.abort()
        await eventually(lambda: not client.connected)
        calls = [asyncio.create_task(client.publish("a", qos=qos)) for qos in (0, 1, 2)]
        await turns(3)
        server = await network.server()
        await server.accept(session_present=True)
        assert sorted([(await server.receive(Publish)).qos for _ in range(3)]) == [0, 1, 2]
        await server.send(PubAck(1), PubRec(2))
        await server.receive(PubRel)
        await server.send(PubComp(2))
        assert [await call for call in calls] == [OK] * 3


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_cancelling_what_waits_for_a_connection(qos: int) -> None:
    async with reconnecting() as (client, network, server):
        server.socket.abort()
        await eventually(lambda: not client.connected)
        calling = asyncio.create_task(client.publish("a", qos=qos))
        await turns(2)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        server = await network.server()
        await server.accept(session_present=True)
        await server.silent()


async def test_cancelling_what_waits_for_a_server_that_does_not_read() -> None:
    async with opened() as (client, server):
        await client.publish("a", bytes(1_000_000))
        await turns(2)
        calls = [asyncio.create_task(client.publish("b", qos=qos)) for qos in (0, 1)]
        await turns(2)
        for call in calls:
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await server.receive(Publish)).topic == "a"
        await server.silent()


@pytest.mark.parametrize("qos", [0, 1])
async def test_but_not_for_ever(qos: int) -> None:
    async with reconnecting(timeout=0.05) as (client, network, server):
        network.fail(*[wirekit.ConnectRefused("nobody there")] * 10_000)
        server.socket.abort()
        await eventually(lambda: not client.connected)
        with pytest.raises(wirekit.ReadTimeout, match="there is no connection: nobody there"):
            await client.publish("a", qos=qos)
        assert len(inside(client)._session.outgoing) == 0


@pytest.mark.parametrize("qos", [0, 1])
async def test_who_published_what_expires_need_not_wait_for_a_connection(qos: int) -> None:
    async with reconnecting() as (client, network, server):
        network.fail(*[wirekit.ConnectRefused("nobody")] * 1000)
        server.socket.abort()
        await eventually(lambda: not client.connected)
        with pytest.raises(MessageExpired):
            await client.publish("a", qos=qos, properties={"message_expiry_interval": 0})
        assert not client.connected
        assert not len(inside(client)._session.outgoing)


@pytest.mark.parametrize("seconds", [-1, 1.5, 1 << 32, 10**400])
@pytest.mark.parametrize("qos", [0, 1])
async def test_expiry_intervals_that_are_none(qos: int, seconds: Any) -> None:
    async with opened() as (client, _):
        with pytest.raises(wirekit.LocalProtocolError, match="whole number up to 4294967295"):
            await client.publish("a", qos=qos, properties={"message_expiry_interval": seconds})


@pytest.mark.parametrize("qos", [0, 1])
async def test_messages_that_expire_while_they_wait(
    qos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reconnecting() as (client, network, server):
        now = 1000.0
        monkeypatch.setattr("wirekit.adapters.mqtt._calls.time.time", lambda: now)
        inside(client)._session.outgoing._now = lambda: now
        server.socket.abort()
        await eventually(lambda: not client.connected)
        calls = [
            asyncio.create_task(
                client.publish("a", qos=qos, properties={"message_expiry_interval": seconds})
            )
            for seconds in (5, 50)
        ]
        await turns(3)
        now += 10
        server = await network.server()
        await server.accept(session_present=True)
        publish = await server.receive(Publish)
        assert publish.properties == {"message_expiry_interval": 40}
        if qos:
            await server.send(PubAck(1))
        await calls[1]
        with pytest.raises(MessageExpired):
            await calls[0]


async def test_the_session_that_the_server_forgot() -> None:
    async with reconnecting({"receive_maximum": 1}) as (client, network, server):
        calls = [asyncio.create_task(client.publish(name, qos=1)) for name in "ab"]
        await server.receive(Publish)
        server.socket.abort()
        server = await network.server()
        await server.accept()
        with pytest.raises(SessionLost):
            await calls[0]
        publish = await server.receive(Publish)
        assert publish.topic == "b"
        assert publish.packet_id is not None
        await server.send(PubAck(publish.packet_id))
        assert await calls[1] is OK


async def test_everybody_learns_why_the_only_connection_ended() -> None:
    async with opened() as (client, server):
        calls = [
            asyncio.create_task(call)
            for call in (
                client.publish("a", qos=1),
                client.subscribe("b"),
                client.unsubscribe("c"),
                client.messages.get(),
            )
        ]
        await server.receive(Publish)
        await server.send(Disconnect(ReasonCode.ADMINISTRATIVE_ACTION))
        for call in calls:
            with pytest.raises(MqttCodeError, match="administrative action"):
                await call
        for qos in (0, 1):
            with pytest.raises(MqttCodeError, match="administrative action"):
                await client.publish("a", qos=qos)


# Subscribing.


async def test_subscribe_and_unsubscribe() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(
            client.subscribe(
                ["a", ("b", 2)],
                1,
                no_local=True,
                retain_as_published=True,
                retain_handling=2,
                identifier=5,
                properties={"user_property": [("a", "b")]},
            )
        )
        packet = await server.receive(Subscribe)
        options = (True, True, 2)
        assert packet.subscriptions == (
            Subscription("a", 1, *options),
            Subscription("b", 2, *options),
        )
        assert packet.properties == {
            "subscription_identifier": [5],
            "user_property": [("a", "b")],
        }
        await server.send(SubAck(packet.packet_id, (ReasonCode.GRANTED_QOS_1, REFUSED)))
        assert await calling == (ReasonCode.GRANTED_QOS_1, REFUSED)
        again = asyncio.create_task(client.unsubscribe(["a", "b"]))
        request = await server.receive(Unsubscribe)
        assert request.topic_filters == ("a", "b")
        codes = (OK, ReasonCode.NO_SUBSCRIPTION_EXISTED)
        await server.send(UnsubAck(request.packet_id, codes))
        assert await again == codes


async def test_one_refusal_is_an_error() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(client.subscribe("a"))
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (REFUSED,), {"reason_string": "never"}))
        with pytest.raises(MqttCodeError, match=r"to subscribe to 'a': not authorized.*never"):
            await calling
        again = asyncio.create_task(client.unsubscribe("a"))
        request = await server.receive(Unsubscribe)
        await server.send(UnsubAck(request.packet_id, (REFUSED,)))
        with pytest.raises(MqttCodeError, match="to unsubscribe from 'a': not authorized"):
            await again


async def test_what_must_not_be_subscribed_to() -> None:
    async with opened() as (client, server):
        for call in (client.subscribe("a#"), client.subscribe([]), client.unsubscribe("")):
            with pytest.raises(wirekit.LocalProtocolError) as caught:
                await call
            assert isinstance(caught.value, MqttError)
        await server.silent()


async def test_a_server_that_does_not_answer() -> None:
    async with opened() as (client, server):
        with pytest.raises(wirekit.ReadTimeout, match="did not answer within"):
            await client.subscribe("a", timeout=0.01)
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (OK,)))
        assert (await server.receive(Unsubscribe)).topic_filters == ("a",)


async def test_cancelling_a_subscribe_takes_it_back() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(client.subscribe("a"))
        packet = await server.receive(Subscribe)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.send(SubAck(packet.packet_id, (OK,)))
        assert (await server.receive(Unsubscribe)).topic_filters == ("a",)


async def test_cancelling_a_subscribe_that_was_just_answered_comes_too_late() -> None:
    async with opened() as (client, server):
        calling = asyncio.create_task(client.subscribe("a"))
        packet = await server.receive(Subscribe)
        inside(client)._session.subscriptions.answered(SubAck(packet.packet_id, (OK,)))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.silent()
        assert "a" in inside(client)._session.subscriptions


async def test_requests_are_made_again_on_the_next_connection() -> None:
    async with reconnecting() as (client, network, server):
        calls = [
            asyncio.create_task(client.subscribe("a")),
            asyncio.create_task(client.unsubscribe("b")),
        ]
        await server.receive(Subscribe)
        server.socket.abort()
        server = await network.server()
        await server.accept(session_present=True)
        # What nobody may want is taken back first.
        request = await server.receive(Unsubscribe)
        assert request.topic_filters == ("a", "b")
        await server.send(UnsubAck(request.packet_id, (OK, OK)))
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (OK,)))
        request = await server.receive(Unsubscribe)
        await server.send(UnsubAck(request.packet_id, (OK,)))
        assert [await call for call in calls] == [(OK,), (OK,)]


async def test_a_request_for_which_the_server_ends_the_connection_is_not_made_again() -> None:
    async with reconnecting() as (client, network, server):
        calling = asyncio.create_task(client.subscribe("a"))
        await server.receive(Subscribe)
        await server.send(Disconnect(ReasonCode.QUOTA_EXCEEDED))
        with pytest.raises(MqttCodeError, match="quota exceeded"):
            await calling
        server = await network.server()
        await server.accept()
        await server.silent()


async def test_renewing_what_the_server_forgot() -> None:
    async with reconnecting() as (client, network, server):
        calling = asyncio.create_task(client.subscribe("a", identifier=3))
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (OK,)))
        await calling
        server.socket.abort()
        server = await network.server()
        await server.accept()
        again = await server.receive(Subscribe)
        assert again.subscriptions == packet.subscriptions
        assert again.properties == {"subscription_identifier": [3]}


# Acknowledging.


async def test_manual_acknowledgement() -> None:
    async with opened(manual_acknowledgement=True) as (client, server):
        await server.send(*[Publish("a", b"", 1, packet_id=number) for number in (1, 2)])
        first = await client.messages.get()
        second = await client.messages.get()
        await client.acknowledge(second)
        await server.silent()
        await client.acknowledge(first)
        assert await server.receive(PubAck) == PubAck(1)
        assert await server.receive(PubAck) == PubAck(2)
        await client.acknowledge(first)
        await server.silent()


async def test_qos_0_has_no_acknowledgement() -> None:
    async with opened() as (client, _):
        with pytest.raises(wirekit.LocalProtocolError, match="QoS 0"):
            await client.acknowledge(Publish("a"))


async def test_acknowledging_between_two_connections() -> None:
    async with reconnecting(manual_acknowledgement=True) as (client, network, server):
        await server.send(Publish("a", b"", 1, packet_id=7))
        message = await client.messages.get()
        server.socket.abort()
        await eventually(lambda: not client.connected)
        await client.acknowledge(message)
        server = await network.server()
        await server.accept(session_present=True)
        await server.send(Publish("a", b"", 1, packet_id=7, duplicate=True))
        assert await server.receive(PubAck) == PubAck(7)
        assert len(client.messages) == 0


async def test_a_consumer_that_waits_for_an_acknowledgement_lets_reading_go_on() -> None:
    async with opened(overflow="wait", queue_size=2) as (client, server):
        await server.send(*[Publish("in", b"x")] * 4)
        await eventually(lambda: inside(client)._session.reading_waits)
        publishing = asyncio.create_task(client.publish("out", b"y", 1))
        sent = await server.receive(Publish)
        assert not inside(client)._session.reading_waits
        await server.send(Publish("in", b"z"), PubAck(sent.packet_id or 0))
        assert await publishing == ReasonCode.SUCCESS
        assert inside(client)._session.reading_waits


async def test_a_timeout_says_that_nothing_was_read() -> None:
    async with opened(overflow="wait", queue_bytes=10) as (client, server):
        await server.send(Publish("in", bytes(100)))
        await eventually(lambda: inside(client)._session.reading_waits)
        with pytest.raises(wirekit.ReadTimeout, match="until messages that arrived are taken"):
            await client.publish("out", b"y", 1, timeout=0.02)


async def test_a_property_of_the_wrong_type() -> None:
    async with opened() as (client, _):
        wrong: Any = {"message_expiry_interval": "5"}
        for qos in (0, 1):
            with pytest.raises(wirekit.LocalProtocolError, match=r"(?i)message.expiry.interval"):
                await client.publish("t", b"x", qos, properties=wrong)


@pytest.mark.parametrize("version", [5, 4])
async def test_an_answer_behind_many_messages(version: int) -> None:
    """Who goes on with a session may subscribe before taking what waits there."""
    async with opened(version=version, receive_maximum=2) as (client, server):
        await server.send(*(Publish("a", b"", 1, packet_id=number) for number in range(1, 301)))
        await eventually(lambda: len(client.messages) == 300)
        assert inside(client)._session.reading_waits
        subscribing = asyncio.create_task(client.subscribe("b"))
        packet = await server.receive(Subscribe)
        more = (Publish("a", b"", 2, packet_id=number) for number in range(301, 601))
        await server.send(*more, SubAck(packet.packet_id, (OK,)))
        await subscribing
        assert len(client.messages) == 600
        for _ in range(600):
            await client.messages.get()
        assert not inside(client)._session.reading_waits
