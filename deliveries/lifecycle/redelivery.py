"""Sends a finished delivery again: same row, same message id, one try.

Called by API, pages and admin; `recovery_run` does the same to many.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from deliveries import wake
from deliveries.models import Delivery, Event
from subscriptions.access.audit_log import Action, Target, record
from subscriptions.ids import to_public
from subscriptions.models import Subscription


class NotRedeliverable(Exception):
    """The delivery cannot be sent again now; `str()` is a sentence for the customer."""


def once_more() -> dict[str, Any]:
    """Return the columns of a finished delivery that is to be sent again, now."""
    return {
        "status": Delivery.Status.PENDING,
        "next_attempt_at": Now(),
        "redelivered_at": timezone.now(),
        "finished_at": None,
        "end_reason": "",
        "tries_used": 0,
        "interruptions": 0,
    }


def redeliver(delivery: Delivery) -> None:
    """Make a finished delivery due now; raises `NotRedeliverable`."""
    with transaction.atomic():
        if not Subscription.objects.filter(id=delivery.subscription_id, is_active=True).exists():
            raise NotRedeliverable("The subscription is inactive: reactivate it first.")
        if not Event.objects.filter(id=delivery.event_id).exists():
            raise NotRedeliverable("The event is no longer kept: there is nothing to send.")
        finished = Delivery.objects.filter(
            id=delivery.id,
            status__in=[
                Delivery.Status.SUCCEEDED,
                Delivery.Status.FAILED,
                Delivery.Status.CANCELLED,
            ],
        )
        if not finished.update(**once_more()):
            raise NotRedeliverable("The delivery is on its way: wait until it has ended.")
        target = Target("delivery", to_public("dlv", delivery.id), delivery.project_id)
        after = {"subscription": to_public("sub", delivery.subscription_id)}
        record(Action.DELIVERY_REDELIVERED, target, after=after)
        wake.wake_on_commit()
