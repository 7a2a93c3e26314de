"""Holds each event against its deliveries: as many as it matched must be there, in whatever state.

Called by `manage.py audit` and the API. A statement counts a few thousand events and all of their
deliveries in one snapshot of a few milliseconds: what it finds is real, and no snapshot stays open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from deliveries.models import Delivery, Event
from subscriptions.ids import first_id_of, time_of
from subscriptions.models import Project

NAMED_LIMIT = 100
"""So many events and so many deliveries are named; all are counted."""

OVERDUE_AFTER = timedelta(minutes=5)
"""Unfinished for so long after it was due: worth a note, but nothing is lost."""

_STEP_DELIVERIES = 10_000
_STEP_EVENTS = 2_500
_STEP_EVENTS_OF_PROJECT = 1_000
"""What one statement counts, so that it takes some 50 ms: docs/adr/0010 has the measurements. A
project's deliveries lie apart, and each event is looked up by itself."""

_PAGE_DELIVERIES = 2_000
"""Deliveries whose events are looked up at once."""

_NEARBY = timedelta(minutes=1)
"""So far before a delivery's id its event's is expected; any other event is looked up."""

_DAY = timedelta(days=1)

_CLOCKS_MAY_DIFFER = timedelta(days=1)
"""A delivery's id is younger than its event's, but for publishers' clocks."""

_PRUNING_MARGIN = timedelta(hours=1)
"""What pruning could reach while the audit runs is not judged."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one project and day: the UTC day on which the events' ids were made."""

    events: int = 0
    matched: int = 0
    """Deliveries that there must be: what the events say."""
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    pending: int = 0
    sending: int = 0
    unbalanced: int = 0
    """Events whose deliveries are fewer or more than they matched."""
    strays: int = 0
    """Deliveries whose event does not exist in their project."""
    overdue: int = 0
    """Unfinished ones that were due more than `OVERDUE_AFTER` ago."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def difference(self) -> int:
        """Deliveries that are missing; below 0, that are too many."""
        present = self.succeeded + self.failed + self.cancelled + self.pending + self.sending
        return self.matched - present

    @property
    def is_balanced(self) -> bool:
        """Every event has its deliveries; two mistakes that cancel each other out are two."""
        return not (self.unbalanced or self.strays or self.difference)


@dataclass(frozen=True, slots=True)
class Unbalanced:
    """An event whose deliveries are not as many as it matched."""

    project_id: int
    event_id: UUID
    matched: int
    counted: int


@dataclass(frozen=True, slots=True)
class Stray:
    """A delivery whose event does not exist in its project."""

    project_id: int
    delivery_id: UUID
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found for the days from `since` to `until`, both included."""

    since: date
    until: date
    is_complete: bool
    """False when time ran out: what is older than `since` was asked for and not judged."""
    tallies: dict[tuple[int, date], Tally]
    """By project's key and day, the latest day first; what has no events is left out."""
    unbalanced: list[Unbalanced]
    strays: list[Stray]
    is_truncated: bool
    """More events or deliveries do not add up than are named."""

    @property
    def is_balanced(self) -> bool:
        """Nothing was lost, and nothing is there twice."""
        return all(tally.is_balanced for tally in self.tallies.values())


def first_judged_day(now: datetime | None = None) -> date:
    """Return the oldest day of which pruning has dropped nothing, and will not within the hour."""
    kept_since = (now or timezone.now()) - timedelta(days=settings.DISPATCHER_RETENTION_DAYS)
    return (kept_since + _PRUNING_MARGIN).date() + timedelta(days=1)


def audit(
    *,
    project: Project | None = None,
    since: date | None = None,
    budget_seconds: float | None = None,
) -> Audit:
    """Count all events and deliveries of the days from `since` (default: all there is) to today.

    The latest day comes first; whole days are left out when `budget_seconds` have passed. With a
    `project` only its own rows are read, else all of them in the order in which they lie on disk.
    """
    now = timezone.now()
    oldest = max(since or date.min, first_judged_day(now))
    stop_at = None if budget_seconds is None else time.monotonic() + budget_seconds
    findings = _Findings()
    day = now.date()
    while day >= oldest:
        for part in _Look(day, oldest=oldest, now=now, project=project).parts():
            if stop_at is not None and time.monotonic() > stop_at:
                return findings.report(day + _DAY, now.date(), is_complete=False)
            findings.add(part)
        day -= _DAY
    return findings.report(oldest, now.date(), is_complete=True)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one step found."""

    day: date
    tallies: dict[int, Tally]
    """By project's key."""
    unbalanced: list[Unbalanced]
    strays: list[Stray]


class _Findings:
    """Adds up what the steps found."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[int, date], Tally] = {}
        self._unbalanced: list[Unbalanced] = []
        self._strays: list[Stray] = []

    def add(self, part: _Part) -> None:
        for project_id, tally in part.tallies.items():
            key = project_id, part.day
            self._tallies[key] = self._tallies.get(key, Tally()) + tally
        self._unbalanced += part.unbalanced[: NAMED_LIMIT + 1 - len(self._unbalanced)]
        self._strays += part.strays[: NAMED_LIMIT + 1 - len(self._strays)]

    def report(self, since: date, until: date, *, is_complete: bool) -> Audit:
        """Return what was found of the days that were judged to the end."""
        floor = _first_id_of_day(since)
        unbalanced = [row for row in self._unbalanced if row.event_id >= floor]
        strays = [row for row in self._strays if row.event_id >= floor]
        return Audit(
            since=since,
            until=until,
            is_complete=is_complete,
            tallies={key: tally for key, tally in self._tallies.items() if key[1] >= since},
            unbalanced=unbalanced[:NAMED_LIMIT],
            strays=strays[:NAMED_LIMIT],
            is_truncated=max(len(unbalanced), len(strays)) > NAMED_LIMIT,
        )


# ---- Looking --------------------------------------------------------------------------------

_RANGE = "id >= %(start)s AND id < %(end)s"
_EVENTS_OF_PROJECT = (
    "SELECT id FROM deliveries_event"
    " WHERE project_id = %(project)s AND id >= %(start)s AND id < %(end)s"
)

# Which rows a step counts: all whose event lies in the range, or those of one project. As an array
# the ids are looked up one by one; as a subquery, PostgreSQL joins with the whole of every day.
_EVERYTHING = {
    "events": _RANGE,
    "deliveries": "event_id >= %(start)s AND event_id < %(end)s",
}
_PROJECT = {
    "events": f"project_id = %(project)s AND {_RANGE}",
    "deliveries": f"project_id = %(project)s AND event_id = ANY(ARRAY({_EVENTS_OF_PROJECT}))",
}
_PROJECT_SQLITE = {
    "events": _PROJECT["events"],
    "deliveries": f"project_id = %(project)s AND event_id IN ({_EVENTS_OF_PROJECT})",
}

# Events and deliveries in one pile, then one row per event: without the event `matched` is NULL.
# An event's deliveries are in the partitions from its day on: recoveries may add some late.
_BY_EVENT = """
WITH pile AS (
    SELECT id, project_id, matched_count AS matched, NULL AS status, NULL AS due_at
    FROM deliveries_event WHERE {events}
    UNION ALL
    SELECT event_id, project_id, NULL, status, next_attempt_at
    FROM deliveries_delivery WHERE {deliveries} AND id >= %(floor)s AND id < %(ceiling)s
), event AS (
    SELECT id, project_id, max(matched) AS matched, count(status) AS counted,
        count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE status = 'sending') AS sending,
        count(*) FILTER (WHERE due_at < %(overdue_before)s) AS overdue
    FROM pile GROUP BY id, project_id
)"""

# The columns are those of `Tally`, in its order.
_TALLIES = """
SELECT project_id, count(matched), coalesce(sum(matched), 0), sum(succeeded), sum(failed),
    sum(cancelled), sum(pending), sum(sending), count(*) FILTER (WHERE matched <> counted),
    coalesce(sum(counted) FILTER (WHERE matched IS NULL), 0), sum(overdue)
FROM event GROUP BY project_id
"""

_UNBALANCED = """
SELECT project_id, id, matched, counted FROM event WHERE matched <> counted
ORDER BY id DESC LIMIT %(limit)s
"""


class _Look:
    """Reads one day; every statement is a transaction of its own."""

    def __init__(self, day: date, *, oldest: date, now: datetime, project: Project | None) -> None:
        self.day = day
        self.oldest = _first_id_of_day(oldest)
        self.project = project
        self.now = now
        self.overdue_before = now - OVERDUE_AFTER
        rows = {} if project is None else {"project": project}
        self.events = Event.objects.filter(**rows)
        self.deliveries = Delivery.objects.filter(**rows)
        if project is None:
            self.where, self.step_events = _EVERYTHING, _STEP_EVENTS
        else:
            self.where = _PROJECT if connection.vendor == "postgresql" else _PROJECT_SQLITE
            self.step_events = _STEP_EVENTS_OF_PROJECT

    def parts(self) -> Iterator[_Part]:
        """Count the day step by step; one project's strays take a second look."""
        for start, end in self._steps():
            yield self._compare(start, end)
            if self.project is not None:
                yield from self._strays_made_between(start, end)

    def _steps(self) -> Iterator[tuple[UUID, UUID]]:
        """Yield ranges of ids that hold so many events and deliveries as one statement counts."""
        start, day_end = _first_id_of_day(self.day), _first_id_of_day(self.day + _DAY)
        while start < day_end:
            ahead = self.events.filter(id__gte=start, id__lt=day_end).order_by("id")
            rows = list(ahead.values_list("id", "matched_count")[: self.step_events + 1])
            sums = accumulate(matched for _, matched in rows[: self.step_events])
            count = max(1, sum(total <= _STEP_DELIVERIES for total in sums))
            end = rows[count][0] if count < len(rows) else day_end
            yield start, end
            start = end

    def _compare(self, start: UUID, end: UUID) -> _Part:
        """Hold the events of a range against their deliveries."""
        by_event = _BY_EVENT.format(**self.where)
        parameters = self._parameters(start, end)
        tallies = {
            project_id: Tally(*map(int, counts))
            for project_id, *counts in _rows(by_event + _TALLIES, parameters)
        }
        unbalanced: list[Unbalanced] = []
        if any(tally.unbalanced for tally in tallies.values()):
            unbalanced = [
                Unbalanced(project_id, Event._meta.pk.to_python(event_id), matched, counted)
                for project_id, event_id, matched, counted in _rows(
                    by_event + _UNBALANCED, parameters
                )
            ]
        strays: list[Stray] = []
        if any(tally.strays for tally in tallies.values()):
            deliveries = self.deliveries.filter(event_id__gte=start, event_id__lt=end)
            events = self.events.filter(id__gte=start, id__lt=end)
            strays = [_stray(row) for row in _without(events, deliveries)[: NAMED_LIMIT + 1]]
        return _Part(self.day, tallies, unbalanced, strays)

    def _parameters(self, start: UUID, end: UUID) -> dict[str, Any]:
        bounds = {
            "start": start,
            "end": end,
            "floor": _first_id_of_day(self.day - _CLOCKS_MAY_DIFFER),
            "ceiling": first_id_of(self.now + _CLOCKS_MAY_DIFFER),
        }
        key = Event._meta.pk
        return {
            **{name: key.get_db_prep_value(value, connection) for name, value in bounds.items()},
            "overdue_before": connection.ops.adapt_datetimefield_value(self.overdue_before),
            "project": None if self.project is None else self.project.pk,
            "limit": NAMED_LIMIT + 1,
        }

    def _strays_made_between(self, start: UUID, end: UUID) -> Iterator[_Part]:
        """Find one project's deliveries that were made in a range of ids and have no event.

        Nearly all have it nearby. For the others it is looked up: it may be of an earlier day, of
        which the rest is read later.
        """
        nearby = self.events.filter(id__gte=first_id_of(time_of(start) - _NEARBY), id__lt=end)
        while True:
            made = self.deliveries.filter(id__gte=start, id__lt=end, event_id__gte=self.oldest)
            rows = list(_without(nearby, made).order_by("id")[:_PAGE_DELIVERIES])
            ids = {row.event_id for row in rows}
            lost = ids.difference(self.events.filter(id__in=ids).values_list("id", flat=True))
            for row in rows:
                if row.event_id in lost:
                    yield self._part_of_stray(row)
            if len(rows) < _PAGE_DELIVERIES:
                return
            start = UUID(int=rows[-1].id.int + 1)

    def _part_of_stray(self, row: Delivery) -> _Part:
        is_overdue = row.next_attempt_at is not None and row.next_attempt_at < self.overdue_before
        tally = Tally(**{row.status: 1}, strays=1, overdue=int(is_overdue))
        return _Part(time_of(row.event_id).date(), {row.project_id: tally}, [], [_stray(row)])


def _without(events: QuerySet[Event], deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Return the deliveries whose event is not among these."""
    own = events.filter(id=OuterRef("event_id"), project_id=OuterRef("project_id"))
    return deliveries.filter(~Exists(own)).only(
        "project_id", "event_id", "status", "next_attempt_at"
    )


def _stray(row: Delivery) -> Stray:
    return Stray(row.project_id, row.id, row.event_id)


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _first_id_of_day(day: date) -> UUID:
    return first_id_of(datetime.combine(day, time_of_day(), UTC))
