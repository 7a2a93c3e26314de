"""Reads a project's events: lists by filters, one by its id, and what became of it.

Called by the API. As in `history`, queries say from when on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from deliveries.history.deliveries import created_between
from deliveries.history.matches import Match, explain
from deliveries.models import Delivery, Event, IdempotencyKey
from subscriptions.ids import from_public
from subscriptions.models import Project, Subscription

DELIVERIES_SHOWN: Final = 500
"""As many as a project may have subscriptions, unless it set that higher."""


def find_event(project: Project, public_id: str) -> Event | None:
    """Return the project's event of this id (`evt_…`)."""
    identifier = from_public("evt", public_id)
    if identifier is None:
        return None
    return Event.objects.filter(project=project, id=identifier).first()


def events_of(project: Project, wanted: dict[str, Any]) -> QuerySet[Event]:
    """Return the project's events, without their data, that all of the validated filters want."""
    events = Event.objects.filter(project=project).defer("data")
    if "type" in wanted:
        events = events.filter(type=wanted["type"])
    if "test" in wanted:
        events = events.filter(is_test=wanted["test"])
    if "idempotency_key" in wanted:  # events have no index on it: keys know their event
        keys = IdempotencyKey.objects.filter(project=project, key=wanted["idempotency_key"])
        events = events.filter(id__in=list(keys.values_list("event_id", flat=True)))
    return created_between(events, wanted.get("since"), wanted.get("until"))


def deliveries_of_event(event: Event, *, among: Collection[UUID] | None = None) -> list[Delivery]:
    """Return the event's deliveries, in order; of these subscriptions only where they are given."""
    deliveries = _deliveries(event)
    if among is not None:
        deliveries = deliveries.filter(subscription_id__among=list(among))
    return list(deliveries.order_by("id")[:DELIVERIES_SHOWN])


def matches_of(event: Event, subscriptions: Sequence[Subscription]) -> list[Match]:
    """Return for each of these subscriptions why it got the event or not, in their order."""
    ids = [subscription.id for subscription in subscriptions]
    found = _deliveries(event).filter(subscription_id__in=ids)
    of_subscription = {delivery.subscription_id: delivery for delivery in found.order_by("id")}
    return [
        explain(event, subscription, of_subscription.get(subscription.id))
        for subscription in subscriptions
    ]


def _deliveries(event: Event) -> QuerySet[Delivery]:
    """None is older than its event; a recovery may make one at any time after."""
    since = created_between(Delivery.objects.all(), event.created_at, None)
    return since.filter(event_id=event.id)
