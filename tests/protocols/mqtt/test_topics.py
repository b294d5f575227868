"""Topic Names and Topic Filters: the examples of §4.7 and §4.8.2, and what they forbid."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given

from tests.protocols.mqtt import _strategies as some
from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import Topic, Violation, topic_matches
from wirekit.protocols.mqtt import check_topic_filter as check_filter
from wirekit.protocols.mqtt import check_topic_name as check_name
from wirekit.protocols.mqtt._topics import TOPICS, make_topic, read_topic

# §4.7.1 and §4.7.2: a filter, what it matches, and what not.
MATCHES: list[tuple[str, list[str], list[str]]] = [
    (
        "sport/tennis/player1/#",
        ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/a/b"],
        ["sport/tennis", "sport/tennis/player2"],
    ),
    ("sport/#", ["sport", "sport/", "sport/tennis"], ["sports", "/sport"]),
    ("#", ["a", "a/b", "/", "/finance"], ["$SYS", "$SYS/a"]),
    (
        "sport/tennis/+",
        ["sport/tennis/player1", "sport/tennis/player2", "sport/tennis/"],
        ["sport/tennis/player1/ranking", "sport/tennis"],
    ),
    ("sport/+", ["sport/", "sport/a"], ["sport", "sport/a/b"]),
    ("+", ["finance", "a"], ["/finance", "a/b", "$SYS"]),
    ("+/+", ["/finance", "a/b", "/"], ["finance", "a/b/c"]),
    ("/+", ["/finance", "/"], ["finance", "a/b"]),
    ("+/tennis/#", ["sport/tennis", "/tennis/a"], ["$sport/tennis"]),
    ("+/monitor/Clients", ["a/monitor/Clients"], ["$SYS/monitor/Clients"]),
    ("$SYS/#", ["$SYS", "$SYS/a"], ["SYS/a"]),
    ("$SYS/monitor/+", ["$SYS/monitor/Clients"], ["$SYS/monitor"]),
    ("ACCOUNTS", ["ACCOUNTS"], ["Accounts", "/ACCOUNTS", "ACCOUNTS/"]),
    ("Accounts payable", ["Accounts payable"], ["Accountspayable"]),
    ("a/$b", ["a/$b"], ["a/b"]),
    ("a/+", ["a/$b"], []),
    ("\ufeffa", ["\ufeffa"], ["a"]),
    # §4.8.2
    ("$share/consumer1/sport/tennis/+", ["sport/tennis/player1"], ["sport/tennis"]),
    ("$share/consumer2//finance", ["/finance"], ["finance"]),
    ("$share/group/#", ["a", "a/b"], ["$SYS/a"]),
    ("$share/group/$SYS/#", ["$SYS/a"], ["a"]),
    ("$shared/a", ["$shared/a"], ["a"]),
]


@pytest.mark.parametrize(("topic_filter", "matching", "others"), MATCHES)
def test_matching(topic_filter: str, matching: list[str], others: list[str]) -> None:
    for name in matching:
        assert topic_matches(topic_filter, name)
        assert Topic(name).matches(topic_filter)
    for name in others:
        assert not topic_matches(topic_filter, name)
        assert not Topic(name).matches(topic_filter)


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        *(("", "MQTT-4.7.3-1"), ("a\0", "MQTT-1.5.4-2"), ("a/#", "MQTT-3.3.2-2")),
        *(("+", "MQTT-3.3.2-2"), ("x" * 65536, "MQTT-4.7.3-3"), ("\ud800", "MQTT-1.5.4-1")),
        ("ä" * 32768, "MQTT-4.7.3-3"),
    ],
)
def test_wrong_names(name: str, statement: str) -> None:
    for function in (check_name, Topic):
        with pytest.raises(LocalProtocolError, match=rf"\[{statement}\]$") as caught:
            function(name)
        assert len(str(caught.value)) < 100
    if name:
        with pytest.raises(LocalProtocolError):
            make_topic(name)
    with pytest.raises(LocalProtocolError):
        topic_matches("#", name)


@pytest.mark.parametrize(
    "topic_filter", ["#", "+", "/", "a/#", "+/a/+/#", "$share/g/#", "x" * 65535]
)
def test_right_filters(topic_filter: str) -> None:
    check_filter(topic_filter)


@pytest.mark.parametrize(
    ("topic_filter", "statement"),
    [
        *(("", "MQTT-4.7.3-1"), ("a\0", "MQTT-1.5.4-2"), ("\udfff", "MQTT-1.5.4-1")),
        *(("sport/tennis#", "MQTT-4.7.1-1"), ("sport/tennis/#/ranking", "MQTT-4.7.1-1")),
        *(("##", "MQTT-4.7.1-1"), ("sport+", "MQTT-4.7.1-2"), ("++", "MQTT-4.7.1-2")),
        *(("#+", "MQTT-4.7.1-2"), ("x" * 65536, "MQTT-4.7.3-3")),
        *(("$share/", "MQTT-4.8.2-1"), ("$share//a", "MQTT-4.8.2-1")),
        *(("$share/g", "MQTT-4.8.2-2"), ("$share/g/", "MQTT-4.8.2-2")),
        *(("$share/#/a", "MQTT-4.8.2-2"), ("$share/g/a#", "MQTT-4.7.1-1")),
    ],
)
def test_wrong_filters(topic_filter: str, statement: str) -> None:
    with pytest.raises(LocalProtocolError, match=rf"\[{statement}\]$"):
        check_filter(topic_filter)
    with pytest.raises(LocalProtocolError):
        topic_matches(topic_filter, "a")


@pytest.mark.parametrize("value", [None, 5, b"a", ["a"]])
def test_what_is_no_text(value: Any) -> None:
    for function in (check_name, check_filter, make_topic, Topic):
        with pytest.raises(LocalProtocolError, match="is a str, not "):
            function(value)


def test_a_topic_is_a_str() -> None:
    topic = Topic("a/b")
    assert topic == "a/b"
    assert hash(topic) == hash("a/b")
    assert isinstance(topic, str)
    assert type(topic.value) is str
    assert repr(topic) == "'a/b'"
    for same in (pickle.loads(pickle.dumps(topic)), copy.copy(topic), copy.deepcopy(topic)):
        assert type(same) is Topic
        assert same == topic


@given(some.TOPIC)
def test_topics_are_read_as_they_are_written(name: str) -> None:
    topic = read_topic(name.encode())
    assert type(topic) is Topic
    assert topic == Topic(name) == make_topic(name) == name
    assert topic.matches("#") is not name.startswith("$")
    assert topic_matches(name, name)


def test_an_empty_one_stands_for_an_alias() -> None:
    for topic in (make_topic(""), read_topic(b"")):
        assert type(topic) is Topic
        assert topic == ""


def test_what_is_read_wrong() -> None:
    for data in (b"\xff", b"a/+", b"a\0b", "\ud800".encode(errors="surrogatepass")):
        with pytest.raises(Violation):
            read_topic(data)


def test_topics_are_made_once_but_not_kept_without_end() -> None:
    assert make_topic("one/topic") is make_topic("one/topic")
    for number in range(3000):
        make_topic(f"topic/{number}")
    assert len(TOPICS) <= 1024
    long = "x" * 300
    assert make_topic(long) == long
    assert long not in TOPICS
