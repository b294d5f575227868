from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MemoryStore, Messages, MqttCodeError, Subscription
from wirekit.adapters.mqtt._connection import Connection
from wirekit.adapters.mqtt._session import Session
from wirekit.adapters.mqtt._settings import Settings, open_connection
from wirekit.protocols.mqtt import (
    Codec,
    ConnAck,
    Connect,
    Disconnect,
    PingResp,
    Properties,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    Unsubscribe,
    Version,
)
from wirekit.sockets import Socket, memory_pair

from ._peer import PATIENCE, Server, inside

NOT_FOUND = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND


class Client:
    """A session, and the connections that the test gives it."""

    def __init__(
        self, version: Version = 5, store: MemoryStore | None = None, **settings: Any
    ) -> None:
        self.version: Version = version
        self.session = Session(version=version, receive_maximum=2, store=store)
        self.messages = self.session.unclaimed = Messages(
            on_taken=self.session.taken, on_full=self.session.full, **settings
        )
        self.sockets: list[Socket] = []

    async def connect(
        self, properties: Properties | None = None, *, session_present: bool = False
    ) -> Server:
        ours, theirs = memory_pair()
        self.sockets += [ours, theirs]
        server = Server(theirs)
        settings = Settings(version=self.version, receive_maximum=2, timeout=PATIENCE)
        opening = asyncio.create_task(
            open_connection(ours, settings, client_id="tester", clean_start=False)
        )
        await server.accept(properties, session_present=session_present)
        connection, answer = await opening
        connection.on_lost = lambda: self.lost(connection)
        self.session.opened(connection, answer, 0)
        return server

    def lost(self, connection: Connection) -> None:
        assert connection.error is not None
        self.session.lost(connection.error, None)

    def publish(self, name: str, qos: int = 1) -> asyncio.Future[ReasonCode]:
        future: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self.session.publish(Publish(name, b"", qos), future)
        return future

    async def gone(self) -> None:
        await eventually(lambda: self.session.connection is None)


@pytest.fixture
async def clients() -> AsyncIterator[list[Client]]:
    made: list[Client] = []
    yield made
    for client in made:
        for socket in client.sockets:
            socket.abort()


@pytest.fixture
def client(clients: list[Client]) -> Client:
    clients.append(Client())
    return clients[-1]


@pytest.fixture
def client4(clients: list[Client]) -> Client:
    clients.append(Client(4))
    return clients[-1]


def message(packet_id: int | None, qos: int = 1, *, topic: str = "a") -> Publish:
    return Publish(topic, b"", qos, packet_id=packet_id)


# Sending.


async def test_messages_of_both_qos(client: Client) -> None:
    server = await client.connect()
    futures = [client.publish("a"), client.publish("b", 2)]
    await server.receive(Publish)
    await server.receive(Publish)
    await server.send(PubAck(1), PubRec(2))
    assert await server.receive(PubRel) == PubRel(2)
    await server.send(PubComp(2))
    assert [await future for future in futures] == [ReasonCode.SUCCESS] * 2


async def test_the_servers_receive_maximum(client: Client) -> None:
    server = await client.connect({"receive_maximum": 1})
    futures = [client.publish(name) for name in "abc"]
    for packet_id in (1, 2, 3):
        assert (await server.receive(Publish)).packet_id == packet_id
        await server.silent()
        await server.send(PubAck(packet_id))
        await futures[packet_id - 1]


async def test_without_room_messages_wait_for_the_connection(client: Client) -> None:
    server = await client.connect()
    assert client.session.connection is not None
    client.session.connection.full = True
    future = client.publish("a")
    await server.silent()
    inside(client.session.connection)._check_full()
    await server.receive(Publish)
    await server.send(PubAck(1))
    await future


async def test_what_this_server_does_not_take(client: Client) -> None:
    waiting = client.publish("b", 2)
    server = await client.connect({"maximum_qos": 1})
    for future in (waiting, client.publish("a", 2)):
        with pytest.raises(wirekit.LocalProtocolError, match="takes no QoS 2"):
            await future
    future = client.publish("c")
    assert (await server.receive(Publish)).topic == "c"
    await server.send(PubAck(3))
    await future


async def test_going_on_with_the_session_on_another_connection(client: Client) -> None:
    server = await client.connect()
    futures = [client.publish("a"), client.publish("b", 2)]
    await server.receive(Publish)
    await server.receive(Publish)
    await server.send(PubRec(2))
    await server.receive(PubRel)
    server.socket.abort()
    await client.gone()
    futures.append(client.publish("c"))
    server = await client.connect(session_present=True)
    assert await server.receive(PubRel) == PubRel(2)
    assert await server.receive(Publish) == Publish("a", b"", 1, duplicate=True, packet_id=1)
    assert await server.receive(Publish) == Publish("c", b"", 1, packet_id=3)
    await server.send(PubComp(2), PubAck(1), PubAck(3))
    for future in futures:
        await future


async def test_the_end_of_all_connections(client: Client) -> None:
    await client.connect()
    future = client.publish("a")
    own = Messages()
    client.session.router.add(own, "b", None)
    client.session.end(wirekit.ConnectionLost("gone"))
    for waiting in (future, client.messages.get(), own.get()):
        with pytest.raises(wirekit.ConnectionLost, match="gone"):
            await waiting


async def test_the_end_that_we_make(client: Client) -> None:
    await client.connect()
    future = client.publish("a")
    client.session.end(None)
    with pytest.raises(wirekit.SocketClosed):
        await future
    assert [entry async for entry in client.messages] == []


# Receiving.


async def test_messages_arrive_in_order_and_are_acknowledged_when_taken(client: Client) -> None:
    server = await client.connect()
    await server.send(message(None, 0), message(1), message(2, 2))
    assert await client.messages.get() == message(None, 0)
    assert await client.messages.get() == message(1)
    assert await server.receive(PubAck) == PubAck(1)
    await server.silent()
    assert await client.messages.get() == message(2, 2)
    assert await server.receive(PubRec) == PubRec(2)
    await server.send(PubRel(2), PubRel(3))
    assert await server.receive(PubComp) == PubComp(2)
    assert await server.receive(PubComp) == PubComp(3, NOT_FOUND)


async def test_pubcomp_for_nothing_in_3_1_1(client4: Client) -> None:
    server = await client4.connect()
    await server.send(PubRel(3))
    assert await server.receive(PubComp) == PubComp(3)
    await server.send(PubRec(3))
    assert await server.receive(PubRel) == PubRel(3)


async def test_messages_behind_connack(client: Client) -> None:
    ours, theirs = memory_pair()
    client.sockets += [ours, theirs]
    server = Server(theirs)
    opening = asyncio.create_task(
        open_connection(ours, Settings(timeout=PATIENCE), client_id="x", clean_start=True)
    )
    await server.packet()
    await server.send(ConnAck(), message(1))
    connection, answer = await opening
    client.session.opened(connection, answer, 0)
    assert await client.messages.get() == message(1)
    assert await server.receive(PubAck) == PubAck(1)


async def test_a_fault_behind_messages_takes_nothing_from_them(client: Client) -> None:
    server = await client.connect()
    await server.send(message(None, 0), PubAck(5), message(None, 0, topic="b"))
    assert (await server.receive(Disconnect)).reason_code is ReasonCode.PROTOCOL_ERROR
    assert await client.messages.get() == message(None, 0)
    assert len(client.messages) == 0


async def test_nothing_behind_a_disconnect_counts(client: Client) -> None:
    server = await client.connect()
    future = client.publish("a")
    await server.receive(Publish)
    data = server.codec.send(PingResp(), Disconnect(ReasonCode.SERVER_BUSY))
    await server.send_bytes(data + b"\x40\x02\x00\x01")
    await client.gone()
    assert not future.done()


async def test_consumers_of_their_own(client: Client) -> None:
    server = await client.connect()
    own = [Messages(on_taken=client.session.taken) for _ in range(2)]
    for consumer in own:
        client.session.router.add(consumer, "own/#", None)
    await server.send(message(1, topic="own/a"), message(2), message(None, 0, topic="own/a"))
    assert (await client.messages.get()).topic == "a"
    assert (await own[0].get()).topic == "own/a"
    await server.silent()  # the order of receipt, and one consumer is missing
    assert (await own[1].get()).topic == "own/a"
    assert await server.receive(PubAck) == PubAck(1)
    assert await server.receive(PubAck) == PubAck(2)
    assert len(own[0]) == len(own[1]) == 1


async def test_a_full_consumer_lets_reading_wait(clients: list[Client]) -> None:
    client = Client(overflow="wait", queue_size=2)
    clients.append(client)
    server = await client.connect()
    await server.send(*[message(None, 0)] * 2)
    await eventually(lambda: len(client.messages) == 2)
    await server.send(message(None, 0, topic="b"))
    await asyncio.sleep(0.01)
    assert len(client.messages) == 2
    server.socket.abort()
    assert client.session.connection is not None
    client.session.connection.fail(wirekit.ConnectionLost("gone"))
    server = await client.connect(session_present=True)
    await server.send(message(None, 0, topic="c"))
    await asyncio.sleep(0.01)
    assert len(client.messages) == 2
    for topic in "aac":
        assert (await client.messages.get()).topic == topic


async def test_3_1_1_has_no_receive_maximum_so_reading_waits(client4: Client) -> None:
    await reading_waits(client4, await client4.connect())


async def test_5_0_has_one_but_a_server_may_not_keep_to_it(client: Client) -> None:
    server = await client.connect()
    pure = Codec("server", version=None)  # which knows nothing of ours
    pure.receive_data(Codec("client").send(Connect("other")))
    pure.send(ConnAck())
    server.codec = pure
    await reading_waits(client, server)


async def reading_waits(client: Client, server: Server) -> None:
    """Check that no more is read when there are more than two."""
    await server.send(message(1), message(2), message(3))
    await eventually(lambda: len(client.messages) == 3)
    await server.send(message(4))
    await asyncio.sleep(0.01)
    assert len(client.messages) == 3
    await client.messages.get()
    assert await server.receive(PubAck) == PubAck(1)
    await eventually(lambda: len(client.messages) == 3)


# Subscriptions.


async def test_a_subscription_that_is_not_renewed_is_missed_by_its_consumer(
    client: Client,
) -> None:
    server = await client.connect()
    own = Messages()
    subscriptions = [Subscription("own/#")]
    client.session.hold(own, subscriptions)
    held = client.session.subscribe_held(subscriptions[0])
    plain = client.session.subscriptions.subscribe([Subscription("a")], {})
    for future in (held, plain):
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (ReasonCode.SUCCESS,)))
        await future
    server.socket.abort()
    await client.gone()
    server = await client.connect()
    for _ in range(2):
        packet = await server.receive(Subscribe)
        await server.send(SubAck(packet.packet_id, (ReasonCode.NOT_AUTHORIZED,)))
    for consumer in (own, client.messages):
        with pytest.raises(MqttCodeError, match="did not renew"):
            await consumer.get()
    await server.send(message(None, 0))
    assert await client.messages.get() == message(None, 0)


async def test_the_last_holder_unsubscribes(client: Client) -> None:
    server = await client.connect()
    consumers = [Messages(), Messages()]
    subscriptions = [Subscription("own/#")]
    for consumer in consumers:
        client.session.hold(consumer, subscriptions)
    client.session.let_go(consumers[0], subscriptions)
    assert list(client.session.router.consumers) == consumers[1:]
    client.session.let_go(consumers[1], subscriptions)
    assert list(client.session.router.consumers) == consumers[1:]  # for what is under way
    assert (await server.receive(Unsubscribe)).topic_filters == ("own/#",)


# The store.


async def test_a_session_that_is_stored(clients: list[Client]) -> None:
    store = MemoryStore()
    client = Client(store=store)
    clients.append(client)
    client.session.restore("tester", clean_start=False)
    server = await client.connect()
    client.publish("a")
    client.session.subscriptions.subscribe([Subscription("s")], {})
    await server.receive(Publish)
    packet = await server.receive(Subscribe)
    await server.send(SubAck(packet.packet_id, (ReasonCode.SUCCESS,)), message(7, 2))
    await eventually(lambda: len(client.messages) == 1)
    store.close()

    later = Client(store=store)
    clients.append(later)
    later.session.restore("tester", clean_start=False)
    assert len(later.messages) == 1
    assert "s" in later.session.subscriptions
    server = await later.connect(session_present=True)
    assert (await server.receive(Publish)).duplicate
    assert await later.messages.get() == message(7, 2)
    await server.silent()
    await server.send(Publish("a", b"", 2, packet_id=7, duplicate=True))
    assert await server.receive(PubRec) == PubRec(7)
    assert len(later.messages) == 0
    store.close()


async def test_a_session_that_is_not_wanted_any_more(clients: list[Client]) -> None:
    store = MemoryStore()
    client = Client(store=store)
    client.session.restore("tester", clean_start=False)
    clients.append(client)
    server = await client.connect({"receive_maximum": 1})
    client.publish("sent")
    client.publish("waiting")
    await server.receive(Publish)
    await server.send(message(7, 2))
    await eventually(lambda: len(client.messages) == 1)
    store.close()
    later = Client(store=store)
    later.session.restore("tester", clean_start=True)
    assert len(later.messages) == 0
    store.close()
    stored = store.open("tester")
    # What was not sent is no part of the session state, and was meant to be sent.
    assert [entry.publish and entry.publish.topic for entry in stored.outgoing] == ["waiting"]
    assert len(later.session.outgoing) == 1
    assert stored.incoming == {}


@pytest.fixture
async def told() -> list[BaseException]:
    """Errors that the loop's exception handler gets."""
    errors: list[BaseException] = []
    handler = asyncio.get_running_loop().set_exception_handler
    handler(lambda _, context: errors.append(context["exception"]))
    return errors


async def test_a_message_that_is_too_large_for_this_connection_was_sent_on_another(
    client: Client, told: list[BaseException]
) -> None:
    server = await client.connect()
    futures = [client.publish(name * 100, qos) for name, qos in (("a", 1), ("b", 2), ("c", 2))]
    for _ in futures:
        await server.receive(Publish)
    server.socket.abort()
    await client.gone()
    server = await client.connect(
        {"maximum_packet_size": 50, "receive_maximum": 1}, session_present=True
    )
    for future in futures:
        with pytest.raises(wirekit.LocalProtocolError) as caught:
            await future
        assert vars(caught.value)["sent"] is True
    future = client.publish("new", 2)
    # The server may know "b" and "c" by theirs, and take this for one of them.
    assert (await server.receive(Publish)).packet_id == 4
    await server.send(PubRec(4))
    await server.receive(PubRel)
    await server.send(PubComp(4))
    await future
    server.socket.abort()
    await client.gone()
    server = await client.connect(session_present=True)
    for packet_id in (2, 3):
        assert (await server.receive(Publish)).packet_id == packet_id
    for packet_id in (2, 3):
        await server.send(PubRec(packet_id))
        await server.receive(PubRel)
        await server.send(PubComp(packet_id))
    await eventually(lambda: not len(client.session.outgoing))
    assert told == []


async def test_a_copy_for_a_plain_subscription_does_not_go_to_another_ones_consumer(
    client: Client,
) -> None:
    server = await client.connect()
    session = client.session
    own = Messages()
    plain = session.subscriptions.subscribe([Subscription("o/#")], {})
    session.hold(own, [Subscription("o/x")])
    held = session.subscribe_held(Subscription("o/x"))
    identifier: list[int] = []
    for future in (plain, held):
        packet = await server.receive(Subscribe)
        identifier = packet.properties.get("subscription_identifier", [])
        await server.send(SubAck(packet.packet_id, (ReasonCode.SUCCESS,)))
        await future
    copy = Publish("o/x", properties={"subscription_identifier": identifier})
    await server.send(message(None, 0, topic="o/x"), copy)
    await eventually(lambda: len(own) + len(client.messages) == 2)
    assert not (await client.messages.get()).properties
    assert (await own.get()).properties == {"subscription_identifier": identifier}


# A server that takes only small packets.


@pytest.mark.parametrize("qos", [1, 2])
async def test_acknowledgements_that_just_fit(client: Client, qos: int) -> None:
    """Without a reason they do; PUBREL and PUBCOMP for nothing lose only that."""
    server = await client.connect({"maximum_packet_size": 4})
    await server.send(message(1, qos), PubRel(7), PubRec(8))
    assert await server.receive(PubComp) == PubComp(7)
    assert await server.receive(PubRel) == PubRel(8)
    assert (await client.messages.get()).packet_id == 1
    assert await server.receive(PubAck if qos == 1 else PubRec)
    assert client.session.connection is not None


@pytest.mark.parametrize("qos", [1, 2])
async def test_acknowledgements_that_do_not_fit(client: Client, qos: int) -> None:
    """The connection ends; whoever has the message has it nevertheless."""
    server = await client.connect({"maximum_packet_size": 3})
    await server.send(message(1, qos), message(2, qos))
    lost: list[Exception] = []
    assert client.session.connection is not None
    client.session.connection.on_lost = partial(note_error, client.session.connection, lost)
    assert (await client.messages.get()).packet_id == 1
    assert isinstance(lost[0], wirekit.LocalProtocolError)
    assert "4 bytes, and 3 are taken [MQTT-3.2.2-15]" in str(lost[0])


def note_error(connection: Connection, lost: list[Exception]) -> None:
    assert connection.error is not None
    lost.append(connection.error)
