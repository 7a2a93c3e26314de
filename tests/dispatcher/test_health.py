"""`/healthz` says that the process runs, `/readyz` that it can work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from redis import Redis

from deliveries.figures.backlog import oldest_overdue_seconds
from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from deliveries.upkeep import partitions
from deliveries.workers import Reporter
from tests.factories import make_subscription
from tests.outages import dead_redis
from tests.servers import start_redis


def readyz() -> tuple[int, dict[str, Any]]:
    response = Client().get("/readyz")
    answer = response.json()
    assert answer["status"] == ("ok" if response.status_code == 200 else "unavailable")
    assert "no-store" in response["Cache-Control"]
    return response.status_code, answer["checks"]


def refuse(*_: Any) -> None:
    raise OperationalError("connection to 10.0.0.7 refused")


def make_due(*, seconds_ago: float) -> Delivery:
    published = publish(project=make_subscription().project, event_type="Task.update", data={})
    delivery = Delivery.objects.get(id=published.delivery_ids[0])
    delivery.next_attempt_at = timezone.now() - timedelta(seconds=seconds_ago)
    delivery.save()
    return delivery


def test_a_process_that_runs_is_healthy_without_asking_the_database() -> None:
    response = Client().get("/healthz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.django_db
def test_it_is_ready_when_everything_answers() -> None:
    Reporter().report(in_flight=0, own_outage_since=None)

    status, checks = readyz()

    assert status == 200
    names = {"database", "partitions", "overdue", "workers", "egress", "broker", "cache"}
    assert set(checks) == names
    assert all(check["ok"] for check in checks.values())


@pytest.mark.django_db
def test_it_is_not_ready_without_the_database_and_says_so_without_details() -> None:
    with connection.execute_wrapper(refuse):
        response = Client().get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["database"]["ok"] is False
    assert b"10.0.0.7" not in response.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_looking_is_allowed(path: str) -> None:
    assert Client().post(path).status_code == 405
    assert Client().head(path).status_code == 200


# ---- Workers --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_is_ready_without_workers_and_says_that_there_are_none() -> None:
    status, checks = readyz()

    assert status == 200
    assert checks["workers"]["ok"] is False


@pytest.mark.django_db
def test_it_says_when_a_worker_reaches_nobody() -> None:
    Reporter().report(in_flight=0, own_outage_since=timezone.now())

    status, checks = readyz()

    assert status == 200
    assert checks["workers"]["ok"] is True
    assert checks["egress"]["ok"] is False


# ---- Overdue deliveries ---------------------------------------------------------------------


@pytest.mark.django_db
def test_the_oldest_due_delivery_of_all_subscriptions_counts() -> None:
    for seconds in (10, 30, 20):
        make_due(seconds_ago=seconds)
    make_due(seconds_ago=-3600)  # a retry that is not due yet

    assert 30 <= oldest_overdue_seconds() < 35


@pytest.mark.django_db
@pytest.mark.parametrize("seconds_ago", [-3600, -1])
def test_what_is_not_due_yet_is_not_overdue(seconds_ago: float) -> None:
    make_due(seconds_ago=seconds_ago)

    assert oldest_overdue_seconds() == 0


@pytest.mark.django_db
def test_nothing_is_overdue_where_nothing_waits() -> None:
    assert oldest_overdue_seconds() == 0
    Delivery.objects.filter(id=make_due(seconds_ago=90).id).update(
        status=Delivery.Status.FAILED, next_attempt_at=None
    )
    assert oldest_overdue_seconds() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds_ago", "is_ok"), [(50, True), (70, False)])
def test_a_delivery_that_waits_for_a_minute_is_reported_and_events_are_still_taken_in(
    seconds_ago: float, is_ok: bool
) -> None:
    make_due(seconds_ago=seconds_ago)

    ready, checks = readyz()

    assert ready == 200
    assert checks["overdue"]["ok"] is is_ok


# ---- Partitions -----------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize(("day", "status"), [(7, 503), (8, 200)])
def test_it_is_not_ready_when_partitions_for_a_week_are_not_made(day: int, status: int) -> None:
    missing = partitions.Partition(
        timezone.now().date() + timedelta(days=day), "deliveries_attempt"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {missing.name}")

    ready, checks = readyz()

    assert ready == status
    assert checks["partitions"]["ok"] is (status == 200)


# ---- Broker and cache -----------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["closed", "silent"])
def dead_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with dead_redis(is_silent=request.param) as url:
        yield url


@pytest.mark.django_db
def test_a_broker_that_is_away_is_told_soon_and_stays_ready(
    dead_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(current_app.conf, "broker_url", dead_redis_url)
    began_at = time.monotonic()

    status, checks = readyz()

    assert time.monotonic() - began_at < 2.0
    assert status == 200
    assert checks["broker"]["ok"] is False
    assert checks["broker"]["required"] is False


def caches_at(url: str) -> dict[str, dict[str, object]]:
    return {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
        }
    }


@pytest.mark.django_db
def test_a_cache_that_is_away_is_told_and_stays_ready(
    dead_redis_url: str, settings: LazySettings
) -> None:
    settings.CACHES = caches_at(dead_redis_url)

    status, checks = readyz()

    assert status == 200
    assert checks["cache"]["ok"] is False


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize(
    "spoil",
    [
        lambda redis: redis.config_set("maxmemory", 1),
        lambda redis: redis.replicaof("127.0.0.1", "1"),
        lambda redis: redis.config_set("min-replicas-to-write", 1),
    ],
    ids=["full", "read-only", "without its replica"],
)
def test_a_cache_that_takes_no_writes_is_told_and_stays_ready(
    spoil: Callable[[Redis], object], tmp_path: Path, settings: LazySettings
) -> None:
    with start_redis(tmp_path / "redis", durable=False) as server, Redis.from_url(server.url) as to:
        settings.CACHES = caches_at(server.url)
        assert readyz()[1]["cache"]["ok"] is True
        spoil(to)

        status, checks = readyz()

    assert status == 200
    assert checks["cache"]["ok"] is False
    assert "takes no writes" in checks["cache"]["detail"]
