"""Reads how long attempts took: all of a few deliveries', or a sample spread over the time.

Called by `stats`. Attempts are found by their delivery; each may lie in any later day, so that what
is read is a few thousand at most, whatever there is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from deliveries.figures.time_slices import Buckets, Slice, spread
from deliveries.models import Attempt, Delivery
from deliveries.sending.transport import Outcome
from subscriptions.ids import CLOCKS_APART, EPOCH, first_id_of

ALL_AT_MOST: Final = 2000
"""Deliveries whose attempts are all measured."""

_SLICES: Final = 128
_SLICE_DELIVERIES: Final = 32

_ATTEMPTS_OF_EACH: Final = 50
"""More than any schedule has."""

_WITHOUT_REQUEST: Final = (
    Outcome.INTERRUPTED,
    Outcome.OWN_OUTAGE,
    Outcome.NOT_SENDABLE,
    Outcome.BLOCKED_ADDRESS,
)
"""Nothing was sent, or nobody knows how long it took."""

_CLOCKS_MAY_DIFFER: Final = timedelta(days=1)


def measure(
    owner: tuple[str, Any], buckets: Buckets, *, deliveries: int, budget_seconds: float
) -> dict[int, list[int]]:
    """Return durations in milliseconds by bucket, tests left out; buckets without any are missing.

    `owner` is a column of deliveries and its value; `deliveries` says about how many there are.
    """
    found: dict[int, list[int]] = defaultdict(list)
    if not deliveries:
        return found
    if deliveries <= ALL_AT_MOST:
        _read(found, owner, buckets.whole, buckets, limit=ALL_AT_MOST)
        return found
    stop_at = time.monotonic() + budget_seconds
    pieces = 1 << max(0, (_SLICES // len(buckets)).bit_length() - 1)
    for _, part in spread(buckets, pieces):
        if time.monotonic() > stop_at:
            break
        _read(found, owner, part, buckets, limit=_SLICE_DELIVERIES)
    return found


def _read(
    found: dict[int, list[int]],
    owner: tuple[str, Any],
    part: Slice,
    buckets: Buckets,
    *,
    limit: int,
) -> None:
    """Add the durations of a slice's newest deliveries."""
    made = Delivery.objects.filter(
        **{owner[0]: owner[1]}, id__gte=first_id_of(part.start), id__lt=first_id_of(part.end)
    )
    rows = made.order_by("-id").values_list("id", "created_at", "is_test", "attempt_count")[:limit]
    # Sorted out here: whatever has no attempts would be read without end by the database.
    made_at = {row[0]: row[1] for row in rows if row[3] and not row[2]}
    floor = first_id_of(max(part.start - CLOCKS_APART, EPOCH))
    for delivery_id, outcome, duration_ms in _attempts(list(made_at), floor=floor):
        if outcome not in _WITHOUT_REQUEST:
            found[buckets.number_of(made_at[delivery_id])].append(duration_ms)


# Looked up one by one, in the order of the index that is to be used, and never sorted: where a day
# has no statistics yet, PostgreSQL would read all of its attempts for each delivery otherwise.
_PLAN_POSTGRES = "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off"
_ATTEMPTS_POSTGRES = """
SELECT delivery.id, attempt.outcome, attempt.duration_ms
FROM unnest(%(deliveries)s::uuid[]) AS delivery (id)
CROSS JOIN LATERAL (
    SELECT outcome, duration_ms FROM deliveries_attempt AS of_any
    WHERE delivery_id = delivery.id AND of_any.id >= %(floor)s AND of_any.id < %(ceiling)s
    ORDER BY number LIMIT %(limit)s) AS attempt
"""


def _attempts(deliveries: list[UUID], *, floor: UUID) -> list[tuple[UUID, str, int]]:
    """Return delivery, outcome and milliseconds of these deliveries' first attempts."""
    ceiling = first_id_of(timezone.now() + _CLOCKS_MAY_DIFFER)
    if connection.vendor == "postgresql":
        values: dict[str, Any] = {"deliveries": deliveries, "floor": floor, "ceiling": ceiling}
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_PLAN_POSTGRES)
            cursor.execute(_ATTEMPTS_POSTGRES, {**values, "limit": _ATTEMPTS_OF_EACH})
            return list(cursor.fetchall())
    attempts = Attempt.objects.filter(
        delivery_id__in=deliveries, number__lte=_ATTEMPTS_OF_EACH, id__gte=floor, id__lt=ceiling
    )
    return list(attempts.values_list("delivery_id", "outcome", "duration_ms"))
