"""Tells how long the oldest due delivery has been waiting; called by `dispatcher.health`."""

from __future__ import annotations

from django.db import connection
from django.db.models import Min
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.queue_walk import QUEUE_POSTGRES, queue_bounds

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
        cursor.execute(_OLDEST_DUE, queue_bounds(cursor))
        (waited,) = cursor.fetchone()
    return max(0.0, waited or 0.0)
