"""Drops history older than the retention time: partitions on PostgreSQL, batches on SQLite.

Called every hour by beat; any number of processes may call it at once. What is still unfinished is
ended as failed first, with that reason: nothing disappears without having ended.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model, Q
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Event, IdempotencyKey
from deliveries.upkeep import partitions
from subscriptions import repeated_requests
from subscriptions.access import audit_log
from subscriptions.ids import first_id_of
from subscriptions.secrets.secret_rotation import forget_expired

logger = logging.getLogger(__name__)

_BATCH = 1000
"""Rows per transaction where rows are deleted: other writers get their turn in between."""

_PAUSE_SECONDS = 0.1
"""Between batches on SQLite, which lets one write at a time: who waits looks as seldom as that, and
would find the next batch at it, for as long as the pruning lasts."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one pruning did."""

    expired_deliveries: int
    """Unfinished deliveries that were ended as failed."""
    partitions: int
    rows: int


def prune(*, now: datetime | None = None) -> Pruned:
    """Drop what is older than `DISPATCHER_RETENTION_DAYS`, and secrets that sign no more.

    Entries of the audit log, and answers to idempotent requests, have times of their own.
    """
    cutoff = (now or timezone.now()) - timedelta(days=settings.DISPATCHER_RETENTION_DAYS)
    rows = _delete_in_batches(IdempotencyKey, created_at__lt=cutoff) + forget_expired()
    rows += repeated_requests.forget_old(now=now) + audit_log.prune(now=now)
    if partitions.is_partitioned():
        pruned = _prune_partitions(cutoff, rows)
    else:
        pruned = _prune_rows(first_id_of(cutoff), rows)
    if pruned != Pruned(0, 0, 0):
        logger.info("pruned before=%s %s", cutoff.isoformat(), pruned)
    return pruned


def _prune_partitions(cutoff: datetime, rows: int) -> Pruned:
    """Drop whole days: those that ended before the cutoff."""
    old = sorted(
        partition for partition in partitions.existing_partitions() if partition.day < cutoff.date()
    )
    if not old:
        return Pruned(0, 0, rows)
    day_after = datetime.combine(old[-1].day, datetime.min.time(), UTC) + timedelta(days=1)
    expired = _expire_unfinished(first_id_of(day_after))
    dropped = sum(partitions.drop(partition) for partition in old)
    return Pruned(expired, dropped, rows)


def _prune_rows(first_kept: UUID, rows: int) -> Pruned:
    expired = _expire_unfinished(first_kept)
    for model in (Attempt, Delivery, Event):
        rows += _delete_in_batches(model, id__lt=first_kept)
    return Pruned(expired, 0, rows)


def _expire_unfinished(first_kept: UUID) -> int:
    """End what is about to go, and what recoveries made later of events that are."""
    reasons = Delivery.EndReason
    expired = _end_unfinished(Q(id__lt=first_kept), reasons.EXPIRED)
    return expired + _end_unfinished(Q(event_id__lt=first_kept), reasons.EVENT_GONE)


def _end_unfinished(which: Q, reason: Delivery.EndReason) -> int:
    unfinished = Delivery.objects.filter(which, next_attempt_at__isnull=False)
    total = 0
    while True:
        with transaction.atomic():
            ids = list(unfinished.values_list("id", flat=True)[:_BATCH])
            # Checked again, row by row: a worker may have ended one of them meanwhile.
            total += unfinished.filter(id__in=ids).update(
                status=Delivery.Status.FAILED,
                end_reason=reason,
                next_attempt_at=None,
                finished_at=timezone.now(),
            )
        if len(ids) < _BATCH:
            return total
        _let_others_write()


def _delete_in_batches(model: type[Model], **older: object) -> int:
    total = 0
    while True:
        with transaction.atomic():
            ids = list(model._default_manager.filter(**older).values_list("pk", flat=True)[:_BATCH])
            model._default_manager.filter(pk__in=ids)._raw_delete(connection.alias)
        total += len(ids)
        if len(ids) < _BATCH:
            return total
        _let_others_write()


def _let_others_write() -> None:
    if connection.vendor == "sqlite":
        time.sleep(_PAUSE_SECONDS)
