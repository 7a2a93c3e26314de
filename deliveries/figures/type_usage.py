"""Says how often each event type was published in the last days, at a bounded cost.

Called by pages. Tests are left out. As in `filter_preview`, beyond 20,000 events it is estimated.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from deliveries.figures.grouped_counts import Rows, count_groups
from deliveries.figures.time_slices import Buckets, Slice
from deliveries.models import Event
from subscriptions.ids import time_of
from subscriptions.models import Project

DAYS: Final = 7

_BUDGET_SECONDS: Final = 1.0


@dataclass(slots=True)
class TypeUsage:
    """Events of one type."""

    by_day: list[float]
    """Oldest first; the first and the last day may be part of one. A day of which nothing was read
    has nothing."""
    scale: float = 1.0
    """What was found on all days stands for so many times itself."""
    latest: datetime | None = None

    @property
    def count(self) -> int:
        """All of them."""
        return round(sum(self.by_day) * self.scale)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was published in the last `DAYS`."""

    days: list[datetime]
    """Where each day begins, in UTC."""
    is_sampled: bool
    """Counts are estimates, and a rare type may be missing."""
    types: dict[str, TypeUsage] = field(default_factory=dict)


def usage_of(project: Project, *, budget_seconds: float = _BUDGET_SECONDS) -> Usage:
    """Count the project's events by type and day."""
    now = timezone.now()
    week = Buckets(Slice(now - timedelta(days=DAYS), now), timedelta(days=1))
    rows = Rows(Event, ("project_id", project.pk), ("type", "is_test"))
    counts = count_groups(rows, week, budget_seconds=budget_seconds)
    types: dict[str, TypeUsage] = defaultdict(lambda: TypeUsage([0.0] * len(week), counts.scale))
    newest: dict[str, UUID] = {}
    for (day, (name, is_test)), group in counts.groups.items():
        if not is_test:
            types[name].by_day[day] += group.count
            newest[name] = max(newest.get(name, group.latest), group.latest)
    for name, identifier in newest.items():
        types[name].latest = time_of(identifier)
    days = [week.first_start + number * week.width for number in range(len(week))]
    return Usage(days, counts.is_sampled, dict(types))
