"""Known topics, given aliases, and what is unacknowledged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.mqtt._pair import opened
from wirekit.protocols import mqtt
from wirekit.protocols.mqtt import Publish, ReasonCode, Topic, Violation
from wirekit.protocols.mqtt._received import GivenAliases, Unacknowledged
from wirekit.protocols.mqtt._topics import make_topic

TOPICS = [f"topic/{number}" for number in range(4000)]


def test_topics_are_the_same_however_many_there_are() -> None:
    client, server = opened()
    for names in (TOPICS, TOPICS[::-1], ["x" * 128, "x" * 129, "x" * 65535] * 2, TOPICS[:9] * 9):
        packets = [Publish(name, b"1") for name in names]
        assert client.receive_data(server.send(*packets)) == packets


def test_topics_of_late_are_the_same_objects() -> None:
    client, server = opened()
    packets: Any = client.receive_data(server.send(*[Publish("a/b")] * 3))
    assert packets[0].topic is packets[1].topic is packets[2].topic
    long: Any = client.receive_data(server.send(*[Publish("x" * 200)] * 2))
    assert long[0].topic is not long[1].topic


def test_a_fault_is_not_kept() -> None:
    for _ in range(2):
        client, _server = opened()
        client.receive_data(b"\x30\4\0\1a\0")
        with pytest.raises(Violation):
            client.receive_data(b"\x30\4\0\1+\0")


def test_aliases_are_resolved() -> None:
    aliases = GivenAliases()
    one, two, none = Topic("one"), Topic("two"), make_topic("")
    properties: dict[str, Any] = {"topic_alias": 2, "content_type": "x"}
    assert aliases.resolve(one, properties, 2, "server") == "one"
    assert properties == {"content_type": "x"}
    assert aliases.resolve(none, {"topic_alias": 2}, 2, "server") == "one"
    assert aliases.resolve(two, {"topic_alias": 2}, 2, "server") == "two"
    assert aliases.resolve(none, {"topic_alias": 2}, 2, "server") == "two"
    assert aliases.resolve(one, {}, 2, "server") == "one"
    for wrong, code in (({"topic_alias": 1}, 0x82), ({"topic_alias": 3}, 0x94), ({}, 0x82)):
        with pytest.raises(Violation) as caught:
            aliases.resolve(none, wrong, 2, "server")
        assert caught.value.reason_code == code


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 65535) | st.integers(1, 9))), st.integers(1, 5)
)
def test_unacknowledged_is_a_set_with_a_limit(steps: list[tuple[bool, int]], most: int) -> None:
    known: set[int] = set()
    unacknowledged = Unacknowledged()
    for adding, packet_id in steps:
        if adding:
            room = packet_id in known or len(known) < most
            assert unacknowledged.add(packet_id, most) == room
            if room:
                known.add(packet_id)
        else:
            unacknowledged.remove(packet_id)
            known.discard(packet_id)


def test_receive_maximum_counts_what_is_not_acknowledged() -> None:
    client, server = opened(client={"receive_maximum": 2})
    one, two, three = [Publish("a", b"", qos, packet_id=qos) for qos in (1, 2, 1)]
    three.packet_id = 3
    client.receive_data(server.send(one, two))
    client.receive_data(server.send(Publish("a")))  # QoS 0 does not count
    two.duplicate = True
    client.receive_data(server.send(two))  # nor does what is sent again
    client.send(*acknowledgements("PubRec", 2), *acknowledgements("PubAck", 1))
    client.receive_data(server.send(three))
    client.send(*acknowledgements("PubComp", 2))
    client.receive_data(server.send(one))
    with pytest.raises(Violation) as caught:
        client.receive_data(server.send(two))
    assert caught.value.reason_code is ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_more_may_be_accepted_than_was_told() -> None:
    client, server = opened(client={"receive_maximum": 1}, receive_maximum=2)
    client.receive_data(server.send(*[Publish("a", b"", 1, packet_id=one) for one in (1, 2)]))
    with pytest.raises(Violation, match="more than 2 PUBLISH packets at once"):
        client.receive_data(server.send(Publish("a", b"", 1, packet_id=3)))


def test_a_refusing_pubrec_acknowledges_too() -> None:
    client, server = opened(client={"receive_maximum": 1})
    for _ in range(3):
        client.receive_data(server.send(Publish("a", b"", 2, packet_id=1)))
        client.send(*acknowledgements("PubRec", 1, ReasonCode.QUOTA_EXCEEDED))
    client.receive_data(server.send(Publish("a", b"", 2, packet_id=2)))


def acknowledgements(name: str, packet_id: int, *code: ReasonCode) -> list[Any]:
    return [getattr(mqtt, name)(packet_id, *code)]
