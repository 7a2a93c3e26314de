"""Says when a subscription was switched off last, and until when: what happened then, it missed.

Called by pages. While it is off its own row tells; afterwards the audit log does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from subscriptions.access.audit_log import Action, target_of
from subscriptions.ids import first_id_of
from subscriptions.models import AuditEntry, Subscription

_LOOKED_AT: Final = 5000
"""The project's latest entries: some 10 ms. What lies behind so many changes is of the past."""


@dataclass(frozen=True, slots=True)
class InactiveTime:
    """From when until when a subscription got no events."""

    since: datetime
    until: datetime | None
    """`None`: it is off still."""


def last_inactive_time(subscription: Subscription) -> InactiveTime | None:
    """Return the latest one that ended within the time that history is kept, if any."""
    if subscription.deactivated_at is not None:
        return InactiveTime(subscription.deactivated_at, None)
    if subscription.generation == 1:  # never reactivated: the usual case costs no query
        return None
    switches = _switches(subscription)
    if not switches or switches[0][0] != Action.SUBSCRIPTION_REACTIVATED:
        return None
    on_at = switches[0][1]
    off_at = next((at for action, at in switches if action != switches[0][0]), None)
    return None if off_at is None else InactiveTime(off_at, on_at)


def _switches(subscription: Subscription) -> list[tuple[str, datetime]]:
    """Return when it was switched on and off, the latest first."""
    kept = timezone.now() - timedelta(days=settings.DISPATCHER_RETENTION_DAYS)
    latest = AuditEntry.objects.filter(
        project_id=subscription.project_id, id__gte=first_id_of(kept)
    ).order_by("-id")[:_LOOKED_AT]
    target = target_of(subscription)
    of_subscription = AuditEntry.objects.filter(
        id__in=latest.values("id"),
        target_kind=target.kind,
        target_id=target.id,
        action__in=[Action.SUBSCRIPTION_DEACTIVATED, Action.SUBSCRIPTION_REACTIVATED],
    )
    return list(of_subscription.order_by("-id").values_list("action", "at")[:2])
