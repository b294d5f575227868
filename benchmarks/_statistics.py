"""Medians, spreads and paired ratios of a handful of samples."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Spread", "paired_ratios", "spread"]


@dataclass(frozen=True)
class Spread:
    """The five numbers that describe a set of samples."""

    low: float
    first_quartile: float
    median: float
    third_quartile: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Return the five-number summary of ``samples``; quartiles are interpolated between samples.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("no samples")
    if len(samples) == 1:
        first = median = third = samples[0]
    else:
        first, median, third = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(min(samples), first, median, third, max(samples))


def paired_ratios(
    ours: Sequence[float], theirs: Sequence[float], *, lower_is_better: bool = False
) -> list[float]:
    """Return, round by round, how many times better ours is than theirs; above 1 ours is ahead.

    Raises:
        ValueError: the two do not have the same number of rounds.
    """
    pairs = zip(ours, theirs, strict=True)
    if lower_is_better:
        return [their / our for our, their in pairs]
    return [our / their for our, their in pairs]
