"""Takes due deliveries for one worker, fairly across subscriptions, under a lease.

Called by the pump. One short transaction picks and locks due rows, moves `next_attempt_at` to the
end of the lease and raises `attempt_count`, the fencing number that `record` checks. What may no
longer be sent (its subscription was deactivated or deleted) is cancelled on the way. Due times and
leases are judged by the database's clock.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from deliveries.clock import ahead_of_database
from deliveries.models import Attempt, Delivery, Event
from deliveries.queue_walk import QUEUE_POSTGRES, KnownFloor, queue_bounds
from deliveries.sending.known_snapshots import known_snapshots
from deliveries.sending.snapshot import SubscriptionSnapshot, load_snapshots
from deliveries.sending.transport import Outcome
from subscriptions.ids import time_of

PAUSES_SECONDS = (0, 0, 15, 60, 300, 1800, 7200, 21_600, 43_200)
"""How long a delivery rests after each worker in a row that stopped under it; see ADR 15.

Workers that stop for another reason take up to twenty hours to end it, and what it brings down
itself goes down in other company each time."""

INTERRUPTIONS_LIMIT = len(PAUSES_SECONDS) + 1
"""Workers that may stop under one delivery, in a row, before it ends as failed."""

_PAUSE_STEPS = 16
"""Lengths of one pause, from half of it up: few enough for an UPDATE each."""

_BEFORE_ALL = UUID(int=0)


class ClaimedDelivery(msgspec.Struct, frozen=True, gc=False):
    """A delivery that this worker may send until `lease_ends_at`."""

    id: UUID
    project_id: int
    subscription_id: UUID
    event_id: UUID
    event_type: str
    data: str | None
    """The event's JSON text; `None` when the event was pruned."""
    event_created_at: datetime
    is_test: bool
    is_redelivery: bool
    attempt_count: int
    tries_used: int
    lease_ends_at: float
    """On `time.monotonic()`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim took."""

    deliveries: tuple[ClaimedDelivery, ...]
    snapshots: dict[UUID, SubscriptionSnapshot]
    """The deliveries' subscriptions, as they were in the claim's transaction."""
    is_full: bool
    """As many rows as asked for: more is probably due."""
    last_subscription: UUID
    """Where the next claim goes on, so that each subscription gets its turn."""
    clock_ahead: timedelta
    """How far this machine's clock is ahead of the database's; zero while it is about right."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked of the database; see `claim_due`."""

    limit: int
    per_subscription: int
    after: UUID
    busy: Collection[UUID]
    known_floor: KnownFloor


class _Due(msgspec.Struct, frozen=True, gc=False):
    """A due row, locked by this transaction, as it was before the claim."""

    id: UUID
    project_id: int
    subscription_id: UUID
    event_id: UUID
    is_test: bool
    is_redelivery: bool
    attempt_count: int
    tries_used: int
    interruptions: int
    lapsed_at: datetime | None
    """When the lease of a worker that never reported ended; `None` if nobody had it."""


_DUE_COLUMNS = {name: name for name in _Due.__struct_fields__} | {
    "is_redelivery": "redelivered_at IS NOT NULL",
    "lapsed_at": "CASE status WHEN 'sending' THEN next_attempt_at END",
}


def claim_due(
    *,
    limit: int,
    per_subscription: int,
    lease_seconds: int,
    after: UUID = _BEFORE_ALL,
    busy: Collection[UUID] = (),
    known_floor: KnownFloor | None = None,
) -> Claim:
    """Claim up to `limit` due deliveries, going round the subscriptions that have any.

    `after` is the subscription served last; those in `busy` are left out. `known_floor` is the
    caller's own, for all its claims.
    """
    ask = _Ask(limit, per_subscription, after, busy, known_floor or KnownFloor())
    pick = _pick_postgres if connection.vendor == "postgresql" else _pick_sqlite
    lease_ends_at = time.monotonic() + lease_seconds
    # SQLite has no revisions, and the caller's own transaction may have changed some subscription.
    may_remember = connection.vendor == "postgresql" and not connection.in_atomic_block
    with transaction.atomic():
        clock_ahead = ahead_of_database()
        rows = pick(ask)
        projects = {row.subscription_id: row.project_id for row in rows}
        find = known_snapshots.find if may_remember else load_snapshots
        snapshots = find(projects)
        sendable = _move_on(rows, snapshots, lease=timedelta(seconds=lease_seconds))
        _write_down_interrupted(rows, snapshots, lease=timedelta(seconds=lease_seconds))
    return Claim(
        deliveries=tuple(_with_events(sendable, lease_ends_at=lease_ends_at)),
        snapshots=snapshots,
        is_full=len(rows) >= limit,
        last_subscription=rows[-1].subscription_id if rows else after,
        clock_ahead=clock_ahead,
    )


# ---- Picking --------------------------------------------------------------------------------

_PICK_POSTGRES = f"""
WITH RECURSIVE {QUEUE_POSTGRES}, turns AS MATERIALIZED (
    SELECT subscription_id FROM queue
    WHERE due_at <= statement_timestamp() AND subscription_id <> ALL(%(busy)s::uuid[])
    ORDER BY subscription_id <= %(after)s, subscription_id LIMIT %(limit)s
)
SELECT due.* FROM turns CROSS JOIN LATERAL (
    SELECT {", ".join(_DUE_COLUMNS.values())} FROM deliveries_delivery
    WHERE subscription_id = turns.subscription_id
      AND id >= %(floor)s AND id < %(ceiling)s AND next_attempt_at <= statement_timestamp()
    ORDER BY next_attempt_at
    LIMIT (SELECT LEAST(%(per_subscription)s, 1 + (%(limit)s - 1) / GREATEST(1, count(*)))
           FROM turns)
    FOR UPDATE SKIP LOCKED) AS due
LIMIT %(limit)s
"""  # noqa: S608  # own column names


def _pick_postgres(ask: _Ask) -> list[_Due]:
    with connection.cursor() as cursor:
        rows = _pick_between(cursor, ask)
        if len(rows) < ask.limit and ask.known_floor.is_from_before:
            ask.known_floor.forget()
            rows = _pick_between(cursor, ask)  # and those that were locked just now
    if len(rows) < ask.limit:
        ask.known_floor.forget()
    return rows


def _pick_between(cursor: CursorWrapper, ask: _Ask) -> list[_Due]:
    cursor.execute(
        _PICK_POSTGRES,
        {
            **queue_bounds(cursor, ask.known_floor),
            "after": ask.after,
            "busy": list(ask.busy),
            "limit": ask.limit,
            "per_subscription": ask.per_subscription,
        },
    )
    return [_Due(*row) for row in cursor.fetchall()]


def _pick_sqlite(ask: _Ask) -> list[_Due]:
    """The same in steps: here an IMMEDIATE transaction is what makes the claim exclusive."""
    now = timezone.now()
    turns = _due_subscriptions(now, ask)[: ask.limit]
    quota = min(ask.per_subscription, 1 + (ask.limit - 1) // max(1, len(turns)))
    rows: list[_Due] = []
    for subscription_id in turns:
        due = Delivery.objects.filter(subscription_id=subscription_id, next_attempt_at__lte=now)
        due = due.order_by("next_attempt_at")[: min(quota, ask.limit - len(rows))]
        rows += [_due(delivery) for delivery in due]
    return rows


def _due(delivery: Delivery) -> _Due:
    is_lapsed = delivery.status == Delivery.Status.SENDING
    return _Due(
        id=delivery.id,
        project_id=delivery.project_id,
        subscription_id=delivery.subscription_id,
        event_id=delivery.event_id,
        is_test=delivery.is_test,
        is_redelivery=delivery.redelivered_at is not None,
        attempt_count=delivery.attempt_count,
        tries_used=delivery.tries_used,
        interruptions=delivery.interruptions,
        lapsed_at=delivery.next_attempt_at if is_lapsed else None,
    )


def _due_subscriptions(now: datetime, ask: _Ask) -> list[UUID]:
    due = Delivery.objects.filter(next_attempt_at__lte=now)
    ids = set(due.order_by().values_list("subscription_id", flat=True).distinct()) - set(ask.busy)
    return sorted(ids, key=lambda identifier: (identifier <= ask.after, identifier))


# ---- Judging and moving on ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Move:
    """Where rows go; those with the same move share an UPDATE."""

    status: str
    end_reason: str = ""
    delay: timedelta | None = None
    """Until they are due again; `None` where they end."""
    is_lapsed: bool = False


def _judge(row: _Due, snapshot: SubscriptionSnapshot | None, lease: timedelta) -> _Move:
    """Decide what becomes of a row: sent now, later, or never."""
    status = Delivery.Status
    is_lapsed = row.lapsed_at is not None
    if is_lapsed and row.interruptions + 1 >= INTERRUPTIONS_LIMIT:
        return _Move(status.FAILED, Delivery.EndReason.INTERRUPTED, is_lapsed=True)
    if snapshot is None or snapshot.is_deleted:
        return _Move(status.CANCELLED, Delivery.EndReason.DELETED, is_lapsed=is_lapsed)
    if not snapshot.is_active and not row.is_test:
        return _Move(status.CANCELLED, Delivery.EndReason.DEACTIVATED, is_lapsed=is_lapsed)
    if is_lapsed and (pause := _pause(row.interruptions + 1)):
        return _Move(status.PENDING, delay=pause, is_lapsed=True)
    return _Move(status.SENDING, delay=lease, is_lapsed=is_lapsed)


def _pause(interruptions: int) -> timedelta:
    """Return the pause after so many: of a random length, so that neighbours come back apart."""
    part = random.randint(_PAUSE_STEPS // 2, _PAUSE_STEPS) / _PAUSE_STEPS  # noqa: S311  # jitter
    return timedelta(seconds=PAUSES_SECONDS[interruptions - 1] * part)


_LAST_WAS_INTERRUPTED: Final[dict[str, Any]] = {
    "last_outcome": Outcome.INTERRUPTED.value,
    "last_status_code": None,
}


def _move_on(
    rows: Sequence[_Due], snapshots: dict[UUID, SubscriptionSnapshot], *, lease: timedelta
) -> list[_Due]:
    """Lease the rows, let them rest, or end them; return the leased."""
    alike: defaultdict[_Move, list[_Due]] = defaultdict(list)
    for row in rows:
        alike[_judge(row, snapshots.get(row.subscription_id), lease)].append(row)
    leased: list[_Due] = []
    for move, group in alike.items():
        is_leased = move.status == Delivery.Status.SENDING
        _rows_of(group).update(
            status=move.status,
            end_reason=move.end_reason,
            next_attempt_at=None if move.delay is None else Now() + move.delay,
            finished_at=Now() if move.delay is None else None,
            attempt_count=F("attempt_count") + int(is_leased),
            interruptions=F("interruptions") + int(move.is_lapsed),
            **(_LAST_WAS_INTERRUPTED if move.is_lapsed else {}),
        )
        leased += group if is_leased else []
    return leased


def _rows_of(group: Sequence[_Due]) -> QuerySet[Delivery]:
    ids = [row.id for row in group]
    # The bounds let PostgreSQL leave out partitions without looking at each id.
    return Delivery.objects.filter(id__gte=min(ids), id__lte=max(ids), id__among=ids)


def _write_down_interrupted(
    rows: Iterable[_Due], snapshots: dict[UUID, SubscriptionSnapshot], *, lease: timedelta
) -> None:
    """Record the attempts of workers that never reported: their receivers may have seen them."""
    Attempt.objects.bulk_create(
        _interrupted_attempt(row, snapshots.get(row.subscription_id), row.lapsed_at - lease)
        for row in rows
        if row.lapsed_at
    )


def _interrupted_attempt(
    row: _Due, snapshot: SubscriptionSnapshot | None, started_at: datetime
) -> Attempt:
    return Attempt(
        delivery_id=row.id,
        number=row.attempt_count,
        started_at=started_at,
        outcome=Outcome.INTERRUPTED,
        error="Our worker stopped during this attempt; your server may have received it.",
        wire_format=snapshot.wire_format if snapshot else "",
        request_url=snapshot.url if snapshot else "",
        response_headers=b"",
        response_body=b"",
    )


def _with_events(rows: Sequence[_Due], *, lease_ends_at: float) -> Iterable[ClaimedDelivery]:
    found = Event.objects.filter(id__among={row.event_id for row in rows})
    events = {key: (name, data) for key, name, data in found.values_list("id", "type", "data")}
    for row in rows:
        event_type, data = events.get(row.event_id, ("", None))
        yield ClaimedDelivery(
            id=row.id,
            project_id=row.project_id,
            subscription_id=row.subscription_id,
            event_id=row.event_id,
            event_type=event_type,
            data=data,
            event_created_at=time_of(row.event_id),
            is_test=row.is_test,
            is_redelivery=row.is_redelivery,
            attempt_count=row.attempt_count + 1,
            tries_used=row.tries_used,
            lease_ends_at=lease_ends_at,
        )
