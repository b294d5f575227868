from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from wirekit.adapters.postgres import InterfaceError
from wirekit.adapters.postgres._arguments import (
    check_query,
    checked_limit,
    checked_size,
    checked_timeout,
)

NO_NUMBERS: list[Any] = [True, False, "1", b"1", None, [], object()]


def test_queries() -> None:
    check_query("")
    for query in (None, 1, b"SELECT 1", ["SELECT 1"]):
        with pytest.raises(InterfaceError, match=f"not {type(query).__name__}"):
            check_query(query)


def test_timeouts() -> None:
    assert checked_timeout("command_timeout", None) is None
    assert checked_timeout("command_timeout", 1) == 1.0
    assert checked_timeout("command_timeout", math.inf) == math.inf
    for value in (0, -1, math.nan, *[other for other in NO_NUMBERS if other is not None]):
        with pytest.raises(ValueError, match="command_timeout"):
            checked_timeout("command_timeout", value)


def test_limits_of_calls() -> None:
    numeric: Any = Decimal("0.5")
    assert [checked_limit(value) for value in (2, 0, -1, numeric)] == [2.0, 0.0, 0.0, 0.5]
    for value in (math.nan, *NO_NUMBERS):
        with pytest.raises(ValueError, match="timeout"):
            checked_limit(value)


def test_sizes() -> None:
    assert [checked_size("size", value) for value in (0, 1, 2.5)] == [0, 1, 2.5]
    for value in (-1, math.nan, *NO_NUMBERS):
        with pytest.raises(ValueError, match="size"):
            checked_size("size", value)
