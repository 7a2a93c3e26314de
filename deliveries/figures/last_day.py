"""Counts what became of each subscription's deliveries of the last 24 hours, hour by hour.

Called by the list of subscriptions: one grouped count for all of them, however many there are.
Tests are left out. Estimated where there are many, as in `stats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from deliveries.figures.grouped_counts import Rows, count_groups
from deliveries.figures.stats import default_since
from deliveries.figures.time_slices import Buckets, Slice
from deliveries.models import Delivery
from subscriptions.models import Project

HOURS: Final = 24
BUDGET_SECONDS: Final = 0.6


@dataclass(frozen=True, slots=True)
class Hours:
    """How many deliveries ended well or not, by the hour in which they were made."""

    succeeded: tuple[int, ...] = (0,) * HOURS
    failed: tuple[int, ...] = (0,) * HOURS
    """Both oldest first; the last is the hour that is not over yet."""

    @property
    def success_rate(self) -> float | None:
        """Of those that ended by being sent; `None` while there are none."""
        ended = sum(self.succeeded) + sum(self.failed)
        return sum(self.succeeded) / ended if ended else None


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours of a project."""

    since: datetime
    is_sampled: bool
    """Counts are estimates; of a subscription that gets very little there may be none."""
    by_subscription: Mapping[UUID, Hours]
    """What had no deliveries is missing."""


def last_day_of(project: Project, *, budget_seconds: float = BUDGET_SECONDS) -> LastDay:
    """Count what was made in the current hour and the 23 before it."""
    now = timezone.now()
    hour = timedelta(hours=1)
    since = default_since(now, hour, HOURS)
    rows = Rows(Delivery, ("project_id", project.pk), ("subscription_id", "status", "is_test"))
    counts = count_groups(rows, Buckets(Slice(since, now), hour), budget_seconds=budget_seconds)
    counted: dict[UUID, dict[str, list[float]]] = {}
    for (number, (subscription, status, is_test)), group in counts.groups.items():
        if not is_test and status in ("succeeded", "failed"):
            of_one = counted.setdefault(_uuid(subscription), {})
            of_one.setdefault(status, [0.0] * HOURS)[number] += group.count
    return LastDay(
        since,
        counts.is_sampled,
        {
            identifier: Hours(
                **{name: tuple(map(round, numbers)) for name, numbers in of_one.items()}
            )
            for identifier, of_one in counted.items()
        },
    )


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)  # SQLite keeps them as text
