"""What may be published: an event's type, data and idempotency key, each by its own rule.

Called by ingest. What the project's catalogue asks besides is `catalogue_checks`'s to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from uuid import UUID

import msgspec
from django.conf import settings

from subscriptions.event_types import check_event_type
from subscriptions.field_errors import FieldError
from subscriptions.idempotency_key import HEADER, REFUSAL, is_idempotency_key
from subscriptions.ids import new_id
from subscriptions.payload import Payload, PayloadRefused, payload_from_python
from subscriptions.refusal import SettingRefused


class EventRefused(ValueError):
    """An event is not acceptable; nothing of it was stored. `field` names what is wrong with it."""

    def __init__(
        self, field: str, code: str, sentence: str, *, errors: Iterable[FieldError] = ()
    ) -> None:
        super().__init__(sentence)
        self.field = field
        self.code = code
        self.errors = tuple(errors) or (FieldError(field, code, sentence),)
        """All that is wrong, where it is more than one thing."""


class NewEvent(msgspec.Struct, frozen=True):
    """One event to publish; `data` is any JSON-serializable value, or a checked `Payload`."""

    type: str
    data: object
    idempotency_key: str | None = None


class CheckedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that may be stored, as far as it can be judged by itself."""

    id: UUID
    type: str
    payload: Payload
    idempotency_key: str

    @property
    def digest(self) -> str:
        """What the same content has in common, whoever sends it when."""
        content = f"{self.type}\n{self.payload.text}"
        return hashlib.sha256(content.encode()).hexdigest()


def check_event(event: NewEvent) -> CheckedEvent:
    """Return the event with an id, or raise `EventRefused`."""
    try:
        name = check_event_type(event.type)
    except SettingRefused as refusal:
        raise EventRefused("type", "invalid", str(refusal)) from None
    key = event.idempotency_key
    if key is not None and not is_idempotency_key(key):
        raise EventRefused(HEADER, "invalid", REFUSAL)
    return CheckedEvent(new_id(), name, _payload(event.data), key or "")


def _payload(data: object) -> Payload:
    limit_bytes = settings.DISPATCHER_PAYLOAD_LIMIT_BYTES
    try:
        if not isinstance(data, Payload):
            return payload_from_python(data, limit_bytes=limit_bytes)
    except PayloadRefused as refusal:
        raise EventRefused("data", refusal.code, str(refusal)) from None
    return data
