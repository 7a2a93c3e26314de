"""One statement for one event: what is remembered of a project is never older than the project.

Another connection changes what this process remembers; it tells nobody, as another process would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.forms import model_to_dict
from django.utils import timezone

from deliveries.models import Delivery, Event, IdempotencyKey
from deliveries.publishing import backlog_limit
from deliveries.publishing.ingest import (
    EventRefused,
    IdempotencyConflict,
    Published,
    publish,
    publish_many,
)
from deliveries.publishing.known_projects import KnownProjects
from deliveries.publishing.new_events import NewEvent
from subscriptions.deactivation import deactivate, reactivate
from subscriptions.models import EventType, Project, Subscription
from tests.at_once import at_once
from tests.factories import make_project, make_subscription

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project() -> Project:
    """A project that this process remembers, with a subscription to tasks."""
    project = make_project()
    make_subscription(project=project, event_types=["Task.*"])
    EventType.objects.create(project=project, name="Task.update")
    send(project)
    Event.objects.all().delete()
    Delivery.objects.all().delete()
    return project


def send(project: Project, **fields: Any) -> Published:
    event = {"event_type": "Task.update", "data": {"id": 1}}
    return publish(project=project, **event | fields)


def only(project: Project) -> Subscription:
    return Subscription.objects.get(project=project)


def test_an_event_of_a_project_that_is_known_costs_one_statement(
    project: Project, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        first = send(project)
    with django_assert_num_queries(1):
        keyed = send(project, idempotency_key="k")
    assert first.matched_count == keyed.matched_count == 1
    assert {row.event_id for row in Delivery.objects.all()} == {first.id, keyed.id}
    assert IdempotencyKey.objects.get().event_id == keyed.id


def test_the_statement_stores_what_a_transaction_stores(project: Project) -> None:
    send(project, idempotency_key="one")
    with transaction.atomic():
        send(project, idempotency_key="two")
    events, deliveries = (
        [
            {
                field: value
                for field, value in model_to_dict(row).items()
                if field not in {"id", "event", "created_at", "next_attempt_at", "idempotency_key"}
            }
            for row in model.objects.order_by("id")
        ]
        for model in (Event, Delivery)
    )
    assert events[0] == events[1]
    assert deliveries[0] == deliveries[1]
    for delivery in Delivery.objects.select_related("event"):
        assert delivery.next_attempt_at is not None
        assert delivery.created_at == delivery.event.created_at
        assert abs(delivery.next_attempt_at - delivery.created_at).total_seconds() < 60


CHANGES: dict[str, tuple[Callable[[Project], Any], int]] = {
    "one more": (lambda project: make_subscription(project=project), 2),
    "other filters": (
        lambda project: Subscription.objects.filter(project=project).update(event_types=["a.b"]),
        0,
    ),
    "off": (lambda project: deactivate(only(project)), 0),
    "off and on": (lambda project: deactivate(only(project)) and reactivate(only(project)), 1),
    "deleted": (
        lambda project: Subscription.objects.filter(project=project).update(
            is_active=False, deactivated_at=timezone.now(), deleted_at=timezone.now()
        ),
        0,
    ),
}


@pytest.mark.parametrize(("change", "matched"), CHANGES.values(), ids=CHANGES.keys())
def test_an_event_after_a_change_on_another_connection_goes_by_it(
    project: Project, change: Callable[[Project], Any], matched: int
) -> None:
    at_once(lambda: change(project))
    assert send(project).matched_count == matched
    assert send(project).matched_count == Delivery.objects.count() - matched == matched


def test_a_change_between_reading_and_storing_is_noticed(project: Project) -> None:
    def change_first(execute: Any, sql: str, *rest: Any) -> Any:
        if "unchanged" in sql:
            at_once(lambda: make_subscription(project=project))
        return execute(sql, *rest)

    with connection.execute_wrapper(change_first):
        published = send(project, idempotency_key="k")
    assert published.matched_count == Delivery.objects.count() == 2
    assert not published.is_repeat
    assert Event.objects.get().matched_count == 2


CATALOGUE_CHANGES: dict[str, tuple[Callable[[Project], Any], str]] = {
    "archived": (
        lambda project: EventType.objects.filter(project=project).update(is_archived=True),
        "archived",
    ),
    "a schema": (
        lambda project: EventType.objects.filter(project=project).update(
            schema='{"type": "string"}', updated_at=timezone.now()
        ),
        "schema",
    ),
    "phrase needs objects": (
        lambda project: make_subscription(project=project, wire_format="phrase"),
        "not_an_object",
    ),
}


@pytest.mark.parametrize(
    ("change", "code"), CATALOGUE_CHANGES.values(), ids=CATALOGUE_CHANGES.keys()
)
def test_what_another_connection_no_longer_takes_is_refused_at_once(
    project: Project, change: Callable[[Project], Any], code: str
) -> None:
    send(project, data=[1])
    at_once(lambda: change(project))
    with pytest.raises(EventRefused) as refusal:
        send(project, data=[1])
    assert refusal.value.code == code
    assert Event.objects.count() == 1


def test_in_a_transaction_its_own_changes_count_and_all_is_rolled_back_with_it(
    project: Project,
) -> None:
    with transaction.atomic():
        make_subscription(project=project)
        assert send(project).matched_count == 2
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()
    assert send(project).matched_count == 1


def test_a_key_that_is_known_is_answered_with_its_event(project: Project) -> None:
    first = send(project, idempotency_key="k")
    again = send(project, idempotency_key="k")
    assert (again.id, again.is_repeat) == (first.id, True)
    with pytest.raises(IdempotencyConflict):
        send(project, data={"id": 2}, idempotency_key="k")
    assert Event.objects.count() == Delivery.objects.count() == 1


def test_twenty_at_once_with_one_key_make_one_event(project: Project) -> None:
    results = at_once(*[lambda: send(project, idempotency_key="k")] * 20)
    assert len({result.id for result in results}) == 1
    assert [result.is_repeat for result in results].count(False) == 1
    assert Event.objects.count() == Delivery.objects.count() == 1


def test_a_full_backlog_refuses_and_what_was_not_stored_takes_no_room(
    project: Project, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_limit, "figures", backlog_limit.BacklogFigures())
    settings.DISPATCHER_UNFINISHED_LIMIT = 2
    send(project, idempotency_key="k")
    for _ in range(3):
        send(project, idempotency_key="k")  # repeats store nothing
    send(project)
    with pytest.raises(backlog_limit.BacklogFull):
        send(project)
    assert Delivery.objects.count() == 2


def test_many_at_once_agree_with_one_by_one(project: Project) -> None:
    many = publish_many(project=project, events=[NewEvent("Task.update", n) for n in range(3)])
    assert [one.matched_count for one in many] == [1, 1, 1]
    assert {identifier for one in many for identifier in one.delivery_ids} == set(
        Delivery.objects.values_list("id", flat=True)
    )


def test_a_project_that_is_gone_takes_no_event_by_memory(project: Project) -> None:
    at_once(lambda: Project.objects.filter(pk=project.pk).delete())
    assert send(project).matched_count == 0
    assert not Delivery.objects.exists()


def test_what_is_not_used_for_longest_makes_place() -> None:
    known = KnownProjects(filters_at_most=6)
    projects = [make_subscription().project for _ in range(3)]  # three each
    first, second, third = projects
    remembered = known.find(first.pk)
    known.find(second.pk)
    assert known.find(first.pk) is remembered
    known.find(third.pk)  # in place of the second
    assert known.find(first.pk) is remembered
