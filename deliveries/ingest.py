"""Takes events in: the event and one delivery per matching subscription, in one transaction.

`publish` may be called inside the caller's own transaction: nothing is sent if that rolls back, and
a worker is woken once it commits. The REST API, the test button and in-process callers all use it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from deliveries import wake
from deliveries.backlog_limit import make_room
from deliveries.models import Delivery, Event, IdempotencyKey
from deliveries.payload import Payload, PayloadRefused, payload_from_json, payload_from_python
from subscriptions.event_types import check_event_type
from subscriptions.ids import new_id, time_of
from subscriptions.matching import matches
from subscriptions.models import EventType, Project, Subscription
from subscriptions.refusal import SettingRefused
from subscriptions.wire_formats import WIRE_FORMATS, default_test_event_type

BATCH_EVENTS = 500
"""Events that `publish_many` stores with one statement per table."""

_KEY_LIMIT_CHARACTERS = 255


class EventRefused(ValueError):
    """An event is not acceptable; nothing was stored. `field` names what is wrong with it."""

    def __init__(self, field: str, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.code = code


class IdempotencyConflict(Exception):
    """The idempotency key was used before, with other content; nothing was stored."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event to publish; `data` is any JSON-serializable value, or a checked `Payload`."""

    type: str
    data: object
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What became of one event."""

    id: UUID
    type: str
    created_at: datetime
    delivery_ids: tuple[UUID, ...]
    is_repeat: bool = False
    """The idempotency key was known: this is the earlier event, and nothing new was stored."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """An event that may be stored."""

    id: UUID
    type: str
    payload: Payload
    idempotency_key: str

    @property
    def digest(self) -> str:
        content = f"{self.type}\n{self.payload.text}"
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Receiving:
    """What matching needs of an active subscription."""

    id: UUID
    filters: frozenset[str]
    wire_format: str


def publish(
    *, project: Project, event_type: str, data: object, idempotency_key: str | None = None
) -> Published:
    """Store an event and a delivery for each matching active subscription; wake a worker on commit.

    The same key with the same content returns the first call's event again. Raises `EventRefused`,
    `IdempotencyConflict` or `BacklogFull`, and then has stored nothing.
    """
    (published,) = publish_many(
        project=project, events=[NewEvent(event_type, data, idempotency_key)]
    )
    return published


def publish_many(*, project: Project, events: Iterable[NewEvent]) -> list[Published]:
    """Store many events, in batches; all of them or, when one is refused, none.

    Raises as `publish` does; the results are in the order of `events`.
    """
    checked = [_check(event) for event in events]
    _check_catalogue(project, {event.type for event in checked})
    published: list[Published] = []
    with transaction.atomic():
        receiving = _receiving(project)
        for start in range(0, len(checked), BATCH_EVENTS):
            published += _store(project, checked[start : start + BATCH_EVENTS], receiving)
        if any(event.delivery_ids for event in published):
            wake.wake_on_commit()
    return published


def publish_test(
    subscription: Subscription, *, event_type: str | None = None, data: object = None
) -> Published:
    """Store a test event with one delivery, to this subscription whatever its filter and state.

    Without `data` the catalogue's example of the type is sent, or else a small object. Raises
    `EventRefused`.
    """
    project = subscription.project
    name = event_type or default_test_event_type(subscription.wire_format)
    payload = _example(project, name) if data is None else data
    event = _check(NewEvent(name, payload))
    receiving = _Receiving(subscription.id, frozenset(["*"]), subscription.wire_format)
    with transaction.atomic():
        (published,) = _store(project, [event], [receiving], is_test=True)
        wake.wake_on_commit()
    return published


# ---- Checking -------------------------------------------------------------------------------


def _check(event: NewEvent) -> _Checked:
    try:
        name = check_event_type(event.type)
    except SettingRefused as refusal:
        raise EventRefused("type", "invalid", str(refusal)) from None
    key = event.idempotency_key
    if key is not None and not (0 < len(key) <= _KEY_LIMIT_CHARACTERS and key.isprintable()):
        raise EventRefused(
            "Idempotency-Key", "invalid", "An idempotency key is 1 to 255 printable characters."
        )
    return _Checked(new_id(), name, _payload(event.data), key or "")


def _payload(data: object) -> Payload:
    limit_bytes = settings.DISPATCHER_PAYLOAD_LIMIT_BYTES
    try:
        if not isinstance(data, Payload):
            return payload_from_python(data, limit_bytes=limit_bytes)
    except PayloadRefused as refusal:
        raise EventRefused("data", refusal.code, str(refusal)) from None
    return data


def _check_catalogue(project: Project, types: set[str]) -> None:
    if not project.is_catalogue_strict:
        return
    known = EventType.objects.filter(project=project, name__in=types)
    if unknown := types - set(known.values_list("name", flat=True)):
        name = min(unknown)
        raise EventRefused(
            "type", "unknown", f"The project's catalogue has no event type '{name}'."
        )


def _example(project: Project, name: str) -> object:
    example = EventType.objects.filter(project=project, name=name).exclude(example="").first()
    if example is None:
        return {"message": "This is a test: the subscription works when you can read it."}
    try:
        return payload_from_json(example.example)
    except PayloadRefused as refusal:
        raise EventRefused("event_type", "bad_example", f"Its example: {refusal}") from None


# ---- Storing --------------------------------------------------------------------------------


def _receiving(project: Project) -> list[_Receiving]:
    rows = Subscription.objects.filter(project=project, is_active=True, deleted_at=None)
    return [
        _Receiving(identifier, frozenset(filters), wire_format)
        for identifier, filters, wire_format in rows.order_by("id").values_list(
            "id", "event_types", "wire_format"
        )
    ]


def _store(
    project: Project,
    events: Sequence[_Checked],
    receiving: Sequence[_Receiving],
    *,
    is_test: bool = False,
) -> list[Published]:
    """Store a batch; an event whose key is known is answered with the one that is stored."""
    earlier = _claim_keys(project, [event for event in events if event.idempotency_key])
    rows: list[Event] = []
    deliveries: list[Delivery] = []
    for event in events:
        if event.id in earlier:
            continue
        matched = [row for row in receiving if matches(row.filters, event.type)]
        _check_shape(event, matched)
        rows.append(_event_row(project, event, matched_count=len(matched), is_test=is_test))
        deliveries += [_delivery_row(rows[-1], row.id) for row in matched]
    if not is_test:
        make_room(project.pk, [row.id for row in receiving], deliveries=len(deliveries))
    Event.objects.bulk_create(rows)
    Delivery.objects.bulk_create(deliveries, batch_size=1000)
    known = _published(rows, deliveries) | _repeated(set(earlier.values()))
    return [
        _as_repeat(known[earlier[event.id]]) if event.id in earlier else known[event.id]
        for event in events
    ]


def _check_shape(event: _Checked, matched: Sequence[_Receiving]) -> None:
    if event.payload.is_object:
        return
    for row in matched:
        if WIRE_FORMATS[row.wire_format].needs_object:
            raise EventRefused(
                "data",
                "not_an_object",
                f"The data must be a JSON object: a subscription to '{event.type}' uses the "
                f"'{row.wire_format}' wire format.",
            )


def _event_row(project: Project, event: _Checked, *, matched_count: int, is_test: bool) -> Event:
    return Event(
        id=event.id,
        project=project,
        type=event.type,
        data=event.payload.text,
        idempotency_key=event.idempotency_key,
        matched_count=matched_count,
        is_test=is_test,
        created_at=time_of(event.id),  # the id tells it again: the sender need not read it
    )


def _delivery_row(event: Event, subscription_id: UUID) -> Delivery:
    return Delivery(
        project_id=event.project_id,
        event_id=event.id,
        subscription_id=subscription_id,
        event_type=event.type,
        is_test=event.is_test,
        next_attempt_at=Now(),  # the database's clock: ours may be wrong
        created_at=event.created_at,
    )


def _published(events: Iterable[Event], deliveries: Iterable[Delivery]) -> dict[UUID, Published]:
    ids: dict[UUID, list[UUID]] = {event.id: [] for event in events}
    for delivery in deliveries:
        ids[delivery.event_id].append(delivery.id)
    return {
        event.id: Published(event.id, event.type, event.created_at, tuple(ids[event.id]))
        for event in events
    }


# ---- Idempotency ----------------------------------------------------------------------------


def _claim_keys(project: Project, events: Sequence[_Checked]) -> dict[UUID, UUID]:
    """Store the events' keys; return, for each whose key was taken, the event that has it.

    Somebody else's uncommitted insert of the same key is waited for: fifty threads with one key
    make one event. Raises `IdempotencyConflict` when the content differs.
    """
    if not events:
        return {}
    IdempotencyKey.objects.bulk_create(
        [
            IdempotencyKey(
                project=project,
                key=event.idempotency_key,
                content_digest=event.digest,
                event_id=event.id,
            )
            for event in events
        ],
        ignore_conflicts=True,
    )
    taken = IdempotencyKey.objects.filter(
        project=project, key__in={event.idempotency_key for event in events}
    )
    holders = {row.key: row for row in taken}
    for event in events:
        if holders[event.idempotency_key].content_digest != event.digest:
            raise IdempotencyConflict(
                f"The idempotency key '{event.idempotency_key}' was used with other content."
            )
    return {
        event.id: holders[event.idempotency_key].event_id
        for event in events
        if holders[event.idempotency_key].event_id != event.id
    }


def _repeated(event_ids: set[UUID]) -> dict[UUID, Published]:
    """Answer for events that are stored already, as when they were published."""
    if not event_ids:
        return {}
    events = Event.objects.filter(id__in=event_ids)
    deliveries = Delivery.objects.filter(event_id__in=event_ids).order_by("id")
    return _published(list(events), deliveries)


def _as_repeat(published: Published) -> Published:
    return replace(published, is_repeat=True)
