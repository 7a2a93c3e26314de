"""Counts the deliveries of a list over time, for the bars above it: how many went well, or not.

Called by `deliveries`. As in `figures`, beyond some 20,000 deliveries it is an estimate, made in a
bounded time; filters are applied to the groups that were counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from deliveries.costly_requests import Kind
from deliveries.figures.grouped_counts import Key, Rows, count_groups
from deliveries.figures.time_slices import Buckets, Slice, floor
from deliveries.history.filters import status_codes_of
from deliveries.models import Delivery
from deliveries.pages.charts import HEIGHT, WIDTH, round_top, stacked_bars
from deliveries.pages.charts import Bar as Drawn
from deliveries.pages.list_query import ListQuery
from subscriptions.models import Project

HISTOGRAM: Final = Kind("histogram", longest_seconds=1, rest_factor=0)
BUDGET_SECONDS: Final = 0.3

_DAY: Final = timedelta(days=1)
_LONGEST: Final = 30 * _DAY
_BARS_AT_MOST: Final = 48
_WIDTHS: Final = [
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 24)),
]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time, what was made in it, and how that is drawn."""

    start: datetime
    end: datetime
    succeeded: int
    failed: int
    others: int
    """Unfinished or cancelled."""
    drawn: Drawn
    address: str
    """The list of this stretch alone."""

    @property
    def title(self) -> str:
        """When it begins, in UTC."""
        return f"{self.start:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars, oldest first."""

    bars: list[Bar]
    top: int
    """How many the full height stands for."""
    since: datetime
    until: datetime
    is_sampled: bool
    width: int = WIDTH
    height: int = HEIGHT


def histogram_of(
    project: Project, query: ListQuery, among: Collection[UUID] | None
) -> Histogram | None:
    """Count what the list's filters want; `None` where they name single events.

    `among`: of these subscriptions only; `None`: of all.
    """
    wanted = query.wanted
    if query.errors or "event" in wanted or "search" in wanted:
        return None
    buckets = buckets_of(wanted)
    if not len(buckets):
        return None
    columns = _columns(wanted, among)
    owner = ("project_id", project.pk)
    if "subscription" in wanted:
        owner = ("subscription_id", wanted["subscription"])
    fits = _fits(columns, wanted, among)
    counts = count_groups(Rows(Delivery, owner, columns), buckets, budget_seconds=BUDGET_SECONDS)
    sums = [{"succeeded": 0.0, "failed": 0.0, "others": 0.0} for _ in range(len(buckets))]
    for (number, key), group in counts.groups.items():
        if fits(key):
            status = key[0]
            sums[number][status if status in ("succeeded", "failed") else "others"] += group.count
    return _drawn(buckets, sums, query, is_sampled=counts.is_sampled)


def buckets_of(wanted: Mapping[str, Any], now: datetime | None = None) -> Buckets:
    """Return the stretch that is asked for, 30 days at most, in bars of a round width."""
    now = now or timezone.now()
    until = min(wanted.get("until", now), now)
    since = wanted.get("since")
    if since is None:
        since = floor(until, timedelta(hours=1)) - timedelta(hours=23)
    since = max(min(since, until), until - _LONGEST)
    width = next(
        (width for width in _WIDTHS if (until - since) / width <= _BARS_AT_MOST), _WIDTHS[-1]
    )
    return Buckets(Slice(since, until), width)


def _columns(wanted: Mapping[str, Any], among: Collection[UUID] | None) -> tuple[str, ...]:
    """Return what deliveries are grouped by: no more than the filters ask about."""
    columns = ["status"]
    if "event_type" in wanted:
        columns.append("event_type")
    if "outcome" in wanted:
        columns.append("last_outcome")
    if "status_class" in wanted or "status_code" in wanted:
        columns.append("last_status_code")
    if among is not None:
        columns.append("subscription_id")
    return tuple(columns)


def _fits(
    columns: tuple[str, ...], wanted: Mapping[str, Any], among: Collection[UUID] | None
) -> Callable[[Key], bool]:
    equal = {"status": "status", "event_type": "event_type", "last_outcome": "outcome"}
    ranges = []
    if "status_class" in wanted:
        ranges.append(status_codes_of(wanted["status_class"]))
    if "status_code" in wanted:
        ranges.append(range(wanted["status_code"], wanted["status_code"] + 1))

    def fits(key: Key) -> bool:
        for column, value in zip(columns, key, strict=True):
            if column == "last_status_code":
                if not all(value in codes for codes in ranges):
                    return False
            elif column == "subscription_id":
                if _uuid(value) not in (among or ()):
                    return False
            elif equal[column] in wanted and value != wanted[equal[column]]:
                return False
        return True

    return fits


def _uuid(value: object) -> object:
    """Return an id as Python has it: SQLite answers with its hexadecimal digits."""
    return UUID(value) if isinstance(value, str) else value


def _drawn(
    buckets: Buckets, sums: list[dict[str, float]], query: ListQuery, *, is_sampled: bool
) -> Histogram:
    series = {
        "ok": [each["succeeded"] for each in sums],
        "rest": [each["others"] for each in sums],
        "fail": [each["failed"] for each in sums],
    }
    top = round_top(max(sum(each.values()) for each in sums))
    bars = []
    for number, drawn in enumerate(stacked_bars(series, top)):
        part = buckets[number]
        counted = {name: round(count) for name, count in sums[number].items()}
        address = query.address(since=_written(part.start), until=_written(part.end))
        bars.append(Bar(part.start, part.end, drawn=drawn, address=address, **counted))
    whole = buckets.whole
    return Histogram(bars, round(top), whole.start, whole.end, is_sampled=is_sampled)


def _written(moment: datetime) -> str:
    """Write a time as the filters have it: UTC, to the second, rounded up so that nothing hides."""
    if moment.microsecond:
        moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    return f"{moment:%Y-%m-%dT%H:%M:%S}"
