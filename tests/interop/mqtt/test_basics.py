"""What every client does, on real brokers: both versions, every QoS, one connection and many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import pytest

import wirekit
from tests import servers
from tests.interop.waiting import PATIENCE, eventually
from tests.servers import RunningServer
from wirekit.adapters.mqtt import (
    MQTT,
    ConnectReturnCode,
    MqttCodeError,
    Properties,
    ReasonCode,
    Subscription,
    Will,
)
from wirekit.sockets import Backoff, DirectConnector, connect

_numbers = count()
VERSIONS = pytest.mark.parametrize("version", [5, 4])


def on_socket(server: RunningServer, **settings: Any) -> MQTT:
    """Return a client on one socket, which it cannot make anew."""
    given: dict[str, Any] = {"timeout": PATIENCE, **settings}
    return MQTT(connect((server.host, server.port)), **given)


def reconnecting(server: RunningServer, **settings: Any) -> MQTT:
    """Return a client that makes its connections itself."""
    backoff = Backoff(initial=0.01, maximum=0.05)
    given: dict[str, Any] = {"timeout": PATIENCE, "backoff": backoff, **settings}
    return MQTT(connector=DirectConnector(), address=(server.host, server.port), **given)


def inside(client: MQTT) -> Any:
    """Return the same, with all that is private about it."""
    return client


def new_topic() -> str:
    """Return a topic that no other test uses."""
    return f"basics/{next(_numbers)}"


@asynccontextmanager
async def two(server: RunningServer, **settings: Any) -> AsyncGenerator[tuple[MQTT, MQTT]]:
    """Give a client that publishes and one that subscribes."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(on_socket(server, **settings)) for _ in range(2)]
        yield clients[0], clients[1]


@VERSIONS
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
@pytest.mark.both_loops
async def test_every_qos(
    mosquitto: RunningServer, version: int, published: int, subscribed: int
) -> None:
    topic = new_topic()
    async with two(mosquitto, version=version) as (publisher, subscriber):
        assert await subscriber.subscribe(topic, subscribed) == (subscribed,)
        for number in range(10):
            assert await publisher.publish(topic, number, published) is ReasonCode.SUCCESS
        for number in range(10):
            message = await subscriber.messages.get(PATIENCE)
            assert (message.topic, message.payload) == (topic, str(number).encode())
            assert message.qos == min(published, subscribed)


async def test_another_broker(amqtt: RunningServer) -> None:
    topic = new_topic()
    async with two(amqtt, version=4) as (publisher, subscriber):
        await subscriber.subscribe(topic, 2)
        for qos in (0, 1, 2):
            await publisher.publish(topic, qos, qos)
            assert (await subscriber.messages.get(PATIENCE)).payload == str(qos).encode()


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_many_at_once(mosquitto: RunningServer, version: int, qos: int) -> None:
    topic, total = new_topic(), 1000
    async with two(mosquitto, version=version) as (publisher, subscriber):
        await subscriber.subscribe(topic, qos)
        async with asyncio.TaskGroup() as tasks:
            for number in range(total):
                tasks.create_task(publisher.publish(topic, number, qos))
        numbers = [int((await subscriber.messages.get(PATIENCE)).payload) for _ in range(total)]
        assert numbers == list(range(total))


@VERSIONS
async def test_large_messages(mosquitto: RunningServer, version: int) -> None:
    topic, payload = new_topic(), bytes(range(256)) * 20_000
    async with two(mosquitto, version=version, receive_maximum=5) as (publisher, subscriber):
        await subscriber.subscribe(topic, 1)
        for qos in (0, 1):
            await publisher.publish(topic, payload, qos)
            assert (await subscriber.messages.get(PATIENCE)).payload == payload


@VERSIONS
async def test_retained_messages(mosquitto: RunningServer, version: int) -> None:
    topic = new_topic()
    async with two(mosquitto, version=version) as (publisher, subscriber):
        await publisher.publish(topic, "kept", 1, retain=True)
        await subscriber.subscribe(topic)
        message = await subscriber.messages.get(PATIENCE)
        assert (message.payload, message.retain) == (b"kept", True)
        await publisher.publish(topic, None, 1, retain=True)
        assert not (await subscriber.messages.get(PATIENCE)).retain


async def test_options_of_5_0(mosquitto: RunningServer) -> None:
    topic = new_topic()
    async with two(mosquitto) as (publisher, subscriber):
        await publisher.publish(f"{topic}/kept", "kept", 1, retain=True)
        await subscriber.subscribe(
            Subscription(
                f"{topic}/#", 1, no_local=True, retain_as_published=True, retain_handling=2
            ),
            identifier=7,
        )
        await subscriber.publish(f"{topic}/own", "not to itself", 1)
        properties: Properties = {
            "payload_format_indicator": 1,
            "content_type": "text/plain",
            "response_topic": "there",
            "correlation_data": b"\x00\xff",
            "user_property": [("a", "1"), ("a", "2")],
        }
        await publisher.publish(f"{topic}/kept", "new", 1, True, properties)
        message = await subscriber.messages.get(PATIENCE)
        assert (message.payload, message.retain) == (b"new", True)
        assert message.properties == {**properties, "subscription_identifier": [7]}
        await publisher.publish(f"{topic}/kept", None, 1, retain=True)


async def test_topic_aliases(mosquitto: RunningServer) -> None:
    topics = [f"{new_topic()}/with/a/long/name" for _ in range(30)]
    async with two(mosquitto) as (publisher, subscriber):
        await subscriber.subscribe([(topic, 0) for topic in topics])
        for turn in range(3):
            for topic in topics:
                await publisher.publish(topic, turn)
            for topic in topics:
                message = await subscriber.messages.get(PATIENCE)
                assert (message.topic, message.payload) == (topic, str(turn).encode())


@VERSIONS
async def test_subscriptions_of_their_own(mosquitto: RunningServer, version: int) -> None:
    topic = new_topic()
    async with two(mosquitto, version=version) as (publisher, subscriber):
        called: list[bytes] = []
        await subscriber.subscribe(f"{topic}/rest")
        async with (
            subscriber.subscription([f"{topic}/a/+", f"{topic}/b"], 2) as own,
            subscriber.subscription(f"{topic}/c/#", 1, callback=lambda m: called.append(m.payload)),
        ):
            for name in ("a/1", "b", "c/1/2", "rest", "a/2"):
                await publisher.publish(f"{topic}/{name}", name, 1)
            assert [(await own.get(PATIENCE)).payload for _ in range(3)] == [b"a/1", b"b", b"a/2"]
            assert (await subscriber.messages.get(PATIENCE)).payload == b"rest"
            await eventually(lambda: called)
            assert called == [b"c/1/2"]
        await publisher.publish(f"{topic}/a/3", "late", 1)
        await publisher.publish(f"{topic}/rest", "last", 1)
        assert (await subscriber.messages.get(PATIENCE)).payload == b"last"


async def test_shared_subscriptions(mosquitto: RunningServer) -> None:
    topic, total = new_topic(), 20
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        publisher = await enter(on_socket(mosquitto))
        own = [
            await enter((await enter(on_socket(mosquitto))).subscription(f"$share/g/{topic}", 1))
            for _ in range(2)
        ]
        for number in range(total):
            await publisher.publish(topic, number, 1)
        await eventually(lambda: sum(map(len, own)) == total)
        assert all(len(messages) for messages in own)


@VERSIONS
async def test_unsubscribing(mosquitto: RunningServer, version: int) -> None:
    topic = new_topic()
    async with two(mosquitto, version=version) as (publisher, subscriber):
        await subscriber.subscribe([f"{topic}/a", f"{topic}/b"])
        await subscriber.unsubscribe(f"{topic}/a")
        await publisher.publish(f"{topic}/a", "gone", 1)
        await publisher.publish(f"{topic}/b", "here", 1)
        assert (await subscriber.messages.get(PATIENCE)).payload == b"here"


async def test_nobody_is_subscribed(mosquitto: RunningServer) -> None:
    async with on_socket(mosquitto) as client:
        assert await client.publish(new_topic(), "x", 1) is ReasonCode.NO_MATCHING_SUBSCRIBERS


# Who may come in.


@VERSIONS
async def test_passwords(mosquitto: RunningServer, version: int) -> None:
    settings: dict[str, Any] = {"version": version, "username": "alice"}
    async with on_socket(mosquitto, **settings, password="wonder land") as client:
        await client.publish(new_topic(), qos=1)
    with pytest.raises(MqttCodeError) as caught:
        await on_socket(mosquitto, **settings, password="looking glass").open()
    expected = ReasonCode.NOT_AUTHORIZED if version == 5 else ConnectReturnCode.NOT_AUTHORIZED
    assert caught.value.rc is expected
    assert "looking" not in str(caught.value)


@VERSIONS
async def test_two_clients_of_one_name(mosquitto: RunningServer, version: int) -> None:
    settings: dict[str, Any] = {"client_id": new_topic(), "version": version}
    async with (
        on_socket(mosquitto, **settings) as first,
        on_socket(mosquitto, **settings) as second,
    ):
        with pytest.raises(wirekit.Error):
            await first.messages.get(PATIENCE)
        await second.publish(new_topic(), qos=1)


@VERSIONS
async def test_wills(mosquitto: RunningServer, version: int) -> None:
    topic = new_topic()
    async with on_socket(mosquitto, version=version) as watcher:
        await watcher.subscribe(topic, 1)
        will = Will(topic, b"gone", 1)
        for closes in (True, False):
            async with on_socket(mosquitto, version=version, will=will) as client:
                if not closes:
                    inside(client)._link.current._socket.abort()
        await watcher.publish(topic, "end", 1)
        payloads = {(await watcher.messages.get(PATIENCE)).payload for _ in range(2)}
        assert payloads == {b"gone", b"end"}
        assert len(watcher.messages) == 0


# Keeping alive, and going on.


@VERSIONS
async def test_an_idle_client_asks_for_signs_of_life(
    mosquitto: RunningServer, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    async with on_socket(mosquitto, version=version, keep_alive=1) as client:
        connection = inside(client)._link.current
        begun = connection._last_heard
        await eventually(lambda: connection._last_heard > begun + 0.03)
        assert client.connected


@VERSIONS
async def test_the_session_goes_on_over_a_lost_connection(
    mosquitto: RunningServer, version: int
) -> None:
    topic = new_topic()
    settings: dict[str, Any] = {"version": version, "client_id": topic}
    if version == 4:
        settings["clean_start"] = False
    async with reconnecting(mosquitto, **settings) as client, on_socket(mosquitto) as other:
        await client.subscribe(topic, 2)
        received: list[str] = []
        for number in range(20):
            publishing = asyncio.create_task(client.publish(topic, number, 1 + number % 2))
            await asyncio.sleep(0)
            inside(client)._link.current._socket.abort()
            await other.publish(topic, f"other {number}", 2)
            await publishing
            while not {str(number), f"other {number}"}.issubset(received):
                received.append((await client.messages.get(PATIENCE)).payload.decode())
        assert client.session_present
        once = [name for name in received if "other" in name or int(name) % 2]
        assert len(once) == len(set(once)) == 30
        assert [name for name in once if "other" in name] == [f"other {n}" for n in range(20)]


@VERSIONS
async def test_what_comes_before_the_block_that_it_is_for(
    mosquitto: RunningServer, version: int
) -> None:
    topic = new_topic()
    settings: dict[str, Any] = {
        "version": version,
        "client_id": topic,
        "clean_start": False,
        **({"session_expiry_interval": 60} if version == 5 else {}),
    }
    async with on_socket(mosquitto, **settings) as client:
        await client.subscribe(topic, 1)
    async with on_socket(mosquitto) as publisher:
        for number in range(50):
            await publisher.publish(topic, number, 1)
    async with on_socket(mosquitto, receive_maximum=5, **settings) as client:
        await eventually(lambda: len(client.messages) > 0)
        # Else nobody would take these, and their acknowledgements hold up all the others.
        async with client.subscription(topic, 1) as messages:
            numbers = [int((await messages.get(PATIENCE)).payload) for _ in range(50)]
            assert numbers == list(range(50))
        assert len(client.messages) == 0
        await client.unsubscribe(topic)


@VERSIONS
async def test_a_broker_that_is_started_again(version: int) -> None:
    with servers.mosquitto_server() as server:
        async with reconnecting(server, version=version) as client:
            await client.subscribe("a/#", 1)
            async with client.subscription("b/#", 1) as own:
                server.stop()
                await eventually(lambda: not client.connected)
                server.start()
                # It has forgotten everything; what follows waits until all is as before.
                await client.publish("a/1", "again", 1)
                await client.publish("b/1", "again", 1)
                assert (await client.messages.get(PATIENCE)).topic == "a/1"
                assert (await own.get(PATIENCE)).topic == "b/1"
                assert not client.session_present


# Flow control.


async def test_a_small_window_at_the_server() -> None:
    config = {"max_inflight_messages": "2", "max_queued_messages": "0"}
    with servers.mosquitto_server(config=config) as server:
        async with two(server, receive_maximum=3) as (publisher, subscriber):
            await subscriber.subscribe("a", 2)
            async with asyncio.TaskGroup() as tasks:
                for number in range(200):
                    tasks.create_task(publisher.publish("a", number, 2))
            numbers = [int((await subscriber.messages.get(PATIENCE)).payload) for _ in range(200)]
            assert numbers == list(range(200))


async def test_a_server_that_takes_little() -> None:
    config = {"max_packet_size": "1000"}
    with servers.mosquitto_server(config=config, listener_config={"max_qos": "1"}) as server:
        async with on_socket(server) as client:
            with pytest.raises(wirekit.LocalProtocolError, match="1000"):
                await client.publish("a", bytes(1000))
            with pytest.raises(wirekit.LocalProtocolError, match="QoS 2"):
                await client.publish("a", "x", 2)
            await client.publish("a", bytes(900), 1)


async def test_a_message_that_the_server_finds_too_large() -> None:
    config = {"message_size_limit": "1000"}
    with servers.mosquitto_server(config=config) as server:
        async with reconnecting(server) as client:
            for qos in (1, 2):
                with pytest.raises(MqttCodeError) as caught:
                    await client.publish("a", bytes(2000), qos)
                assert caught.value.reason_code is ReasonCode.PACKET_TOO_LARGE
                await client.publish("a", bytes(900), qos)


@VERSIONS
async def test_manual_acknowledgement(mosquitto: RunningServer, version: int) -> None:
    topic = new_topic()
    settings: dict[str, Any] = {
        "version": version,
        "client_id": topic,
        "clean_start": False,
        "manual_acknowledgement": True,
        **({"session_expiry_interval": 60} if version == 5 else {}),
    }
    async with on_socket(mosquitto) as publisher:
        async with on_socket(mosquitto, **settings) as client:
            await client.subscribe(topic, 1)
            for number in range(3):
                await publisher.publish(topic, number, 1)
            first = await client.messages.get(PATIENCE)
            assert (await client.messages.get(PATIENCE)).payload == b"1"
            await client.acknowledge(first)
        async with on_socket(mosquitto, **settings) as client:
            again = [await client.messages.get(PATIENCE) for _ in range(2)]
            assert [message.payload for message in again] == [b"1", b"2"]
            assert again[0].duplicate
            for message in again:
                await client.acknowledge(message)
            await client.unsubscribe(topic)
