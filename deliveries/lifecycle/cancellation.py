"""Cancels deliveries that wait: of a subscription that was switched off or deleted, or by hand.

Called after the switch is committed. What this misses when the process dies in between, `claim`
cancels when it falls due: nothing is sent to an inactive subscription either way.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from deliveries.models import Delivery
from subscriptions.access.audit_log import Action, Target, record
from subscriptions.ids import to_public

_BATCH = 1000
"""Rows per transaction: short ones, so that nobody waits and no snapshot stays open."""


def cancel_waiting(subscription_id: UUID, *, reason: Delivery.EndReason) -> int:
    """Cancel the pending deliveries of a subscription, tests excepted; return how many."""
    total = 0
    while cancelled := cancel_batch(subscription_id, reason=reason):
        total += cancelled
    return total


def cancel_batch(subscription_id: UUID, *, reason: Delivery.EndReason) -> int:
    """Cancel some of them in one short transaction; return how many, 0 when none are left."""
    waiting = Delivery.objects.filter(
        subscription_id=subscription_id,
        next_attempt_at__isnull=False,
        status=Delivery.Status.PENDING,
        is_test=False,
    )
    with transaction.atomic():
        ids = waiting.select_for_update(skip_locked=True).values_list("id", flat=True)[:_BATCH]
        return Delivery.objects.filter(id__in=list(ids)).update(
            status=Delivery.Status.CANCELLED,
            next_attempt_at=None,
            end_reason=reason,
            finished_at=timezone.now(),
        )


def cancel(delivery: Delivery) -> bool:
    """Cancel one pending delivery by hand; return whether it was still pending."""
    with transaction.atomic():
        # One statement: of this and a claim at the same time, the second finds nothing.
        is_done = bool(
            Delivery.objects.filter(id=delivery.id, status=Delivery.Status.PENDING).update(
                status=Delivery.Status.CANCELLED,
                next_attempt_at=None,
                end_reason=Delivery.EndReason.BY_HAND,
                finished_at=timezone.now(),
            )
        )
        if is_done:
            target = Target("delivery", to_public("dlv", delivery.id), delivery.project_id)
            after = {"subscription": to_public("sub", delivery.subscription_id)}
            record(Action.DELIVERY_CANCELLED, target, after=after)
    return is_done
