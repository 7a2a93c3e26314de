"""Which subscriptions an event goes to, and whether each of them could be sent it.

Called by ingest and by `known_projects`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from deliveries.publishing.new_events import CheckedEvent, EventRefused
from subscriptions.matching import matches
from subscriptions.models import Subscription
from subscriptions.wire_formats import WIRE_FORMATS


@dataclass(frozen=True, slots=True)
class Receiving:
    """What matching needs of an active subscription."""

    id: UUID
    filters: frozenset[str]
    wire_format: str


Matching = Mapping[str, Sequence[Receiving]]
"""Event type → the subscriptions whose filters want it."""


def receiving_of(project_id: int) -> list[Receiving]:
    """Return the project's subscriptions that may get events now."""
    rows = Subscription.objects.filter(project_id=project_id, is_active=True, deleted_at=None)
    return [
        Receiving(identifier, frozenset(filters), wire_format)
        for identifier, filters, wire_format in rows.order_by("id").values_list(
            "id", "event_types", "wire_format"
        )
    ]


def matching_of(event_types: Iterable[str], receiving: Sequence[Receiving]) -> Matching:
    """Return who wants each of the event types."""
    return {
        event_type: [row for row in receiving if matches(row.filters, event_type)]
        for event_type in set(event_types)
    }


def refusal_by_shape(event: CheckedEvent, matched: Iterable[Receiving]) -> EventRefused | None:
    """Say why some matching subscription could not be sent the event; `None`: all could."""
    if event.payload.is_object:
        return None
    for row in matched:
        if WIRE_FORMATS[row.wire_format].needs_object:
            return EventRefused(
                "data",
                "not_an_object",
                f"The data must be a JSON object: a subscription to '{event.type}' uses the "
                f"'{row.wire_format}' wire format.",
            )
    return None
