"""Makes what recoveries are about, and does them, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from deliveries.models import Delivery, Recovery
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.recoveries.recovery import Wanted, create
from deliveries.recoveries.run import run_next_batch
from deliveries.recoveries.walk import Criteria
from subscriptions.models import Project, Subscription

Status = Delivery.Status


def publish_some(project: Project, types: Sequence[str] = ("Task.update",)) -> list[Delivery]:
    """Publish an event of each type; return their deliveries, oldest first."""
    published = publish_many(project=project, events=[NewEvent(name, {}) for name in types])
    ids = [identifier for event in published for identifier in event.delivery_ids]
    return list(Delivery.objects.filter(id__in=ids).order_by("id"))


def end(*deliveries: Delivery, status: str = Status.FAILED, **columns: Any) -> None:
    """End deliveries without sending them."""
    values = {"attempt_count": 1, "tries_used": 1, "last_outcome": "http_error"} | columns
    Delivery.objects.filter(id__in=[delivery.id for delivery in deliveries]).update(
        status=status, next_attempt_at=None, finished_at=timezone.now(), **values
    )


def all_since_yesterday(**changes: Any) -> Criteria:
    now = timezone.now()
    return Criteria(**{"since": now - timedelta(days=1), "until": now} | changes)


def ask(
    project: Project,
    *,
    kind: str = "failed",
    subscription: Subscription | None = None,
    rate_per_second: int | None = None,
    **criteria: Any,
) -> Recovery:
    """Ask for a recovery of the last day."""
    wanted = Wanted(kind, all_since_yesterday(**criteria), subscription, rate_per_second)
    return create(project, wanted)


def run(recovery: Recovery, *, batches: int = 1000) -> Recovery:
    """Do so many batches, without waiting for when they are due; return what became of it."""
    for _ in range(batches):
        make_due(recovery)
        if not run_next_batch():
            break
    recovery.refresh_from_db()
    return recovery


def make_due(recovery: Recovery) -> None:
    """Let its next batch be due, if there is one, and no other's."""
    waiting = Recovery.objects.filter(next_batch_at__isnull=False)
    waiting.exclude(id=recovery.id).update(next_batch_at=Now() + timedelta(hours=1))
    waiting.filter(id=recovery.id).update(next_batch_at=Now())


def switch_off(subscription: Subscription, *, deleted_at: datetime | None = None) -> None:
    """Switch off as the database sees it, with nothing cancelled."""
    Subscription.objects.filter(id=subscription.id).update(
        is_active=False, deactivated_at=timezone.now(), deleted_at=deleted_at
    )


def statuses(*deliveries: Delivery) -> list[str]:
    """Return where these stand, in the order given."""
    found = dict(
        Delivery.objects.filter(id__in=[delivery.id for delivery in deliveries]).values_list(
            "id", "status"
        )
    )
    return [found[delivery.id] for delivery in deliveries]
