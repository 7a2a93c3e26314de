"""Back-pressure: what would pile up beyond a project's limit is refused whole."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.db import connection, transaction
from django.test import override_settings

from deliveries.models import Delivery, Event, IdempotencyKey
from deliveries.publishing import backlog_limit, unfinished_count
from deliveries.publishing.backlog_limit import BacklogFigures, BacklogFull
from deliveries.publishing.ingest import NewEvent, publish, publish_many, publish_test
from deliveries.publishing.unfinished_count import count_unfinished
from subscriptions.models import Project
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription
from tests.outages import dead_redis

pytestmark = pytest.mark.django_db

LIMIT = 6


@pytest.fixture(autouse=True)
def low_limit(settings: LazySettings) -> None:
    settings.DISPATCHER_UNFINISHED_LIMIT = LIMIT


@pytest.fixture
def project() -> Project:
    """A project whose every event makes two deliveries."""
    project = make_project()
    for _ in range(2):
        make_subscription(project=project)
    return project


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another process, which has counted nothing yet."""
    monkeypatch.setattr(backlog_limit, "figures", BacklogFigures())


def publish_one(project: Project, key: str | None = None) -> None:
    publish(project=project, event_type="a.b", data={}, idempotency_key=key)


def fill(project: Project) -> None:
    for _ in range(LIMIT // 2):
        publish_one(project)


def finish_all(project: Project) -> None:
    Delivery.objects.filter(project=project).update(status="succeeded", next_attempt_at=None)


def test_what_would_exceed_the_limit_is_refused_and_nothing_of_it_is_stored(
    project: Project,
) -> None:
    fill(project)
    with pytest.raises(BacklogFull, match="More than 6 deliveries") as refusal:
        publish_one(project, key="refused")
    assert 1 <= refusal.value.retry_after_seconds <= 5
    assert Event.objects.count() == 3
    assert Delivery.objects.count() == LIMIT
    assert not IdempotencyKey.objects.exists()


def test_a_batch_is_refused_as_a_whole(project: Project) -> None:
    with pytest.raises(BacklogFull):
        publish_many(project=project, events=[NewEvent("a.b", n) for n in range(4)])
    assert not Event.objects.exists()
    publish_many(project=project, events=[NewEvent("a.b", n) for n in range(3)])


def test_over_rest_it_is_a_429_that_says_when_to_come_back(project: Project) -> None:
    fill(project)
    refused = ApiClient(project).post("events", {"type": "a.b", "data": {}})
    assert errors_of(refused, 429) == {"": "backlog_full"}
    assert 1 <= int(refused["Retry-After"]) <= 5
    assert Event.objects.count() == 3


def test_what_is_stored_already_is_answered_again(project: Project) -> None:
    publish_one(project, key="first")
    publish_one(project)
    publish_one(project)
    publish_one(project, key="first")
    with pytest.raises(BacklogFull):
        publish_one(project, key="second")


def test_events_that_nobody_wants_and_tests_are_stored_all_the_same(project: Project) -> None:
    fill(project)
    subscription = project.subscriptions.all()[0]
    publish_test(subscription)
    project.subscriptions.update(event_types=["c.d"])
    publish_one(project)
    assert Event.objects.count() == 5


def test_another_project_is_not_refused(project: Project) -> None:
    fill(project)
    publish_one(make_subscription().project)


def test_once_deliveries_have_ended_events_are_taken_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_limit, "HOLD_SECONDS", 0.0)
    monkeypatch.setattr(backlog_limit, "_REST_FACTOR", 0)
    fill(project)
    with pytest.raises(BacklogFull):
        publish_one(project)
    finish_all(project)
    publish_one(project)


def test_a_process_that_has_counted_nothing_takes_the_others_count(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    cache.clear()
    forget(monkeypatch)
    with pytest.raises(BacklogFull):
        publish_one(project)  # this one counts
    finish_all(project)
    forget(monkeypatch)
    with pytest.raises(BacklogFull):
        publish_one(project)  # this one would see that nothing is left


def test_between_two_counts_the_database_is_not_asked(
    project: Project, django_assert_num_queries: Any
) -> None:
    publish_one(project)
    with transaction.atomic(), django_assert_num_queries(0):
        backlog_limit.make_room(project.pk, [], deliveries=1)


def test_without_a_limit_nothing_is_counted(project: Project, settings: LazySettings) -> None:
    fill(project)
    settings.DISPATCHER_UNFINISHED_LIMIT = 0
    publish_one(project)


def test_while_the_cache_is_away_each_process_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    with dead_redis(is_silent=False) as url:
        away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
        forget(monkeypatch)
        with override_settings(CACHES={"default": away}), pytest.raises(BacklogFull):
            publish_one(project)


def test_counting_stops_at_the_limit_and_sees_only_what_is_unfinished(project: Project) -> None:
    fill(project)
    ids = [row.id for row in project.subscriptions.all()]
    with transaction.atomic():
        assert count_unfinished(ids, at_most=100) == LIMIT
        assert count_unfinished(ids, at_most=4) == 4
        assert count_unfinished(ids[:1], at_most=100) == LIMIT // 2
        finish_all(project)
        assert count_unfinished(ids, at_most=100) == 0


@pytest.mark.postgres
def test_many_are_estimated_and_the_caller_s_transaction_stays_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    monkeypatch.setattr(unfinished_count, "EXACT_AT_MOST", 2)
    ids = [row.id for row in project.subscriptions.all()]
    with transaction.atomic():
        before = planner()
        assert count_unfinished(ids, at_most=100) == LIMIT  # so few pages are all looked at
        assert count_unfinished(ids, at_most=5) == 5
        assert planner() == before
        assert Delivery.objects.count() == LIMIT


@pytest.mark.postgres
def test_a_count_that_takes_too_long_is_given_up_and_the_event_is_stored(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow = "SELECT 0 FROM pg_sleep(5) WHERE %s::uuid[] IS NOT NULL AND %s > 0"
    monkeypatch.setattr(unfinished_count, "_COUNT_POSTGRES", slow)
    plan = unfinished_count._PLAN_POSTGRES.replace("2000", "50")
    monkeypatch.setattr(unfinished_count, "_PLAN_POSTGRES", plan)
    publish_one(project)
    assert Delivery.objects.count() == 2
    assert "were not counted" in caplog.text


def planner() -> list[str]:
    values = []
    with connection.cursor() as cursor:
        for name in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "statement_timeout"):
            cursor.execute(f"SHOW {name}")
            values.append(cursor.fetchone()[0])
    return values
