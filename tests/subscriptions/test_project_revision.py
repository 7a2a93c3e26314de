"""A project's revision changes with all that is remembered of it, whoever changes it, and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from deliveries.sending.snapshot import _Row, _Secret
from subscriptions.access.api_keys import make_key, revoke
from subscriptions.models import (
    ApiKey,
    EventType,
    Project,
    ProjectRevision,
    SigningSecret,
    Subscription,
)
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.signing_secrets import add_secret
from tests.at_once import at_once
from tests.factories import make_project, make_subscription

COLUMNS: dict[str, tuple[str, ...]] = import_module(
    "subscriptions.migrations.0009_project_revision"
).COLUMNS

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def revision_of(project: Project) -> int:
    return ProjectRevision.objects.get(project_id=project.pk).number


@pytest.fixture
def project() -> Project:
    project = make_subscription().project
    EventType.objects.create(project=project, name="Task.update")
    make_key(project)
    return project


def by_hand(statement: str) -> Callable[[Project], object]:
    def run(project: Project) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, [project.pk])

    return run


def first(project: Project, model: Any) -> Any:
    return model.objects.filter(project=project)


CHANGES: dict[str, Callable[[Project], object]] = {
    "a subscription is made": lambda project: make_subscription(project=project),
    "filters": lambda project: first(project, Subscription).update(event_types=["a.b"]),
    "a wire format": lambda project: first(project, Subscription).update(wire_format="phrase"),
    "a URL": lambda project: first(project, Subscription).update(url="http://127.0.0.1:9/b"),
    "a retry schedule": lambda project: first(project, Subscription).update(retry_schedule=[60]),
    "custom headers": lambda project: first(project, Subscription).update(
        custom_headers={"X-Tenant": "7"}
    ),
    "a secret": lambda project: add_secret(first(project, Subscription).get(), generate_secret()),
    "a secret's end": lambda project: SigningSecret.objects.filter(
        subscription__project=project
    ).update(expires_at=timezone.now()),
    "a secret is deleted": lambda project: SigningSecret.objects.filter(
        subscription__project=project
    ).delete(),
    "a default secret": lambda project: add_secret(project, generate_secret()),
    "deactivation": lambda project: first(project, Subscription).update(
        is_active=False, deactivated_at=timezone.now()
    ),
    "deletion past the rules": by_hand(
        "UPDATE subscriptions_subscription SET deleted_at = now(), is_active = false,"
        " deactivated_at = now() WHERE project_id = %s"
    ),
    "a type is made": lambda project: EventType.objects.create(project=project, name="a.b"),
    "a type is archived": lambda project: first(project, EventType).update(is_archived=True),
    "a schema": lambda project: first(project, EventType).update(schema="{}"),
    "a type is deleted": lambda project: first(project, EventType).delete(),
    "strictness": lambda project: Project.objects.filter(pk=project.pk).update(
        is_catalogue_strict=True
    ),
    "the slug": lambda project: Project.objects.filter(pk=project.pk).update(slug="other"),
    "a key is revoked": lambda project: revoke(ApiKey.objects.get(project=project)),
    "scopes": lambda project: first(project, ApiKey).update(scopes=["read"]),
    "a key's end": lambda project: first(project, ApiKey).update(
        expires_at=timezone.now() + timedelta(days=1)
    ),
    "a key is deleted": by_hand("DELETE FROM subscriptions_apikey WHERE project_id = %s"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_remembered_changes_the_revision(
    project: Project, change: Callable[[Project], object]
) -> None:
    before, other = revision_of(project), make_project()
    others = revision_of(other)
    change(project)
    assert revision_of(project) > before
    assert revision_of(other) == others


def test_what_is_emptied_leaves_no_revision(project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE subscriptions_apikey")
    assert not ProjectRevision.objects.exists()
    make_key(project)
    assert ProjectRevision.objects.get().project_id == project.pk


def test_a_secret_that_moves_changes_both_projects(project: Project) -> None:
    other = make_subscription()
    before = revision_of(project), revision_of(other.project)
    SigningSecret.objects.filter(subscription__project=project).update(subscription=other)
    assert revision_of(project) > before[0]
    assert revision_of(other.project) > before[1]


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, columns in COLUMNS.items() for column in columns],
)
def test_each_column_that_counts_does_so_by_itself(table: str, column: str) -> None:
    """As the triggers stand in the database: one of a column that nobody changes alone, too."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", [f"{table}_changes"]
        )
        (definition,) = cursor.fetchone()
    assert re.search(rf"old\.{column}\b.* IS DISTINCT FROM .*new\.{column}\b", definition)


def test_what_is_remembered_counts() -> None:
    read = {
        "subscription": {*_Row._fields, "event_types"} - {"id"},
        "signingsecret": {*_Secret._fields, "subscription_id", "project_id"},
    }
    for table, columns in read.items():
        assert columns <= set(COLUMNS[table])


def test_health_and_use_leave_the_revision(project: Project) -> None:
    before = revision_of(project)
    subscription = Subscription.objects.get(project=project)
    subscription.failure_streak, subscription.last_error = 3, "Your server answered 500."
    subscription.save()
    first(project, ApiKey).update(last_used_at=timezone.now())
    Project.objects.filter(pk=project.pk).update(failure_limit=3)
    assert revision_of(project) == before


def test_what_is_rolled_back_leaves_the_revision(project: Project) -> None:
    before = revision_of(project)
    with transaction.atomic():
        make_subscription(project=project)
        transaction.set_rollback(True)
    assert revision_of(project) == before


def test_a_subscription_that_moves_changes_both_projects(project: Project) -> None:
    other = make_project()
    before = revision_of(project), revision_of(other)
    first(project, Subscription).update(project=other)
    assert revision_of(project) > before[0]
    assert revision_of(other) > before[1]


def test_a_project_that_is_deleted_leaves_no_revision(project: Project) -> None:
    project.delete()
    assert not ProjectRevision.objects.filter(project_id=project.pk).exists()


def test_two_transactions_that_change_one_project_do_not_wait_for_each_other(
    project: Project,
) -> None:
    with transaction.atomic():
        make_subscription(project=project)
        at_once(lambda: make_subscription(project=project))  # would wait for ever, were it locked
    assert Subscription.objects.filter(project=project).count() == 3


def test_projects_from_before_the_migration_have_a_revision(project: Project) -> None:
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    try:
        executor.migrate([("subscriptions", "0008_portal")])
        first(project, EventType).update(is_archived=True)  # by no trigger any more
    finally:
        MigrationExecutor(connection).migrate(leaves)
    before = revision_of(project)
    first(project, EventType).update(is_archived=False)
    assert revision_of(project) > before
