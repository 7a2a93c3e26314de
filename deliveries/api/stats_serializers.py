"""How figures, previews and checks of a URL are written in the API, and how they are asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from django.utils import timezone
from rest_framework import serializers

from deliveries.figures.filter_preview import DAYS, SAMPLES, TYPES_SHOWN
from deliveries.figures.stats import ERRORS_SHOWN, default_since
from deliveries.url_check import Verdict
from subscriptions.event_types import LIMIT_CHARACTERS
from subscriptions.guard.address_guard import URL_LIMIT_BYTES
from subscriptions.matching import FILTER_PATTERN, LIMIT_FILTERS
from subscriptions.rest.strict_fields import (
    Interval,
    NullWhenEmpty,
    PublicId,
    StrictSerializer,
    Text,
)

WIDTHS: Final = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
DEFAULT_COUNTS: Final = {"minute": 60, "hour": 24, "day": 7}
"""Buckets where `since` is not given, the one that ends with `until` included."""

LONGEST: Final = {
    "minute": timedelta(hours=3),
    "hour": timedelta(days=7),
    "day": timedelta(days=30),
}


class StatsQuery(Interval):
    """The query parameters."""

    unknown_message = "There is no such parameter."

    bucket = serializers.ChoiceField(
        choices=list(WIDTHS),
        default="day",
        help_text="How long the parts are: with `minute` the interval has 3 hours at most, with "
        "`hour` 7 days, with `day` (in UTC) 30 days.",
        error_messages={"invalid_choice": f"This is not one of: {', '.join(WIDTHS)}."},
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in the interval, and refuse one that is too long."""
        name = attrs["bucket"]
        attrs.setdefault("until", timezone.now())
        if "since" not in attrs:
            attrs["since"] = default_since(attrs["until"], WIDTHS[name], DEFAULT_COUNTS[name])
        attrs = super().validate(attrs)
        if attrs["until"] - attrs["since"] > LONGEST[name]:
            message = f"With buckets of a {name}, the interval has at most {_WORDS[name]}."
            raise serializers.ValidationError(
                {"since": serializers.ErrorDetail(message, "too_long")}
            )
        return attrs


_WORDS: Final = {"minute": "3 hours", "hour": "7 days", "day": "30 days"}


class LatencySerializer(serializers.Serializer[Any]):
    """How long attempts took, in milliseconds, from their beginning to the answer or the end."""

    p50_ms = serializers.IntegerField(help_text="Half of them took no longer.")
    p95_ms = serializers.IntegerField(help_text="95 of 100 took no longer.")
    p99_ms = serializers.IntegerField(help_text="99 of 100 took no longer.")
    measured = serializers.IntegerField(help_text="Attempts that these figures come from.")


class TallySerializer(serializers.Serializer[Any]):
    """Counts of deliveries by where they stand."""

    succeeded = serializers.IntegerField(help_text="The receiver took them.")
    failed = serializers.IntegerField(help_text="They ended without success.")
    cancelled = serializers.IntegerField(help_text="They ended before they were sent.")
    pending = serializers.IntegerField(help_text="They wait.")
    sending = serializers.IntegerField(help_text="They are on their way.")
    success_rate = serializers.FloatField(
        allow_null=True,
        help_text="Succeeded, of those that succeeded or failed; null while there are none.",
    )
    attempts = serializers.IntegerField(help_text="Attempts of all of them.")
    latency = LatencySerializer(
        allow_null=True, help_text="Null where no attempt was measured. A sample where many."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "success_rate": {"minimum": 0, "maximum": 1, "examples": [0.998]}
    }


class BucketSerializer(TallySerializer):
    """Counts of a part of the interval."""

    start = serializers.DateTimeField(
        help_text="Where the part begins; the first one only counts from `since` on."
    )

    def to_representation(self, bucket: Any) -> Any:
        """Return start and counts side by side."""
        counts = TallySerializer(bucket.tally).data
        return {"start": self.fields["start"].to_representation(bucket.start), **counts}


class ErrorSeenSerializer(serializers.Serializer[Any]):
    """Deliveries whose latest attempt ended alike."""

    outcome = serializers.CharField(help_text="How it ended: a stable code.")
    status_code = serializers.IntegerField(
        allow_null=True, help_text="Null where there was no response."
    )
    count = serializers.IntegerField(help_text="How many deliveries.")
    last_error = NullWhenEmpty(help_text="What went wrong with the latest, in words.")
    last_at = serializers.DateTimeField(help_text="When that attempt began.")


class StatsSerializer(serializers.Serializer[Any]):
    """What became of the deliveries that were made in an interval; tests are left out."""

    since = serializers.DateTimeField(help_text="From when on.")
    until = serializers.DateTimeField(help_text="Before when; now at the latest.")
    sampled = serializers.BooleanField(
        source="is_sampled",
        help_text="Counts are estimates, made from a part of the deliveries: there are too many.",
    )
    total = TallySerializer(help_text="All of the interval.")
    buckets = BucketSerializer(
        many=True,
        help_text="Its parts, oldest first. One that could not be read in time is missing.",
    )
    errors = ErrorSeenSerializer(  # type: ignore[assignment]  # a field, no longer the property
        many=True,
        help_text=f"How deliveries failed last, the {ERRORS_SHOWN} most frequent ways.",
    )


class BacklogSerializer(serializers.Serializer[Any]):
    """What is unfinished now, tests included."""

    unfinished = serializers.IntegerField(
        allow_null=True, help_text="Deliveries; null where counting would have taken too long."
    )
    sampled = serializers.BooleanField(source="is_estimated", help_text="It is an estimate.")
    oldest_overdue_seconds = serializers.FloatField(
        help_text="For how long the oldest due delivery has waited; 0 when none is due."
    )


class ProjectStatsSerializer(StatsSerializer):
    """What became of a project's deliveries, and what waits."""

    backlog = BacklogSerializer(help_text="What is unfinished now.")


class FilterSerializer(StrictSerializer):
    """An event filter, as a subscription has it."""

    event_types = serializers.ListField(
        child=Text(allow_blank=True),
        help_text="Full names, prefixes that end in a separator and `*`, or `*`.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "event_types": {
            "items": {"type": "string", "pattern": FILTER_PATTERN, "maxLength": LIMIT_CHARACTERS},
            "minItems": 1,
            "maxItems": LIMIT_FILTERS,
            "examples": [["Task.update", "jobs:*"]],
        }
    }


class TypeCountSerializer(serializers.Serializer[Any]):
    """How many events of a type there were."""

    event_type = serializers.CharField(help_text="The type.")
    count = serializers.IntegerField(help_text="How many.")


class SampleSerializer(serializers.Serializer[Any]):
    """An event that would have been received."""

    id = PublicId("evt", help_text="The event's id.")
    type = serializers.CharField(help_text="Its type.")
    created_at = serializers.DateTimeField(help_text="When it was published.")


class PreviewSerializer(serializers.Serializer[Any]):
    """What a filter would have let through; tests are left out."""

    since = serializers.DateTimeField(help_text=f"{DAYS} days ago: from then until now.")
    sampled = serializers.BooleanField(
        source="is_sampled",
        help_text="Counts are estimates, and a rare type may be missing: there are too many.",
    )
    published = serializers.IntegerField(help_text="All of the project's events.")
    received = serializers.IntegerField(help_text="Those that the filter wants.")
    types = TypeCountSerializer(
        many=True, help_text=f"Their types, the {TYPES_SHOWN} most frequent ones."
    )
    events = SampleSerializer(
        source="samples", many=True, help_text=f"The newest that were found, {SAMPLES} at most."
    )


class UrlToCheckSerializer(StrictSerializer):
    """A URL, as somebody types it."""

    url = Text(allow_blank=True, help_text="Where requests would go.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "url": {"maxLength": URL_LIMIT_BYTES, "examples": ["https://example.com/hooks"]}
    }


class UrlCheckSerializer(serializers.Serializer[Any]):
    """What can be said of a URL without sending anything there."""

    verdict = serializers.CharField(
        help_text="`refused`: it cannot be saved. `blocked_address`, `dns_failed`: it can, but "
        "deliveries would end so. `unknown`: our own resolver is away."
    )
    message = serializers.CharField(source="sentence", help_text="A sentence for people.")
    code = serializers.CharField(
        allow_null=True, help_text="Of the error that saving would give; null unless refused."
    )
    url = serializers.CharField(
        allow_null=True, help_text="As it would be stored; null if refused."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "verdict": {"enum": [verdict.value for verdict in Verdict]},
        "code": {"examples": ["https_only", None]},
    }
