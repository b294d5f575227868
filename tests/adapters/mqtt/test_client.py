from __future__ import annotations

import asyncio
import socket as stdlib_socket
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MQTT, MemoryStore, MqttCodeError, MqttError, StoreError, connect
from wirekit.protocols.mqtt import (
    ConnAck,
    Connect,
    Disconnect,
    PingReq,
    Properties,
    PubAck,
    Publish,
    PubRec,
    ReasonCode,
    SubAck,
    Subscribe,
    Violation,
)
from wirekit.sockets import DirectConnector, TCPAddress

from ._peer import (
    Network,
    inside,
    on_network,
    on_socket,
    opened,
    reconnecting,
)

# Options.


BOTH = {"connector": DirectConnector(), "address": "broker:1883"}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "pass a socket, or a connector"),
        ({"connector": DirectConnector()}, "go together"),
        ({"address": "broker:1883"}, "pass a socket"),
        ({"store": MemoryStore(), **BOTH}, "a store needs the client_id"),
        (
            {"store": MemoryStore(), "client_id": "c", "session_expiry_interval": 0, **BOTH},
            "a store needs a session_expiry_interval",
        ),
        ({"reconnect_attempts": 0, **BOTH}, "reconnect_attempts"),
        ({"keep_alive": -1, **BOTH}, "keep_alive"),
        ({"queue_size": 0, **BOTH}, "queue_size must be a whole number of at least 1"),
        ({"queue_bytes": 0, **BOTH}, "queue_bytes must be a whole number of at least 1"),
        ({"overflow": "drop", **BOTH}, "overflow must be one of"),
        ({"timeout": 0, **BOTH}, "timeout must be"),
        ({"timeout": "10", **BOTH}, "timeout must be"),
        ({"version": 4, "session_expiry_interval": 1, **BOTH}, r"3\.1\.1 has no session_expiry"),
    ],
)
async def test_wrong_options(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(wirekit.AddressError, match=text):
        MQTT(**settings)


def test_a_client_for_a_url_needs_no_loop() -> None:
    client = MQTT.from_url("mqtt://user:secret@broker?version=3.1.1", client_id="tester")
    assert inside(client)._link._address == TCPAddress("broker", 1883)
    assert inside(client)._settings.version == 4
    assert inside(client)._settings.password == b"secret"
    assert repr(client) == "<MQTT 'tester' not connected>"


def test_a_client_for_a_socket_needs_one() -> None:
    ours, theirs = stdlib_socket.socketpair()
    with ours, theirs, pytest.raises(RuntimeError, match="within a coroutine"):
        MQTT(ours)


async def test_connect_opens_a_client() -> None:
    network = Network()
    opening = asyncio.create_task(connect("mqtt://broker", connector=network))
    await (await network.server()).accept()
    client = await opening
    assert client.connected
    await client.aclose()
    network.close()


# Opening.


async def test_what_the_server_says() -> None:
    properties: Properties = {"assigned_client_identifier": "given"}
    async with opened(properties, client_id=None) as (client, _):
        assert client.client_id == "given"
        assert not client.session_present
        assert client.connected
        assert repr(client) == "<MQTT memory 'given' connected>"


async def test_the_assigned_identifier_is_kept() -> None:
    async with reconnecting(client_id=None, session_expiry_interval=0) as (client, network, server):
        assert client.client_id == "assigned"
        server.socket.abort()
        server = await network.server()
        assert (await server.accept()).client_id == "assigned"


async def test_the_servers_keep_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    async with opened({"server_keep_alive": 1}, keep_alive=60000) as (_, server):
        await server.receive(PingReq)


async def test_calls_before_it_is_open() -> None:
    client, server = on_socket()
    for call in (client.publish("a"), client.publish("a", qos=1), client.subscribe("a")):
        with pytest.raises(wirekit.SocketClosed, match="not open") as caught:
            await call
        assert isinstance(caught.value, MqttError)
    server.socket.abort()
    await client.aclose()


async def test_a_refused_client_is_closed() -> None:
    client, server = on_socket()
    opening = asyncio.create_task(client.__aenter__())
    await server.receive(Connect)
    await server.send(ConnAck(False, ReasonCode.BANNED))
    with pytest.raises(MqttCodeError, match="banned"):
        await opening
    with pytest.raises(wirekit.SocketClosed):
        await client.open()


async def test_cancelling_the_opening() -> None:
    client, server = on_socket()
    opening = asyncio.create_task(client.__aenter__())
    await server.receive(Connect)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await server.end() == b""


async def test_a_connection_that_is_lost_while_the_session_goes_on() -> None:
    client, network = on_network()
    opening = asyncio.create_task(client.open())
    server = await network.server()
    await server.receive(Connect)
    await server.send(ConnAck(), Disconnect(ReasonCode.SERVER_BUSY))
    with pytest.raises(MqttCodeError, match="busy"):
        await opening
    await client.aclose()
    network.close()


# Which session.


@pytest.mark.parametrize(
    ("settings", "clean_start", "expiry"),
    [
        ({}, True, 300),
        ({"session_expiry_interval": 0}, True, 0),
        ({"clean_start": False, "session_expiry_interval": 9}, False, 9),
        ({"store": MemoryStore()}, False, 86_400),
        ({"store": MemoryStore(), "clean_start": True}, True, 86_400),
    ],
)
async def test_the_first_connect(settings: dict[str, Any], clean_start: bool, expiry: int) -> None:
    client, network = on_network(client_id="tester", **settings)
    opening = asyncio.create_task(client.open())
    server = await network.server()
    first = await server.accept()
    assert first.clean_start is clean_start
    assert first.properties.get("session_expiry_interval") == expiry
    await opening
    server.socket.abort()
    server = await network.server()
    again = await server.accept(session_present=True)
    assert not again.clean_start
    assert again.properties.get("session_expiry_interval") == expiry
    await eventually(lambda: client.session_present)
    await client.aclose()
    network.close()


@pytest.mark.parametrize(("store", "expiry"), [(None, 0), (MemoryStore(), 86_400)])
async def test_a_socket_has_no_session_beyond_it_but_a_store_has(
    store: MemoryStore | None, expiry: int
) -> None:
    client, server = on_socket(store=store, client_id="tester" if store else None)
    opening = asyncio.create_task(client.open())
    first = await server.accept()
    assert first.client_id == ("tester" if store else "")
    assert first.properties.get("session_expiry_interval") == expiry
    await opening
    await client.aclose()
    server.socket.abort()


@pytest.mark.parametrize("clean_start", [True, False])
async def test_3_1_1_says_the_same_each_time(clean_start: bool) -> None:
    client, network = on_network(version=4, clean_start=clean_start)
    opening = asyncio.create_task(client.open())
    for _ in range(2):
        server = await network.server()
        connect = await server.accept(session_present=not clean_start)
        assert connect.clean_start is clean_start
        assert bool(connect.client_id) is not clean_start
        await opening
        await eventually(lambda: client.connected)
        server.socket.abort()
        await eventually(lambda: not client.connected)
    await client.aclose()
    network.close()


async def test_a_random_identifier_where_the_session_is_to_survive() -> None:
    names: set[str] = set()
    for _ in range(2):
        client, network = on_network()
        names.add(client.client_id)
        await client.aclose()
        network.close()
    assert len(names) == 2
    assert "" not in names


# Closing.


async def test_closing_ends_a_session_of_our_own_making() -> None:
    async with reconnecting() as (client, _, server):
        await client.publish("a")
        await client.aclose()
        assert await server.receive(Publish) == Publish("a")
        assert await server.receive(Disconnect) == Disconnect(
            properties={"session_expiry_interval": 0}
        )
        assert await server.end() == b""
        assert repr(client) == "<MQTT 'tester' closed>"
        await client.aclose()


async def test_closing_leaves_a_session_that_was_asked_for() -> None:
    async with reconnecting(session_expiry_interval=100) as (client, _, server):
        await client.aclose()
        assert await server.receive(Disconnect) == Disconnect()


async def test_whoever_waits_learns_that_it_is_closed() -> None:
    async with opened() as (client, server):
        calls = [
            asyncio.create_task(call)
            for call in (client.publish("a", qos=1), client.subscribe("b"), client.messages.get())
        ]
        await server.receive(Publish)
        await client.aclose()
        for call in calls:
            with pytest.raises(wirekit.SocketClosed) as caught:
                await call
            assert isinstance(caught.value, MqttError)
        assert [message async for message in client.messages] == []
        for late in (client.publish("a"), client.publish("a", qos=1), client.subscribe("a")):
            with pytest.raises(wirekit.SocketClosed):
                await late


async def test_closing_between_two_connections() -> None:
    async with reconnecting() as (client, network, server):
        waiting = asyncio.create_task(client.publish("a", qos=1))
        await server.receive(Publish)
        network.fail(*[wirekit.ConnectRefused("nobody")] * 1000)
        server.socket.abort()
        await eventually(lambda: not client.connected)
        assert "nobody" in repr(client) or "lost" in repr(client)
        await client.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await waiting


async def test_closing_a_client_whose_server_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._client._GOODBYE", 0.01)
    async with opened() as (client, server):
        await client.publish("a", bytes(1_000_000))
        await client.aclose()
        server.socket.abort()


async def test_cancelling_the_closing() -> None:
    async with opened() as (client, server):
        await client.publish("a", bytes(1_000_000))
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        server.socket.abort()


# The store.


async def test_messages_outlive_the_client() -> None:
    store = MemoryStore()
    settings: dict[str, Any] = {"client_id": "tester", "store": store}
    client, network = on_network(**settings)
    opening = asyncio.create_task(client.open())
    server = await network.server()
    await server.accept({"receive_maximum": 2})
    await opening
    calls = [asyncio.create_task(client.publish(name, qos=2)) for name in "abc"]
    subscribing = asyncio.create_task(client.subscribe("s"))
    for kind in (Publish, Publish, Subscribe):
        await server.receive(kind)
    await server.send(PubRec(1), SubAck(3, (ReasonCode.SUCCESS,)))
    await subscribing
    await client.aclose()
    for call in calls:
        with pytest.raises(wirekit.SocketClosed):
            await call
    network.close()

    client, network = on_network(**settings)
    opening = asyncio.create_task(client.open())
    server = await network.server()
    connect = await server.accept(session_present=True)
    assert not connect.clean_start
    await opening
    assert type(await server.packet()).__name__ == "PubRel"
    again = await server.receive(Publish)
    assert (again.topic, again.duplicate, again.packet_id) == ("b", True, 2)
    await server.silent()  # "c" was withdrawn with its caller, who got an error
    assert "s" in inside(client)._session.subscriptions
    await client.aclose()
    network.close()


async def test_a_session_that_the_server_has_forgotten_by_now() -> None:
    store = MemoryStore()
    client, server = on_socket(client_id="tester", store=store)
    opening = asyncio.create_task(client.open())
    await server.accept({"session_expiry_interval": 0})
    await opening
    calling = asyncio.create_task(client.publish("a", qos=1))
    await server.receive(Publish)
    await client.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await calling
    server.socket.abort()
    (entry,) = store.open("tester").outgoing  # nobody knows whether it arrived
    assert entry.packet_id == 1
    store.close()
    client, server = on_socket(client_id="tester", store=store)
    opening = asyncio.create_task(client.open())
    await server.accept()
    await opening
    again = await server.receive(Publish)
    assert (again.topic, again.duplicate) == ("a", False)
    await server.send(PubAck(again.packet_id or 0))
    await eventually(lambda: not len(inside(client)._session.outgoing))
    await client.aclose()
    server.socket.abort()


async def test_the_expiry_that_the_server_sets() -> None:
    store = MemoryStore()
    async with opened(
        {"session_expiry_interval": 0xFFFFFFFF}, store=store, session_expiry_interval=5
    ) as (client, server):
        calling = asyncio.create_task(client.publish("a", qos=1))
        await server.receive(Publish)
        await client.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await calling
    assert store.open("tester").expires_at is None


async def test_a_store_that_fails_ends_the_client() -> None:
    class Full(MemoryStore):
        def set_expiry(self, expires_at: float | None) -> None:
            if expires_at is not None:
                raise StoreError("the disk is full")

    async with reconnecting(store=Full()) as (client, _, server):
        server.socket.abort()
        with pytest.raises(StoreError, match="disk is full"):
            await client.messages.get()


async def test_acknowledgements_wait_for_the_store() -> None:
    class Slow(MemoryStore):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    store = Slow()
    async with opened(store=store) as (client, server):
        before = store.flushed
        await server.send(Publish("a", b"", 2, packet_id=1), Publish("b", b"", 1, packet_id=2))
        await client.messages.get()
        await client.messages.get()
        await server.receive(PubRec)
        await server.receive(PubAck)
        assert store.flushed == before + 1


async def test_after_the_end_the_store_is_left_alone() -> None:
    async with opened(store=MemoryStore(), manual_acknowledgement=True) as (client, server):
        entering = asyncio.create_task(client.subscription("a").__aenter__())
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (ReasonCode.SUCCESS,)))
        messages = await entering
        await server.send(Publish("b", b"", 2, packet_id=1))
        message = await client.messages.get()
        await client.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await client.acknowledge(message)
        assert [message async for message in messages] == []


async def test_a_subscription_that_ends_after_its_client() -> None:
    store = MemoryStore()
    async with opened(store=store) as (client, server):
        own = client.subscription("a")
        entering = asyncio.create_task(own.__aenter__())
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (ReasonCode.SUCCESS,)))
        await entering
        await client.aclose()
        await own.__aexit__(None, None, None)


# The Receive Maximum.


async def test_a_server_that_exceeds_our_receive_maximum() -> None:
    packets = b"".join(b"\x32\x06\x00\x01a\x00%c\x00" % number for number in (1, 2, 3))
    async with opened(receive_maximum=2, enforce_receive_maximum=True) as (client, server):
        await server.send_bytes(packets)
        goodbye = await server.receive(Disconnect)
        assert goodbye.reason_code is ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
        for number in (1, 2):
            assert (await client.messages.get()).packet_id == number
        with pytest.raises(Violation, match=r"MQTT-3\.3\.4-9"):
            await client.messages.get()
    async with opened(receive_maximum=2) as (client, server):
        await server.send_bytes(packets)
        for number in (1, 2, 3):
            assert (await client.messages.get()).packet_id == number
            assert await server.receive(PubAck) == PubAck(number)


async def test_a_cancelled_aclose_leaves_nobody_waiting() -> None:
    store = MemoryStore()
    async with reconnecting(store=store) as (client, _, _):
        waiting = asyncio.create_task(client.messages.get())
        await asyncio.sleep(0)

        async def interrupted() -> None:
            raise asyncio.CancelledError

        inside(client)._end_requests = interrupted
        with pytest.raises(asyncio.CancelledError):
            await client.aclose()
        del inside(client)._end_requests
        with pytest.raises(wirekit.SocketClosed):
            await waiting
        assert inside(store)._open is None
        assert not client.connected


async def test_a_goodbye_that_does_not_fit() -> None:
    """Without its Session Expiry Interval it does, and the will is not published."""
    async with reconnecting({"maximum_packet_size": 4}) as (client, _, server):
        await client.aclose()
        assert await server.receive(Disconnect) == Disconnect()
