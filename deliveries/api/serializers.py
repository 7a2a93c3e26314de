"""How deliveries and their attempts are written in the API."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from deliveries.history.deliveries import (
    ATTEMPTS_SHOWN,
    header_fields,
    request_body_of,
    response_body_of,
    response_headers_of,
)
from deliveries.history.delivery_query import OUTCOMES, EventTypeField
from deliveries.models import Attempt, Delivery
from deliveries.sending.transport import BODY_LIMIT_BYTES
from subscriptions.rest.strict_fields import (
    AnyJson,
    NullWhenEmpty,
    PublicId,
    StrictSerializer,
)


class NewEventSerializer(StrictSerializer):
    """An event to publish."""

    # The route reads member by member, so that `data` stays as it is written.

    type = EventTypeField(
        help_text="Letters, digits and `_`, in parts joined by `.`, `:`, `/` or `-`."
    )
    data = AnyJson(  # type: ignore[assignment]  # a member, not `Serializer.data`
        help_text="Any JSON, 256 KiB (a setting) and 100 levels at most; kept as text, so that a "
        "30-digit number stays one. No duplicate keys, no NUL characters.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "data": {"examples": [{"task": {"id": 2, "done": True}}]}
    }


class NewTestSerializer(StrictSerializer):
    """What a test sends."""

    event_type = EventTypeField(
        required=False, help_text="The wire format's own if not given; it need not match."
    )
    data = AnyJson(  # type: ignore[assignment]  # a member, not `Serializer.data`
        required=False,
        help_text="Any JSON; the catalogue's example of the type, or a short sentence, if not "
        "given.",
    )


class AcceptedTestSerializer(StrictSerializer):
    """The test will be sent."""

    delivery = PublicId("dlv", read_only=True, help_text="Where to look what became of it.")


class NoMembers(StrictSerializer):
    """The body of a request that takes nothing."""


class DueTime(serializers.DateTimeField):
    """When a pending delivery is due; while it is being sent, that column holds the lease's end."""

    def to_representation(self, value: Any) -> Any:
        """Return the delivery's due time, or `None`."""
        is_due = value.status == Delivery.Status.PENDING
        return super().to_representation(value.next_attempt_at) if is_due else None


class DeliverySerializer(StrictSerializer):
    """One event on its way to one subscription."""

    id = PublicId("dlv", read_only=True, help_text="Sorts by time.")
    event = PublicId("evt", source="event_id", read_only=True, help_text="The event's id.")
    event_type = serializers.CharField(read_only=True, help_text="The event's type.")
    subscription = PublicId(
        "sub", source="subscription_id", read_only=True, help_text="The subscription's id."
    )
    test = serializers.BooleanField(source="is_test", read_only=True, help_text="It was a test.")
    status = serializers.CharField(
        read_only=True,
        help_text="`pending`: waits; `sending`: a worker has it; the others are final.",
    )
    end_reason = NullWhenEmpty(help_text="Why it ended other than by its last attempt.")
    attempt_count = serializers.IntegerField(
        read_only=True, help_text="How many attempts there were."
    )
    last_outcome = NullWhenEmpty(help_text="How the last attempt ended; null before the first one.")
    last_status_code = serializers.IntegerField(
        read_only=True,
        allow_null=True,
        help_text="The HTTP status of the last attempt; null where there was no response.",
    )
    next_attempt_at = DueTime(
        source="*",
        read_only=True,
        allow_null=True,
        help_text="When it is due; null if not pending.",
    )
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was published.")
    finished_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When it ended; null until then."
    )
    redelivered_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When it was last sent again by hand."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "event_type": {"examples": ["Task.update"]},
        "status": {"enum": Delivery.Status.values},
        "end_reason": {"enum": Delivery.EndReason.values},
        "last_outcome": {"enum": OUTCOMES},
        "last_status_code": {"examples": [204]},
    }


class PhasesSerializer(serializers.Serializer[Attempt]):
    """How long each phase of an attempt took by itself, in milliseconds.

    Null: not reached, or (dns to tls) not needed because a connection was kept.
    """

    dns_ms = serializers.IntegerField(allow_null=True, help_text="Resolving the name.")
    connect_ms = serializers.IntegerField(allow_null=True, help_text="Connecting.")
    tls_ms = serializers.IntegerField(allow_null=True, help_text="The TLS handshake.")
    first_byte_ms = serializers.IntegerField(
        allow_null=True, help_text="From the sent request to the response's first byte."
    )


class HeadersField(serializers.Field[Any, Any, list[tuple[str, str]], Any]):
    """Header fields as pairs of name and value, in order; a name may come more than once."""

    def to_representation(self, value: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the pairs."""
        return value

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return that these are pairs of texts."""
        pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        return {"type": "array", "items": pair, "examples": [[["content-type", "text/plain"]]]}


class SentRequestSerializer(serializers.Serializer[Any]):
    """A request as it was sent."""

    url = serializers.CharField(help_text="Where it went.")
    headers = HeadersField(
        help_text="Name and value, in order; values of custom headers are masks."
    )
    body = serializers.CharField(
        allow_null=True, help_text="As it was sent; null where that can no longer be said."
    )

    def to_representation(self, attempt: Attempt) -> dict[str, Any]:
        """Return what was sent; needs the `event` in the context."""
        return super().to_representation(
            {
                "url": attempt.request_url,
                "headers": header_fields(attempt.request_headers),
                "body": request_body_of(attempt, self.context["event"]),
            }
        )


class ReceivedResponseSerializer(serializers.Serializer[Any]):
    """A response as it was received."""

    headers = HeadersField(help_text="Name and value, in order.")
    body = serializers.CharField(help_text=f"The first {BODY_LIMIT_BYTES} bytes of it.")
    body_encoding = serializers.CharField(help_text="`base64` where the body is not UTF-8.")
    truncated = serializers.BooleanField(help_text="There was more of the body.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {"body_encoding": {"enum": ["utf-8", "base64"]}}

    def to_representation(self, attempt: Attempt) -> Any:
        """Return what came back; null when nothing did."""
        if not attempt.response_headers:
            return None
        body = response_body_of(attempt)
        return super().to_representation(
            {
                "headers": response_headers_of(attempt),
                "body": body.text,
                "body_encoding": body.encoding,
                "truncated": attempt.is_truncated,
            }
        )


class AttemptSerializer(StrictSerializer):
    """One HTTP request for a delivery, as it was sent and answered."""

    id = PublicId("att", read_only=True, help_text="Sorts by time.")
    number = serializers.IntegerField(read_only=True, help_text="Counts from 1.")
    started_at = serializers.DateTimeField(read_only=True, help_text="When it began.")
    outcome = serializers.CharField(read_only=True, help_text="How it ended: a stable code.")
    status_code = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Null where there was no response."
    )
    error = NullWhenEmpty(help_text="What went wrong, in words; null on success.")
    duration_ms = serializers.IntegerField(read_only=True, help_text="All of it, in milliseconds.")
    phases = PhasesSerializer(source="*", read_only=True, help_text="Each phase's part of it.")
    remote_address = serializers.CharField(
        read_only=True, allow_null=True, help_text="The address that was contacted, if any."
    )
    request = SentRequestSerializer(source="*", read_only=True, help_text="What was sent.")
    response = ReceivedResponseSerializer(
        source="*",
        read_only=True,
        allow_null=True,
        help_text="What came back; null if nothing did.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "outcome": {"enum": OUTCOMES},
        "status_code": {"examples": [204]},
    }


class DeliveryWithAttemptsSerializer(DeliverySerializer):
    """One event on its way to one subscription, with what was sent and what came back."""

    attempts = AttemptSerializer(
        many=True, read_only=True, help_text=f"The latest {ATTEMPTS_SHOWN}, in order."
    )
