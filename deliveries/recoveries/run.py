"""Does recoveries, batch by batch; any number of processes may do so at once.

Called by `recovery_thread`. A batch and the position behind it are one short transaction
(docs/adr/0010), so a worker that dies leaves nothing undone and nothing done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from deliveries import wake
from deliveries.clock import ahead_of_database
from deliveries.lifecycle.redelivery import once_more
from deliveries.models import Delivery, Event, Recovery
from deliveries.publishing.backlog_limit import BacklogFull, make_room_for_recovery
from deliveries.publishing.unfinished_count import count_due
from deliveries.recoveries.walk import Found, Page, next_page
from subscriptions.models import Subscription

logger = logging.getLogger(__name__)

UNAVAILABLE: Final = (OperationalError, InterfaceError)
"""What means "the database is away or overloaded": the batch is done again later, after those of
other recoveries if it is a statement that was cancelled."""

BATCH: Final = 500
"""Rows looked at in one transaction, which then takes 30 to 60 ms."""

AHEAD_AT_MOST: Final = 2000
"""Due deliveries to the same subscriptions, beyond which a recovery waits: what is published
meanwhile has no longer queue than this before it, and a pause or an end shows at once."""

_SUBSCRIPTIONS_COUNTED: Final = 5
"""For so many at most that queue is allowed, where a recovery is for all of a project."""

_WAIT: Final = timedelta(seconds=0.2)
"""How long it then waits."""

_AFTER_TROUBLE: Final = timedelta(minutes=1)
"""How long it waits when a statement took too long: it would be first again, before all others."""

_CATCH_UP: Final = timedelta(seconds=2)
"""A recovery with a rate that was held up makes good for so much, and no more."""


def is_any_running() -> bool:
    """Say whether there is a recovery to do, now or later."""
    return _running().exists()


def run_next_batch() -> bool:
    """Do one batch of the recovery that has waited longest; return whether one was due."""
    with transaction.atomic():
        due = _running().filter(next_batch_at__lte=Now()).order_by("next_batch_at")
        recovery = due.select_for_update(skip_locked=True).first()
        if recovery is None:
            return False
        try:
            with transaction.atomic():
                _run_batch(recovery)
        except UNAVAILABLE as error:
            if transaction.get_rollback():
                raise  # the connection is gone: this transaction cannot go on
            logger.warning("recovery %s waits: %s", recovery.id, error)
            _wait(recovery, _AFTER_TROUBLE)
        except Exception:  # one recovery's trouble, whatever it is, shall not stop the others
            logger.exception("recovery %s cannot go on", recovery.id)
            _end(recovery, Recovery.Status.FAILED, "It met an error of ours; tell the operator.")
    return True


def _running() -> QuerySet[Recovery]:
    return Recovery.objects.filter(next_batch_at__isnull=False)


def _run_batch(recovery: Recovery) -> None:
    receiving = _receiving(recovery)
    if trouble := _trouble(recovery):
        _end(recovery, Recovery.Status.FAILED, trouble)
    elif _are_enough_waiting(receiving):
        _wait(recovery, _WAIT)
    else:
        page = next_page(
            recovery, after=recovery.position, limit=_batch_size(recovery), is_locking=True
        )
        try:
            make_room_for_recovery(recovery.project_id, receiving, deliveries=len(page.found))
        except BacklogFull as full:
            _wait(recovery, timedelta(seconds=full.retry_after_seconds))
        else:
            _do(recovery, page)


def _receiving(recovery: Recovery) -> Collection[UUID]:
    """Return the subscriptions that may get something."""
    if recovery.subscription_id:
        return [recovery.subscription_id]
    active = Subscription.objects.filter(project_id=recovery.project_id, is_active=True)
    return list(active.values_list("id", flat=True))


def _trouble(recovery: Recovery) -> str:
    """Say in words why it cannot go on; empty: it can, and the subscription is locked."""
    if recovery.subscription_id is None:
        return ""  # what belongs to inactive subscriptions is skipped
    subscriptions = Subscription.objects.filter(id=recovery.subscription_id)
    if recovery.kind == Recovery.Kind.MISSED:
        # Of two recoveries at once, the second sees what the first has made.
        subscriptions = subscriptions.select_for_update(no_key=True)
    recovery.subscription = subscription = subscriptions.get()
    if subscription.deleted_at is not None:
        return "The subscription was deleted."
    if not subscription.is_active:
        return (
            "The subscription was switched off: reactivate it, and ask for another recovery. "
            "What was sent again stays."
        )
    return ""


def _are_enough_waiting(receiving: Collection[UUID]) -> bool:
    """Say whether these have enough to do; of several, a slow one does not hold up the others."""
    enough = AHEAD_AT_MOST * min(len(receiving), _SUBSCRIPTIONS_COUNTED)
    return bool(enough) and count_due(receiving, at_most=enough) >= enough


def _batch_size(recovery: Recovery) -> int:
    limit = settings.DISPATCHER_UNFINISHED_LIMIT or 2 * BATCH
    return min(BATCH, recovery.rate_per_second or BATCH, max(1, limit // 2))


def _do(recovery: Recovery, page: Page) -> None:
    """Send what was found, and move on behind it."""
    send = _send_again if recovery.kind == Recovery.Kind.FAILED else _make
    send(recovery, page.found)
    columns: dict[str, Any] = {
        "position": page.last or recovery.position,
        "recovered_count": F("recovered_count") + len(page.found),
        "skipped_count": F("skipped_count") + page.skipped,
    }
    if page.is_last:
        _end(recovery, Recovery.Status.COMPLETED, **columns)
    else:
        _rows(recovery).update(**columns, next_batch_at=_next_batch_at(recovery, len(page.found)))
    if page.found:
        wake.wake_on_commit()


def _send_again(_recovery: Recovery, found: Sequence[Found]) -> None:
    """Send deliveries once more, as `redelivery` does; they are locked, so all of them change."""
    ids = [row.delivery_id for row in found if row.delivery_id]
    if not ids:
        return
    # The bounds let PostgreSQL leave out partitions without looking at each id.
    rows = Delivery.objects.filter(id__gte=min(ids), id__lte=max(ids), id__among=ids)
    changed = rows.update(**once_more())
    if changed != len(ids):
        raise RuntimeError(f"{len(ids)} deliveries were locked, {changed} were there")


def _make(recovery: Recovery, found: Sequence[Found]) -> None:
    """Make the deliveries that events should have had; the audit counts on both sides."""
    Delivery.objects.bulk_create(
        Delivery(
            project_id=recovery.project_id,
            event_id=row.event_id,
            subscription_id=row.subscription_id,
            event_type=row.event_type,
            next_attempt_at=Now(),
        )
        for row in found
    )
    ids = [row.event_id for row in found]
    if ids:
        events = Event.objects.filter(id__gte=min(ids), id__lte=max(ids), id__among=ids)
        events.update(matched_count=F("matched_count") + 1)


def _next_batch_at(recovery: Recovery, sent: int) -> Any:
    """Return when the next batch is due: at once, or as the rate allows."""
    if recovery.rate_per_second is None or recovery.next_batch_at is None:
        return Now()
    earliest = timezone.now() - ahead_of_database() - _CATCH_UP
    return max(recovery.next_batch_at, earliest) + timedelta(
        seconds=sent / recovery.rate_per_second
    )


def _wait(recovery: Recovery, delay: timedelta) -> None:
    _rows(recovery).update(next_batch_at=Now() + delay)


def _end(recovery: Recovery, status: str, error: str = "", **columns: Any) -> None:
    _rows(recovery).update(
        status=status, error=error, next_batch_at=None, finished_at=timezone.now(), **columns
    )
    logger.info("recovery %s %s %s", recovery.id, status, error)


def _rows(recovery: Recovery) -> QuerySet[Recovery]:
    """Select the recovery's row, which this transaction has locked."""
    return Recovery.objects.filter(id=recovery.id)
