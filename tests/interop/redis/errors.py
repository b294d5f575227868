from __future__ import annotations

import traceback
from typing import Any, cast

import redis.exceptions

import wirekit


def assert_typed(error: object) -> None:
    """It is an error of ours, and those who catch redis-py's catch it too."""
    assert isinstance(error, wirekit.Error), repr(error)
    assert isinstance(error, redis.exceptions.RedisError), repr(error)


def everything_in(thing: object) -> bytes:
    """Return all text that can be reached from an error without its traceback's frames."""
    seen: set[int] = set()
    found: list[bytes] = []

    def visit(value: object) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, bytes | bytearray):
            found.append(bytes(value))
        elif isinstance(value, str):
            found.append(value.encode("utf-8", "surrogateescape"))
        elif isinstance(value, dict):
            visit(list(cast("Any", value).items()))
        elif isinstance(value, list | tuple | set | frozenset):
            for item in cast("Any", value):
                visit(item)
        else:
            found.append(repr(value).encode())
            if isinstance(value, BaseException):
                visit([value.args, value.__cause__, value.__context__, str(value)])
                visit("".join(traceback.format_exception(value)))
            visit(getattr(value, "__dict__", {}) if isinstance(value, BaseException) else {})

    visit(thing)
    return b"\n".join(found)
