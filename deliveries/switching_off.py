"""Switches subscriptions off, deletes or changes them, and cancels what then waits for nothing.

Called by API, pages and admin, outside of any transaction: the switch is committed first, and a
process that dies before it has cancelled leaves the rest to `sending.claim`.
"""

from __future__ import annotations

from deliveries.cancellation import cancel_waiting
from deliveries.models import Delivery
from subscriptions import deactivation, subscription_changes
from subscriptions.models import Subscription
from subscriptions.subscription_settings import Settings

Reason = Delivery.EndReason


def change(subscription: Subscription, settings: Settings) -> Subscription:
    """Change a subscription and return it as it is now; raises as `change_subscription`."""
    changed = subscription_changes.change_subscription(subscription, settings)
    if changed.was_deactivated:
        cancel_waiting(subscription.id, reason=Reason.DEACTIVATED)
    return changed.subscription


def switch_off(subscription: Subscription) -> bool:
    """Deactivate a subscription by hand; return whether this call did it."""
    was_active = deactivation.deactivate(subscription)
    if was_active:
        cancel_waiting(subscription.id, reason=Reason.DEACTIVATED)
    return was_active


def delete(subscription: Subscription) -> bool:
    """Delete a subscription softly; return whether this call did it."""
    was_there = subscription_changes.delete_subscription(subscription)
    if was_there:
        cancel_waiting(subscription.id, reason=Reason.DELETED)
    return was_there
