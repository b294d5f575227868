# cython: annotation_typing=False
"""Topic Names and Topic Filters (§4.7), shared subscriptions' too (§4.8.2)."""

from __future__ import annotations

from typing import Self

from wirekit._errors import LocalProtocolError

from ._faults import Violation, as_local, malformed
from ._reason_codes import ReasonCode

__all__ = [
    "TOPICS",
    "Topic",
    "check_filter",
    "check_name",
    "check_topic_filter",
    "check_topic_name",
    "is_shared",
    "make_topic",
    "read_topic",
    "topic_matches",
]

_MOST_BYTES = 65535
_MOST_TOPICS = 1024
_LONGEST_KEPT = 256

_SHARE = "$share/"


class Topic(str):
    """A Topic Name: one that a message came with, or that one is to be published to.

    Raises:
        LocalProtocolError: it is not a valid one; the statement is named.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        check_topic_name(value)
        return str.__new__(cls, value)

    @property
    def value(self) -> str:
        """The same as a plain ``str``."""
        return str.__str__(self)

    def matches(self, topic_filter: str) -> bool:
        """Return whether a subscription with this filter gets what is published here (§4.7)."""
        return topic_matches(topic_filter, self)


# What was checked already. It is for all connections, because it holds only our own topics.
TOPICS: dict[str, Topic] = {}


def make_topic(text: str) -> Topic:
    """Return a Topic Name to publish to; an empty one stands for a Topic Alias.

    Raises:
        LocalProtocolError: it is not a valid one.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LocalProtocolError(f"a topic name is a str, not {type(text).__name__}")
    topic = TOPICS.get(text)
    if topic is None:
        topic = Topic(text) if text else str.__new__(Topic, "")
        if len(text) <= _LONGEST_KEPT:
            if len(TOPICS) >= _MOST_TOPICS:
                TOPICS.clear()
            TOPICS[str(text)] = topic
    return topic


def read_topic(data: bytes) -> Topic:
    """Return the Topic Name of a PUBLISH as it came; an empty one stands for a Topic Alias.

    Raises:
        Violation: it is not a valid one.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise malformed("a topic name that is not UTF-8", "MQTT-1.5.4-1") from None
    if text:
        check_name(text)
    return str.__new__(Topic, text)


def check_topic_name(name: str) -> None:
    """Check a Topic Name (§4.7.3).

    Raises:
        LocalProtocolError: it is not a valid one; the statement is named.
    """
    _check_text(name)
    try:
        check_name(name)
    except Violation as exc:
        raise as_local(exc, 5) from None


def check_topic_filter(topic_filter: str) -> None:
    """Check a Topic Filter (§4.7.1, §4.7.3), be it of a shared subscription or not (§4.8.2).

    Raises:
        LocalProtocolError: it is not a valid one; the statement is named.
    """
    _check_text(topic_filter)
    try:
        check_filter(topic_filter)
    except Violation as exc:
        raise as_local(exc, 5) from None


def _check_text(text: str) -> None:
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LocalProtocolError(f"a topic is a str, not {type(text).__name__}")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise LocalProtocolError("a topic that is not valid Unicode [MQTT-1.5.4-1]") from None
    if length > _MOST_BYTES:
        raise LocalProtocolError(f"a topic of {length} bytes [MQTT-4.7.3-3]")


def check_name(name: str, statement: str = "MQTT-3.3.2-2") -> None:
    """Check a Topic Name that is known to be Unicode of 65,535 bytes or less.

    Args:
        name: what to check.
        statement: which one says that it has no wildcard.

    Raises:
        Violation: it is not a valid one.
    """
    if not name:
        raise _invalid_name("a topic name without a character", "MQTT-4.7.3-1")
    if "\0" in name:
        raise malformed("a topic name with a null character", "MQTT-1.5.4-2")
    if "+" in name or "#" in name:
        raise _invalid_name("a topic name with a wildcard", statement)


def check_filter(topic_filter: str) -> None:
    """Check a Topic Filter that is known to be Unicode of 65,535 bytes or less.

    Raises:
        Violation: it is not a valid one.
    """
    if not topic_filter:
        raise _invalid_filter("a topic filter without a character", "MQTT-4.7.3-1")
    if "\0" in topic_filter:
        raise malformed("a topic filter with a null character", "MQTT-1.5.4-2")
    if is_shared(topic_filter):
        name, slash, topic_filter = topic_filter[len(_SHARE) :].partition("/")
        if not name:
            raise _invalid_filter("a shared subscription without a name", "MQTT-4.8.2-1")
        if "+" in name or "#" in name:
            raise _invalid_filter("a shared subscription's name with a wildcard", "MQTT-4.8.2-2")
        if not slash or not topic_filter:
            raise _invalid_filter("a shared subscription without a filter", "MQTT-4.8.2-2")
    levels = topic_filter.split("/")
    for level in levels:
        if "+" in level and level != "+":
            raise _invalid_filter("a '+' that is not a whole level", "MQTT-4.7.1-2")
        if "#" in level and level != "#":
            raise _invalid_filter("a '#' that is not a whole level", "MQTT-4.7.1-1")
    if "#" in levels[:-1]:
        raise _invalid_filter("a '#' that is not the last level", "MQTT-4.7.1-1")


def _invalid_name(text: str, statement: str) -> Violation:
    return Violation(text, ReasonCode.TOPIC_NAME_INVALID, statement)


def _invalid_filter(text: str, statement: str) -> Violation:
    return Violation(text, ReasonCode.TOPIC_FILTER_INVALID, statement)


def is_shared(topic_filter: str) -> bool:
    """Return whether it is the filter of a shared subscription (§4.8.2)."""
    return topic_filter.startswith(_SHARE)


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Return whether a subscription with this filter gets what is published to the topic (§4.7).

    A shared subscription matches by its own filter: "$share/group/a/+" as "a/+".

    Raises:
        LocalProtocolError: either is not a valid one.
    """
    check_topic_filter(topic_filter)
    if type(topic) is not Topic:
        check_topic_name(topic)
    if is_shared(topic_filter):
        topic_filter = topic_filter.split("/", 2)[2]
    wanted = topic_filter.split("/")
    levels = topic.split("/")
    if levels[0].startswith("$") and wanted[0] in ("+", "#"):
        return False  # [MQTT-4.7.2-1]
    if wanted[-1] == "#":
        # "sport/#" also matches "sport" (§4.7.1.2).
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        level in ("+", name) for level, name in zip(wanted, levels, strict=True)
    )
