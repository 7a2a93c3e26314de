"""Tells how long the oldest due delivery has been waiting; called by `dispatcher.health`."""

from __future__ import annotations

from django.db import connection
from django.db.models import Min
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.sending.claim import oldest_unfinished_day

# From subscription to subscription along the queue's index (as `sending.claim` does): the cost
# depends on how many subscriptions have unfinished deliveries, not on how many deliveries wait.
_OLDEST_DUE = """
WITH RECURSIVE queue (subscription_id, due_at) AS (
    (SELECT subscription_id, next_attempt_at FROM deliveries_delivery
     WHERE next_attempt_at IS NOT NULL AND id >= %(floor)s
     ORDER BY subscription_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT following.subscription_id, following.next_attempt_at FROM queue
    CROSS JOIN LATERAL (
        SELECT subscription_id, next_attempt_at FROM deliveries_delivery
        WHERE next_attempt_at IS NOT NULL AND id >= %(floor)s
          AND subscription_id > queue.subscription_id
        ORDER BY subscription_id, next_attempt_at LIMIT 1) AS following
)
SELECT extract(epoch FROM statement_timestamp() - min(due_at))::float8 FROM queue
"""


def oldest_overdue_seconds() -> float:
    """Return for how many seconds the oldest due delivery has waited; 0 when none is due.

    Deliveries under way count once their lease has passed. Uses the database's clock.
    """
    if connection.vendor != "postgresql":
        due_at = Delivery.objects.aggregate(oldest=Min("next_attempt_at"))["oldest"]
        return max(0.0, (timezone.now() - due_at).total_seconds()) if due_at else 0.0
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_DUE, {"floor": oldest_unfinished_day(cursor)})
        (waited,) = cursor.fetchone()
    return max(0.0, waited or 0.0)
