from __future__ import annotations

import math
from typing import Any

import pytest

from wirekit.adapters.redis._blocking import blocking


@pytest.mark.parametrize(
    ("command", "seconds", "sliceable", "index"),
    [
        (["BLPOP", "a", "b", 2], 2.0, True, 3),
        ([b"blpop", b"a", b"0"], math.inf, True, 2),
        (["BRPOP", "a", 0.5], 0.5, True, 2),
        (["BLMOVE", "a", "b", "LEFT", "RIGHT", 3], 3.0, True, 5),
        (["BRPOPLPUSH", "a", "b", "3"], 3.0, True, 3),
        (["BLMPOP", 1.5, 1, "a", "LEFT"], 1.5, True, 1),
        (["BZMPOP", 0, 1, "a", "MIN"], math.inf, True, 1),
        (["BZPOPMIN", "a", 1], 1.0, True, 2),
        (["XREAD", "BLOCK", 500, "STREAMS", "x", "0"], 0.5, True, 2),
        (["XREAD", "COUNT", 1, "block", b"0", "STREAMS", "x", "$"], math.inf, False, 4),
        (["XREADGROUP", "GROUP", "g", "c", "BLOCK", 9, "STREAMS", "x", ">"], 0.009, True, 5),
        # Names that look like options.
        (
            ["XREADGROUP", "GROUP", "streams", "c", "BLOCK", 0, "STREAMS", "x", ">"],
            math.inf,
            True,
            5,
        ),
        (["BLPOP", "a", "not a number"], 0.0, True, 2),
    ],
)
def test_how_commands_wait(command: list[Any], seconds: float, sliceable: bool, index: int) -> None:
    how = blocking(command)
    assert how is not None
    assert how.seconds(command) == seconds
    assert how.sliceable == sliceable
    assert how.index == index


@pytest.mark.parametrize(
    "command",
    [
        ["GET", "a"],
        ["BLPOP"],
        ["XREAD", "STREAMS", "x", "0"],
        ["XREAD", "STREAMS", "BLOCK", "0"],
        ["XREAD", "BLOCK"],
        ["XREADGROUP", "GROUP", "BLOCK", "5", "STREAMS", "x", ">"],
    ],
)
def test_what_does_not_wait(command: list[Any]) -> None:
    assert blocking(command) is None


@pytest.mark.parametrize(
    ("command", "limited"),
    [
        (["BLPOP", "a", "0"], ("BLPOP", "a", 0.25)),
        (["BLMPOP", 9, 1, "a", "LEFT"], ("BLMPOP", 0.25, 1, "a", "LEFT")),
        (["XREAD", "BLOCK", 0, "STREAMS", "x", "0"], ("XREAD", "BLOCK", 250, "STREAMS", "x", "0")),
    ],
)
def test_another_limit(command: list[Any], limited: tuple[Any, ...]) -> None:
    how = blocking(command)
    assert how is not None
    assert how.limited(command, 0.25) == limited


def test_a_limit_never_becomes_the_spelling_of_for_ever() -> None:
    command: list[Any] = ["XREAD", "BLOCK", 10, "STREAMS", "x", "0"]
    how = blocking(command)
    assert how is not None
    assert how.limited(command, 0.0001)[2] == 1


def test_patience() -> None:
    how = blocking(["BLPOP", "a", 2])
    assert how is not None
    assert how.patience(["BLPOP", "a", 2], 30) == 32
    assert how.patience(["BLPOP", "a", 0], 30) is None
    assert how.patience(["BLPOP", "a", 2], None) is None


@pytest.mark.parametrize(
    ("command", "reply", "back"),
    [
        (["BLPOP", "a", 0], [b"a", b"1"], ["LPUSH", b"a", b"1"]),
        (["BRPOP", "a", 0], [b"a", b"1"], ["RPUSH", b"a", b"1"]),
        (
            ["BLMPOP", 0, 2, "z", "a", "LEFT"],
            [b"a", [b"1", b"2"]],
            ["LPUSH", b"a", b"2", b"1"],
        ),
        (["BLMPOP", 0, 1, "a", "right"], [b"a", [b"3", b"2"]], ["RPUSH", b"a", b"2", b"3"]),
        (["BZPOPMIN", "z", 0], [b"z", b"m", 1.5], ["ZADD", b"z", "NX", 1.5, b"m"]),
        (
            ["BZMPOP", 0, 1, "z", "MIN"],
            [b"z", [[b"m", 1.0], [b"n", 2.0]]],
            ["ZADD", b"z", "NX", 1.0, b"m", 2.0, b"n"],
        ),
        (
            ["BZMPOP", 0, 1, "z", "MIN"],
            [b"z", [b"m", b"1", b"n", b"2"]],
            ["ZADD", b"z", "NX", b"1", b"m", b"2", b"n"],
        ),
        (["BLMOVE", "a", "b", "LEFT", "LEFT", 0], b"1", None),
        (["XREAD", "BLOCK", 0, "STREAMS", "x", "0"], {b"x": []}, None),
    ],
)
def test_what_puts_back(command: list[Any], reply: Any, back: list[Any] | None) -> None:
    how = blocking(command)
    assert how is not None
    assert how.restore(command, reply) == back
