"""Figures of a subscription and a project: exact while there is little, near the truth beyond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from deliveries.figures import attempt_durations, grouped_counts
from deliveries.figures.stats import ErrorSeen, Stats, backlog_of, stats_of
from subscriptions.ids import first_id_of
from subscriptions.models import Project, Subscription
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def midnight() -> datetime:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    prepare_days(midnight - 7 * DAY)
    return midnight


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription()


def of_week(owner: Subscription | Project, midnight: datetime, width: timedelta = DAY) -> Stats:
    return stats_of(owner, since=midnight - 6 * DAY, until=timezone.now(), width=width)


def test_they_count_by_status_and_by_utc_day(
    subscription: Subscription, midnight: datetime
) -> None:
    for status in (
        "succeeded",
        "succeeded",
        "succeeded",
        "failed",
        "cancelled",
        "pending",
        "sending",
    ):
        add_delivery(subscription, midnight - HOUR, status=status)
    add_delivery(subscription, midnight - 2 * DAY)

    found = of_week(subscription, midnight)

    assert not found.is_sampled
    total = found.total
    assert (total.succeeded, total.failed, total.cancelled) == (4, 1, 1)
    assert (total.pending, total.sending, total.success_rate) == (1, 1, 0.8)
    days = {bucket.start: bucket.tally.deliveries for bucket in found.buckets}
    assert len(days) == 7
    assert days[midnight - DAY] == 7
    assert days[midnight - 2 * DAY] == 1
    assert sum(days.values()) == 8


def test_what_lies_at_either_end_is_counted_once(
    subscription: Subscription, midnight: datetime
) -> None:
    for made_at in (midnight - DAY, midnight - timedelta(milliseconds=1), midnight):
        add_delivery(subscription, made_at)

    def count(since: datetime, until: datetime) -> int:
        return stats_of(subscription, since=since, until=until, width=DAY).total.deliveries

    assert count(midnight - DAY, midnight) == 2
    assert count(midnight - 2 * DAY, midnight - DAY) == 0
    assert count(midnight, midnight) == 0
    assert count(midnight + 9 * DAY, midnight + 10 * DAY) == 0


def test_tests_and_others_are_left_out(subscription: Subscription, midnight: datetime) -> None:
    add_delivery(subscription, midnight - HOUR, is_test=True, status="failed", durations_ms=(9,))
    beside = make_subscription(project=subscription.project)
    add_delivery(beside, midnight - HOUR)
    add_delivery(make_subscription(), midnight - HOUR)

    own = of_week(subscription, midnight)
    assert (own.total.deliveries, own.total.attempts, own.errors) == (0, 0, [])
    assert own.total.success_rate is None
    assert own.total.latency is None
    assert of_week(subscription.project, midnight).total.deliveries == 1


def test_attempts_are_counted_and_measured(subscription: Subscription, midnight: datetime) -> None:
    add_delivery(subscription, midnight - HOUR, durations_ms=(5000, 100))
    add_delivery(subscription, midnight - DAY - HOUR, durations_ms=(300,))
    add_delivery(
        subscription, midnight - HOUR, status="failed", outcome="interrupted", durations_ms=(0,)
    )

    found = of_week(subscription, midnight)

    assert found.total.attempts == 4
    latency = found.total.latency
    assert latency
    assert (latency.p50_ms, latency.p99_ms, latency.measured) == (300, 5000, 3)
    by_day = {bucket.start: bucket.tally.latency for bucket in found.buckets}
    yesterday = by_day[midnight - DAY]
    assert yesterday
    assert (yesterday.p50_ms, yesterday.p95_ms) == (100, 5000)
    assert by_day[midnight] is None


def test_errors_come_by_how_deliveries_failed_last(
    subscription: Subscription, midnight: datetime
) -> None:
    for hours in (3, 2):
        add_delivery(
            subscription, midnight - hours * HOUR, status="failed", durations_ms=(1,) * hours
        )
    add_delivery(
        subscription,
        midnight - HOUR,
        status="pending",
        outcome="timeout",
        last_status_code=None,
        durations_ms=(5000,),
    )
    add_delivery(subscription, midnight - HOUR, durations_ms=(5000, 10))  # it came through at last
    add_delivery(subscription, midnight - HOUR, status="cancelled")

    found = of_week(subscription, midnight).errors

    assert found == [
        ErrorSeen(
            "http_error",
            500,
            2,
            "Attempt 2 went wrong.",
            midnight - 2 * HOUR + timedelta(seconds=2),
        ),
        ErrorSeen(
            "timeout", None, 1, "Attempt 1 went wrong.", midnight - HOUR + timedelta(seconds=1)
        ),
    ]


def test_beyond_some_rows_they_are_estimates_near_the_truth(
    subscription: Subscription, midnight: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in range(0, 6 * 24 * 60, 30):
        status = "failed" if minutes % 300 == 0 else "succeeded"
        made_at = midnight - timedelta(minutes=minutes + 1)
        add_delivery(subscription, made_at, status=status, durations_ms=(minutes % 100,))
    monkeypatch.setattr(grouped_counts, "EXACT_AT_MOST", 20)
    monkeypatch.setattr(grouped_counts, "_SLICE_ROWS", 3)
    monkeypatch.setattr(grouped_counts, "_SLICES", 32)
    monkeypatch.setattr(attempt_durations, "ALL_AT_MOST", 20)

    found = of_week(subscription, midnight)

    assert found.is_sampled
    assert found.total.deliveries == pytest.approx(288, abs=2)
    assert found.total.attempts == pytest.approx(288, abs=2)
    assert found.total.success_rate == pytest.approx(0.9, abs=0.05)
    assert all(bucket.tally.deliveries == pytest.approx(48, abs=2) for bucket in found.buckets[:-1])
    assert found.total.latency
    assert found.total.latency.p50_ms == pytest.approx(40, abs=10)


def test_slices_that_hold_all_their_rows_are_exact(
    subscription: Subscription, midnight: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in range(1, 30):
        add_delivery(subscription, midnight - timedelta(minutes=minutes))
    monkeypatch.setattr(grouped_counts, "EXACT_AT_MOST", 20)

    found = of_week(subscription, midnight)

    assert not found.is_sampled
    assert found.total.succeeded == 29


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.parametrize(("seconds", "days_read"), [(14, 7), (4, 4), (0, 0)])
def test_when_time_runs_out_what_was_read_stands_for_the_rest(
    subscription: Subscription,
    midnight: datetime,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    days_read: int,
) -> None:
    for hours in range(7 * 24):
        add_delivery(
            subscription,
            midnight - hours * HOUR - timedelta(minutes=30),
            status="failed",
            outcome="timeout",
        )
    monkeypatch.setattr(grouped_counts, "EXACT_AT_MOST", 20)
    monkeypatch.setattr(grouped_counts, "_SLICES", 28)
    monkeypatch.setattr(grouped_counts, "time", Clock())
    monkeypatch.setattr("deliveries.figures.stats.COUNTING_SECONDS", seconds)

    found = stats_of(subscription, since=midnight - 7 * DAY, until=midnight, width=DAY)

    assert found.is_sampled
    assert len(found.buckets) == days_read
    assert all(bucket.tally.failed == pytest.approx(24, abs=1) for bucket in found.buckets)
    if days_read:
        assert found.total.failed == pytest.approx(7 * 24, abs=5)
        assert [error.count for error in found.errors] == [found.total.failed]


def test_the_backlog_is_what_is_unfinished_and_how_late_it_is(
    subscription: Subscription, midnight: datetime
) -> None:
    project = subscription.project
    assert backlog_of(project).unfinished == 0
    assert backlog_of(project).oldest_overdue_seconds == 0

    add_delivery(subscription, midnight, status="pending", next_attempt_at=timezone.now() - HOUR)
    add_delivery(subscription, midnight, status="pending", next_attempt_at=timezone.now() + HOUR)
    add_delivery(make_subscription(), midnight, status="pending", next_attempt_at=midnight - DAY)

    found = backlog_of(project)
    assert (found.unfinished, found.is_estimated) == (2, False)
    assert found.oldest_overdue_seconds == pytest.approx(3600, abs=60)


@pytest.mark.usefixtures("midnight")
def test_hours_and_minutes_are_buckets_too(subscription: Subscription) -> None:
    made_at = datetime.now(UTC) - timedelta(minutes=61)
    add_delivery(subscription, made_at)

    for width in (HOUR, timedelta(minutes=1)):
        found = stats_of(subscription, since=made_at - HOUR, until=timezone.now(), width=width)
        (bucket,) = [bucket for bucket in found.buckets if bucket.tally.deliveries]
        assert bucket.start <= made_at < bucket.start + width


@pytest.mark.postgres
def test_attempts_are_found_by_their_delivery_where_there_are_no_statistics(
    subscription: Subscription, midnight: datetime
) -> None:
    made = [add_delivery(subscription, midnight - HOUR, durations_ms=(5,)) for _ in range(3)]
    parameters: dict[str, Any] = {
        "deliveries": [delivery.id for delivery in made],
        "floor": first_id_of(midnight - 2 * DAY),
        "ceiling": first_id_of(midnight + DAY),
        "limit": 50,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attempt_durations._PLAN_POSTGRES)
        cursor.execute("EXPLAIN " + attempt_durations._ATTEMPTS_POSTGRES, parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Cond: (delivery_id = delivery.id)" in plan
    assert "Seq Scan" not in plan
    assert "->  Sort" not in plan
