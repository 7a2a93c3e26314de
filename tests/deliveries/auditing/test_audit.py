"""The audit: what is missing, doubled or without its event is found and named; nothing else is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from deliveries.auditing import audit as audit_module
from deliveries.auditing.audit import Audit, Tally, audit, first_judged_day
from deliveries.lifecycle.redelivery import redeliver
from deliveries.models import Delivery, Event
from deliveries.publishing.ingest import NewEvent, publish_many, publish_test
from deliveries.upkeep import partitions
from subscriptions.ids import first_id_of, new_id
from subscriptions.models import Project, Subscription
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

Status = Delivery.Status


@pytest.fixture
def project() -> Project:
    project = make_project(slug="acme")
    for _ in range(3):
        make_subscription(project=project)
    return project


@pytest.fixture(params=["everything", "one project"])
def scope(request: pytest.FixtureRequest, project: Project) -> Project | None:
    """Both ways to read must find the same."""
    return project if request.param == "one project" else None


def publish_some(project: Project, count: int) -> list[UUID]:
    events = [NewEvent("a.b", {"n": number}) for number in range(count)]
    return [published.id for published in publish_many(project=project, events=events)]


def delivery_of(event_id: UUID, number: int = 0) -> Delivery:
    return Delivery.objects.filter(event_id=event_id).order_by("id")[number]


def set_status(delivery: Delivery, status: str) -> None:
    is_unfinished = status in (Status.PENDING, Status.SENDING)
    due_at = timezone.now() if is_unfinished else None
    Delivery.objects.filter(id=delivery.id).update(status=status, next_attempt_at=due_at)


def make_event(subscription: Subscription, moment: datetime, *, matched: int = 1) -> Event:
    """Store an event of `moment` with one delivery, made a millisecond later."""
    partitions.make_partitions(first_day=moment.date())
    event = Event.objects.create(
        id=first_id_of(moment),
        project=subscription.project,
        type="a.b",
        data="{}",
        matched_count=matched,
        created_at=moment,
    )
    make_delivery(subscription, event.id, moment + timedelta(milliseconds=1))
    return event


def make_delivery(subscription: Subscription, event_id: UUID, moment: datetime) -> Delivery:
    return Delivery.objects.create(
        id=UUID(int=first_id_of(moment).int | new_id().int & (1 << 62) - 1),
        project=subscription.project,
        subscription=subscription,
        event_id=event_id,
        event_type="a.b",
        status=Status.SUCCEEDED,
        created_at=moment,
    )


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def only_tally(found: Audit) -> Tally:
    (tally,) = found.tallies.values()
    return tally


# ---- What adds up ---------------------------------------------------------------------------


def test_deliveries_in_whatever_state_add_up(project: Project, scope: Project | None) -> None:
    events = publish_some(project, 2)
    for number, status in enumerate([Status.SUCCEEDED, Status.FAILED, Status.CANCELLED]):
        set_status(delivery_of(events[0], number), status)
    set_status(delivery_of(events[1]), Status.SENDING)

    found = audit(project=scope)

    assert found.is_balanced
    assert found.is_complete
    assert only_tally(found) == Tally(
        events=2, matched=6, succeeded=1, failed=1, cancelled=1, pending=2, sending=1
    )
    assert [*found.tallies] == [(project.pk, timezone.now().date())]


def test_tests_redeliveries_and_events_that_nobody_wants_add_up(
    project: Project, scope: Project | None
) -> None:
    (event,) = publish_some(project, 1)
    set_status(delivery_of(event), Status.FAILED)
    redeliver(delivery_of(event))
    publish_test(make_subscription(project=project, event_types=["x.y"]))
    publish_some(make_project(), 1)

    found = audit(project=scope)

    assert found.is_balanced
    assert sum(tally.matched for tally in found.tallies.values()) == 4


def test_a_delivery_that_a_recovery_made_days_later_belongs_to_its_events_day(
    project: Project, scope: Project | None
) -> None:
    subscription = make_subscription(project=project)
    published_at = timezone.now() - timedelta(days=9)
    event = make_event(subscription, published_at, matched=2)
    assert audit(project=scope).unbalanced
    make_delivery(subscription, event.id, timezone.now())

    found = audit(project=scope)

    assert found.is_balanced
    assert found.tallies == {
        (project.pk, published_at.date()): Tally(events=1, matched=2, succeeded=2)
    }


def test_small_steps_count_the_same(
    project: Project, scope: Project | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = publish_some(project, 23)
    delivery_of(events[7]).delete()
    Event.objects.filter(id=events[11]).delete()
    expected = audit(project=scope)
    for name in ("_STEP_EVENTS", "_STEP_EVENTS_OF_PROJECT", "_PAGE_DELIVERIES"):
        monkeypatch.setattr(audit_module, name, 2)
    monkeypatch.setattr(audit_module, "_STEP_DELIVERIES", 2)  # less than one event has

    found = audit(project=scope)

    assert found.tallies == expected.tallies
    assert [row.event_id for row in found.unbalanced] == [events[7]]
    assert {row.event_id for row in found.strays} == {events[11]}
    assert len(found.strays) == 3


# ---- What does not --------------------------------------------------------------------------


def test_a_delivery_row_that_was_deleted_is_found(project: Project, scope: Project | None) -> None:
    events = publish_some(project, 3)
    delivery_of(events[1]).delete()

    found = audit(project=scope)

    assert not found.is_balanced
    assert only_tally(found) == Tally(events=3, matched=9, pending=8, unbalanced=1)
    assert only_tally(found).difference == 1
    (row,) = found.unbalanced
    assert (row.event_id, row.matched, row.counted) == (events[1], 3, 2)


def test_one_too_many_does_not_make_up_for_one_too_few(
    project: Project, scope: Project | None
) -> None:
    events = publish_some(project, 2)
    Delivery.objects.filter(id=delivery_of(events[0]).id).update(event_id=events[1])

    found = audit(project=scope)

    assert not found.is_balanced
    assert only_tally(found).difference == 0
    assert [(row.event_id, row.counted) for row in found.unbalanced] == [
        (events[1], 4),
        (events[0], 2),
    ]


def test_deliveries_whose_event_is_gone_are_found(project: Project, scope: Project | None) -> None:
    events = publish_some(project, 2)
    lost = [delivery_of(events[0], number).id for number in range(3)]
    Event.objects.filter(id=events[0]).delete()

    found = audit(project=scope)

    assert not found.is_balanced
    assert only_tally(found) == Tally(events=1, matched=3, pending=6, strays=3)
    assert not found.unbalanced
    assert sorted(row.delivery_id for row in found.strays) == lost


def test_a_delivery_in_another_project_than_its_event_is_found(
    project: Project, scope: Project | None
) -> None:
    other = make_subscription()
    (event,) = publish_some(other.project, 1)
    Delivery.objects.filter(event_id=event).update(project=project)

    found = audit(project=scope)

    assert [(row.project_id, row.event_id) for row in found.strays] == [(project.pk, event)]
    assert [row.event_id for row in found.unbalanced] == ([event] if scope is None else [])


def test_only_the_first_are_named_but_all_are_counted(
    project: Project, scope: Project | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "NAMED_LIMIT", 3)
    events = publish_some(project, 4)
    Delivery.objects.filter(event_id__in=events).delete()

    found = audit(project=scope)

    assert len(found.unbalanced) == 3
    assert found.is_truncated
    assert only_tally(found).unbalanced == 4
    Event.objects.filter(id=events[0]).delete()
    assert not audit(project=scope).is_truncated


def test_what_waits_too_long_is_a_note(project: Project, scope: Project | None) -> None:
    (event,) = publish_some(project, 1)
    stuck = Delivery.objects.filter(id=delivery_of(event).id)
    stuck.update(next_attempt_at=timezone.now() - audit_module.OVERDUE_AFTER * 2)

    found = audit(project=scope)

    assert only_tally(found).overdue == 1
    assert found.is_balanced


# ---- Which days -----------------------------------------------------------------------------


def test_days_that_pruning_may_touch_are_not_judged(
    project: Project, scope: Project | None
) -> None:
    subscription = make_subscription(project=project)
    first_day = midnight(first_judged_day())
    make_event(subscription, first_day - timedelta(milliseconds=2), matched=2)
    event = make_event(subscription, first_day, matched=2)
    make_delivery(subscription, first_id_of(first_day - timedelta(days=1)), timezone.now())

    found = audit(project=scope)

    assert [row.event_id for row in found.unbalanced] == [event.id]
    assert not found.strays
    assert found.since == first_day.date()


@pytest.mark.parametrize(
    ("now", "first"),
    [
        # What was made before 1 June, 12:00 is gone; all of the 2nd is there.
        (datetime(2026, 7, 1, 12, tzinfo=UTC), date(2026, 6, 2)),
        (datetime(2026, 7, 1, 22, 59, tzinfo=UTC), date(2026, 6, 2)),
        # Pruning reaches the 2nd within the hour.
        (datetime(2026, 7, 1, 23, 0, tzinfo=UTC), date(2026, 6, 3)),
        (datetime(2026, 7, 2, 0, 0, tzinfo=UTC), date(2026, 6, 3)),
    ],
)
def test_the_first_day_judged_is_whole(now: datetime, first: date, settings: Any) -> None:
    settings.DISPATCHER_RETENTION_DAYS = 30
    assert first_judged_day(now) == first


def test_since_leaves_out_older_days(project: Project, scope: Project | None) -> None:
    subscription = make_subscription(project=project)
    today = midnight(timezone.now().date())
    make_event(subscription, today - timedelta(days=2), matched=2)
    event = make_event(subscription, today - timedelta(days=1), matched=2)

    found = audit(project=scope, since=event.created_at.date())

    assert [row.event_id for row in found.unbalanced] == [event.id]
    assert found.is_complete


def test_strays_of_days_that_are_not_judged_take_nobodys_place(
    project: Project, scope: Project | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "NAMED_LIMIT", 1)
    subscription = make_subscription(project=project)
    now = timezone.now()
    for days in (100, 101):
        make_delivery(subscription, first_id_of(now - timedelta(days=days)), now)
    named = make_delivery(subscription, new_id(), timezone.now() + timedelta(milliseconds=1))

    found = audit(project=scope)

    assert [row.delivery_id for row in found.strays] == [named.id]


def test_without_time_no_day_is_judged(project: Project, scope: Project | None) -> None:
    delivery_of(publish_some(project, 1)[0]).delete()

    found = audit(project=scope, budget_seconds=0)

    assert not found.is_complete
    assert found.since > found.until
    assert not found.tallies
    assert not found.unbalanced


def test_a_day_that_time_did_not_suffice_for_is_left_out(
    project: Project, scope: Project | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "_STEP_EVENTS", 1)
    monkeypatch.setattr(audit_module, "_STEP_EVENTS_OF_PROJECT", 1)
    ticks = SimpleNamespace(monotonic=count().__next__)  # a second passes with every step
    monkeypatch.setattr(audit_module, "time", ticks)
    subscription = make_subscription(project=project)
    noon_yesterday = midnight(timezone.now().date()) - timedelta(hours=12)
    for minutes in range(2):
        make_event(subscription, noon_yesterday + timedelta(minutes=minutes), matched=2)

    found = audit(project=scope, budget_seconds=2)

    assert not found.is_complete
    assert found.since == found.until
    assert not found.tallies
    assert not found.unbalanced
    assert len(audit(project=scope, budget_seconds=100).unbalanced) == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_each_statement_is_a_transaction_of_its_own(project: Project) -> None:
    publish_some(project, 3)
    Event.objects.filter(id=publish_some(project, 1)[0]).delete()
    in_transaction = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        in_transaction.append(connection.in_atomic_block or "BEGIN" in sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        audit()
        audit(project=project)
    assert in_transaction
    assert not any(in_transaction)
