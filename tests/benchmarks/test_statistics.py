from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._statistics import Spread, paired_ratios, spread

POSITIVE = st.floats(min_value=1e-6, max_value=1e9)


def test_spread_of_five_samples() -> None:
    assert spread([5, 1, 4, 2, 3]) == Spread(1, 2, 3, 4, 5)


def test_quartiles_lie_between_samples() -> None:
    assert spread([1, 2, 3, 4]) == Spread(1, 1.75, 2.5, 3.25, 4)


def test_one_sample_is_its_own_spread() -> None:
    assert spread([7]) == Spread(7, 7, 7, 7, 7)


def test_no_samples_have_no_spread() -> None:
    with pytest.raises(ValueError, match="no samples"):
        spread([])


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_the_five_numbers_are_in_order(samples: list[float]) -> None:
    found = spread(samples)
    tolerance = 1e-9 * found.high
    numbers = [
        found.low,
        found.first_quartile,
        found.median,
        found.third_quartile,
        found.high,
    ]
    assert all(left <= right + tolerance for left, right in itertools.pairwise(numbers))


def test_ratios_are_taken_round_by_round() -> None:
    assert paired_ratios([10, 40], [5, 10]) == [2, 4]


def test_where_less_is_better_a_ratio_above_one_still_means_ahead() -> None:
    assert paired_ratios([1, 2], [4, 1], lower_is_better=True) == [4, 0.5]


def test_ratios_need_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_ratios([1, 2], [1])
