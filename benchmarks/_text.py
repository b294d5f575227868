"""Figures as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks._model import Goal

__all__ = ["AT_LEAST", "TIMES", "TO", "figure", "figures", "goal_text", "grouped"]

TIMES = "\N{MULTIPLICATION SIGN}"
TO = "\N{EN DASH}"
GAP = "\N{NARROW NO-BREAK SPACE}"
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"


def grouped(number: int) -> str:
    """Return ``number`` with a narrow gap between its groups of three digits."""
    return f"{number:,}".replace(",", GAP)


def figure(value: float) -> str:
    """Return ``value`` with three significant digits, such as ``3.52 M`` or ``0.412``."""
    return figures(value)[0]


def figures(*values: float) -> list[str]:
    """As `figure`, with the magnitude written once, behind the last value."""
    largest = max(abs(value) for value in values)
    divisor, suffix = 1.0, ""
    if largest >= 999_500:
        divisor, suffix = 1e6, f"{GAP}M"
    elif largest >= 9_995:
        divisor, suffix = 1e3, f"{GAP}k"
    texts = [_three_digits(value / divisor) for value in values]
    return [*texts[:-1], texts[-1] + suffix]


def _three_digits(value: float) -> str:
    for limit, digits in ((99.95, 0), (9.995, 1), (0.9995, 2)):
        if abs(value) >= limit:
            return grouped(round(value)) if digits == 0 else f"{value:.{digits}f}"
    return f"{value:.3f}"


def goal_text(goal: Goal) -> str:
    """Return the goal as a line, the factor before the peer's name."""
    return f"{AT_LEAST} {goal.factor:g} {TIMES} {goal.peer}"
