"""How events are written in the API, and how lists of them are asked for; see `serializers`."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from deliveries.api.serializers import DeliverySerializer, NewEventSerializer
from deliveries.history.delivery_query import EventTypeField
from deliveries.history.matches import Reason
from deliveries.models import Delivery
from subscriptions.idempotency_key import LIMIT_CHARACTERS as KEY_LIMIT_CHARACTERS
from subscriptions.openapi.components import ProblemSerializer
from subscriptions.payload import LIMIT_BYTES
from subscriptions.rest.cursor_pages import PageQuery
from subscriptions.rest.exact_json import ExactJson
from subscriptions.rest.strict_fields import (
    FlagQuery,
    Interval,
    NullWhenEmpty,
    PublicId,
    StrictSerializer,
    Text,
)

BATCH_LIMIT_EVENTS = 1000
"""Events of one request."""


class EventQuery(Interval, PageQuery):
    """The filters of a list of events."""

    type = EventTypeField(required=False, help_text="A full name.")
    idempotency_key = Text(
        required=False, max_length=KEY_LIMIT_CHARACTERS, help_text="The event that has this key."
    )
    test = FlagQuery(required=False, help_text="Only tests, or only the others.")


class EventSerializer(StrictSerializer):
    """An event, without its data."""

    id = PublicId("evt", read_only=True, help_text="Sorts by time.")
    type = serializers.CharField(read_only=True, help_text="The event type.")
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was published.")
    test = serializers.BooleanField(
        source="is_test", read_only=True, help_text="It was a test of one subscription."
    )
    idempotency_key = NullWhenEmpty(help_text="The publisher's; null where it gave none.")
    matched_count = serializers.IntegerField(
        read_only=True, help_text="Deliveries that were made when it was published."
    )


class EventWithDeliveriesSerializer(EventSerializer):
    """An event with its data, exactly as it was given, and its deliveries."""

    data = ExactJson(  # type: ignore[assignment]  # DRF takes the name away from the class
        limit_bytes=LIMIT_BYTES, read_only=True, help_text="As it was published."
    )
    deliveries = DeliverySerializer(many=True, read_only=True, help_text="In order, 500 at most.")


class MatchSerializer(serializers.Serializer[Any]):
    """Why one subscription got an event, or did not."""

    subscription = PublicId("sub", read_only=True, help_text="The subscription's id.")
    reason = serializers.ChoiceField(
        choices=[(reason.value, reason.value) for reason in Reason], help_text="A stable code."
    )
    explanation = serializers.CharField(help_text="The same in words.")
    certain = serializers.BooleanField(
        help_text="False: settings were changed since, and only the present ones are known."
    )
    filter = serializers.CharField(
        allow_null=True, help_text="The filter that wants the type today; null: none does."
    )
    since = serializers.DateTimeField(
        allow_null=True, help_text="Since when it was inactive or deleted, or has existed."
    )
    delivery = PublicId("dlv", allow_null=True, help_text="Null: there is none.")
    status = serializers.ChoiceField(
        choices=Delivery.Status.choices, allow_null=True, help_text="The delivery's."
    )


class BatchEventSerializer(NewEventSerializer):
    """One event of a batch."""

    idempotency_key = Text(
        required=False,
        max_length=KEY_LIMIT_CHARACTERS,
        help_text="Makes repeating safe, as the header `Idempotency-Key` does for one event.",
    )


class NewBatchSerializer(StrictSerializer):
    """Events to publish at once."""

    events = BatchEventSerializer(many=True, help_text="1 to 1000; each has a result of its own.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "events": {"minItems": 1, "maxItems": BATCH_LIMIT_EVENTS}
    }


class MatchedSerializer(serializers.Serializer[Any]):
    """A subscription that an event goes to."""

    subscription = PublicId("sub", read_only=True, help_text="The subscription's id.")
    delivery = PublicId("dlv", read_only=True, help_text="The delivery to it.")


class PublishedSerializer(StrictSerializer):
    """The event is stored, with its deliveries."""

    id = PublicId("evt", read_only=True, help_text="Sorts by time.")
    type = serializers.CharField(read_only=True, help_text="As given.")
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was published.")
    deliveries = serializers.ListField(
        child=PublicId("dlv"),
        read_only=True,
        help_text="One for each matching active subscription; may be empty.",
    )
    matched = MatchedSerializer(
        many=True, read_only=True, help_text="The same with the subscriptions, in the same order."
    )


class BatchPublishedSerializer(serializers.Serializer[Any]):
    """An event of a batch, stored with its deliveries; `GET …/events/{id}` shows these."""

    id = PublicId("evt", read_only=True, help_text="Sorts by time.")
    type = serializers.CharField(read_only=True, help_text="As given.")
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was published.")
    matched_count = serializers.IntegerField(
        read_only=True, help_text="Deliveries that were made of it."
    )


class BatchResultSerializer(serializers.Serializer[Any]):
    """What became of one event of a batch."""

    status = serializers.ChoiceField(
        choices=["accepted", "repeated", "refused"],
        help_text="`repeated`: the idempotency key was known, nothing new was stored.",
    )
    event = BatchPublishedSerializer(allow_null=True, help_text="Null where it was refused.")
    error = ProblemSerializer(
        allow_null=True,
        help_text="Null unless it was refused: what the event would be answered with by itself.",
    )


class BatchResultsSerializer(StrictSerializer):
    """What became of each event of a batch."""

    accepted = serializers.IntegerField(read_only=True, help_text="Events that were stored.")
    repeated = serializers.IntegerField(read_only=True, help_text="Those that had been before.")
    refused = serializers.IntegerField(read_only=True, help_text="Those of which nothing is kept.")
    results = BatchResultSerializer(many=True, read_only=True, help_text="In the batch's order.")
