"""How recoveries are asked for and shown in the API; what they mean is in `recovery`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from deliveries.history.delivery_query import STATUS_CLASSES
from deliveries.models import Recovery
from deliveries.recoveries.walk import Criteria
from deliveries.sending.transport import Outcome
from subscriptions.event_types import LIMIT_CHARACTERS
from subscriptions.ids import time_of
from subscriptions.matching import EVERYTHING, FILTER_PATTERN, LIMIT_FILTERS, check_filters
from subscriptions.refusal import SettingRefused
from subscriptions.rest.strict_fields import (
    Flag,
    Interval,
    Moment,
    NullWhenEmpty,
    Number,
    PublicId,
    StrictSerializer,
    Text,
)

RATE_MAX = 10_000
"""More than one subscription takes anyway."""

OUTCOMES = [outcome.value for outcome in Outcome if outcome is not Outcome.SUCCEEDED]

_FILTERS_SCHEMA = {
    "items": {"type": "string", "pattern": FILTER_PATTERN, "maxLength": LIMIT_CHARACTERS},
    "minItems": 1,
    "maxItems": LIMIT_FILTERS,
    "examples": [["Task.*"]],
}


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"invalid_choice": f"This is not one of: {', '.join(names)}."}


class NewRecoverySerializer(Interval):
    """What is to be sent again, or to be made up for."""

    kind = serializers.ChoiceField(
        choices=Recovery.Kind.values,
        error_messages=_one_of(Recovery.Kind.values),
        help_text="`failed`: deliveries that failed, or were cancelled when their subscription was "
        "switched off. `missed`: events that match the subscription and have no delivery to it.",
    )
    subscription = PublicId(
        "sub",
        required=False,
        allow_null=True,
        help_text="Whose; required for `missed`. Not given or null: all of the project.",
    )
    since = Moment(help_text="Created then or later; not in the future.")
    until = Moment(
        required=False, help_text="Created before then; now, if not given or in the future."
    )
    event_types = serializers.ListField(
        child=Text(allow_blank=True),
        required=False,
        help_text="Only these: full names, prefixes that end in a separator and `*`, or `*`.",
    )
    outcomes = serializers.ListField(
        child=serializers.ChoiceField(choices=OUTCOMES, error_messages=_one_of(OUTCOMES)),
        required=False,
        allow_empty=False,
        max_length=len(OUTCOMES),
        help_text="Only what ended so, by its last attempt; for `failed`.",
    )
    status_class = serializers.ChoiceField(
        choices=STATUS_CLASSES,
        required=False,
        error_messages=_one_of(STATUS_CLASSES),
        help_text="Only what was last answered so; for `failed`.",
    )
    rate_per_second = Number(
        min_value=1,
        max_value=RATE_MAX,
        required=False,
        allow_null=True,
        help_text="Deliveries per second at most; null or not given: as fast as they are taken.",
    )
    dry_run = Flag(
        required=False, help_text="True: nothing is sent; the answer says what would be."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {"event_types": _FILTERS_SCHEMA}

    def validate_event_types(self, filters: list[str]) -> list[str]:
        """Return the filters, each once."""
        try:
            return list(check_filters(filters))
        except SettingRefused as refusal:
            raise serializers.ValidationError(str(refusal), "invalid") from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what does not go together."""
        super().validate(attrs)
        errors = {}
        if attrs["since"] > timezone.now():
            errors["since"] = serializers.ErrorDetail("This is in the future.", "out_of_range")
        if attrs["kind"] == Recovery.Kind.MISSED:
            if attrs.get("subscription") is None:
                message = "Name the subscription that has missed events."
                errors["subscription"] = serializers.ErrorDetail(message, "required")
            for name in ("outcomes", "status_class"):
                if name in attrs:
                    message = "What was missed has no outcome: leave this out."
                    errors[name] = serializers.ErrorDetail(message, "not_used")
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


def criteria_of(asked: dict[str, Any]) -> Criteria:
    """Return what a checked `NewRecoverySerializer` asks for; of the future there is nothing."""
    now = timezone.now()
    return Criteria(
        since=asked["since"],
        until=min(asked.get("until", now), now),
        event_types=tuple(asked.get("event_types", [EVERYTHING])),
        outcomes=tuple(dict.fromkeys(asked.get("outcomes", []))),
        status_class=asked.get("status_class", ""),
    )


class RecoverySerializer(StrictSerializer):
    """Many deliveries sent again, or made up for; workers do it, oldest first."""

    id = PublicId("rcv", read_only=True, help_text="Sorts by time.")
    kind = serializers.CharField(read_only=True, help_text="As asked for.")
    subscription = PublicId(
        "sub",
        source="subscription_id",
        read_only=True,
        allow_null=True,
        help_text="Whose; null: all of the project.",
    )
    since = serializers.SerializerMethodField(help_text="Created then or later.")
    until = serializers.SerializerMethodField(help_text="Created before then.")
    event_types = serializers.ListField(
        source="criteria.event_types", read_only=True, help_text="Of these types; `*`: all."
    )
    outcomes = serializers.ListField(
        source="criteria.outcomes", read_only=True, help_text="That ended so; empty: however."
    )
    status_class = NullWhenEmpty(
        source="criteria.status_class", help_text="That were last answered so; null: whatever."
    )
    rate_per_second = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Null: as fast as they are taken."
    )
    status = serializers.CharField(
        read_only=True, help_text="`running` and `paused` can change; the others are final."
    )
    error = NullWhenEmpty(help_text="Why it failed, in words.")
    estimated = serializers.IntegerField(
        source="estimated_count",
        read_only=True,
        help_text="How many there were when it was asked for; beyond 100,000 an estimate.",
    )
    recovered = serializers.IntegerField(
        source="recovered_count", read_only=True, help_text="So many are sent, or wait to be."
    )
    skipped = serializers.IntegerField(
        source="skipped_count",
        read_only=True,
        help_text="Found too, and not sent: the subscription is off, another recovery or somebody "
        "by hand has sent it again meanwhile, the event is no longer kept, or the wire format "
        "cannot carry it.",
    )
    percent = serializers.SerializerMethodField(help_text="By `estimated`; 100 when completed.")
    position = serializers.SerializerMethodField(
        help_text="What was created before then is done; null before it begins."
    )
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was asked for.")
    finished_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Null until it ends."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "kind": {"enum": Recovery.Kind.values},
        "event_types": _FILTERS_SCHEMA,
        "outcomes": {"items": {"type": "string", "enum": OUTCOMES}},
        "status_class": {"enum": STATUS_CLASSES},
        "status": {"enum": Recovery.Status.values},
        "since": {"format": "date-time"},
        "until": {"format": "date-time"},
        "position": {"format": "date-time"},
        "percent": {"minimum": 0, "maximum": 100},
    }

    def get_since(self, recovery: Recovery) -> str:
        """Return where the interval begins."""
        return _moment(Criteria.from_json(recovery.criteria).since)

    def get_until(self, recovery: Recovery) -> str:
        """Return where the interval ends."""
        return _moment(Criteria.from_json(recovery.criteria).until)

    def get_percent(self, recovery: Recovery) -> int:
        """Return how much of it is done."""
        if recovery.status == Recovery.Status.COMPLETED:
            return 100
        done = recovery.recovered_count + recovery.skipped_count
        return min(99, 100 * done // max(1, recovery.estimated_count))

    def get_position(self, recovery: Recovery) -> str | None:
        """Return the time of the last id that was looked at."""
        return None if recovery.position is None else _moment(time_of(recovery.position))


class FoundSerializer(StrictSerializer):
    """One of what would be sent."""

    delivery = PublicId(
        "dlv",
        source="delivery_id",
        read_only=True,
        allow_null=True,
        help_text="Null: there is none yet.",
    )
    event = PublicId("evt", source="event_id", read_only=True, help_text="The event's id.")
    event_type = serializers.CharField(read_only=True, help_text="The event's type.")
    subscription = PublicId(
        "sub", source="subscription_id", read_only=True, help_text="Where it would be sent."
    )
    created_at = serializers.DateTimeField(
        read_only=True, help_text="Of the delivery, or of the event where there is none yet."
    )


class RecoveryEstimateSerializer(StrictSerializer):
    """What a recovery would send; nothing was sent."""

    count = serializers.IntegerField(read_only=True, help_text="So many would be sent.")
    is_exact = serializers.BooleanField(
        read_only=True, help_text="False: not all were counted, and the rest is estimated."
    )
    skipped = serializers.IntegerField(
        read_only=True, help_text="Found too, among those counted, and not to be sent now."
    )
    seconds = serializers.IntegerField(
        read_only=True, help_text="How long it would take, roughly: receivers decide."
    )
    sample = FoundSerializer(many=True, read_only=True, help_text="The oldest, five at most.")


def _moment(value: Any) -> str:
    return Moment().to_representation(value)
