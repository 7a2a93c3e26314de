"""How subscriptions are written in the API: names, types and which of them can be set.

What the values must be is decided in `subscription_settings`; `keywords` tell it to clients.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from subscriptions import metadata as metadata_rules
from subscriptions.custom_headers import (
    LIMIT_HEADERS,
    LIMIT_NAME_CHARACTERS,
    LIMIT_VALUE_CHARACTERS,
    NAME_PATTERN,
    VALUE_PATTERN,
    masked,
)
from subscriptions.event_types import LIMIT_CHARACTERS
from subscriptions.guard.address_guard import URL_LIMIT_BYTES
from subscriptions.matching import FILTER_PATTERN, LIMIT_FILTERS
from subscriptions.models import Subscription
from subscriptions.rest.strict_fields import (
    Flag,
    NullWhenEmpty,
    Number,
    PublicId,
    StrictSerializer,
    Text,
    whole,
)
from subscriptions.retry_schedules import (
    LIMIT_RETRIES,
    MAX_DELAY_SECONDS,
    MIN_DELAY_SECONDS,
    PRESETS,
)
from subscriptions.secrets.encrypted_fields import UnreadableHeaders
from subscriptions.secrets.secret_format import SECRET_CHARACTERS
from subscriptions.secrets.secret_rotation import (
    DEFAULT_OVERLAP_HOURS,
    LONGEST_OVERLAP_HOURS,
    LiveSecret,
    PreviousSecret,
    SecretState,
)
from subscriptions.secrets.signing_secrets import hint_of, signing_owner
from subscriptions.subscription_settings import DESCRIPTION_LIMIT_CHARACTERS
from subscriptions.wire_formats import SIGNATURE_SCHEMES, WIRE_FORMATS

_SECRET_KEYWORDS = {
    "minLength": SECRET_CHARACTERS.start,
    "maxLength": SECRET_CHARACTERS.stop - 1,
    "examples": ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
}


class RetryScheduleField(serializers.Field[Any, Any, list[int], Any]):
    """A list of seconds, or a preset's name; always shown as the list."""

    def to_internal_value(self, data: Any) -> Any:
        """Return what was given: `check_retry_schedule` judges all of it."""
        return [whole(delay) for delay in data] if isinstance(data, list) else data

    def to_representation(self, value: list[int]) -> list[int]:
        """Return the delays in seconds."""
        return value

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Return that it is a list, or one of the other ways to say one."""
        delay = {"type": "integer", "minimum": MIN_DELAY_SECONDS, "maximum": MAX_DELAY_SECONDS}
        delays = {"type": "array", "items": delay, "maxItems": LIMIT_RETRIES}
        if direction == "response":
            return {**delays, "examples": [[5, 300, 1800]]}
        others = [{"type": "string", "enum": list(PRESETS)}, {"type": "null"}]
        return {"oneOf": [delays, *others], "examples": [[5, 300, 1800], *PRESETS]}


class SignatureSchemesField(serializers.ListField):
    """Names of signature schemes; always shown as the list."""

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Return that it is a list of names, or null to have the wire format's own."""
        return {
            "type": "array" if direction == "response" else ["array", "null"],
            "items": {"type": "string", "enum": list(SIGNATURE_SCHEMES)},
            "minItems": 1,
            "uniqueItems": True,
            "examples": [["standard"]],
        }


class CustomHeadersField(serializers.DictField):
    """Names and values; values may be credentials, so they go in only and come out as masks."""

    def to_representation(self, value: dict[str, str]) -> Any:
        """Return names and masks; `None` where nobody can read them."""
        return None if isinstance(value, UnreadableHeaders) else masked(value)

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Return what names and values may be, or that values are shown as masks."""
        value: dict[str, Any] = {"type": "string"}
        if direction == "request":
            value |= {"pattern": VALUE_PATTERN, "maxLength": LIMIT_VALUE_CHARACTERS}
        return {
            "type": ["object", "null"],
            "propertyNames": {"pattern": NAME_PATTERN, "maxLength": LIMIT_NAME_CHARACTERS},
            "additionalProperties": value,
            "maxProperties": LIMIT_HEADERS,
            "examples": [{"X-Tenant": "acme" if direction == "request" else "…"}],
        }


class SubscriptionSerializer(StrictSerializer):
    """A subscription: where events go, which ones, how they look, and its health."""

    id = PublicId("sub", read_only=True, help_text="Sorts by time.")
    url = Text(
        help_text="Where requests go: https (http where the project allows it), a public address, "
        "a port that webhooks may be sent to."
    )
    description = Text(
        required=False,
        allow_blank=True,
        max_length=DESCRIPTION_LIMIT_CHARACTERS,
        help_text="For people; empty if not given.",
    )
    metadata = serializers.DictField(
        child=Text(allow_blank=True),
        required=False,
        help_text="Names and texts of your own, which mean nothing here. What is given replaces "
        "all of it.",
    )
    event_types = serializers.ListField(
        child=Text(allow_blank=True),
        help_text="Which events: full names, prefixes that end in a separator and `*`, or `*`.",
    )
    wire_format = Text(required=False, help_text="How the body looks; `standard` if not given.")
    repsona_fields = Flag(
        required=False,
        help_text="True adds `model`, `modelId` and `action`; with the `repsona` format only.",
    )
    signature_schemes = SignatureSchemesField(
        child=Text(),
        required=False,
        allow_null=True,
        help_text="How requests are signed, no two with the same header; null: the wire format's "
        "own.",
    )
    secret = Text(
        write_only=True,
        required=False,
        allow_null=True,
        help_text="What signs; generated if not given. With the scheme `standard`, `whsec_` and "
        "the base64 of 24 to 64 bytes.",
    )
    uses_default_secret = Flag(
        required=False, help_text="True: the project's default secret signs instead of its own."
    )
    secret_hint = serializers.SerializerMethodField(
        help_text="The end of the secret that signs; null where it cannot be read."
    )
    active = Flag(
        source="is_active",
        required=False,
        help_text="False: nothing is sent, and what was waiting is cancelled. True switches it "
        "on, with a streak of zero.",
    )
    retry_schedule = RetryScheduleField(
        required=False,
        allow_null=True,
        help_text="Seconds before each retry, give or take a fifth; empty: a failure is final. "
        "`standard` and null stand for a list.",
    )
    custom_headers = CustomHeadersField(
        child=Text(allow_blank=True),
        required=False,
        allow_null=True,
        help_text="Headers that every request carries, 4096 characters in all. Values are shown "
        "as masks; one that is given back as it was shown stays. Null in an answer: unreadable, "
        "tell the operator.",
    )
    failure_streak = serializers.IntegerField(
        read_only=True, help_text="Deliveries that ended failed since the last success."
    )
    deactivated_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Since when it is off; null while active."
    )
    deactivation_reason = NullWhenEmpty(
        help_text="Why it is off: too many failures, the receiver answered 410, or by hand."
    )
    last_error = NullWhenEmpty(help_text="What the last failure was, in words.")
    last_error_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When that was."
    )
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was made.")
    updated_at = serializers.DateTimeField(read_only=True, help_text="When it was changed last.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "url": {
            "format": "uri",
            "maxLength": URL_LIMIT_BYTES,
            "examples": ["https://example.com/hooks"],
        },
        "metadata": {
            "propertyNames": {"minLength": 1, "maxLength": metadata_rules.LIMIT_NAME_CHARACTERS},
            "additionalProperties": {
                "type": "string",
                "maxLength": metadata_rules.LIMIT_VALUE_CHARACTERS,
            },
            "maxProperties": metadata_rules.LIMIT_NAMES,
            "examples": [{"customer": "4711"}],
        },
        "event_types": {
            "items": {"type": "string", "pattern": FILTER_PATTERN, "maxLength": LIMIT_CHARACTERS},
            "minItems": 1,
            "maxItems": LIMIT_FILTERS,
            "examples": [["Task.update", "jobs:*"], ["*"]],
        },
        "description": {"examples": ["Orders to the warehouse"]},
        "wire_format": {"enum": list(WIRE_FORMATS)},
        "repsona_fields": {"examples": [False]},
        "uses_default_secret": {"examples": [False]},
        "active": {"examples": [True]},
        "secret": _SECRET_KEYWORDS,
        "secret_hint": {"examples": ["…Hh8="]},
        "deactivation_reason": {"enum": Subscription.DeactivationReason.values},
    }
    only_when_creating: ClassVar = ("secret",)
    """Afterwards it is rotated; `subscription_changes` refuses it."""

    def get_secret_hint(self, subscription: Subscription) -> str | None:
        """Return the end of the newest secret that signs: enough to tell two apart."""
        newest = next(iter(signing_owner(subscription).signing_secrets.all()), None)
        return hint_of(newest) if newest else None


class CreatedSubscriptionSerializer(SubscriptionSerializer):
    """The new subscription; of all answers about it only this one holds its secret."""

    secret = serializers.CharField(  # type: ignore[assignment]  # now it comes out
        read_only=True, allow_null=True, help_text="What signs; null: the project's default does."
    )


class RotationSerializer(StrictSerializer):
    """What can be said of a rotation."""

    secret = Text(
        required=False,
        allow_null=True,
        help_text="The new one; generated if not given. With the scheme `standard`, `whsec_` and "
        "the base64 of 24 to 64 bytes.",
    )
    overlap_hours = Number(
        min_value=0,
        max_value=LONGEST_OVERLAP_HOURS,
        required=False,
        help_text="How long the old one signs too, in hours. 0 ends every older one at once.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "secret": _SECRET_KEYWORDS,
        "overlap_hours": {"default": DEFAULT_OVERLAP_HOURS},
    }


class PreviousSecretSerializer(serializers.Serializer[PreviousSecret]):
    """The secret that signs beside the newest, while one is rotated in."""

    hint = serializers.CharField(
        allow_null=True, help_text="Its end; null where it cannot be read."
    )
    expires_at = serializers.DateTimeField(help_text="When it stops signing.")


class LiveSecretSerializer(serializers.Serializer[LiveSecret]):
    """A secret that signs, without what it is."""

    hint = serializers.CharField(
        allow_null=True, help_text="Its end; null where it cannot be read."
    )
    created_at = serializers.DateTimeField(help_text="When it was made.")
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When it stops signing; null for the newest."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {"hint": {"examples": ["…Hh8="]}}


class LiveSecretsSerializer(serializers.Serializer[Any]):
    """What signs now: one secret, or two while one is rotated in; none before the first."""

    results = LiveSecretSerializer(many=True, help_text="Newest first.")


class SecretSerializer(serializers.Serializer[SecretState]):
    """The secret that signs now."""

    secret = serializers.CharField(help_text="The newest, as receivers need it to verify.")
    created_at = serializers.DateTimeField(help_text="When it was made.")
    previous = PreviousSecretSerializer(
        allow_null=True, help_text="The one before, while it signs too; else null."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "secret": {"examples": _SECRET_KEYWORDS["examples"]}
    }
