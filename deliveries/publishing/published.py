"""What becomes of an event that is published: its deliveries, each with an id before it is stored.

Called by ingest, which also reads here what became of an event that was published before.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from deliveries.models import Delivery, Event
from deliveries.publishing.new_events import CheckedEvent
from deliveries.publishing.receiving import Receiving
from subscriptions.ids import new_id, time_of


class Published(msgspec.Struct, frozen=True, gc=False):
    """What became of one event."""

    id: UUID
    type: str
    created_at: datetime
    matched_count: int
    """Deliveries that were made when it was published."""
    delivery_ids: tuple[UUID, ...]
    subscription_ids: tuple[UUID, ...]
    """Those that matched, in the order of their deliveries. `publish_each` leaves both out."""
    is_repeat: bool = False
    """The idempotency key was known: this is the earlier event, and nothing new was stored."""


def to_publish(event: CheckedEvent, matched: Collection[Receiving]) -> Published:
    """Give each delivery of the event its id."""
    return Published(
        event.id,
        event.type,
        time_of(event.id),  # the id tells it again: the sender need not read it
        len(matched),
        tuple(new_id() for _ in matched),
        tuple(row.id for row in matched),
    )


def without_deliveries(published: Published) -> Published:
    """Leave out the ids of deliveries, which may be very many."""
    return replace(published, delivery_ids=(), subscription_ids=())


def repeated(event_ids: Collection[UUID], *, with_deliveries: bool) -> dict[UUID, Published]:
    """Answer for events that are stored already, as when they were published."""
    if not event_ids:
        return {}
    deliveries: dict[UUID, list[tuple[UUID, UUID]]] = {identifier: [] for identifier in event_ids}
    if with_deliveries:
        rows = Delivery.objects.filter(event_id__in=event_ids).order_by("id")
        for event_id, *pair in rows.values_list("event_id", "id", "subscription_id"):
            deliveries[event_id].append((pair[0], pair[1]))
    events = Event.objects.filter(id__in=event_ids)
    return {
        identifier: Published(
            identifier,
            event_type,
            created_at,
            matched_count,
            tuple(delivery for delivery, _ in deliveries[identifier]),
            tuple(subscription for _, subscription in deliveries[identifier]),
        )
        for identifier, event_type, created_at, matched_count in events.values_list(
            "id", "type", "created_at", "matched_count"
        )
    }
