"""Which topics get an alias, and which lose it."""

from __future__ import annotations

from wirekit.protocols.mqtt import Topic
from wirekit.protocols.mqtt._aliases import Aliases


def use(aliases: Aliases, *names: str) -> list[int]:
    """Use topics as a sender does; return what it finds."""
    found: list[int] = []
    for name in names:
        alias = aliases.find(Topic(name))
        if alias < 0:
            aliases.give(Topic(name), -alias)
        found.append(alias)
    return found


def with_most(most: int) -> Aliases:
    aliases = Aliases()
    aliases.most = most
    return aliases


def test_from_the_third_use_on_it_pays() -> None:
    assert use(with_most(2), *["topic"] * 5) == [0, -1, 1, 1, 1]


def test_short_topics_get_none() -> None:
    assert use(with_most(2), *["abc"] * 4) == [0] * 4
    assert use(with_most(2), *["abcd"] * 3) == [0, -1, 1]


def test_the_least_recently_used_loses_its_own() -> None:
    aliases = with_most(2)
    assert use(aliases, "one/", "one/", "two/", "two/") == [0, -1, 0, -2]
    assert use(aliases, "one/", "three/", "three/", "one/", "two/") == [1, 0, -2, 1, 0]
    assert use(aliases, "two/", "three/", "one/") == [-2, 0, 1]


def test_what_comes_once_drives_nothing_out() -> None:
    aliases = with_most(1)
    use(aliases, "often", "often")
    assert use(aliases, *[f"once/{number}" for number in range(5000)]) == [0] * 5000
    assert use(aliases, "often") == [1]


def test_all_are_given_anew_after_they_are_forgotten() -> None:
    aliases = with_most(3)
    use(aliases, "topic", "topic")
    aliases.forget()
    assert use(aliases, "topic", "topic", "topic") == [0, -1, 1]
