"""Figures: the median of runs, ratios within a round, and whether a target is met."""

from __future__ import annotations

import pytest

from bench.measurement import Target, at_least, at_most, compared, figure, percentile


def test_a_figure_is_the_median_and_shows_its_spread() -> None:
    row = figure("sending", "deliveries", [5.0, 1.0, 3.0], unit="1/s")
    assert (row.value, row.lowest, row.highest, row.runs) == (3.0, 1.0, 5.0, 3)
    assert (row.ratio, row.target, row.met) == (None, "", None)


def test_a_ratio_is_the_median_of_ratios_within_each_round() -> None:
    row = compared(
        "sending",
        "deliveries",
        [10.0, 1.0, 40.0],  # the second round was slow for both
        unit="1/s",
        yardstick="bare",
        against=[20.0, 2.0, 50.0],
        target=at_least(0.5),
    )
    assert (row.ratio, row.ratio_lowest, row.ratio_highest) == (0.5, 0.5, 0.8)
    assert row.compared_with == "bare: 20 1/s"
    assert row.met is True


def test_the_target_is_held_against_the_ratio_where_there_is_one() -> None:
    row = compared(
        "c", "m", [100.0], unit="1/s", yardstick="y", against=[200.0], target=at_least(1)
    )
    assert row.met is False


@pytest.mark.parametrize(
    ("target", "value", "is_met"),
    [
        (at_least(5_000), 5_000, True),
        (at_least(5_000), 4_999, False),
        (at_most(15), 15, True),
        (at_most(15), 15.1, False),
    ],
)
def test_a_target_is_met_up_to_its_limit(target: object, value: float, is_met: bool) -> None:
    row = figure("c", "m", [value], unit="ms", target=target)  # type: ignore[arg-type]
    assert row.met is is_met
    assert row.target in {"≥ 5,000", "≤ 15"}


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, rank) for rank in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7.0


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_target_may_be_the_values_though_there_is_a_ratio() -> None:
    target = Target("≤", 250, is_of_value=True)
    row = compared("c", "m", [200.0], unit="ms", yardstick="y", against=[1.0], target=target)
    assert (row.ratio, row.met) == (200.0, True)
