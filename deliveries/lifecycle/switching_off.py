"""Switches subscriptions off, deletes or changes them, and cancels what then waits for nothing.

Called by API, pages and admin, some in a transaction: the switch is committed first, so that nobody
waits for it while a long backlog is cancelled. What is not cancelled then, because the process dies
or the database is away, is left to `sending.claim`.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction

from deliveries.lifecycle.cancellation import cancel_waiting
from deliveries.models import Delivery
from subscriptions import deactivation, subscription_changes
from subscriptions.models import Subscription
from subscriptions.subscription_settings import Settings

Reason = Delivery.EndReason


def change(subscription: Subscription, settings: Settings) -> Subscription:
    """Change a subscription and return it as it is now; raises as `change_subscription`."""
    changed = subscription_changes.change_subscription(subscription, settings)
    if changed.was_deactivated:
        _cancel_once_committed(subscription.id, Reason.DEACTIVATED)
    return changed.subscription


def switch_off(subscription: Subscription) -> bool:
    """Deactivate a subscription by hand; return whether this call did it."""
    was_active = deactivation.deactivate(subscription)
    if was_active:
        _cancel_once_committed(subscription.id, Reason.DEACTIVATED)
    return was_active


def delete(subscription: Subscription) -> bool:
    """Delete a subscription softly; return whether this call did it."""
    was_there = subscription_changes.delete_subscription(subscription)
    if was_there:
        _cancel_once_committed(subscription.id, Reason.DELETED)
    return was_there


def _cancel_once_committed(subscription_id: UUID, reason: Reason) -> None:
    """Cancel once the switch is seen; if that goes wrong, the switch has happened all the same."""
    cancel = partial(cancel_waiting, subscription_id, reason=reason)
    transaction.on_commit(cancel, robust=True)
