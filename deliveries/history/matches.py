"""Says for each subscription why it got an event, or why it did not.

Called by the API. A delivery is a fact; all else is judged by what the settings are now, and where
they were changed after the event, that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from deliveries.models import Delivery, Event
from subscriptions.matching import why
from subscriptions.models import Subscription
from subscriptions.wire_formats import WIRE_FORMATS


class Reason(StrEnum):
    """Why; the codes never change their meaning."""

    DELIVERED = "delivered"
    """There is a delivery, however it stands."""
    TEST = "test"
    """The event is a test, which goes to one subscription only."""
    CREATED_LATER = "created_later"
    DELETED = "deleted"
    INACTIVE = "inactive"
    TYPE_NOT_MATCHED = "type_not_matched"
    NEEDS_OBJECT = "needs_object"
    """Its wire format cannot carry data that is no object."""
    CHANGED_SINCE = "changed_since"
    """It would get the event today: other settings held then, or it was off."""


@dataclass(frozen=True, slots=True)
class Match:
    """What can be said of one subscription and one event."""

    subscription: UUID
    reason: Reason
    explanation: str
    certain: bool = True
    """False: the reason is what the settings say now, and they were changed since."""
    filter: str | None = None
    since: datetime | None = None
    delivery: UUID | None = None
    status: str | None = None


def explain(event: Event, subscription: Subscription, delivery: Delivery | None) -> Match:
    """Return why the subscription got the event or not."""
    wanted_by = why(subscription.event_types, event.type)
    if delivery is not None:
        return Match(
            subscription.id,
            Reason.DELIVERED,
            "There is a delivery to it.",
            filter=wanted_by,
            delivery=delivery.id,
            status=delivery.status,
        )
    reason, explanation, since = _reason(event, subscription, wanted_by)
    is_certain = since is not None or reason == Reason.TEST
    is_certain = is_certain or subscription.updated_at <= _latest_time_of(event)
    if not is_certain:
        explanation += " Its settings were changed after the event: others may have held then."
    return Match(
        subscription.id, reason, explanation, certain=is_certain, filter=wanted_by, since=since
    )


def _latest_time_of(event: Event) -> datetime:
    """Return the end of its millisecond: its id tells no more, while settings have microseconds."""
    return event.created_at + timedelta(microseconds=999)


def _reason(
    event: Event, subscription: Subscription, wanted_by: str | None
) -> tuple[Reason, str, datetime | None]:
    """Return the first reason that applies, and since when where a stored time tells that."""
    at = _latest_time_of(event)
    if event.is_test:
        return Reason.TEST, "The event was a test of one subscription.", None
    if subscription.created_at > at:
        return Reason.CREATED_LATER, "It was created after the event.", subscription.created_at
    if subscription.deleted_at is not None and subscription.deleted_at <= at:
        return Reason.DELETED, "It had been deleted.", subscription.deleted_at
    if subscription.deactivated_at is not None and subscription.deactivated_at <= at:
        return Reason.INACTIVE, "It was inactive.", subscription.deactivated_at
    if wanted_by is None:
        return Reason.TYPE_NOT_MATCHED, f"None of its filters wants '{event.type}'.", None
    if WIRE_FORMATS[subscription.wire_format].needs_object and not event.data.startswith("{"):
        sentence = f"Its wire format '{subscription.wire_format}' needs data to be an object."
        return Reason.NEEDS_OBJECT, sentence, None
    return Reason.CHANGED_SINCE, "It would get such an event today.", None
