"""Keeps publishers' idempotency keys: the same key with the same content means the same event.

Called by ingest, inside the transaction that stores the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from deliveries.models import IdempotencyKey
from deliveries.publishing.new_events import CheckedEvent
from subscriptions.models import Project

_BATCH = 500
"""Keys of one statement."""


class IdempotencyConflict(Exception):
    """The idempotency key was used before, with other content; nothing was stored."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key '{key}' was used with other content.")


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose the keys are."""

    earlier: dict[UUID, UUID]
    """Event → the event that has its key, and the same content."""
    conflicts: dict[UUID, IdempotencyConflict]


def claim_keys(project: Project, events: Sequence[CheckedEvent]) -> Claims:
    """Store the keys of events that are about to be stored, where nobody has them yet.

    Somebody else's uncommitted insert of the same key is waited for: fifty threads with one key
    make one event. Keys go in by their order, so that two batches never wait for each other; of
    events with one key the first has it.
    """
    keyed = sorted(
        (event for event in events if event.idempotency_key),
        key=lambda event: event.idempotency_key,
    )
    claims = Claims({}, {})
    for start in range(0, len(keyed), _BATCH):
        batch = keyed[start : start + _BATCH]
        IdempotencyKey.objects.bulk_create(
            [
                IdempotencyKey(
                    project=project,
                    key=event.idempotency_key,
                    content_digest=event.digest,
                    event_id=event.id,
                )
                for event in batch
            ],
            ignore_conflicts=True,
        )
        _sort_out(claims, project, batch)
    return claims


def known_keys(project: Project, events: Sequence[CheckedEvent]) -> Claims:
    """Say the same of events that will not be stored, and keep no keys of theirs."""
    claims = Claims({}, {})
    _sort_out(claims, project, [event for event in events if event.idempotency_key])
    return claims


def _sort_out(claims: Claims, project: Project, events: Sequence[CheckedEvent]) -> None:
    if not events:
        return
    rows = IdempotencyKey.objects.filter(
        project=project, key__in={event.idempotency_key for event in events}
    )
    holders = {row.key: row for row in rows}
    for event in events:
        holder = holders.get(event.idempotency_key)
        if holder is None or holder.event_id == event.id:
            continue
        if holder.content_digest == event.digest:
            claims.earlier[event.id] = holder.event_id
        else:
            claims.conflicts[event.id] = IdempotencyConflict(event.idempotency_key)
