"""Pruning: old history goes, nothing unfinished disappears without having ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from unittest.mock import Mock
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Event, IdempotencyKey
from deliveries.publishing.ingest import publish
from deliveries.upkeep import partitions, pruning
from deliveries.upkeep.pruning import prune
from subscriptions.ids import first_id_of
from subscriptions.models import Subscription
from tests.at_once import at_once
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO_DAYS = settings.DISPATCHER_RETENTION_DAYS + 5


def make_history(
    subscription: Subscription, moment: datetime, *, status: str = "succeeded"
) -> UUID:
    """Store an event, its delivery and an attempt as of `moment`; return the delivery's id."""
    partitions.make_partitions(first_day=moment.date())
    identifier = first_id_of(moment)
    is_unfinished = status in ("pending", "sending")
    Event.objects.create(
        id=identifier,
        project=subscription.project,
        type="a.b",
        data="{}",
        matched_count=1,
        created_at=moment,
    )
    Delivery.objects.create(
        id=identifier,
        project=subscription.project,
        subscription=subscription,
        event_id=identifier,
        event_type="a.b",
        status=status,
        next_attempt_at=timezone.now() + timedelta(hours=9) if is_unfinished else None,
        created_at=moment,
    )
    Attempt.objects.create(
        id=identifier,
        delivery_id=identifier,
        number=1,
        started_at=moment,
        outcome="succeeded",
        wire_format="standard",
        request_url=subscription.url,
        response_headers=b"",
        response_body=b"",
    )
    return identifier


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def test_history_older_than_the_retention_goes_and_the_rest_stays() -> None:
    subscription = make_subscription()
    make_history(subscription, days_ago(LONG_AGO_DAYS))
    kept = make_history(subscription, days_ago(settings.DISPATCHER_RETENTION_DAYS - 2))
    prune()
    for model in (Event, Delivery, Attempt):
        assert [row.pk for row in model.objects.all()] == [kept]


@pytest.mark.sqlite  # there one writes at a time
def test_others_write_between_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = make_subscription()
    for number in range(5):
        make_history(subscription, days_ago(LONG_AGO_DAYS) + timedelta(seconds=number))
    pauses: list[float] = []

    def publish_meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        at_once(lambda: publish(project=subscription.project, event_type="a.b", data={}))

    monkeypatch.setattr(pruning, "_BATCH", 2)
    monkeypatch.setattr(pruning, "time", Mock(sleep=publish_meanwhile))

    assert prune().rows == 15

    assert len(pauses) == 6, "two full batches of each table"
    assert min(pauses) >= 0.1, "a writer that SQLite keeps waiting looks every tenth of a second"
    assert Event.objects.count() == 6


def test_what_is_unfinished_ends_as_failed_before_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[tuple[str, str]] = []
    old = make_history(make_subscription(), days_ago(LONG_AGO_DAYS), status="pending")

    def look(*_: object, **__: object) -> int:
        ended.extend(Delivery.objects.filter(id=old).values_list("status", "end_reason"))
        return 0

    first_removal = "drop" if partitions.is_partitioned() else None
    if first_removal:
        monkeypatch.setattr("deliveries.upkeep.partitions.drop", look)
    else:
        monkeypatch.setattr("deliveries.upkeep.pruning._delete_in_batches", look)
    assert prune().expired_deliveries == 1
    assert ended[-1] == ("failed", "expired")


def test_what_a_recovery_made_of_an_event_ends_when_the_event_goes() -> None:
    subscription = make_subscription()
    old = make_history(subscription, days_ago(LONG_AGO_DAYS))
    recovered = Delivery.objects.create(
        project=subscription.project,
        subscription=subscription,
        event_id=old,
        event_type="a.b",
        next_attempt_at=timezone.now() + timedelta(hours=9),
    )

    assert prune().expired_deliveries == 1

    recovered.refresh_from_db()
    assert (recovered.status, recovered.end_reason) == ("failed", "event_gone")
    assert recovered.next_attempt_at is None


def test_pruning_again_finds_nothing_to_do() -> None:
    make_history(make_subscription(), days_ago(LONG_AGO_DAYS))
    prune()
    again = prune()
    assert (again.expired_deliveries, again.partitions, again.rows) == (0, 0, 0)


def test_old_idempotency_keys_go_too() -> None:
    project = make_subscription().project
    publish(project=project, event_type="a.b", data=1, idempotency_key="old")
    publish(project=project, event_type="a.b", data=2, idempotency_key="new")
    IdempotencyKey.objects.filter(key="old").update(created_at=days_ago(LONG_AGO_DAYS))
    prune()
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


def test_the_time_is_the_settings(settings: pytest.FixtureRequest) -> None:
    kept = make_history(make_subscription(), days_ago(5))
    prune()
    assert Event.objects.filter(id=kept).exists()
    settings.DISPATCHER_RETENTION_DAYS = 3  # type: ignore[attr-defined]  # pytest-django's fixture
    prune()
    assert not Event.objects.exists()


@pytest.mark.postgres
def test_a_day_is_dropped_whole_and_a_detachment_that_was_interrupted_is_finished() -> None:
    make_history(make_subscription(), days_ago(LONG_AGO_DAYS))
    first_kept = days_ago(LONG_AGO_DAYS - 1).date()
    old = {row for row in partitions.existing_partitions() if row.day < first_kept}
    assert old
    with connection.cursor() as cursor:  # as a crash between detaching and dropping leaves it
        partition = max(old)
        cursor.execute(f"ALTER TABLE {partition.table} DETACH PARTITION {partition.name}")
    prune()
    assert not old & set(partitions.existing_partitions())
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [partition.name])
        assert cursor.fetchone() == (None,)


@pytest.mark.postgres
def test_partitions_are_made_two_weeks_ahead_and_only_once() -> None:
    partitions.make_partitions()
    assert partitions.days_covered_ahead() >= partitions.DAYS_AHEAD
    assert partitions.make_partitions() == 0
