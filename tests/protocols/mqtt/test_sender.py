"""What is sent, what is not, and that what fails leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.mqtt._pair import opened
from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import (
    Acknowledgement,
    Auth,
    Codec,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PubAck,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    State,
    Subscribe,
    Subscription,
    Violation,
)


def test_many_at_once() -> None:
    client, server = opened()
    packets: list[Packet] = [
        Publish("a", b"1"),
        PubAck(1),
        PingReq(),
        Publish("b", b"2", 1, packet_id=1),
    ]
    wire = client.send(*packets)
    assert wire == b"".join(client.send(packet) for packet in packets)
    assert server.receive_data(wire) == packets
    assert client.send() == b""
    assert client.send_buffers() == [b""]


def test_large_payloads_stand_alone() -> None:
    client, server = opened()
    large, larger, small = bytes(16384), bytes(100000), bytes(16383)
    packets = [Publish("a", data) for data in (b"x", large, small, b"y", larger, large)]
    buffers = client.send_buffers(*packets, PubAck(1))
    alone = [buffer for buffer in buffers if buffer is large or buffer is larger]
    assert [len(buffer) for buffer in alone] == [16384, 100000, 16384]
    assert server.receive_data(b"".join(buffers)) == [*packets, PubAck(1)]
    assert b"".join(buffers) == client.send(*packets, PubAck(1))
    assert client.send_buffers(packets[1])[-1] is large


def test_what_the_peer_told_is_shown() -> None:
    client, server = opened(
        client={"receive_maximum": 7},
        server={
            "receive_maximum": 3,
            "maximum_packet_size": 100,
            "topic_alias_maximum": 4,
            "maximum_qos": 1,
            "retain_available": 0,
            "wildcard_subscription_available": 0,
            "subscription_identifier_available": 0,
            "shared_subscription_available": 0,
        },
    )
    told = (
        *(client.peer_receive_maximum, client.peer_maximum_packet_size),
        *(client.peer_topic_alias_maximum, client.peer_maximum_qos, client.peer_retain_available),
        client.peer_wildcard_subscription_available,
        client.peer_subscription_identifier_available,
        client.peer_shared_subscription_available,
    )
    assert told == (3, 100, 4, 1, False, False, False, False)
    assert server.peer_receive_maximum == 7
    fresh = Codec()
    assert (fresh.peer_receive_maximum, fresh.peer_maximum_packet_size) == (65535, 268435460)
    assert (fresh.role, fresh.version) == ("client", 5)
    assert Codec("server", version=None).version is None


PUBLISHES: list[tuple[Publish, str]] = [
    (Publish("a", b"", 2, packet_id=1), "MQTT-3.2.2-11"),
    (Publish("a", retain=True), "MQTT-3.2.2-14"),
    (Publish("a", bytes(94)), "MQTT-3.2.2-15"),
    (Publish("a", packet_id=1), "MQTT-2.2.1-2"),
    (Publish("a", duplicate=True), "MQTT-3.3.1-2"),
    (Publish("a", qos=1), "MQTT-2.2.1-3"),
    (Publish("a", qos=1, packet_id=0), "MQTT-2.2.1-3"),
    (Publish("a", qos=1, packet_id=65536), "MQTT-2.2.1-3"),
    (Publish("a", qos=1, packet_id="1"), "MQTT-2.2.1-3"),  # type: ignore[arg-type]
    (Publish(""), "MQTT-4.7.3-1"),
    (Publish("", properties={"content_type": "x"}), "MQTT-4.7.3-1"),
    (Publish("", properties={"topic_alias": 1}), "MQTT-4.7.3-1"),
    (Publish("a", properties={"topic_alias": 3}), "MQTT-3.2.2-17"),
    (Publish("a", properties={"topic_alias": 0}), "MQTT-3.3.2-8"),
    (Publish("a", properties={"response_topic": "+"}), "MQTT-3.3.2-14"),
    (Publish("a", properties={"subscription_identifier": [1]}), "MQTT-3.3.4-6"),
]


@pytest.mark.parametrize(("packet", "statement"), PUBLISHES)
def test_publishes_that_are_not_sent(packet: Publish, statement: str) -> None:
    limits: Any = {
        "maximum_qos": 1,
        "retain_available": 0,
        "maximum_packet_size": 99,
        "topic_alias_maximum": 2,
    }
    client, server = opened(server=limits)
    for send in (client.send, client.send_buffers):
        for before in ((), (PingReq(),)):
            with pytest.raises(LocalProtocolError, match=rf"\[{statement}\]$"):
                send(*before, packet)
    assert client.state is State.CONNECTED
    fine = Publish("a", bytes(93))
    assert server.receive_data(client.send(fine)) == [fine]


def test_3_1_1_knows_less() -> None:
    client, server = opened(4)
    with pytest.raises(LocalProtocolError, match=r"3.1.1 does not know properties"):
        client.send(Publish("a", properties={"content_type": "x"}))
    with pytest.raises(LocalProtocolError, match=r"3.1.1 does not know"):
        client.send(PubRec(1, ReasonCode.NOT_AUTHORIZED))
    with pytest.raises(LocalProtocolError, match=r"\[MQTT-4.7.3-1\]"):
        client.send(Publish(""))
    assert server.receive_data(client.send(PubRec(1, ReasonCode(0)))) == [PubRec(1)]
    with pytest.raises(LocalProtocolError, match=r"reserved type 15"):
        client.send(Auth())


def test_3_1_1_has_no_password_without_a_name_and_no_session_either() -> None:
    with pytest.raises(LocalProtocolError, match=r"\[MQTT-3.1.2-22\]"):
        Codec(version=4).send(Connect("me", password=b"secret", version=4))
    with pytest.raises(LocalProtocolError, match=r"\[MQTT-3.1.3-8\]"):
        Codec(version=4).send(Connect("", clean_start=False, version=4))
    assert Codec().send(Connect("me", password=b"secret"))


def test_a_connect_is_of_the_codecs_version() -> None:
    with pytest.raises(LocalProtocolError, match="a CONNECT of version 4 on 5"):
        Codec().send(Connect("me", version=4))


@pytest.mark.parametrize("thing", [None, b"\xc0\0", "PINGREQ", PingReq, Subscription("a"), 5])
def test_what_is_no_packet(thing: Any) -> None:
    client, _ = opened()
    with pytest.raises(LocalProtocolError, match="is no packet"):
        client.send(thing)
    with pytest.raises(LocalProtocolError, match="Acknowledgement is no packet"):
        client.send(Acknowledgement(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_control_packet_may_be_too_large_too() -> None:
    client, _ = opened(server={"maximum_packet_size": 20})
    subscribe = Subscribe(1, (Subscription("x" * 13),))
    with pytest.raises(LocalProtocolError, match=r"21 bytes, and 20 are taken \[MQTT-3.2.2-15\]"):
        client.send(subscribe)
    with pytest.raises(LocalProtocolError, match=r"\[MQTT-3.2.2-15\]"):
        client.send(PubAck(1, ReasonCode.SUCCESS, {"reason_string": "x" * 20}))


def test_a_limit_may_be_smaller_than_any_packet() -> None:
    client, _ = opened(server={"maximum_packet_size": 3})
    with pytest.raises(LocalProtocolError, match=r"a packet of 4 bytes, and 3 are taken"):
        client.send(PubAck(1))
    assert client.send(PingReq())
    client, _ = opened(server={"maximum_packet_size": 1})
    with pytest.raises(LocalProtocolError, match=r"a packet of 2 bytes, and 1 are taken"):
        client.send(PingReq())


def test_what_fails_in_a_batch_takes_all_back() -> None:
    client, server = opened()
    for last in (Publish("a"), PingReq()):
        with pytest.raises(LocalProtocolError, match="after DISCONNECT"):
            client.send(PubAck(1), Disconnect(), last)
        assert client.state is State.CONNECTED
    assert server.receive_data(client.send(PingReq())) == [PingReq()]
    begun = Codec()
    with pytest.raises(LocalProtocolError):
        begun.send(Connect("me"), PingReq())
    assert begun.send(Connect("me"))[0] == 0x10


def test_an_acknowledgement_that_is_taken_back_does_not_count() -> None:
    client, server = opened(client={"receive_maximum": 1})
    client.receive_data(server.send(Publish("a", qos=1, packet_id=1)))
    with pytest.raises(LocalProtocolError):
        client.send(PubAck(1), Publish("a", qos=1))
    with pytest.raises(Violation, match=r"more than 1 PUBLISH packets at once"):
        client.receive_data(server.send(Publish("a", qos=1, packet_id=2)))


# Topic Aliases


def test_aliases_are_given_as_far_as_the_peer_takes_them() -> None:
    client, server = opened(server={"topic_alias_maximum": 1})
    message = Publish("a/long/topic", b"x")
    sizes = [len(client.send(message)) for _ in range(4)]
    assert sizes == [18, 21, 9, 9]
    assert [opened()[0].send(message) for _ in range(2)] == [client_without().send(message)] * 2
    client, server = opened(server={"topic_alias_maximum": 1})
    for _ in range(4):
        assert server.receive_data(client.send(message)) == [message]


def client_without() -> Codec:
    return opened(server={"topic_alias_maximum": 9}, automatic_topic_aliases=False)[0]


def test_no_aliases_if_they_are_not_wanted() -> None:
    client = client_without()
    assert len({client.send(Publish("a/long/topic")) for _ in range(4)}) == 1


def test_an_alias_that_was_not_sent_is_not_used() -> None:
    client, server = opened(server={"topic_alias_maximum": 9, "maximum_packet_size": 60})
    message, large = Publish("a/long/topic"), Publish("a/long/topic", bytes(99))
    server.receive_data(client.send(message))
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            client.send(large)
        with pytest.raises(LocalProtocolError):
            client.send(message, message, large)
    for _ in range(4):
        assert server.receive_data(client.send(message)) == [message]


def test_aliases_of_ones_own() -> None:
    client, server = opened(server={"topic_alias_maximum": 2})
    for _ in range(3):
        server.receive_data(client.send(Publish("a/long/topic")))
    named = Publish("b/long/topic", b"1", properties={"topic_alias": 1})
    by_alias = Publish("", b"2", properties={"topic_alias": 1})
    with pytest.raises(LocalProtocolError):
        client.send(by_alias)
    (first, second) = server.receive_data(client.send(named, by_alias))
    assert first == Publish("b/long/topic", b"1")
    assert second == Publish("b/long/topic", b"2")
    # From now on there are no others.
    sizes = {len(client.send(Publish("a/long/topic"))) for _ in range(4)}
    assert sizes == {17}


def test_a_server_gives_aliases_too() -> None:
    client, server = opened(client={"topic_alias_maximum": 5})
    for number in range(40):
        message = Publish(f"topic/{number % 7}", b"x", properties={"content_type": "x"})
        assert client.receive_data(server.send(message)) == [message]


def test_acknowledgements_of_any_form() -> None:
    client, server = opened()
    for packet in (PubRel(1), PubAck(1, 0x10), PubRec(2, 0), PubAck(3, ReasonCode.SUCCESS, {})):  # type: ignore[arg-type]
        assert server.receive_data(client.send(packet)) == [packet]
    assert len(client.send(PubAck(1, 0))) == 4  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match=r"\[MQTT-3.4.2-1\]"):
        client.send(PubAck(1, ReasonCode.BANNED))
