"""How deliveries and their attempts are written in the API, and how lists of them are asked for."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from deliveries.history import (
    header_fields,
    request_body_of,
    response_body_of,
    response_headers_of,
)
from deliveries.models import Attempt, Delivery
from subscriptions.cursor_pages import PageQuery
from subscriptions.event_types import is_event_type
from subscriptions.strict_fields import Interval, NullWhenEmpty, PublicId, StrictSerializer, Text


class EventTypeField(Text):
    """A possible event type."""

    default_error_messages = {"invalid": "This is not an event type."}

    def to_internal_value(self, data: Any) -> str:
        """Return the name."""
        name = super().to_internal_value(data)
        if not is_event_type(name):
            self.fail("invalid")
        return name


class DeliveryQuery(Interval, PageQuery):
    """The filters of a list of deliveries."""

    subscription = PublicId("sub", required=False)
    status = serializers.ChoiceField(
        choices=Delivery.Status.choices,
        required=False,
        error_messages={"invalid_choice": f"This is not one of: {', '.join(Delivery.Status)}."},
    )
    event_type = EventTypeField(required=False)


class NoMembers(StrictSerializer):
    """The body of a request that takes nothing."""


class DueTime(serializers.DateTimeField):
    """When a pending delivery is due; while it is being sent, that column holds the lease's end."""

    def to_representation(self, value: Any) -> Any:
        """Return the delivery's due time, or `None`."""
        is_due = value.status == Delivery.Status.PENDING
        return super().to_representation(value.next_attempt_at) if is_due else None


class DeliverySerializer(StrictSerializer):
    """A delivery, without its attempts."""

    id = PublicId("dlv", read_only=True)
    event = PublicId("evt", source="event_id", read_only=True)
    event_type = serializers.CharField(read_only=True)
    subscription = PublicId("sub", source="subscription_id", read_only=True)
    test = serializers.BooleanField(source="is_test", read_only=True)
    status = serializers.CharField(read_only=True)
    end_reason = NullWhenEmpty()
    attempt_count = serializers.IntegerField(read_only=True)
    last_outcome = NullWhenEmpty()
    last_status_code = serializers.IntegerField(read_only=True)
    next_attempt_at = DueTime(source="*", read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    finished_at = serializers.DateTimeField(read_only=True)
    redelivered_at = serializers.DateTimeField(read_only=True)


class AttemptSerializer(StrictSerializer):
    """An attempt as it was sent and answered; needs the `event` in its context.

    Durations are milliseconds, each phase's own; null: not reached, or (dns to tls) not needed
    because a connection was kept. A body that is not UTF-8 is base64, as `body_encoding` says.
    """

    id = PublicId("att", read_only=True)
    number = serializers.IntegerField(read_only=True)
    started_at = serializers.DateTimeField(read_only=True)
    outcome = serializers.CharField(read_only=True)
    status_code = serializers.IntegerField(read_only=True)
    error = NullWhenEmpty()
    duration_ms = serializers.IntegerField(read_only=True)
    phases = serializers.SerializerMethodField()
    remote_address = serializers.CharField(read_only=True)
    request = serializers.SerializerMethodField()
    response = serializers.SerializerMethodField()

    def get_phases(self, attempt: Attempt) -> dict[str, int | None]:
        """Return how long each phase took."""
        return {
            "dns_ms": attempt.dns_ms,
            "connect_ms": attempt.connect_ms,
            "tls_ms": attempt.tls_ms,
            "first_byte_ms": attempt.first_byte_ms,
        }

    def get_request(self, attempt: Attempt) -> dict[str, Any]:
        """Return what was sent; `body` is null where it can no longer be said."""
        return {
            "url": attempt.request_url,
            "headers": header_fields(attempt.request_headers),
            "body": request_body_of(attempt, self.context["event"]),
        }

    def get_response(self, attempt: Attempt) -> dict[str, Any] | None:
        """Return what came back; null when nothing did."""
        if not attempt.response_headers:
            return None
        body = response_body_of(attempt)
        return {
            "headers": response_headers_of(attempt),
            "body": body.text,
            "body_encoding": body.encoding,
            "truncated": attempt.is_truncated,
        }
