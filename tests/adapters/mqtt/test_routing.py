"""The tree against a plain matcher, and the router against the plain reading of §3.3.4."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from wirekit.adapters.mqtt._messages import Consumer
from wirekit.adapters.mqtt._routing import FilterTree, Router
from wirekit.protocols.mqtt import Publish, Topic, topic_matches

LEVEL_NAMES = ["", "a", "b", "ab", "$SYS", "$share", "ä"]
topics = st.lists(st.sampled_from(LEVEL_NAMES), min_size=1, max_size=5).map("/".join).filter(bool)
plain_filters = (
    st.tuples(
        st.lists(st.sampled_from([*LEVEL_NAMES, "+", "+"]), max_size=5),
        st.sampled_from([[], ["#"]]),
    )
    .map(lambda parts: "/".join([*parts[0], *parts[1]]))
    .filter(bool)
    .filter(lambda name: not name.startswith("$share/"))
)
filters = plain_filters | plain_filters.map(lambda name: f"$share/group/{name}")


def matches(topic_filter: str, topic: str) -> bool:
    """Say it as §4.7 does."""
    if topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[2]
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    return levels_match(topic_filter.split("/"), topic.split("/"))


def levels_match(wanted: list[str], levels: list[str]) -> bool:
    if wanted == ["#"]:
        return True
    if not wanted or not levels:
        return not wanted and not levels
    return wanted[0] in ("+", levels[0]) and levels_match(wanted[1:], levels[1:])


# The tree.


@pytest.mark.parametrize(
    ("topic_filter", "fits", "not_these"),
    [
        # The examples of §4.7.1 and §4.7.2.
        ("sport/tennis/player1/#", ["sport/tennis/player1", "sport/tennis/player1/ranking"], []),
        ("sport/#", ["sport", "sport/a/b"], ["sports"]),
        ("#", ["a", "/", "a/b/c"], ["$SYS", "$SYS/a"]),
        ("+", ["a"], ["/a", "a/b", "$SYS"]),
        ("+/+", ["/finance"], ["$SYS/a"]),
        ("/+", ["/finance"], ["finance"]),
        ("sport/+", ["sport/", "sport/a"], ["sport", "sport/a/b"]),
        ("+/tennis/#", ["sport/tennis", "/tennis/a"], ["tennis"]),
        ("$SYS/#", ["$SYS", "$SYS/a"], ["SYS"]),
        ("$SYS/monitor/+", ["$SYS/monitor/Clients"], ["$SYS/monitor"]),
        # §4.8.2
        ("$share/consumer/sport/+", ["sport/tennis"], ["$share/consumer/sport/tennis"]),
        ("$share/consumer//finance", ["/finance"], ["finance"]),
        ("$share/consumer/#", ["a"], ["$SYS"]),
        ("$share", ["$share"], ["share"]),
    ],
)
def test_the_specification_says(topic_filter: str, fits: list[str], not_these: list[str]) -> None:
    tree: FilterTree[str] = FilterTree()
    tree.add(topic_filter, "value")
    for topic in [*fits, *not_these]:
        assert tree.match(topic) == ["value"] * (topic in fits), topic
        assert matches(topic_filter, topic) == (topic in fits), topic


@given(st.lists(filters, max_size=12), topics)
def test_the_tree_finds_what_matches(all_filters: list[str], topic: str) -> None:
    tree: FilterTree[int] = FilterTree()
    for index, topic_filter in enumerate(all_filters):
        tree.add(topic_filter, index)
    wanted = [
        index for index, topic_filter in enumerate(all_filters) if matches(topic_filter, topic)
    ]
    assert sorted(tree.match(topic)) == wanted
    by_codec = [
        index
        for index, topic_filter in enumerate(all_filters)
        if topic_matches(topic_filter, Topic(topic))
    ]
    assert by_codec == wanted


@given(st.lists(filters, max_size=12), st.randoms(use_true_random=False), topics)
def test_what_was_removed_is_gone(all_filters: list[str], random: st.DrawFn, topic: str) -> None:
    tree: FilterTree[int] = FilterTree()
    entries = list(enumerate(all_filters))
    for index, topic_filter in entries:
        tree.add(topic_filter, index)
    random.shuffle(entries)  # type: ignore[attr-defined]
    while entries:
        index, topic_filter = entries.pop()
        tree.remove(topic_filter, index)
        wanted = [index for index, topic_filter in entries if matches(topic_filter, topic)]
        assert sorted(tree.match(topic)) == sorted(wanted)
    # No branch is left.
    assert not tree._root.following  # pyright: ignore[reportPrivateUsage]


def test_many_levels_take_no_recursion() -> None:
    tree: FilterTree[int] = FilterTree()
    deep = "/" * 65535
    tree.add("+" + "/+" * 30000, 1)
    tree.add(deep, 2)
    tree.add("#", 3)
    assert sorted(tree.match(deep)) == [2, 3]
    tree.remove(deep, 2)
    assert tree.match(deep) == [3]


# The router.


class Recorder:
    """A consumer; only who it is matters here."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def put(self, messages: list[Publish]) -> None:
        raise AssertionError

    def discard(self) -> None:
        raise AssertionError

    def end(self, error: Exception | None) -> None:
        raise AssertionError


def message(topic: str, *identifiers: int) -> Publish:
    if not identifiers:
        return Publish(topic)
    return Publish(topic, properties={"subscription_identifier": list(identifiers)})


def test_nobody() -> None:
    router = Router()
    assert router.empty
    assert list(router.route(message("a"))) == []
    assert router.remove(Recorder()) == []


def test_by_filter() -> None:
    router = Router()
    first, second = Recorder(), Recorder()
    router.add(first, "a/+")
    router.add(second, "a/#")
    router.add(second, "a/b")
    assert not router.empty
    assert set(router.route(message("a/b"))) == {first, second}
    assert list(router.route(message("a"))) == [second]
    assert list(router.route(message("b"))) == []
    assert set(router.consumers) == {first, second}
    assert list(router.subscribers("a/#")) == [second]
    assert list(router.subscribers("b")) == []


def test_by_identifier() -> None:
    router = Router()
    first, second = Recorder(), Recorder()
    router.add(first, "a/+", 1)
    router.add(second, "a/#", 2)
    assert list(router.route(message("a/b", 1))) == [first]
    assert list(router.route(message("a/b", 2))) == [second]
    assert set(router.route(message("a/b", 2, 1))) == {first, second}


def test_an_identifier_that_is_not_known() -> None:
    # Of a subscription that another client of this session made, or one that was replaced.
    router = Router()
    first = Recorder()
    router.add(first, "a/+", 1)
    assert list(router.route(message("a/b", 7))) == [first]
    assert list(router.route(message("a/b", 7, 1))) == [first]
    assert list(router.route(message("b", 7))) == []


def test_without_identifier_beside_one_with_it() -> None:
    router = Router()
    first, second = Recorder(), Recorder()
    router.add(first, "a/+", 1)
    router.add(second, "a/#")
    assert set(router.route(message("a/b", 1))) == {first, second}
    assert set(router.route(message("a/b"))) == {first, second}


# Beside subscriptions that are nobody's own.


def told_apart(own: Consumer) -> Router:
    router = Router()
    router.told_apart = True
    router.add(own, "o/x", 100)
    router.known("o/x", 100)
    return router


def test_a_copy_for_a_plain_subscription() -> None:
    own = Recorder()
    router = told_apart(own)
    assert list(router.route(message("o/x"))) == [own]
    router.known("o/#", None)
    assert list(router.route(message("o/x"))) == []
    assert list(router.route(message("o/x", 100))) == [own]
    assert list(router.route(message("o/x", 7))) == [own]  # of one that was replaced
    router.known("o/#", 7)
    assert list(router.route(message("o/x", 7))) == []
    assert list(router.route(message("o/x", 7, 100))) == [own]  # one copy for both
    assert list(router.route(message("o/x"))) == [own]
    router.known("o/#", None, there=False)
    router.known("o/#", None, there=False)
    assert list(router.route(message("o/x", 7))) == [own]


def test_a_plain_subscription_elsewhere() -> None:
    own = Recorder()
    router = told_apart(own)
    router.known("p/#", None)
    assert list(router.route(message("o/x"))) == [own]


def test_a_server_that_does_not_tell_subscriptions_apart() -> None:
    own = Recorder()
    router = told_apart(own)
    router.known("o/#", None)
    router.told_apart = False
    assert list(router.route(message("o/x"))) == [own]


def test_who_a_message_was_for_that_came_before_anybody() -> None:
    own, other = Recorder(), Recorder()
    router = told_apart(own)
    router.add(other, "p")
    assert router.is_for(own, message("o/x", 100))
    assert not router.is_for(other, message("o/x", 100))
    router.known("o/#", None)
    assert router.is_for(own, message("o/x", 100))
    assert not router.is_for(own, message("o/x"))
    router.told_apart = False
    assert not router.is_for(own, message("o/x"))  # or perhaps it was, but not for sure
    router.known("o/#", None, there=False)
    assert router.is_for(own, message("o/x"))


def test_who_leaves_gets_what_is_nobody_elses() -> None:
    """The server has it until UNSUBACK; one that does not tell it apart may mean somebody else."""
    own, other = Recorder(), Recorder()
    router = told_apart(own)
    router.known("o/#", None)
    router.told_apart = False
    router.leave(own)
    assert list(router.route(message("o/x"))) == []
    router.known("o/#", None, there=False)
    assert list(router.route(message("o/x"))) == [own]
    router.add(other, "o/+", 200)
    assert set(router.route(message("o/x"))) == {own, other}
    router.known("o/#", None)
    router.told_apart = True
    assert list(router.route(message("o/x", *router.identifiers("o/x")))) == [own]
    router.told_apart = False
    router.remove(other)
    router.remove(own)
    router.add(own, "o/x")  # and is back
    assert list(router.route(message("o/x"))) == [own]
    assert list(router.identifiers("p")) == []


def test_own_subscriptions_without_identifier() -> None:
    own, other = Recorder(), Recorder()
    router = told_apart(own)
    router.known("o/#", None)
    router.known("o/x", None)  # subscribed to again by hand
    assert list(router.route(message("o/x"))) == [own]
    router.known("o/x", 100)
    router.add(other, "o/+")
    assert set(router.route(message("o/x"))) == {own, other}


def test_the_same_filter_twice() -> None:
    router = Router()
    first, second = Recorder(), Recorder()
    router.add(first, "a", 1)
    router.add(second, "a", 2)
    assert list(router.route(message("a", 2))) == [first, second]
    assert list(router.route(message("a", 1))) == [first, second]
    assert router.remove(first) == []
    assert list(router.route(message("a", 1))) == [second]
    assert router.remove(second) == ["a"]
    assert router.empty


def test_one_identifier_for_several_filters() -> None:
    router = Router()
    first, second = Recorder(), Recorder()
    router.add(first, "a", 1)
    router.add(first, "b", 1)
    router.add(second, "b", 2)
    assert list(router.route(message("a", 1))) == [first]
    assert list(router.route(message("b", 1))) == [first, second]
    assert router.remove(first, "a") == ["a"]
    assert list(router.route(message("a", 1))) == []
    assert router.remove(first, "c") == []
    assert router.remove(first) == []
    assert list(router.route(message("b", 1))) == [second]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._routing._MAX_ROUTES", 10)
    router = Router()
    router.add(Recorder(), "#", 1)
    for index in range(35):
        router.route(message(f"{index}"))
        assert remembered(router) == index % 10 + 1
    router.route(message("x" * 5000))
    router.route(message("x", *range(1, 100)))
    assert remembered(router) == 5
    router.add(Recorder(), "+")
    assert remembered(router) == 0


def remembered(router: Router) -> int:
    return len(router._routes)  # pyright: ignore[reportPrivateUsage]


class Routes(RuleBasedStateMachine):
    """Subscriptions come and go; each message goes where a plain reading says, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router()
        self.consumers = [Recorder(name) for name in "xyz"]
        self.had: dict[str, list[Recorder]] = {}
        self.identifiers: dict[str, set[int]] = {}

    @rule(
        number=st.integers(0, 2),
        topic_filter=filters,
        identifier=st.none() | st.integers(1, 4),
    )
    def add(self, number: int, topic_filter: str, identifier: int | None) -> None:
        consumer = self.consumers[number]
        self.router.add(consumer, topic_filter, identifier)
        if consumer not in self.had.setdefault(topic_filter, []):
            self.had[topic_filter].append(consumer)
        self.identifiers.setdefault(topic_filter, set()).update(
            [] if identifier is None else [identifier]
        )

    @rule(number=st.integers(0, 2), data=st.data(), everything=st.booleans())
    def remove(self, number: int, data: st.DataObject, everything: bool) -> None:
        consumer = self.consumers[number]
        topic_filter = None
        if not everything and self.had:
            topic_filter = data.draw(st.sampled_from(sorted(self.had)))
        gone: set[str] = set()
        for name, consumers in list(self.had.items()):
            if topic_filter in (None, name) and consumer in consumers:
                consumers.remove(consumer)
                if not consumers:
                    gone.add(name)
                    del self.had[name], self.identifiers[name]
        assert set(self.router.remove(consumer, topic_filter)) == gone
        assert self.router.empty == (not self.had)

    @rule(topic=topics, identifiers=st.lists(st.integers(1, 5), max_size=3))
    def route(self, topic: str, identifiers: list[int]) -> None:
        matching = [name for name in self.had if matches(name, topic)]
        named = [name for name in matching if self.identifiers[name] & {*identifiers}]
        anonymous = [name for name in matching if not self.identifiers[name]]
        wanted: set[Consumer] = set()
        for name in [*named, *anonymous] if named else matching:
            wanted.update(self.had[name])
        for _ in range(2):  # found, then remembered
            found = self.router.route(message(topic, *identifiers))
            assert set(found) == wanted
            assert len(found) == len(wanted)


TestRoutes = Routes.TestCase
TestRoutes.settings = settings(max_examples=50)
