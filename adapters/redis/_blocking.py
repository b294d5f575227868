"""Commands that wait on the server, and how nothing they popped gets lost when nobody waits.

Source: https://redis.io/docs/latest/commands/ of each command.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wirekit.protocols.resp import Argument, Reply

__all__ = ["Blocking", "blocking", "replica_wait", "word_of"]


@dataclass(frozen=True, slots=True)
class Blocking:
    """How one command waits.

    Attributes:
        index: where the time limit stands in the command.
        unit: how many of its units make a second.
        sliceable: whether waiting twice for half the time is the same as waiting once.
        restore: from command and reply to the command that puts back what was popped, or None
            where the server keeps it anyway.
    """

    index: int
    unit: int
    sliceable: bool
    restore: Callable[[Sequence[Argument], Any], list[Argument] | None]

    def seconds(self, command: Sequence[Argument]) -> float:
        """Return how long the command may wait; infinity for its spelling, 0.

        A limit that is no number counts as 0 seconds: the server will refuse it.
        """
        limit = command[self.index]
        try:
            number = float(cast("Any", limit))
        except (TypeError, ValueError):
            return 0.0
        return number / self.unit if number else math.inf

    def patience(self, command: Sequence[Argument], limit: float | None) -> float | None:
        """Return how long to wait for the reply where other commands may take ``limit`` seconds."""
        seconds = self.seconds(command)
        return None if limit is None or math.isinf(seconds) else seconds + limit

    def limited(self, command: Sequence[Argument], seconds: float) -> tuple[Argument, ...]:
        """Return the command with another time limit."""
        limit = seconds if self.unit == 1 else max(1, int(seconds * self.unit))
        return (*command[: self.index], limit, *command[self.index + 1 :])


def blocking(command: Sequence[Argument]) -> Blocking | None:
    """Return how the command waits, or None if it does not."""
    name = word_of(command[0])
    if name in ("XREAD", "XREADGROUP"):
        return _stream_read(command)
    found = _COMMANDS.get(name)
    if found is None:
        return None
    index, unit, sliceable, restore = found
    index = index if index > 0 else len(command) + index
    return Blocking(index, unit, sliceable, restore) if 0 < index < len(command) else None


def replica_wait(command: Sequence[Argument]) -> float | None:
    """Return how many seconds a WAIT or WAITAOF may take (infinity for 0), None for all else.

    These ask about the writes of their own connection, so they cannot be sent on another.
    """
    if word_of(command[0]) not in ("WAIT", "WAITAOF") or len(command) < 3:
        return None
    return Blocking(len(command) - 1, 1000, False, _nothing).seconds(command)


def _stream_read(command: Sequence[Argument]) -> Blocking | None:
    words = [word_of(argument) for argument in command]
    position, index = 1, 0
    # Word for word: a group or a consumer may be called BLOCK or STREAMS.
    while position < len(words) and words[position] != "STREAMS":
        if words[position] == "BLOCK":
            index = position + 1
        position += 1 + _STREAM_OPTIONS.get(words[position], 0)
    if not 0 < index < len(words):
        return None
    # "$" means "from now on", and would skip what comes between two slices.
    return Blocking(index, 1000, "$" not in words[position:], _nothing)


def word_of(argument: Argument) -> str:
    """Return an argument as a word in capitals, to compare it."""
    if isinstance(argument, bytes | bytearray | memoryview):
        return bytes(argument).decode("ascii", "replace").upper()
    return str(argument).upper()


def _nothing(command: Sequence[Argument], reply: Reply) -> None:
    return None


def _push_back(push: str) -> Callable[[Sequence[Argument], Any], list[Argument] | None]:
    def restore(command: Sequence[Argument], reply: Any) -> list[Argument] | None:
        key, item = reply
        return [push, key, item]

    return restore


def _push_back_many(command: Sequence[Argument], reply: Any) -> list[Argument] | None:
    # BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]: the first item of the reply
    # stood outermost, so it is pushed last.
    key, items = reply
    where = command[3 + int(cast("Any", command[2]))]
    return ["LPUSH" if word_of(where) == "LEFT" else "RPUSH", key, *reversed(items)]


def _add_back(command: Sequence[Argument], reply: Any) -> list[Argument] | None:
    key, member, score = reply
    return ["ZADD", key, "NX", score, member]


def _add_back_many(command: Sequence[Argument], reply: Any) -> list[Argument] | None:
    key, pairs = reply
    if pairs and not isinstance(pairs[0], list):  # RESP2: one flat array
        pairs = list(zip(pairs[::2], pairs[1::2], strict=True))
    back: list[Argument] = ["ZADD", key, "NX"]
    for member, score in pairs:
        back += [score, member]
    return back


# Options of XREAD and XREADGROUP, and how many arguments each has.
_STREAM_OPTIONS = {"GROUP": 2, "COUNT": 1, "BLOCK": 1, "CLAIM": 1}

# Index of the time limit (negative: from the end), its units a second, sliceable, restore.
_COMMANDS: dict[
    str, tuple[int, int, bool, Callable[[Sequence[Argument], Any], list[Argument] | None]]
] = {
    "BLPOP": (-1, 1, True, _push_back("LPUSH")),
    "BRPOP": (-1, 1, True, _push_back("RPUSH")),
    "BLMPOP": (1, 1, True, _push_back_many),
    "BZPOPMIN": (-1, 1, True, _add_back),
    "BZPOPMAX": (-1, 1, True, _add_back),
    "BZMPOP": (1, 1, True, _add_back_many),
    "BLMOVE": (-1, 1, True, _nothing),
    "BRPOPLPUSH": (-1, 1, True, _nothing),
}
