"""Finds what a recovery is about, a page at a time, from old to new by id.

Called by `recovery`, which counts beforehand, and by `recovery_run`, which does it. It reads only;
each page is a few statements of some milliseconds, whatever the interval holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from deliveries.history.filters import status_codes_of
from deliveries.models import WITHOUT_SUCCESS, Delivery, Event, Recovery
from subscriptions.ids import EPOCH, first_id_of
from subscriptions.matching import EVERYTHING, matches
from subscriptions.models import Subscription
from subscriptions.wire_formats import WIRE_FORMATS

_LATER = timedelta(hours=1)
"""A delivery's id is made after its time of creation, which is its event's: within one call, but
that may store very many."""

LOOKED_AT: Final = 1000
"""Of what did not succeed, rows that a page reads: some 20 ms, whether many of them are wanted or
none, which no statement could promise that looks for what is rare."""

_COLUMNS: Final = (
    "id", "event_id", "event_type", "subscription_id", "created_at", "redelivered_at", "is_test",
    "status", "end_reason", "last_outcome", "last_status_code",
)  # fmt: skip

Status, EndReason = Delivery.Status, Delivery.EndReason


@dataclass(frozen=True, slots=True)
class Criteria:
    """What of a project or a subscription is wanted."""

    since: datetime
    until: datetime
    event_types: tuple[str, ...] = (EVERYTHING,)
    """Checked filters (`subscriptions.matching`)."""
    outcomes: tuple[str, ...] = ()
    """Of the last attempt; empty: whatever it was."""
    status_class: str = ""
    """Of the last attempt's response, such as `5xx`; empty: whatever it was."""

    def as_json(self) -> dict[str, Any]:
        """Return what `Recovery.criteria` keeps."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "event_types": list(self.event_types),
            "outcomes": list(self.outcomes),
            "status_class": self.status_class,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Criteria:
        """Read what `as_json` wrote."""
        return cls(
            since=datetime.fromisoformat(kept["since"]),
            until=datetime.fromisoformat(kept["until"]),
            event_types=tuple(kept["event_types"]),
            outcomes=tuple(kept["outcomes"]),
            status_class=kept["status_class"],
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A delivery to send again, or one to make."""

    delivery_id: UUID | None
    """`None`: there is none yet."""
    event_id: UUID
    event_type: str
    subscription_id: UUID
    created_at: datetime
    """The delivery's; of one that is to be made, the event's."""


@dataclass(frozen=True, slots=True)
class Page:
    """What was looked at."""

    found: tuple[Found, ...]
    skipped: int
    """Wanted as well, but it cannot be sent now: see `Recovery.skipped_count`."""
    last: UUID | None
    """The last id that was looked at; `None` when there was nothing more."""
    is_last: bool


def bounds_of(kind: str, criteria: Criteria) -> tuple[UUID, UUID]:
    """Return the first id to look at, and the first not to look at any more."""
    kept = timezone.now() - timedelta(days=settings.DISPATCHER_RETENTION_DAYS + 1)
    floor = first_id_of(max(criteria.since, kept, EPOCH))
    later = _LATER if kind == Recovery.Kind.FAILED else timedelta()  # an event's id is its time
    return floor, max(floor, first_id_of(criteria.until + later))


def next_page(
    recovery: Recovery, *, after: UUID | None, limit: int, is_locking: bool = False
) -> Page:
    """Look at the next rows behind `after`, and find at most `limit`; `None`: at the first ones.

    With `is_locking`, in a transaction, what is found stays as it is until that ends.
    """
    look = _failed if recovery.kind == Recovery.Kind.FAILED else _missed
    return look(recovery, after, limit, is_locking)


# ---- Deliveries that ended without success --------------------------------------------------


def _failed(recovery: Recovery, after: UUID | None, limit: int, is_locking: bool) -> Page:
    """Find at most `limit` among the next `LOOKED_AT`, however rare they are."""
    criteria = Criteria.from_json(recovery.criteria)
    rows = list(_between(recovery, after, _without_success(recovery))[:LOOKED_AT])
    wanted = [row for row in rows if _is_wanted(row, recovery, criteria)]
    has_more, wanted = len(wanted) > limit, wanted[:limit]
    last = (wanted if has_more else rows)[-1:]
    if is_locking:
        wanted = [row for row in _locked(wanted) if _is_wanted(row, recovery, criteria)]
    sendable = _sendable(recovery, wanted)
    return Page(
        found=tuple(
            Found(row.id, row.event_id, row.event_type, row.subscription_id, row.created_at)
            for row in sendable
        ),
        skipped=len(wanted) - len(sendable),
        last=last[0].id if last else None,
        is_last=not has_more and len(rows) < LOOKED_AT,
    )


def _without_success(recovery: Recovery) -> QuerySet[Delivery]:
    """Select in the words of the indexes of what did not succeed, and no others.

    So each entry of the index is a row: a page reads no more of them than it has.
    """
    owner = (
        {"project_id": recovery.project_id}
        if recovery.subscription_id is None
        else {"subscription_id": recovery.subscription_id}
    )
    return Delivery.objects.filter(WITHOUT_SUCCESS, **owner).only(*_COLUMNS)


def _is_wanted(row: Delivery, recovery: Recovery, criteria: Criteria) -> bool:
    """Say whether it failed, or was given up when its subscription was switched off, as wanted."""
    is_given_up = row.status == Status.CANCELLED and row.end_reason == EndReason.DEACTIVATED
    return (
        (row.status == Status.FAILED or is_given_up)
        and not row.is_test
        and criteria.since <= row.created_at < criteria.until
        and recovery.subscription_id in (None, row.subscription_id)
        and (not criteria.outcomes or row.last_outcome in criteria.outcomes)
        and (
            not criteria.status_class
            or row.last_status_code in status_codes_of(criteria.status_class)
        )
        and matches(criteria.event_types, row.event_type)
    )


def _locked(rows: Sequence[Delivery]) -> Iterable[Delivery]:
    """Read these again and lock them, in the order of ids, like everybody."""
    if not rows:
        return ()
    ids = [row.id for row in rows]
    # The bounds let PostgreSQL leave out partitions without looking at each id.
    again = Delivery.objects.filter(id__gte=ids[0], id__lte=ids[-1], id__among=ids)
    return again.only(*_COLUMNS).order_by("id").select_for_update(no_key=True)


def _sendable(recovery: Recovery, rows: Iterable[Delivery]) -> list[Delivery]:
    """Keep what can be sent now and was not sent again since the recovery was asked for.

    So two recoveries of the same never send anything twice.
    """
    rows = list(rows)
    active = set(
        Subscription.objects.filter(
            id__among={row.subscription_id for row in rows}, is_active=True
        ).values_list("id", flat=True)
    )
    events = set(
        Event.objects.filter(id__among={row.event_id for row in rows}).values_list("id", flat=True)
    )
    return [
        row
        for row in rows
        if row.subscription_id in active
        and row.event_id in events
        and (row.redelivered_at is None or row.redelivered_at < recovery.created_at)
    ]


# ---- Events that a subscription did not get -------------------------------------------------


def _missed(recovery: Recovery, after: UUID | None, limit: int, _is_locking: bool) -> Page:
    """The caller has locked the subscription: only one recovery at a time makes its deliveries."""
    subscription = recovery.subscription
    if subscription is None:
        raise ValueError("events are missed by one subscription")
    criteria = Criteria.from_json(recovery.criteria)
    events = Event.objects.filter(project_id=recovery.project_id)
    events = events.only("id", "type", "created_at", "is_test")
    rows = list(_between(recovery, after, events)[:limit])
    wanted = [
        row
        for row in rows
        if not row.is_test
        and matches(criteria.event_types, row.type)
        and matches(subscription.event_types, row.type)
    ]
    delivered = _delivered(subscription.id, {row.id for row in wanted})
    missing = [row for row in wanted if row.id not in delivered]
    unsuitable = _unsuitable(subscription, {row.id for row in missing})
    return Page(
        found=tuple(
            Found(None, row.id, row.type, subscription.id, row.created_at)
            for row in missing
            if row.id not in unsuitable
        ),
        skipped=len(unsuitable),
        last=rows[-1].id if rows else None,
        is_last=len(rows) < limit,
    )


def _delivered(subscription_id: UUID, event_ids: Collection[UUID]) -> set[UUID]:
    """Return which of these events have a delivery to the subscription, in whatever state."""
    made = Delivery.objects.filter(subscription_id=subscription_id, event_id__among=event_ids)
    return set(made.values_list("event_id", flat=True))


def _unsuitable(subscription: Subscription, event_ids: Collection[UUID]) -> set[UUID]:
    """Return which of these events the wire format cannot carry; publishing would refuse them."""
    if not WIRE_FORMATS[subscription.wire_format].needs_object:
        return set()
    bare = Event.objects.filter(id__among=event_ids).exclude(data__startswith="{")
    return set(bare.values_list("id", flat=True))


def _between(recovery: Recovery, after: UUID | None, rows: QuerySet[Any]) -> QuerySet[Any]:
    start = {"id__gte": recovery.floor} if after is None else {"id__gt": after}
    return rows.filter(**start, id__lt=recovery.ceiling).order_by("id")
