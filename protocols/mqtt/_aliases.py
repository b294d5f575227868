# cython: annotation_typing=False
"""The Topic Aliases that we give (§3.3.2.3.4): to topics that come again, as long as they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._topics import Topic

__all__ = ["Aliases"]

_MOST_CANDIDATES = 1024
_SHORTEST = 3  # an alias has as many bytes


class Aliases:
    """Gives aliases from 1 to ``most``, and takes them from the topics that are used least.

    A topic gets one when it is used for the second time, and so pays from the third time on.
    """

    __slots__ = ("_candidates", "_numbers", "most")

    def __init__(self) -> None:
        self.most = 0
        self._numbers: dict[Topic, int] = {}  # the least recently used first
        self._candidates: dict[Topic, None] = {}  # used once

    def find(self, topic: Topic) -> int:
        """Return the topic's alias; or 0; or, below 0, the one that `give` should give it.

        There must be some to give.
        """
        if len(topic) <= _SHORTEST:
            return 0
        alias = self._numbers.get(topic)
        if alias is not None:
            if len(self._numbers) == self.most:
                del self._numbers[topic]
                self._numbers[topic] = alias
            return alias
        if topic not in self._candidates:
            if len(self._candidates) >= _MOST_CANDIDATES:
                self._candidates.clear()
            self._candidates[topic] = None
            return 0
        if len(self._numbers) < self.most:
            return -len(self._numbers) - 1
        return -self._numbers[next(iter(self._numbers))]

    def give(self, topic: Topic, alias: int) -> None:
        """Know the alias, which `find` proposed, as the topic's."""
        if len(self._numbers) == self.most:
            del self._numbers[next(iter(self._numbers))]
        self._candidates.pop(topic, None)
        self._numbers[topic] = alias

    def forget(self) -> None:
        """Know no alias any more; they are given anew."""
        self._numbers.clear()
        self._candidates.clear()
