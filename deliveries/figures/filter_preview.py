"""Says what a subscription would have received with an event filter: of the last days' events.

Called by API and pages. Whether a filter wants an event is `matching`'s to say; what is read is
bounded, as in `stats`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from deliveries.figures.grouped_counts import Group, GroupedCounts, Rows, count_groups
from deliveries.figures.time_slices import Buckets, Slice
from deliveries.models import Event
from subscriptions.ids import first_id_of
from subscriptions.matching import matches
from subscriptions.models import Project

DAYS: Final = 7
SAMPLES: Final = 5
TYPES_SHOWN: Final = 100

_BUDGET_SECONDS: Final = 1.0

_NEWEST_READ: Final = 1000
"""Events that are searched for samples; of types that are rarer, the newest of each is shown."""


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How many events of a type there were."""

    event_type: str
    count: int


@dataclass(frozen=True, slots=True)
class Sample:
    """An event that would have been received."""

    id: UUID
    type: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """What a filter would have let through, tests left out."""

    since: datetime
    is_sampled: bool
    """Counts are estimates, and a rare type may be missing."""
    published: int
    """All events of that time."""
    received: int
    types: list[TypeCount]
    """Those that the filter wants, the most frequent first, at most `TYPES_SHOWN`."""
    samples: list[Sample]
    """The newest that were found, at most `SAMPLES`."""


def preview(
    project: Project, filters: Collection[str], *, budget_seconds: float = _BUDGET_SECONDS
) -> Preview:
    """Hold checked filters against the events of the last `DAYS`."""
    now = timezone.now()
    since = now - timedelta(days=DAYS)
    rows = Rows(Event, ("project_id", project.pk), ("type", "is_test"))
    week = Buckets(Slice(since, now), timedelta(days=1))
    counts = count_groups(rows, week, budget_seconds=budget_seconds)
    by_type = _by_type(counts)
    wanted = {name: group for name, group in by_type.items() if matches(filters, name)}
    frequent = sorted(wanted.items(), key=lambda item: (-item[1].count, item[0]))
    return Preview(
        since=since,
        is_sampled=counts.is_sampled,
        published=round(counts.scale * sum(group.count for group in by_type.values())),
        received=round(counts.scale * sum(group.count for group in wanted.values())),
        types=[
            TypeCount(name, round(counts.scale * group.count))
            for name, group in frequent[:TYPES_SHOWN]
        ],
        samples=_samples(project, since, filters, (group.latest for group in wanted.values())),
    )


def _by_type(counts: GroupedCounts) -> dict[str, Group]:
    by_type: dict[str, Group] = {}
    for (_, (event_type, is_test)), group in counts.groups.items():
        if not is_test:
            by_type.setdefault(event_type, Group()).add(group)
    return by_type


def _samples(
    project: Project, since: datetime, filters: Collection[str], latest: Iterable[UUID]
) -> list[Sample]:
    """Return the newest events that the filters want, from the newest of all and of each type."""
    events = Event.objects.filter(project=project, id__gte=first_id_of(since), is_test=False)
    columns = ("id", "type", "created_at")
    newest = events.order_by("-id").values_list(*columns)[:_NEWEST_READ]
    found = {row[0]: Sample(*row) for row in newest if matches(filters, row[1])}
    if len(found) < SAMPLES:
        of_types = sorted(latest, reverse=True)[:SAMPLES]
        rare = events.filter(id__in=of_types).values_list(*columns)
        found |= {row[0]: Sample(*row) for row in rare}
    return [found[key] for key in sorted(found, reverse=True)[:SAMPLES]]
