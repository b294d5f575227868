"""What users pass: queries, timeouts, sizes."""

from __future__ import annotations

import math
from typing import Any, cast

from .exceptions import InterfaceError

__all__ = ["check_query", "checked_limit", "checked_size", "checked_timeout"]


def check_query(query: object) -> None:
    """Raise an InterfaceError if it is no query at all."""
    if not isinstance(query, str):
        raise InterfaceError(f"a query is a str, not {type(query).__name__}")


def checked_timeout(name: str, timeout: float | None) -> float | None:
    """Return the seconds of an option, which are more than 0; None is no limit.

    Raises:
        ValueError: it is something else.
    """
    if timeout is None:
        return None
    seconds = _number(timeout)
    if seconds is None or not seconds > 0:
        raise ValueError(f"invalid {name} value: expected greater than 0 float (got {timeout!r})")
    return seconds


def checked_limit(timeout: float) -> float:
    """Return the seconds that a call may take; less than 0 is 0.

    Raises:
        ValueError: it is no number.
    """
    seconds = _number(timeout)
    if seconds is None:
        raise ValueError(f"invalid timeout value: expected non-negative float (got {timeout!r})")
    return max(0.0, seconds)


def checked_size(name: str, size: float) -> Any:
    """Return the number of an option, which is 0 or more.

    Raises:
        ValueError: it is something else.
    """
    number = _number(size)
    if number is None or not number >= 0:
        raise ValueError(f"invalid {name} value: expected a number of 0 or more (got {size!r})")
    return size


def _number(value: object) -> float | None:
    """Return what is a number, and no bool, as a float."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    number = float(cast("float", value))
    return None if math.isnan(number) else number
