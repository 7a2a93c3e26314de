"""Says what a subscription missed while it was off, and what is being done about it.

Called by pages. What was published then and has no delivery to it, a recovery of kind `missed`
makes up for, once the subscription is on again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from deliveries.models import Recovery
from deliveries.recoveries.recovery import Estimate, Wanted, create, estimate
from deliveries.recoveries.walk import Criteria
from subscriptions.inactive_time import InactiveTime, last_inactive_time
from subscriptions.models import Subscription

_AROUND: Final = timedelta(minutes=1)
"""Who publishes gives an event its id first and looks who receives it later, so that an id may lie
on the other side of a switch. What was delivered is not found again, however wide this is."""


@dataclass(frozen=True, slots=True)
class Missed:
    """The latest time without events, and the latest recovery."""

    time: InactiveTime | None
    """`None`: there is nothing to be made up for."""
    recovery: Recovery | None
    """Begun after that time, or under way."""

    @property
    def is_offered(self) -> bool:
        """Whether it makes sense to ask for a recovery."""
        is_done = self.recovery is not None and self.recovery.status != Recovery.Status.CANCELLED
        return self.time is not None and not is_done


def missed_by(subscription: Subscription) -> Missed:
    """Return what is known without counting."""
    time = last_inactive_time(subscription)
    recovery = (
        Recovery.objects.filter(
            project_id=subscription.project_id,
            subscription_id=subscription.id,
            kind=Recovery.Kind.MISSED,
        )
        .order_by("-id")
        .first()
    )
    return Missed(time, recovery if recovery is not None and _belongs(recovery, time) else None)


def _belongs(recovery: Recovery, time: InactiveTime | None) -> bool:
    """Say whether it is under way, or was begun after this time; none is begun within it."""
    if recovery.finished_at is None:
        return True
    return time is not None and time.until is not None and recovery.created_at >= time.since


def count_missed(subscription: Subscription, time: InactiveTime) -> Estimate:
    """Count the events; takes as long as any estimate."""
    return estimate(subscription.project, _wanted(subscription, time))


def send_missed(subscription: Subscription, time: InactiveTime) -> Recovery:
    """Begin to send them; raises `NotPossible`."""
    return create(subscription.project, _wanted(subscription, time))


def _wanted(subscription: Subscription, time: InactiveTime) -> Wanted:
    now = timezone.now()
    until = now if time.until is None else min(now, time.until + _AROUND)
    # What was published before there was a subscription was never its to get.
    since = max(time.since - _AROUND, min(time.since, subscription.created_at))
    criteria = Criteria(since=since, until=until)
    return Wanted(Recovery.Kind.MISSED, criteria, subscription)
