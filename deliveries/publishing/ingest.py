"""Takes events in: the event and one delivery per matching subscription, in one transaction.

`publish` may be called inside the caller's own transaction: nothing is sent if that rolls back, and
a worker is woken once it commits. The REST API, the test button and in-process callers all use it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Final
from uuid import UUID

from django.db import transaction
from msgspec.structs import replace

from deliveries import wake
from deliveries.publishing.at_once import publish_at_once
from deliveries.publishing.backlog_limit import make_room
from deliveries.publishing.catalogue_checks import example_of, refused_by_catalogue
from deliveries.publishing.idempotency_keys import (
    Claims,
    IdempotencyConflict,
    claim_keys,
    known_keys,
)
from deliveries.publishing.new_events import CheckedEvent, EventRefused, NewEvent, check_event
from deliveries.publishing.published import Published, repeated, to_publish, without_deliveries
from deliveries.publishing.receiving import (
    Matching,
    Receiving,
    matching_of,
    receiving_of,
    refusal_by_shape,
)
from deliveries.publishing.storing import store
from subscriptions.models import Project, Subscription
from subscriptions.payload import Payload, payload_from_python
from subscriptions.wire_formats import default_test_event_type

__all__ = [
    "BATCH_EVENTS",
    "DELIVERIES_AT_ONCE",
    "EventRefused",
    "IdempotencyConflict",
    "NewEvent",
    "Published",
    "Refusal",
    "TooManyDeliveries",
    "data_of_test",
    "publish",
    "publish_each",
    "publish_many",
    "publish_test",
]

DELIVERIES_AT_ONCE: Final = 20_000
"""Of all that one request publishes: some seconds of one transaction."""

BATCH_EVENTS = 500
"""Events that are stored with one statement."""

_BATCH_DELIVERIES: Final = 5000
"""Deliveries that are made in memory before they are stored, unless one event has more."""

Refusal = EventRefused | IdempotencyConflict

_TEST_DATA = {"message": "This is a test: the subscription works when you can read it."}


class TooManyDeliveries(Exception):
    """The events would have more than `DELIVERIES_AT_ONCE`; nothing was stored. Send fewer."""

    def __init__(self, deliveries: int) -> None:
        super().__init__(
            f"The events would make {deliveries} deliveries, and {DELIVERIES_AT_ONCE} at most are "
            "made at once: publish fewer in a batch."
        )


def publish(
    *, project: Project, event_type: str, data: object, idempotency_key: str | None = None
) -> Published:
    """Store an event and a delivery for each matching active subscription; wake a worker on commit.

    The same key with the same content returns the first call's event again. Raises `EventRefused`,
    `IdempotencyConflict` or `BacklogFull`, and then has stored nothing.
    """
    event = check_event(NewEvent(event_type, data, idempotency_key))
    if published := publish_at_once(project.pk, event):
        return published
    (published,) = _all_stored(project, [event])
    return published


def publish_many(*, project: Project, events: Iterable[NewEvent]) -> list[Published]:
    """Store many events, in batches; all of them or, when one is refused, none.

    Raises as `publish` does; the results are in the order of `events`.
    """
    return _all_stored(project, [check_event(event) for event in events])


def publish_each(*, project: Project, events: Iterable[NewEvent]) -> list[Published | Refusal]:
    """Store what is acceptable of many events, in one transaction; return each one's own result.

    What is refused is returned, not raised, in the order of `events`; ids of deliveries, which may
    be very many, are left out. Raises `BacklogFull` or `TooManyDeliveries` for all of them, and
    then has stored nothing.
    """
    checked: list[CheckedEvent | EventRefused] = []
    for event in events:
        try:
            checked.append(check_event(event))
        except EventRefused as refusal:
            checked.append(refusal)
    acceptable = [one for one in checked if isinstance(one, CheckedEvent)]
    stored = iter(_store_all(project, acceptable, is_each_by_itself=True))
    return [one if isinstance(one, EventRefused) else next(stored) for one in checked]


def publish_test(
    subscription: Subscription, *, event_type: str | None = None, data: object = None
) -> Published:
    """Store a test event with one delivery, to this subscription whatever its filter and state.

    Without `data` the catalogue's example of the type is sent, or else a small object. Data that is
    given must fit the type's schema, as any event's. Raises `EventRefused`.
    """
    project = subscription.project
    name = event_type or default_test_event_type(subscription.wire_format)
    if data is None:
        event = check_event(NewEvent(name, data_of_test(project, name)))
    else:
        event = check_event(NewEvent(name, data))
        _check_test(project, event)
    receiving = [Receiving(subscription.id, frozenset(["*"]), subscription.wire_format)]
    if refusal := refusal_by_shape(event, receiving):
        raise refusal
    published = to_publish(event, receiving)
    with transaction.atomic():
        store(project.pk, [(event, published)], is_test=True)
        wake.wake_on_commit()
    return published


def data_of_test(project: Project, event_type: str) -> Payload:
    """Return what a test of this type sends when no data is given; raises `EventRefused`."""
    return example_of(project, event_type) or payload_from_python(_TEST_DATA)


def _check_test(project: Project, event: CheckedEvent) -> None:
    """Refuse data that breaks the schema; that a type is unknown or archived is no matter here."""
    refusal = refused_by_catalogue(project, [event]).get(event.id)
    if refusal is not None and refusal.field != "type":
        raise refusal


# ---- Storing --------------------------------------------------------------------------------


def _all_stored(project: Project, events: Sequence[CheckedEvent]) -> list[Published]:
    results = _store_all(project, events)
    return [result for result in results if isinstance(result, Published)]  # each of them is


def _store_all(
    project: Project, events: Sequence[CheckedEvent], *, is_each_by_itself: bool = False
) -> list[Published | Refusal]:
    """Store what may be stored; an event whose key is known is answered with the one that has it.

    That holds even where the catalogue would refuse it today: it was taken when it was sent first.
    """
    refused: dict[UUID, Refusal] = dict(refused_by_catalogue(project, events))
    with transaction.atomic():
        receiving = receiving_of(project.pk)
        matching = matching_of((event.type for event in events), receiving)
        for event in events:
            if refusal := refusal_by_shape(event, matching[event.type]):
                refused.setdefault(event.id, refusal)
        claims = _keys_of(project, events, refused)
        refused = {
            identifier: refusal
            for identifier, refusal in (refused | claims.conflicts).items()
            if identifier not in claims.earlier
        }
        if refused and not is_each_by_itself:
            raise next(refused[event.id] for event in events if event.id in refused)
        fresh = [
            event for event in events if event.id not in claims.earlier and event.id not in refused
        ]
        deliveries = sum(len(matching[event.type]) for event in fresh)
        if is_each_by_itself and deliveries > DELIVERIES_AT_ONCE and len(fresh) > 1:
            raise TooManyDeliveries(deliveries)
        make_room(project.pk, [row.id for row in receiving], deliveries=deliveries)
        stored: dict[UUID, Published] = {}
        for batch in _batches(fresh, matching):
            rows = [(event, to_publish(event, matching[event.type])) for event in batch]
            store(project.pk, rows)
            for event, published in rows:
                stored[event.id] = without_deliveries(published) if is_each_by_itself else published
        if deliveries:
            wake.wake_on_commit()
        earlier = set(claims.earlier.values()) - stored.keys()
        stored |= repeated(earlier, with_deliveries=not is_each_by_itself)
    return [
        replace(stored[claims.earlier[event.id]], is_repeat=True)
        if event.id in claims.earlier
        else refused.get(event.id) or stored[event.id]
        for event in events
    ]


def _keys_of(project: Project, events: Sequence[CheckedEvent], refused: Container[UUID]) -> Claims:
    claims = claim_keys(project, [event for event in events if event.id not in refused])
    known = known_keys(project, [event for event in events if event.id in refused])
    return Claims(claims.earlier | known.earlier, claims.conflicts | known.conflicts)


def _batches(events: Iterable[CheckedEvent], matching: Matching) -> Iterator[list[CheckedEvent]]:
    """Cut into what is stored at once."""
    batch: list[CheckedEvent] = []
    deliveries = 0
    for event in events:
        more = len(matching[event.type])
        if batch and (len(batch) == BATCH_EVENTS or deliveries + more > _BATCH_DELIVERIES):
            yield batch
            batch, deliveries = [], 0
        batch.append(event)
        deliveries += more
    if batch:
        yield batch
