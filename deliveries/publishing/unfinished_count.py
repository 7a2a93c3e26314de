"""Counts unfinished deliveries at a bounded cost: exactly while they are few, else by a sample.

Called by `backlog_limit` and `recovery_run`. On PostgreSQL a million rows would take a second or
two to count when they have just been written; what is asked here takes a tenth of that, whatever
the backlog.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.queue_walk import KnownFloor, queue_bounds
from subscriptions.ids import time_of

logger = logging.getLogger(__name__)

EXACT_AT_MOST: Final = 20_000

_SAMPLE_PAGES: Final = 2000
"""Of 8 KiB, with some 60 rows each: an estimate within a few percent when a day's rows wait."""

_TIMEOUT_MS: Final = 2000
"""A publisher waits no longer for a count."""


def count_unfinished(subscriptions: Collection[UUID], *, at_most: int) -> int | None:
    """Return how many deliveries to these subscriptions are unfinished; `at_most`, if it is more.

    An estimate beyond `EXACT_AT_MOST`. `None` when PostgreSQL would take longer than two seconds.
    Must run in a transaction, and leaves nothing in it.
    """
    exact_at_most = min(at_most, EXACT_AT_MOST)
    if connection.vendor != "postgresql":
        return _count_rows(subscriptions, at_most=at_most)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            counted = _count_few(cursor, subscriptions, at_most=exact_at_most)
            if counted == exact_at_most < at_most:
                sampled = _estimate_many(cursor, subscriptions)
                counted = min(max(counted, sampled), at_most)
            transaction.set_rollback(True)  # the caller's own statements are planned as before
    except OperationalError as error:
        logger.warning("unfinished deliveries were not counted: %s", error)
        return None
    return counted


def count_due(subscriptions: Collection[UUID], *, at_most: int) -> int:
    """Return how many deliveries to these subscriptions wait to be sent now, up to `at_most`.

    Exact, so ask for a few thousand at most. Must run in a transaction, and leaves nothing in it.
    """
    if connection.vendor != "postgresql":
        due = Delivery.objects.filter(
            subscription_id__in=subscriptions, next_attempt_at__lte=timezone.now()
        )
        return due[:at_most].count()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PLAN_POSTGRES)
        cursor.execute(_COUNT_DUE_POSTGRES, [list(subscriptions), at_most])
        (counted,) = cursor.fetchone()
        transaction.set_rollback(True)  # the caller's own statements are planned as before
    return int(counted)


def _count_rows(subscriptions: Collection[UUID], *, at_most: int) -> int:
    unfinished = Delivery.objects.filter(
        subscription_id__in=subscriptions, next_attempt_at__isnull=False
    )
    return unfinished[:at_most].count()


# The queue's index has what is unfinished and no more; read in its order, the limit ends it early.
# Today's partition has no statistics until autovacuum has been there, hence the planner is told.
_PLAN_POSTGRES = f"""
SET LOCAL statement_timeout = {_TIMEOUT_MS};
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off
"""
_COUNT_POSTGRES = """
SELECT count(*) FROM (
    SELECT FROM deliveries_delivery
    WHERE subscription_id = ANY(%s::uuid[]) AND next_attempt_at IS NOT NULL LIMIT %s) AS unfinished
"""
_COUNT_DUE_POSTGRES = _COUNT_POSTGRES.replace(
    "next_attempt_at IS NOT NULL", "next_attempt_at <= statement_timestamp()"
)


def _count_few(cursor: CursorWrapper, subscriptions: Collection[UUID], *, at_most: int) -> int:
    cursor.execute(_PLAN_POSTGRES)
    cursor.execute(_COUNT_POSTGRES, [list(subscriptions), at_most])
    return int(cursor.fetchone()[0])


_PAGES_POSTGRES = """
SELECT sum(pg_relation_size(oid)) / current_setting('block_size')::int
FROM pg_class JOIN pg_inherits ON inhrelid = oid
WHERE inhparent = 'deliveries_delivery'::regclass AND relname >= %s
"""
_SAMPLE_POSTGRES = """
SELECT count(*) FROM deliveries_delivery TABLESAMPLE SYSTEM (%(percent)s)
WHERE id >= %(floor)s AND id < %(ceiling)s AND next_attempt_at IS NOT NULL
  AND subscription_id = ANY(%(subscriptions)s::uuid[])
"""


def _estimate_many(cursor: CursorWrapper, subscriptions: Collection[UUID]) -> int:
    """Look at some pages of the days that have unfinished deliveries, and scale up."""
    bounds = queue_bounds(cursor, KnownFloor())
    first_day = time_of(bounds["floor"]).date()
    cursor.execute(_PAGES_POSTGRES, [f"deliveries_delivery_p{first_day:%Y%m%d}"])
    (pages,) = cursor.fetchone()
    percent = min(100.0, 100.0 * _SAMPLE_PAGES / max(1, int(pages or 0)))
    cursor.execute(
        _SAMPLE_POSTGRES, {**bounds, "percent": percent, "subscriptions": list(subscriptions)}
    )
    (found,) = cursor.fetchone()
    return round(int(found) * 100 / percent)
