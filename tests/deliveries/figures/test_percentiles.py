"""Percentiles by the nearest-rank method, with groups that stand for more than was measured."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from deliveries.figures.percentiles import percentiles

RANKS = (0.5, 0.95, 0.99)


def test_of_a_hundred_values_they_are_the_50th_the_95th_and_the_99th() -> None:
    assert percentiles([(list(range(100, 0, -1)), 1.0)], RANKS) == [50, 95, 99]


def test_one_value_is_all_of_them() -> None:
    assert percentiles([([7], 1.0)], RANKS) == [7, 7, 7]


def test_nothing_measured_says_nothing() -> None:
    assert percentiles([([], 5.0)], RANKS) is None
    assert percentiles([], RANKS) is None


def test_a_group_counts_by_what_it_stands_for_not_by_what_was_measured() -> None:
    quiet, busy = [10] * 90, [1000] * 10

    assert percentiles([(quiet, 10.0), (busy, 990.0)], [0.009, 0.5]) == [10, 1000]
    assert percentiles([(quiet, 90.0), (busy, 10.0)], RANKS) == [10, 1000, 1000]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300))
def test_half_lies_below_the_middle(values: list[int]) -> None:
    found = percentiles([(values, 3.0)], [0.5, 1.0])

    assert found == [statistics.median_low(values), max(values)]
