"""Ids tell their time, and may be shifted along it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from subscriptions.ids import first_id_of, new_id, shifted, time_of

FIRST, LAST = UUID(int=0), UUID(int=(1 << 128) - 1)
MOMENT = datetime(2026, 11, 30, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize("by", [timedelta(days=3), timedelta(days=-3), timedelta()])
def test_a_shifted_id_is_of_another_time_and_otherwise_the_same(by: timedelta) -> None:
    assert shifted(first_id_of(MOMENT), by) == first_id_of(MOMENT + by)
    identifier = new_id()
    assert time_of(shifted(identifier, by)) == time_of(identifier) + by
    assert shifted(shifted(identifier, by), -by) == identifier


@pytest.mark.parametrize(
    ("identifier", "by", "expected"),
    [
        (FIRST, timedelta(days=-1), FIRST),
        (first_id_of(MOMENT), timedelta(days=-100_000), FIRST),
        (LAST, timedelta(days=1), LAST),
    ],
)
def test_there_is_nothing_before_the_first_id_and_after_the_last(
    identifier: UUID, by: timedelta, expected: UUID
) -> None:
    assert shifted(identifier, by) == expected
