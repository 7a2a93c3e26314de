"""Filters of deliveries use the indexes that are meant for them, rather than read all there is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection

from deliveries.history.filters import filtered
from deliveries.models import Delivery, IdempotencyKey
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.recoveries.recovery import Wanted, _new
from deliveries.recoveries.walk import LOOKED_AT, _between, _without_success
from subscriptions.models import Project, Subscription
from tests.deliveries.recoveries.samples import all_since_yesterday, end
from tests.factories import make_project, make_subscription

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def project() -> Project:
    """A project with two thousand successes and three failures."""
    project = make_project()
    make_subscription(project=project)
    publish_many(project=project, events=[NewEvent("a.b", n, f"order-{n}") for n in range(2003)])
    rows = list(Delivery.objects.order_by("id"))
    Delivery.objects.update(
        status="succeeded", next_attempt_at=None, last_outcome="succeeded", last_status_code=200
    )
    end(*rows[::700], last_status_code=503)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE deliveries_delivery, deliveries_idempotencykey")
    return project


def partitions_of(index: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid "
            "WHERE inhparent = %s::regclass",
            [index],
        )
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": "failed"},
        {"status": "cancelled"},
        {"outcome": "timeout"},
        {"status_class": "5xx"},
        {"status_code": 404},
    ],
)
def test_what_did_not_succeed_is_found_without_reading_what_did(
    project: Project, wanted: dict[str, Any]
) -> None:
    plan = filtered(project, wanted).order_by("-id")[:51].explain()

    assert any(name in plan for name in partitions_of("delivery_without_success")), plan


@pytest.fixture
def subscription(project: Project) -> Subscription:
    """The project's first, which failed three times; another one failed three hundred times."""
    first, other = Subscription.objects.get(), make_subscription(project=project)
    succeeded = Delivery.objects.filter(last_outcome="succeeded").order_by("id")
    end(*succeeded[:300], last_status_code=503, subscription=other)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE deliveries_delivery")
    return first


def test_what_of_a_subscription_did_not_succeed_is_found_by_itself(
    project: Project, subscription: Subscription
) -> None:
    wanted = {"status": "failed", "subscription": subscription.id}
    plan = filtered(project, wanted).order_by("-id")[:51].explain()

    assert any(name in plan for name in partitions_of("delivery_without_success_sub")), plan


def test_a_recovery_walks_along_what_did_not_succeed(project: Project) -> None:
    recovery = _new(project, Wanted("failed", all_since_yesterday()))
    rows = _between(recovery, None, _without_success(recovery))

    plan = rows[:LOOKED_AT].explain()

    names = [name for name in partitions_of("delivery_without_success") if name in plan]
    assert names, plan
    scan = plan.partition(names[0])[2].partition("->")[0]
    assert "Index Cond" in scan, plan
    assert "Filter" not in scan, "an entry of the index that is no row makes the page longer"


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_what_is_unfinished_is_found_in_the_queue(project: Project, status: str) -> None:
    plan = filtered(project, {"status": status}).order_by("-id")[:51].explain()

    assert any(name in plan for name in partitions_of("delivery_queue")), plan


def test_keys_are_found_by_their_beginning_in_their_unique_index(project: Project) -> None:
    keys = IdempotencyKey.objects.filter(
        project=project, key__gte="order-11", key__lt="order-11\U0010ffff"
    )
    plan = keys.order_by("key")[:201].explain()

    assert "idempotency_key_once" in plan, plan
    assert re.search(r"Index Cond: .*\(key\)::text >= 'order-11'", plan), plan
    assert _collation() == "C", "or a range of keys is no prefix"


def _collation() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT collation_name FROM information_schema.columns WHERE table_name = "
            "'deliveries_idempotencykey' AND column_name = 'key'"
        )
        return str(cursor.fetchone()[0])
