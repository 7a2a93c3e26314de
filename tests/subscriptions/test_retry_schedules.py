"""Which retry schedules a subscription may carry."""

from __future__ import annotations

import pytest

from subscriptions.refusal import SettingRefused
from subscriptions.retry_schedules import LIMIT_RETRIES, check_retry_schedule

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400


@pytest.mark.parametrize("schedule", [None, [], ()])
def test_nothing_means_no_retries(schedule: object) -> None:
    assert check_retry_schedule(schedule) == ()


def test_the_standard_preset_is_seven_retries_over_more_than_a_day() -> None:
    assert check_retry_schedule("standard") == (
        5 * SECOND,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        10 * HOUR,
    )


def test_a_list_of_seconds_is_kept_in_order() -> None:
    assert check_retry_schedule([7 * DAY, 1, 60]) == (604_800, 1, 60)


def test_at_most_twenty_delays_are_accepted() -> None:
    assert len(check_retry_schedule([1] * LIMIT_RETRIES)) == 20
    with pytest.raises(SettingRefused, match="20"):
        check_retry_schedule([1] * (LIMIT_RETRIES + 1))


@pytest.mark.parametrize(
    "schedule",
    [
        [0],
        [-1],
        [7 * DAY + 1],
        [10**400],
        [1.0],
        [True],
        ["5"],
        [None],
        [[5]],
        [5, float("nan")],
        "",
        "Standard",
        "none",
        5,
        True,
        {"5": 5},
    ],
)
def test_what_is_no_schedule_is_refused(schedule: object) -> None:
    with pytest.raises(SettingRefused):
        check_retry_schedule(schedule)
