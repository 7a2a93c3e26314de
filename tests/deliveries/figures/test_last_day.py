"""The figures of the last 24 hours by subscription, and the chart that is made of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.figures import grouped_counts
from deliveries.figures.last_day import HOURS, Hours, last_day_of
from deliveries.pages.sparkline import HEIGHT, sparkline
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.factories import make_project, make_subscription


@pytest.mark.django_db
def test_deliveries_are_counted_by_subscription_and_hour() -> None:
    now = timezone.now()
    prepare_days(now - timedelta(days=2))
    project = make_project()
    busy, quiet = (make_subscription(project=project) for _ in range(2))
    add_delivery(busy, now)
    add_delivery(busy, now - timedelta(hours=3))
    add_delivery(busy, now - timedelta(hours=3), status="failed")
    for status in ("pending", "sending", "cancelled"):
        add_delivery(quiet, now, status=status)
    add_delivery(quiet, now, is_test=True)
    add_delivery(quiet, now - timedelta(hours=25))
    add_delivery(make_subscription(), now)

    day = last_day_of(project)

    assert set(day.by_subscription) == {busy.id}
    assert not day.is_sampled
    hours = day.by_subscription[busy.id]
    assert len(hours.succeeded) == HOURS
    latest = int((now - day.since) / timedelta(hours=1))
    assert latest in (HOURS - 1, HOURS - 2)  # the hour may have ended meanwhile
    assert (hours.succeeded[latest], hours.succeeded[latest - 3]) == (1, 1)
    assert hours.failed[latest - 3] == 1
    assert (sum(hours.succeeded), sum(hours.failed)) == (2, 1)
    assert hours.success_rate == pytest.approx(2 / 3)


@pytest.mark.django_db
def test_of_very_many_deliveries_they_are_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouped_counts, "EXACT_AT_MOST", 3)
    monkeypatch.setattr(grouped_counts, "_SLICE_ROWS", 2)
    now = timezone.now()
    prepare_days(now - timedelta(days=2))
    subscription = make_subscription()
    for _ in range(6):
        add_delivery(subscription, now - timedelta(hours=5))

    day = last_day_of(subscription.project, budget_seconds=30)

    assert day.is_sampled
    assert sum(day.by_subscription[subscription.id].succeeded) == 6


def test_nothing_that_ended_has_no_rate() -> None:
    assert Hours().success_rate is None


def test_successes_stand_on_the_line_and_failures_hang_from_it() -> None:
    chart = sparkline([0, 9, 0, 1], [0, 3, 1000, 0])

    nothing, both, worst, least = chart.bars
    assert (nothing.up, nothing.down) == (0, 0)
    assert both.top + both.up == pytest.approx(chart.line, abs=0.02)
    assert worst.up == 0
    assert worst.down > both.down
    assert least.up > 0
    assert chart.line + worst.down <= HEIGHT
    assert min(bar.top for bar in chart.bars) >= 0
    assert (chart.succeeded, chart.failed) == (10, 1003)
    assert [bar.x for bar in chart.bars] == [0, 5, 10, 15]


def test_a_day_without_deliveries_is_a_line_at_the_bottom() -> None:
    chart = sparkline([0] * 24, [0] * 24)

    assert chart.line == HEIGHT - 1
    assert chart.width == 120
