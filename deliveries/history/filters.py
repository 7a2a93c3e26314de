"""Finds deliveries by what is asked for: status, outcome, status code, event, free text.

Called by the list route. What is unfinished, what did not succeed, one event and one subscription
have indexes (`Delivery.Meta.indexes`), whose words the conditions use. Other filters, such as a
rare event type, read from the newest on, and are given up after some time (`cursor_pages`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from deliveries.history.deliveries import created_between, deliveries_of
from deliveries.models import Delivery, IdempotencyKey
from deliveries.sending.transport import Outcome
from subscriptions.ids import from_public
from subscriptions.models import Project

EVENTS_SEARCHED: Final = 200
DELIVERIES_SEARCHED: Final = 5000
"""More than either are too many to look through for a page."""

_AFTER_ALL: Final = "\U0010ffff"
"""Sorts after every character that a key may have."""

_WITHOUT_SUCCESS: Final = ~Q(last_outcome__in=["", Outcome.SUCCEEDED.value])
"""Part of the condition of the indexes `delivery_without_success…`."""


class TooManyFound(Exception):
    """A text fits more events than `EVENTS_SEARCHED`, or more than `DELIVERIES_SEARCHED`."""


def filtered(
    project: Project, wanted: dict[str, Any], *, among: Collection[UUID] | None = None
) -> QuerySet[Delivery]:
    """Return the project's deliveries that all of the validated filters want.

    `among`: only those to these subscriptions, for somebody who must learn nothing of others: a
    text then names whole keys only, since of how many keys a prefix is says what others were sent.
    Raises `TooManyFound`.
    """
    exact = {
        column: wanted[name]
        for name, column in (
            ("subscription", "subscription_id"),
            ("event_type", "event_type"),
            ("event", "event_id"),
            ("outcome", "last_outcome"),
        )
        if name in wanted
    }
    deliveries = deliveries_of(project).filter(**exact)
    if among is not None:
        deliveries = deliveries.filter(subscription_id__among=list(among))
    if "status" in wanted:
        deliveries = deliveries.filter(_of_status(wanted["status"]))
    for codes in _ranges(wanted):
        deliveries = of_status_codes(deliveries, codes)
    if "search" in wanted:
        events = events_found(project, wanted["search"], is_whole=among is not None)
        deliveries = _of_events(deliveries, events, among)
    return created_between(deliveries, wanted.get("since"), wanted.get("until"))


def of_status_codes(deliveries: QuerySet[Delivery], codes: range) -> QuerySet[Delivery]:
    """Keep those whose last response had one of these status codes."""
    kept = deliveries.filter(last_status_code__gte=codes.start, last_status_code__lt=codes.stop)
    return kept if codes.start // 100 == 2 else kept.filter(_WITHOUT_SUCCESS)


def status_codes_of(status_class: str) -> range:
    """Return the status codes of a class such as `5xx`."""
    first = int(status_class[0]) * 100
    return range(first, first + 100)


def events_found(project: Project, text: str, *, is_whole: bool = False) -> set[UUID]:
    """Return the events that a text names: an event's id, or how an idempotency key begins.

    `is_whole`: or all of one. Raises `TooManyFound`. On PostgreSQL keys are ordered by bytes
    (migration 0003), so their unique index finds a prefix; SQLite orders so by itself.
    """
    wanted = {"key": text} if is_whole else {"key__gte": text, "key__lt": text + _AFTER_ALL}
    keys = IdempotencyKey.objects.filter(project=project, **wanted).order_by("key")
    found = set(keys.values_list("event_id", flat=True)[: EVENTS_SEARCHED + 1])
    if len(found) > EVENTS_SEARCHED:
        raise TooManyFound
    identifier = from_public("evt", text)
    return found if identifier is None else {*found, identifier}


def _of_events(
    deliveries: QuerySet[Delivery], events: set[UUID], among: Collection[UUID] | None
) -> QuerySet[Delivery]:
    """Name the deliveries one by one: asked for a page of these events' newest, PostgreSQL goes
    through all deliveries from the newest on (300 ms where 500,000 were, instead of 5)."""
    of_events = Delivery.objects.filter(event_id__among=events).order_by()
    if among is not None:
        of_events = of_events.filter(subscription_id__among=list(among))
    ids = set(of_events.values_list("id", flat=True)[: DELIVERIES_SEARCHED + 1])
    if len(ids) > DELIVERIES_SEARCHED:
        raise TooManyFound
    return deliveries.filter(id__among=ids)


def _of_status(status: str) -> Q:
    is_unfinished = status in (Delivery.Status.PENDING, Delivery.Status.SENDING)
    # What is unfinished is in the queue, whose index is small.
    return Q(status=status, next_attempt_at__isnull=False) if is_unfinished else Q(status=status)


def _ranges(wanted: dict[str, Any]) -> list[range]:
    """Return the status codes that are asked for; both ways may be."""
    ranges = []
    if "status_class" in wanted:
        ranges.append(status_codes_of(wanted["status_class"]))
    if "status_code" in wanted:
        ranges.append(range(wanted["status_code"], wanted["status_code"] + 1))
    return ranges
