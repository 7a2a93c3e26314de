"""Tells how long the oldest due delivery has been waiting.

Called by `dispatcher.health` for all there is, and by `stats` for one project.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.queue_walk import QUEUE_POSTGRES, KnownFloor, queue_bounds

_OLDEST_DUE = f"""
WITH RECURSIVE {QUEUE_POSTGRES}
SELECT extract(epoch FROM statement_timestamp() - min(due_at))::float8 FROM queue
"""  # noqa: S608  # our own text


def oldest_overdue_seconds() -> float:
    """Return for how many seconds the oldest due delivery has waited; 0 when none is due.

    Deliveries under way count once their lease has passed. Uses the database's clock.
    """
    if connection.vendor != "postgresql":
        due_at = Delivery.objects.aggregate(oldest=Min("next_attempt_at"))["oldest"]
        return max(0.0, (timezone.now() - due_at).total_seconds()) if due_at else 0.0
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_DUE, queue_bounds(cursor, KnownFloor()))
        (waited,) = cursor.fetchone()
    return max(0.0, waited or 0.0)


_OLDEST_DUE_OF = """
SELECT extract(epoch FROM statement_timestamp() - min(due_at))::float8
FROM unnest(%(subscriptions)s::uuid[]) AS subscription (id)
CROSS JOIN LATERAL (
    SELECT next_attempt_at AS due_at FROM deliveries_delivery
    WHERE subscription_id = subscription.id AND next_attempt_at IS NOT NULL
      AND deliveries_delivery.id >= %(floor)s AND deliveries_delivery.id < %(ceiling)s
    ORDER BY subscription_id, next_attempt_at LIMIT 1) AS oldest
"""


def oldest_overdue_seconds_of(subscriptions: Collection[UUID]) -> float:
    """Return the same of what is due to these subscriptions only."""
    if connection.vendor != "postgresql":
        waiting = Delivery.objects.filter(subscription_id__in=subscriptions)
        due_at = waiting.aggregate(oldest=Min("next_attempt_at"))["oldest"]
        return max(0.0, (timezone.now() - due_at).total_seconds()) if due_at else 0.0
    with transaction.atomic(), connection.cursor() as cursor:
        bounds = queue_bounds(cursor, KnownFloor())
        cursor.execute(_OLDEST_DUE_OF, {**bounds, "subscriptions": list(subscriptions)})
        (waited,) = cursor.fetchone()
    return max(0.0, waited or 0.0)
