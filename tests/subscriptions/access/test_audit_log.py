"""The audit log as the database keeps it: nothing changes or removes an entry before its time."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from subscriptions.access.acting import (
    SYSTEM,
    Actor,
    Origin,
    acting_as,
    acting_from,
    current_origin,
)
from subscriptions.access.audit_log import Action, Target, prune, record, record_change, target_of
from subscriptions.models import AuditEntry, AuditPruning
from subscriptions.subscription_changes import create_subscription
from tests.factories import make_project

pytestmark = pytest.mark.django_db

TARGET = Target("installation", "test", None)


def entry() -> AuditEntry:
    record(Action.PROJECT_CHANGED, TARGET, before={"name": "a"}, after={"name": "b"})
    return AuditEntry.objects.latest("id")


def test_an_entry_cannot_be_changed() -> None:
    row = entry()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(actor_label="somebody else")
    row.action = "project.created"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        row.save()
    assert AuditEntry.objects.get().action == "project.changed"


def test_an_entry_cannot_be_deleted() -> None:
    row = entry()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        row.delete()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.all()._raw_delete(connection.alias)
    assert AuditEntry.objects.count() == 1


@pytest.mark.postgres
def test_the_table_cannot_be_truncated() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE subscriptions_auditentry")  # empty: nothing is lost
        entry()
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute("TRUNCATE subscriptions_auditentry")


@pytest.mark.sqlite
def test_an_entry_cannot_be_replaced() -> None:
    entry()
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "REPLACE INTO subscriptions_auditentry SELECT * FROM subscriptions_auditentry"
        )


def test_pruning_drops_what_is_older_than_its_retention_time_and_nothing_else(
    settings: Any,
) -> None:
    settings.DISPATCHER_AUDIT_RETENTION_DAYS = 365
    entry()
    assert prune() == 0
    assert prune(now=timezone.now() + timedelta(days=364)) == 0
    assert AuditEntry.objects.count() == 1
    assert prune(now=timezone.now() + timedelta(days=366)) == 1
    assert not AuditEntry.objects.exists()
    assert not AuditPruning.objects.exists()


def test_a_permit_lets_go_only_what_is_older() -> None:
    row = entry()
    AuditPruning.objects.create(before=row.at - timedelta(seconds=1))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.all()._raw_delete(connection.alias)
    assert AuditEntry.objects.count() == 1


def test_entries_take_the_database_s_time_and_are_gone_with_what_was_rolled_back() -> None:
    row = entry()
    assert AuditEntry.objects.filter(at__lte=Now(), at__gt=Now() - timedelta(minutes=1)).exists()
    project = make_project()
    with transaction.atomic():
        create_subscription(project, {"url": "http://a.example/", "event_types": ["*"]})
        assert AuditEntry.objects.count() == 2
        transaction.set_rollback(True)
    assert AuditEntry.objects.get() == row


def test_only_what_differs_is_kept_and_nothing_where_nothing_does() -> None:
    changed = Action.PROJECT_CHANGED
    record_change(changed, TARGET, before={"a": 1, "b": 2}, after={"a": 1, "b": 2})
    assert not AuditEntry.objects.exists()
    record_change(changed, TARGET, before={"a": 1, "b": 2}, after={"a": 1, "b": 3})
    row = AuditEntry.objects.get()
    assert (row.before, row.after) == ({"b": 2}, {"b": 3})


def test_who_acts_is_whoever_the_border_named_and_the_system_elsewhere() -> None:
    project = make_project()
    alice = Actor("user", "7", "alice")
    with acting_from(Origin(lambda: SYSTEM, address="192.0.2.1", request_id="r1")):
        with acting_as(lambda: alice):
            record(Action.PROJECT_CHANGED, target_of(project))
        record(Action.PROJECT_CHANGED, target_of(project))
    record(Action.PROJECT_CHANGED, target_of(project))

    rows = AuditEntry.objects.order_by("id")
    assert [(row.actor_kind, row.actor_id, row.actor_label) for row in rows] == [
        ("user", "7", "alice"),
        ("system", "", "system"),
        ("system", "", "system"),
    ]
    assert [(row.address, row.request_id) for row in rows] == [
        ("192.0.2.1", "r1"),
        ("192.0.2.1", "r1"),
        (None, ""),
    ]


def test_another_thread_acts_for_nobody_but_the_system() -> None:
    seen: list[str] = []
    with acting_as(lambda: Actor("user", "7", "alice")):
        thread = threading.Thread(target=lambda: seen.append(current_origin().who().kind))
        thread.start()
        thread.join()
    assert seen == ["system"]
