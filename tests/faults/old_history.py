"""Puts history into the database that is due to be pruned: `python -m tests.faults.old_history N`.

N deliveries that ended 31 days ago, and one in a hundred that never ended. For F24, F28 and F44.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import django

DAYS = 32


def make(count: int) -> None:
    """Insert them for the first subscription there is."""
    from django.utils import timezone

    from deliveries.models import Delivery, Event
    from deliveries.upkeep import partitions
    from subscriptions.ids import first_id_of
    from subscriptions.models import Subscription

    moment = timezone.now() - timedelta(days=DAYS)
    partitions.make_partitions(first_day=moment.date(), days_ahead=0)
    subscription = Subscription.objects.order_by("id").first()
    assert subscription
    # Ids of that day, in order, after those of an earlier call.
    start = int(first_id_of(moment)) + (timezone.now().microsecond << 40)
    events, deliveries = [], []
    for number in range(count):
        is_unfinished = number % 100 == 0
        identifier = type(first_id_of(moment))(int=start + number)
        events.append(
            Event(
                id=identifier,
                project_id=subscription.project_id,
                type="rig.old",
                data="{}",
                matched_count=1,
                created_at=moment,
            )
        )
        deliveries.append(
            Delivery(
                id=identifier,
                project_id=subscription.project_id,
                event_id=identifier,
                subscription_id=subscription.id,
                event_type="rig.old",
                status="pending" if is_unfinished else "succeeded",
                next_attempt_at=timezone.now() + timedelta(hours=1) if is_unfinished else None,
                finished_at=None if is_unfinished else moment,
                created_at=moment,
            )
        )
    Event.objects.bulk_create(events, batch_size=500)
    Delivery.objects.bulk_create(deliveries, batch_size=500)


if __name__ == "__main__":
    django.setup()
    make(int(sys.argv[1]))
