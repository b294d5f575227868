"""The codec against two others: mqtt5, which has 5.0 only, and amqtt's, which has 3.1.1 only."""

from __future__ import annotations

import importlib
from typing import Any

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.mqtt import _strategies as some
from tests.protocols.mqtt._pair import opened
from wirekit.protocols.mqtt import (
    Acknowledgement,
    Codec,
    ConnAck,
    Connect,
    ConnectReturnCode,
    Packet,
    PubAck,
    Publish,
    ReasonCode,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)

# mqtt5 ---------------------------------------------------------------------------------------

# Where its names of properties are not the specification's.
NAMES = {
    "reason_string": "reason_str",
    "user_property": "user_properties",
    "assigned_client_identifier": "assigned_client_id",
    "response_information": "response_info",
    "receive_maximum": "receive_max",
    "topic_alias_maximum": "topic_alias_max",
    "maximum_qos": "max_qos",
    "maximum_packet_size": "max_packet_size",
    "subscription_identifier_available": "subscription_id_available",
    "request_problem_information": "request_problem_info",
    "request_response_information": "request_response_info",
}
FLAGS = {
    *("retain_available", "wildcard_subscription_available", "subscription_id_available"),
    *("shared_subscription_available", "request_problem_info", "request_response_info"),
}


def named(properties: dict[str, Any]) -> dict[str, Any]:
    """Return properties as mqtt5 names and types them."""
    found: dict[str, Any] = {NAMES.get(name, name): value for name, value in properties.items()}
    for name in FLAGS & found.keys():
        found[name] = bool(found[name])
    if "max_qos" in found:
        found["max_qos"] = mqtt5.QoS(found["max_qos"])
    return found


def theirs(packet: Any) -> Any:
    """Return the same packet as mqtt5 has it."""
    name = type(packet).__name__
    kind: Any = getattr(mqtt5, f"{name}Packet")
    properties = named(packet.properties)
    code = getattr(mqtt5, f"{name}ReasonCode", int)
    if isinstance(packet, Publish):
        properties["subscription_ids"] = properties.pop("subscription_identifier", None)
        flags = {"retain": packet.retain, "duplicate": packet.duplicate}
        qos = mqtt5.QoS(packet.qos)
        topic = str(packet.topic)
        return kind(
            topic, packet.payload, qos=qos, packet_id=packet.packet_id, **flags, **properties
        )
    if isinstance(packet, Acknowledgement):
        return kind(packet.packet_id, reason_code=code(packet.reason_code), **properties)
    if isinstance(packet, (SubAck, UnsubAck)):
        return kind(packet.packet_id, [code(value) for value in packet.reason_codes], **properties)
    if isinstance(packet, Unsubscribe):
        return kind(packet.packet_id, list(packet.topic_filters), **properties)
    if isinstance(packet, Subscribe):
        (properties["subscription_id"],) = properties.pop("subscription_identifier", [None])
        return kind(
            packet.packet_id, [their_filter(item) for item in packet.subscriptions], **properties
        )
    if isinstance(packet, Connect):
        password = packet.password
        return kind(
            packet.client_id,
            username=packet.username,
            password=password,
            clean_start=packet.clean_start,
            keep_alive=packet.keep_alive,
            will=None if packet.will is None else their_will(packet.will),
            **properties,
        )
    if isinstance(packet, ConnAck):
        present = packet.session_present
        return kind(session_present=present, reason_code=code(packet.reason_code), **properties)
    return kind(reason_code=code(packet.reason_code), **properties)


def their_filter(subscription: Any) -> Any:
    return mqtt5.TopicFilter(
        subscription.topic_filter,
        max_qos=mqtt5.QoS(subscription.qos),
        no_local=subscription.no_local,
        retain_as_published=subscription.retain_as_published,
        retain_handling=mqtt5.RetainHandling(subscription.retain_handling),
    )


def their_will(will: Any) -> Any:
    return mqtt5.Will(
        str(will.topic),
        payload=will.payload,
        qos=mqtt5.QoS(will.qos),
        retain=will.retain,
        **named(will.properties),
    )


def read(wire: bytes) -> Any:
    packet, size = mqtt5.read(memoryview(wire))
    assert size == len(wire)
    return packet


@given(some.of_clients(5).filter(lambda packet: bool(getattr(packet, "packet_id", 1))))
def test_mqtt5_reads_what_a_client_sends(packet: Any) -> None:
    client, server = opened()
    if hasattr(packet, "properties"):
        assert read(client.send(packet)) == theirs(packet)
        (back,) = server.receive_data(theirs(packet).write())
        assert theirs(back) == theirs(packet)


@given(some.of_servers(5))
def test_mqtt5_reads_what_a_server_sends(packet: Any) -> None:
    client, server = opened()
    if hasattr(packet, "properties"):
        assert read(server.send(packet)) == theirs(packet)
        (back,) = client.receive_data(theirs(packet).write())
        assert theirs(back) == theirs(packet)


@given(some.connects(5), st.data())
def test_mqtt5_reads_how_a_connection_begins_and_ends(connect: Any, data: st.DataObject) -> None:
    client, server = Codec(), Codec("server")
    assert read(client.send(connect)) == theirs(connect)
    (back,) = server.receive_data(theirs(connect).write())
    assert theirs(back) == theirs(connect)
    client, server = Codec(), Codec("server")
    server.receive_data(client.send(Connect("me", clean_start=False)))
    connack = data.draw(some.connacks(5))
    assert read(server.send(connack)) == theirs(connack)
    (back,) = client.receive_data(theirs(connack).write())
    assert theirs(back) == theirs(connack)
    client, server = opened()
    disconnect = data.draw(some.disconnects(5, "client"))
    assert read(client.send(disconnect)) == theirs(disconnect)


# amqtt ---------------------------------------------------------------------------------------


def amqtt(name: str, *values: Any) -> bytes:
    """Return a packet as amqtt writes it; it has no types."""
    module: Any = importlib.import_module(f"amqtt.mqtt.{name.lower()}")
    return bytes(getattr(module, f"{name}Packet").build(*values).to_bytes())


@given(some.publishes(4, "client"))
def test_amqtt_writes_a_publish_the_same(packet: Publish) -> None:
    client, _ = opened(4)
    flags = packet.duplicate, packet.qos, packet.retain
    other = amqtt("Publish", str(packet.topic), packet.payload, packet.packet_id, *flags)
    assert client.send(packet) == other


@given(some.PACKET_ID, st.lists(some.subscriptions(4), min_size=1, max_size=3))
def test_amqtt_writes_subscriptions_the_same(packet_id: int, wanted: list[Any]) -> None:
    client, server = opened(4)
    pairs = [(item.topic_filter, item.qos) for item in wanted]
    filters = [topic_filter for topic_filter, _ in pairs]
    codes = tuple(ReasonCode(item.qos) for item in wanted)
    packets: list[tuple[Codec, Packet, bytes]] = [
        (client, Subscribe(packet_id, tuple(wanted)), amqtt("Subscribe", pairs, packet_id)),
        (client, Unsubscribe(packet_id, tuple(filters)), amqtt("Unsubscribe", filters, packet_id)),
        (server, SubAck(packet_id, codes), amqtt("Suback", packet_id, list(codes))),
        (server, PubAck(packet_id), amqtt("Puback", packet_id)),
    ]
    for codec, packet, other in packets:
        assert codec.send(packet) == other


@pytest.mark.parametrize("code", range(6))
def test_amqtt_writes_connack_the_same(code: int) -> None:
    server = Codec("server", version=4)
    server.receive_data(Codec(version=4).send(Connect("me", version=4)))
    assert server.send(ConnAck(False, ConnectReturnCode(code))) == amqtt("Connack", 0, code)
