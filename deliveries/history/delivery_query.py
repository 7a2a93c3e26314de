"""How lists of deliveries are asked for: the filters of the API's list and of the page's."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from deliveries.models import Delivery
from deliveries.sending.transport import Outcome
from subscriptions.event_types import LIMIT_CHARACTERS, PATTERN, is_event_type
from subscriptions.rest.cursor_pages import PageQuery
from subscriptions.rest.strict_fields import Interval, PublicId, Text

OUTCOMES: Final = [outcome.value for outcome in Outcome]

STATUS_CLASSES: Final = ["2xx", "3xx", "4xx", "5xx"]
"""Of responses; a 1xx is never the last."""


class EventTypeField(Text):
    """A possible event type."""

    default_error_messages = {"invalid": "This is not an event type."}

    def to_internal_value(self, data: Any) -> str:
        """Return the name."""
        name = super().to_internal_value(data)
        if not is_event_type(name):
            self.fail("invalid")
        return name

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return how a name looks."""
        return {
            "type": "string",
            "pattern": PATTERN,
            "maxLength": LIMIT_CHARACTERS,
            "examples": ["Task.update"],
        }


class DeliveryQuery(Interval, PageQuery):
    """The filters of a list of deliveries."""

    subscription = PublicId(
        "sub", required=False, help_text="To this one; a deleted one's are found too."
    )
    status = serializers.ChoiceField(
        choices=Delivery.Status.choices,
        required=False,
        help_text="Where they stand.",
        error_messages={"invalid_choice": f"This is not one of: {', '.join(Delivery.Status)}."},
    )
    outcome = serializers.ChoiceField(
        choices=OUTCOMES,
        required=False,
        help_text="How the last attempt ended.",
        error_messages={"invalid_choice": f"This is not one of: {', '.join(OUTCOMES)}."},
    )
    status_class = serializers.ChoiceField(
        choices=STATUS_CLASSES,
        required=False,
        help_text="What the last response's status code begins with.",
        error_messages={"invalid_choice": f"This is not one of: {', '.join(STATUS_CLASSES)}."},
    )
    status_code = serializers.IntegerField(
        min_value=100, max_value=599, required=False, help_text="The last response's."
    )
    event_type = EventTypeField(required=False, help_text="A full name.")
    event = PublicId("evt", required=False, help_text="Of this one.")
    search = Text(
        required=False,
        max_length=255,
        help_text="Of an event with this id, or whose idempotency key begins so. Case counts; "
        "200 events at most may fit.",
    )
