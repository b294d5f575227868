"""Which consumers a received message is for.

Source: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, §3.3.4, §4.7 and §4.8.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from wirekit.protocols.mqtt import Publish

    from ._messages import Consumer

__all__ = ["Router"]

_Value = TypeVar("_Value")

# Routes are remembered up to so many, of topics with so many characters, with so many identifiers.
_MAX_ROUTES = 4096
_MAX_TOPIC = 1024
_MAX_IDENTIFIERS = 16


class Router:
    """Finds the consumers that subscriptions of their own made for messages.

    They are those whose filter matches. A server that was given Subscription Identifiers says with
    them which of these it means, [MQTT-3.3.4-3]; what it says is of no use if it is not known
    here, as it may be of a subscription that was replaced. Without an identifier of these it may
    also be meant for a subscription that is known but nobody's own: then nobody claims it.

    Consumers with the same filter share a subscription: to the server, the later one replaced the
    earlier one together with its identifier, §3.8.4.

    Attributes:
        empty: whether there are none.
        told_apart: whether the server takes Subscription Identifiers.
    """

    def __init__(self) -> None:
        self.empty = True
        self.told_apart = False
        self._known: dict[str, int | None] = {}
        self._known_tree: FilterTree[str] = FilterTree()
        self._subscriptions: dict[str, _Subscription] = {}
        self._filters_by_consumer: dict[Consumer, list[str]] = {}
        self._tree: FilterTree[_Subscription] = FilterTree()
        self._routes: dict[object, tuple[Consumer, ...]] = {}
        self._leaving: set[Consumer] = set()

    @property
    def consumers(self) -> Collection[Consumer]:
        """All that have a subscription."""
        return self._filters_by_consumer.keys()

    def subscribers(self, topic_filter: str) -> Sequence[Consumer]:
        """Return the consumers of one subscription."""
        subscription = self._subscriptions.get(topic_filter)
        return () if subscription is None else tuple(subscription.consumers)

    def identifiers(self, topic_filter: str) -> Collection[int]:
        """Return the identifiers that one subscription has had."""
        subscription = self._subscriptions.get(topic_filter)
        return () if subscription is None else subscription.identifiers

    def add(self, consumer: Consumer, topic_filter: str, identifier: int | None = None) -> None:
        """Let a consumer have the messages of a subscription."""
        subscription = self._subscriptions.get(topic_filter)
        if subscription is None:
            subscription = self._subscriptions[topic_filter] = _Subscription()
            self._tree.add(topic_filter, subscription)
        if consumer not in subscription.consumers:
            subscription.consumers.append(consumer)
            self._filters_by_consumer.setdefault(consumer, []).append(topic_filter)
        if identifier is not None:
            subscription.identifiers.add(identifier)
        self._routes.clear()
        self.empty = False

    def remove(self, consumer: Consumer, topic_filter: str | None = None) -> list[str]:
        """Let a consumer have no more messages, of one filter or of all.

        Returns:
            The filters that no other consumer has, so that there is nothing to subscribe for.
        """
        gone: list[str] = []
        filters = self._filters_by_consumer.get(consumer, [])
        for name in [name for name in filters if topic_filter in (None, name)]:
            filters.remove(name)
            subscription = self._subscriptions[name]
            subscription.consumers.remove(consumer)
            if not subscription.consumers:
                self._tree.remove(name, subscription)
                del self._subscriptions[name]
                gone.append(name)
        if not filters:
            self._filters_by_consumer.pop(consumer, None)
            self._leaving.discard(consumer)
        self._routes.clear()
        self.empty = not self._subscriptions
        return gone

    def leave(self, consumer: Consumer) -> None:
        """Note that a consumer only gets what is nobody else's, until it is removed."""
        self._leaving.add(consumer)
        self._routes.clear()

    def known(self, topic_filter: str, identifier: int | None, *, there: bool = True) -> None:
        """Note a subscription that the server has, whoever it is for, or that it has no more."""
        if there and topic_filter not in self._known:
            self._known_tree.add(topic_filter, topic_filter)
        elif not there and topic_filter in self._known:
            self._known_tree.remove(topic_filter, topic_filter)
            del self._known[topic_filter]
        if there:
            self._known[topic_filter] = identifier
        self._routes.clear()

    def route(self, message: Publish) -> Sequence[Consumer]:
        """Return the consumers that a message is for, each once; none if nobody claims it."""
        topic = message.topic
        if not message.properties:
            identifiers: list[int] = []
            key: object = topic
        else:
            identifiers = message.properties.get("subscription_identifier", [])
            key = (topic, *identifiers)
        consumers = self._routes.get(key)
        if consumers is None:
            consumers = self._find(topic, identifiers)
            if len(topic) <= _MAX_TOPIC and len(identifiers) <= _MAX_IDENTIFIERS:
                if len(self._routes) >= _MAX_ROUTES:
                    self._routes.clear()
                self._routes[key] = consumers
        return consumers

    def is_for(self, consumer: Consumer, message: Publish) -> bool:
        """Whether a message that nobody has claimed was sent for this consumer's subscriptions."""
        if consumer not in self.route(message):
            return False
        known = [] if self.told_apart else self._known_tree.match(message.topic)
        return all(name in self._subscriptions for name in known)

    def _find(self, topic: str, identifiers: list[int]) -> tuple[Consumer, ...]:
        matching = self._tree.match(topic)
        if any(not found.identifiers.isdisjoint(identifiers) for found in matching):
            # One message may stand for several overlapping subscriptions, [MQTT-3.3.4-4]; those
            # without identifier are not named.
            matching = [
                found
                for found in matching
                if not found.identifiers or not found.identifiers.isdisjoint(identifiers)
            ]
        elif self._is_for_others(topic, identifiers, matching):
            return ()
        consumers = dict.fromkeys(who for found in matching for who in found.consumers)
        if self._leaving and not self.told_apart and self._leaving.issuperset(consumers):
            known = self._known_tree.match(topic)
            if any(name not in self._subscriptions for name in known):
                return ()
        return tuple(consumers)

    def _is_for_others(
        self, topic: str, identifiers: list[int], matching: list[_Subscription]
    ) -> bool:
        """Whether a message that names no one's own subscription is meant for another one."""
        if not self.told_apart or not all(found.identifiers for found in matching):
            return False
        known = self._known_tree.match(topic)
        if any(name in self._subscriptions and self._known[name] is None for name in known):
            return False  # one of their own was made again without identifier
        others = (self._known[name] for name in known if name not in self._subscriptions)
        return any(number in identifiers if identifiers else number is None for number in others)


class _Subscription:
    """A topic filter's consumers, and the identifiers that it has had."""

    __slots__ = ("consumers", "identifiers")

    def __init__(self) -> None:
        self.consumers: list[Consumer] = []
        self.identifiers: set[int] = set()


class FilterTree(Generic[_Value]):
    """Values by topic filters; finds those whose filter matches a topic name, §4.7.

    How long that takes depends on the name's levels and on how many filters begin like it, not on
    how many filters there are.
    """

    def __init__(self) -> None:
        self._root: _Level[_Value] = _Level()

    def add(self, topic_filter: str, value: _Value) -> None:
        """Add a value under a filter; of a shared subscription the filter within counts."""
        level = self._root
        for name in _levels(topic_filter):
            level = level.following.setdefault(name, _Level())
        level.values.append(value)

    def remove(self, topic_filter: str, value: _Value) -> None:
        """Remove a value that was added under this filter."""
        names = _levels(topic_filter)
        path = [self._root]
        for name in names:
            path.append(path[-1].following[name])
        path[-1].values.remove(value)
        while names and not (path[-1].values or path[-1].following):
            path.pop()
            del path[-1].following[names.pop()]

    def match(self, topic: str) -> list[_Value]:
        """Return the values of all filters that match a topic name."""
        found: list[_Value] = []
        levels = [self._root]
        # [MQTT-4.7.2-1]: a wildcard as first level stands for no name that begins with "$".
        wildcards = () if topic.startswith("$") else ("+",)
        for name in topic.split("/"):
            if wildcards:
                _add_rest(found, levels)
            levels = [
                level.following[next_name]
                for level in levels
                for next_name in (name, *wildcards)
                if next_name in level.following
            ]
            wildcards = ("+",)
        for level in levels:
            found += level.values
        _add_rest(found, levels)  # "#" stands for the level before it as well, §4.7.1.2
        return found


class _Level(Generic[_Value]):
    """Where all filters with the same beginning are."""

    __slots__ = ("following", "values")

    def __init__(self) -> None:
        self.following: dict[str, _Level[_Value]] = {}
        self.values: list[_Value] = []  # of the filter that ends here


def _add_rest(found: list[_Value], levels: list[_Level[_Value]]) -> None:
    """Add the values of filters that go on with "#"."""
    for level in levels:
        if "#" in level.following:
            found += level.following["#"].values


def _levels(topic_filter: str) -> list[str]:
    """Return a filter's levels, those of a shared subscription without its name, §4.8.2."""
    levels = topic_filter.split("/")
    return levels[2:] if levels[0] == "$share" and len(levels) > 2 else levels
