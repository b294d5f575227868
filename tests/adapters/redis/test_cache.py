from __future__ import annotations

import pytest

from wirekit.adapters.redis import Cache


def filled(cache: Cache, *keys: str) -> None:
    for key in keys:
        cache.fill(cache.reserve(("GET", key), [key]), key.encode())


def test_a_reply_is_found_again() -> None:
    cache = Cache()
    assert cache.look_up(("GET", "k")) == (False, None)
    place = cache.reserve(("GET", "k"), ["k"])
    assert cache.look_up(("GET", "k")) == (False, None)  # it is under way
    assert cache.fill(place, b"v") == b"v"
    assert cache.look_up(("GET", "k")) == (True, b"v")
    assert (cache.hits, cache.misses, len(cache)) == (1, 2, 1)


def test_an_empty_reply_is_one_too() -> None:
    cache = Cache()
    cache.fill(cache.reserve(("GET", "k"), ["k"]), None)
    assert cache.look_up(("GET", "k")) == (True, None)


@pytest.mark.parametrize("key", ["k", b"k", bytearray(b"k"), memoryview(b"k")])
def test_invalidated(key: object) -> None:
    cache = Cache()
    cache.fill(cache.reserve(("MGET", "other", "k"), ["other", key]), [b"1", b"2"])
    filled(cache, "third")
    cache.invalidate([b"k"])
    assert cache.look_up(("MGET", "other", "k")) == (False, None)
    assert cache.look_up(("GET", "third")) == (True, b"third")
    cache.invalidate(None)
    assert len(cache) == 0


def test_invalidated_while_under_way() -> None:
    cache = Cache()
    place = cache.reserve(("GET", "k"), ["k"])
    cache.invalidate([b"k"])
    assert cache.fill(place, b"old") == b"old"
    assert cache.look_up(("GET", "k")) == (False, None)


def test_reserved_anew_while_under_way() -> None:
    cache = Cache()
    early = cache.reserve(("GET", "k"), ["k"])
    cache.invalidate([b"k"])
    late = cache.reserve(("GET", "k"), ["k"])
    cache.fill(late, b"new")
    cache.fill(early, b"old")
    assert cache.look_up(("GET", "k")) == (True, b"new")
    cache.drop(early)
    assert len(cache) == 1


def test_two_readers_share_a_place() -> None:
    cache = Cache()
    first = cache.reserve(("GET", "k"), ["k"])
    assert cache.reserve(("GET", "k"), ["k"]) is None
    assert cache.fill(None, b"v") == b"v"
    cache.drop(None)
    cache.drop(first)
    assert cache.reserve(("GET", "k"), ["k"]) is not None


def test_writes_of_our_own() -> None:
    cache = Cache()
    filled(cache, "k", "l")
    cache.forget_arguments(("SET", "k", "v"))
    assert cache.look_up(("GET", "k")) == (False, None)
    cache.forget_arguments(("GET", "l"))
    assert cache.look_up(("GET", "l")) == (True, b"l")


@pytest.mark.parametrize("name", ["FLUSHALL", "flushdb", b"FLUSHDB"])
def test_flushed(name: str | bytes) -> None:
    cache = Cache()
    filled(cache, "k")
    cache.forget_arguments((name,))
    assert len(cache) == 0


def test_the_one_not_used_for_longest_goes() -> None:
    cache = Cache(max_entries=2)
    filled(cache, "a", "b")
    cache.look_up(("GET", "a"))
    filled(cache, "c")
    assert cache.look_up(("GET", "b")) == (False, None)
    assert cache.look_up(("GET", "a")) == (True, b"a")
    assert len(cache) == 2


def test_arguments_that_python_finds_equal() -> None:
    cache = Cache()
    cache.fill(cache.reserve(("HGET", "h", 1), ["h"]), b"int")
    assert cache.look_up(("HGET", "h", 1.0)) == (False, None)


def test_arguments_without_a_hash_are_not_cached() -> None:
    cache = Cache()
    command = ("GET", bytearray(b"k"))
    assert cache.look_up(command) == (False, None)
    assert cache.reserve(command, [b"k"]) is None


def test_a_reply_belongs_to_whoever_got_it() -> None:
    cache = Cache()
    got = cache.fill(cache.reserve(("LRANGE", "l", 0, -1), ["l"]), [b"a"])
    assert isinstance(got, list)
    got.append(b"b")
    _, again = cache.look_up(("LRANGE", "l", 0, -1))
    assert again == [b"a"]


def test_room_for_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Cache(max_entries=0)
