"""Client-side caching: replies kept in memory until the server says that their key changed.

Source: https://redis.io/docs/latest/develop/reference/client-side-caching/
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wirekit.protocols.resp import Reply

__all__ = ["CACHEABLE", "Cache"]

# Commands whose reply is a function of the keys they name, for which redis-py names the keys too.
CACHEABLE = frozenset(
    """
    BITCOUNT BITPOS EXISTS GEODIST GEOHASH GEOPOS GEOSEARCH GET GETBIT GETRANGE HEXISTS HGET
    HGETALL HKEYS HLEN HMGET HSTRLEN HVALS JSON.ARRINDEX JSON.ARRLEN JSON.GET JSON.MGET
    JSON.OBJKEYS JSON.OBJLEN JSON.RESP JSON.STRLEN JSON.TYPE LCS LINDEX LLEN LPOS LRANGE
    MGET SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER STRLEN SUBSTR SUNION
    TYPE XLEN XRANGE XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANGE
    ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK
    ZSCORE ZUNION
    """.split()
)

_Command = tuple[Any, ...]


class Place:
    """Where the reply to a command under way will be kept, unless its keys change before."""

    __slots__ = ("command", "filled", "keys", "reply")

    def __init__(self, command: _Command, keys: tuple[bytes, ...]) -> None:
        self.command = command
        self.keys = keys
        self.filled = False
        self.reply: Reply = None


class Cache:
    """Keeps up to ``max_entries`` replies, dropping the one not used for longest.

    A reply is stored only if no invalidation of its keys arrived since its command was sent, so a
    value that was overtaken never stays. Give each client its own.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, not {max_entries}")
        self.max_entries = max_entries
        self.hits = 0
        self.misses = 0
        self._places: OrderedDict[_Command, Place] = OrderedDict()
        self._by_key: dict[bytes, set[Place]] = {}

    def __len__(self) -> int:
        return sum(place.filled for place in self._places.values())

    def look_up(self, command: _Command) -> tuple[bool, Reply]:
        """Return whether the reply to a command is known, and the reply."""
        try:
            place = self._places.get(_identity(command))
        except TypeError:  # an argument that cannot be hashed is not cached
            place = None
        if place is None or not place.filled:
            self.misses += 1
            return False, None
        self.hits += 1
        self._places.move_to_end(place.command)
        return True, _own(place.reply)

    def reserve(self, command: _Command, keys: Iterable[Any]) -> Place | None:
        """Note that the command is about to be sent; None if it cannot be cached."""
        command = _identity(command)
        try:
            if command in self._places:
                return None  # under way for someone else, who will fill it
            place = Place(command, tuple(_key(key) for key in keys))
            self._places[command] = place
        except TypeError:
            return None
        for key in place.keys:
            self._by_key.setdefault(key, set()).add(place)
        while len(self._places) > self.max_entries:
            self.drop(next(iter(self._places.values())))
        return place

    def fill(self, place: Place | None, reply: Reply) -> Reply:
        """Keep the reply if its place still stands; return the reply for the caller."""
        if place is not None and self._places.get(place.command) is place:
            place.reply = reply
            place.filled = True
            return _own(reply)
        return reply

    def drop(self, place: Place | None) -> None:
        """Give up a place."""
        if place is None or self._places.get(place.command) is not place:
            return
        del self._places[place.command]
        for key in place.keys:
            places = self._by_key.get(key)
            if places is not None:
                places.discard(place)
                if not places:
                    del self._by_key[key]

    def invalidate(self, keys: list[bytes] | None) -> None:
        """Forget what depends on these keys, or on any (None: the server flushed its database)."""
        if not isinstance(keys, list) or not {bytes}.issuperset(map(type, keys)):
            self.clear()  # it says something that is not known here: nothing is certain
            return
        for key in keys:
            for place in tuple(self._by_key.get(key, ())):
                self.drop(place)

    def forget_arguments(self, command: _Command) -> None:
        """Forget what depends on any argument of a command of ours that may write.

        The server's own word comes only after the reply, and in between we would read what we
        have just overwritten.
        """
        if command[0] in CACHEABLE:
            return
        for argument in command[1:]:
            if isinstance(argument, str | bytes | int | float | bytearray | memoryview):
                key = _key(argument)
                if key in self._by_key:
                    self.invalidate([key])
        if _key(command[0]).upper() in (b"FLUSHALL", b"FLUSHDB"):
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._places.clear()
        self._by_key.clear()


def _identity(command: _Command) -> _Command:
    # 1, 1.0 and True are equal, but not as arguments.
    return (*command, *map(type, command))


def _key(key: Any) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    if isinstance(key, bytearray | memoryview):
        return bytes(cast("bytearray", key))
    return repr(key).encode()


def _own(reply: Reply) -> Reply:
    """Return a reply that the caller may change."""
    return copy.deepcopy(reply) if isinstance(reply, list | dict | set) else reply
