"""The form that sends a test: which event type, which data; the example first, then what was typed.

For the subscription's page, which shows it, and for `send_test`, which sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
from django.conf import settings
from django.utils.translation import gettext as _

from deliveries.publishing.ingest import EventRefused, data_of_test
from subscriptions.event_types import check_event_type
from subscriptions.models import EventType, Subscription
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.payload import Payload, PayloadRefused, payload_from_json
from subscriptions.refusal import SettingRefused
from subscriptions.wire_formats import default_test_event_type

_TYPES_OFFERED: Final = 1000
"""More names than anybody looks through."""

_SPACES_FACTOR: Final = 2
"""How much longer than its compact form JSON may be: as much as the API takes, nearly."""


@dataclass(frozen=True, slots=True)
class NewTest:
    """What the form shows."""

    event_type: str
    data: str
    """JSON text, indented."""
    event_types: tuple[str, ...]
    """To choose from: the wire format's own for tests first."""
    errors: dict[str, list[str]] = field(default_factory=dict)
    """By field: `event_type`, `data`; `pace` is about none of them."""


def new_test(subscription: Subscription, event_type: str = "") -> NewTest:
    """Return the form with the type's example."""
    usual = default_test_event_type(subscription.wire_format)
    rows = EventType.objects.filter(project=subscription.project, is_archived=False)
    names = rows.order_by("name").values_list("name", flat=True)[:_TYPES_OFFERED]
    form = NewTest(event_type or usual, "", tuple(dict.fromkeys([usual, *names])))
    try:
        example = data_of_test(subscription.project, check_event_type(form.event_type))
    except (EventRefused, SettingRefused) as refusal:
        return replace(form, errors={"event_type": [in_page_language(str(refusal))]})
    return replace(form, data=_indented(example.text))


def filled(subscription: Subscription, event_type: str, data: str) -> NewTest:
    """Return the form as it was filled in."""
    return replace(new_test(subscription), event_type=event_type, data=data)


def errors_of(refusal: EventRefused | PayloadRefused | SettingRefused) -> dict[str, list[str]]:
    """Return sentences by the form's fields."""
    errors: dict[str, list[str]] = {}
    if isinstance(refusal, EventRefused):
        for error in refusal.errors:
            name, _slash, pointer = error.field.partition("/")
            said = in_page_language(error.message)
            sentence = f"/{pointer}: {said}" if pointer else said
            errors.setdefault("data" if name == "data" else "event_type", []).append(sentence)
    else:
        name = "data" if isinstance(refusal, PayloadRefused) else "event_type"
        errors[name] = [in_page_language(str(refusal))]
    return errors


def read_test(
    subscription: Subscription, event_type: str, data: str, *, is_free: bool
) -> tuple[str, Payload]:
    """Return what was filled in; raises `EventRefused`, `SettingRefused` or `PayloadRefused`.

    Unless it is free, a test has the example of its type, which is in the catalogue or the usual.
    """
    name = check_event_type(event_type)
    limit_bytes = settings.DISPATCHER_PAYLOAD_LIMIT_BYTES
    if len(data) > _SPACES_FACTOR * limit_bytes:
        raise PayloadRefused("too_large", _("This text is too long."))
    payload = payload_from_json(data, limit_bytes=limit_bytes)
    if not is_free:
        _check_example(subscription, name, payload)
    return name, payload


def _check_example(subscription: Subscription, name: str, payload: Payload) -> None:
    project, usual = subscription.project, default_test_event_type(subscription.wire_format)
    known = EventType.objects.filter(project=project, name=name)
    if name != usual and not known.exists():
        sentence = _(
            "The project’s default secret signs these requests: choose an event type of the list."
        )
        raise EventRefused("type", "not_known", sentence)
    if payload.text != payload_from_json(data_of_test(project, name).text).text:
        sentence = _(
            "The project’s default secret signs these requests: only the example can be sent."
        )
        raise EventRefused("data", "not_the_example", sentence)


def _indented(json_text: str) -> str:
    return msgspec.json.format(json_text, indent=2)
