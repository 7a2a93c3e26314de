"""Says how deliveries of a subscription or a project went: how many, how well, how fast.

Called by API and pages. Tests are left out. However many rows there are, an answer takes a second
or two: beyond 20,000 it is estimated from a sample that is spread over the time asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from deliveries.figures.attempt_durations import measure
from deliveries.figures.backlog import oldest_overdue_seconds_of
from deliveries.figures.grouped_counts import Group, GroupedCounts, Rows, count_groups
from deliveries.figures.percentiles import percentiles
from deliveries.figures.time_slices import Buckets, Slice, floor
from deliveries.models import Attempt, Delivery
from deliveries.publishing.unfinished_count import EXACT_AT_MOST, count_unfinished
from deliveries.sending.transport import Outcome
from subscriptions.ids import CLOCKS_APART, EPOCH, first_id_of, time_of
from subscriptions.models import Project, Subscription

COUNTING_SECONDS: Final = 1.2
MEASURING_SECONDS: Final = 0.6
"""Two budgets: what is left of the one is no use for the other."""

ERRORS_SHOWN: Final = 10

_RANKS: Final = (0.5, 0.95, 0.99)

_BACKLOG_SHOWN_AT_MOST: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Latency:
    """How long attempts took from their beginning to the answer, or to their end without one."""

    p50_ms: int
    p95_ms: int
    p99_ms: int
    measured: int
    """Attempts that these figures come from."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of deliveries, by where they stand."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    pending: int = 0
    sending: int = 0
    attempts: int = 0
    latency: Latency | None = None
    """`None` where no attempt was measured."""

    @property
    def deliveries(self) -> int:
        """All of them."""
        return self.succeeded + self.failed + self.cancelled + self.pending + self.sending

    @property
    def success_rate(self) -> float | None:
        """Of those that ended by being sent; `None` while there are none."""
        ended = self.succeeded + self.failed
        return round(self.succeeded / ended, 6) if ended else None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Counts of a part of the time."""

    start: datetime
    """Where it begins, or would if the interval did not begin later."""
    tally: Tally


_COUNTS: Final = ("succeeded", "failed", "cancelled", "pending", "sending", "attempts")


@dataclass(frozen=True, slots=True)
class ErrorSeen:
    """Deliveries whose latest attempt ended alike, other than well."""

    outcome: str
    status_code: int | None
    count: int
    last_error: str
    """In words; empty where the attempt is no longer kept."""
    last_at: datetime
    """When the latest of these attempts began."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the deliveries that were made from `since` on and before `until`."""

    since: datetime
    until: datetime
    is_sampled: bool
    """Counts are estimates."""
    total: Tally
    buckets: list[Bucket]
    """Oldest first. One that could not be read in time is left out."""
    errors: list[ErrorSeen]
    """The most frequent ones, at most `ERRORS_SHOWN`."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is unfinished now."""

    unfinished: int | None
    """`None` where counting would have taken too long."""
    is_estimated: bool
    oldest_overdue_seconds: float
    """For how long the oldest due delivery has waited; 0 when none is due."""


def stats_of(
    owner: Subscription | Project, *, since: datetime, until: datetime, width: timedelta
) -> Stats:
    """Count what was made between the two, both from 1970 on, in buckets of this width (UTC)."""
    until = min(until, timezone.now())
    buckets = Buckets(Slice(min(since, until), until), width)
    column = ("subscription_id" if isinstance(owner, Subscription) else "project_id", owner.pk)
    counts = count_groups(_rows(column), buckets, budget_seconds=COUNTING_SECONDS)
    sums = _sums_by_bucket(counts)
    durations = measure(
        column,
        buckets,
        deliveries=sum(each.deliveries for each in sums.values()),
        budget_seconds=MEASURING_SECONDS,
    )
    read = [number for number in range(len(buckets)) if number not in counts.unread]
    return Stats(
        since=buckets.whole.start,
        until=until,
        is_sampled=counts.is_sampled,
        total=_total(sums, durations, times=counts.scale),
        buckets=[
            Bucket(
                buckets.first_start + number * width,
                _tally(sums.get(number, Tally()), [(durations.get(number, ()), 1.0)]),
            )
            for number in read
        ],
        errors=_errors(counts),
    )


def default_since(until: datetime, width: timedelta, count: int) -> datetime:
    """Return where the earliest of so many buckets begins, the last of which ends with `until`."""
    last = floor(max(until - timedelta(microseconds=1), EPOCH), width)
    return max(last - (count - 1) * width, EPOCH)


def backlog_of(owner: Subscription | Project) -> Backlog:
    """Count what is unfinished now, tests included, and say how long the oldest is overdue."""
    if isinstance(owner, Subscription):
        subscriptions = [owner.pk]
    else:
        subscriptions = list(owner.subscriptions.values_list("id", flat=True))
    with transaction.atomic():
        unfinished = count_unfinished(subscriptions, at_most=_BACKLOG_SHOWN_AT_MOST)
        overdue_seconds = oldest_overdue_seconds_of(subscriptions)
    is_estimated = connection.vendor == "postgresql" and (unfinished or 0) > EXACT_AT_MOST
    return Backlog(unfinished, is_estimated, overdue_seconds)


# ---- Counting -----------------------------------------------------------------------------------


def _rows(owner: tuple[str, Any]) -> Rows:
    columns = ("status", "last_outcome", "last_status_code", "is_test")
    return Rows(Delivery, owner, columns, added_up="attempt_count")


def _sums_by_bucket(counts: GroupedCounts) -> dict[int, Tally]:
    """Add up by status, tests left out; what has no deliveries is missing."""
    sums: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (number, (status, _, _, is_test)), group in counts.groups.items():
        if not is_test:
            sums[number][status] += group.count
            sums[number]["attempts"] += group.added_up
    return {
        number: Tally(**{name: round(count) for name, count in counted.items()})  # type: ignore[arg-type]  # these are counts
        for number, counted in sums.items()
    }


def _total(sums: dict[int, Tally], durations: dict[int, list[int]], *, times: float) -> Tally:
    """Add up the buckets; those that were not read are taken to be like the rest."""
    added = {
        name: round(times * sum(getattr(tally, name) for tally in sums.values()))
        for name in _COUNTS
    }
    weighted = [
        (values, float(sums[number].attempts))
        for number, values in durations.items()
        if number in sums
    ]
    return _tally(Tally(**added), weighted)


def _tally(counted: Tally, durations: Iterable[tuple[Sequence[int], float]]) -> Tally:
    """Return the counts with the latency that these durations, by their weights, come to."""
    groups = list(durations)
    found = percentiles(groups, _RANKS)
    if found is None:
        return counted
    measured = sum(len(values) for values, _ in groups)
    p50_ms, p95_ms, p99_ms = found
    return replace(counted, latency=Latency(p50_ms, p95_ms, p99_ms, measured))


# ---- Errors -------------------------------------------------------------------------------------


def _errors(counts: GroupedCounts) -> list[ErrorSeen]:
    """Return how deliveries failed last, the most frequent way first."""
    seen: dict[tuple[str, int | None], Group] = {}
    for (_, (_, outcome, status_code, is_test)), group in counts.groups.items():
        if not is_test and outcome not in ("", Outcome.SUCCEEDED):
            seen.setdefault((outcome, status_code), Group()).add(group, times=counts.scale)
    frequent = sorted(seen.items(), key=lambda item: item[1].count, reverse=True)[:ERRORS_SHOWN]
    return [_error_seen(*how, group) for how, group in frequent]


def _error_seen(outcome: str, status_code: int | None, group: Group) -> ErrorSeen:
    made_at = time_of(group.latest)
    attempts = Attempt.objects.filter(
        delivery_id=group.latest,
        id__gte=first_id_of(max(made_at - CLOCKS_APART, EPOCH)),
        outcome=outcome,
    )
    latest = attempts.order_by("-number", "-id").values_list("error", "started_at").first()
    error, last_at = latest or ("", made_at)
    return ErrorSeen(outcome, status_code, round(group.count), error, last_at)
