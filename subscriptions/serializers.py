"""How subscriptions are written in the API: names, types and which of them can be set.

What the values must be is decided in `subscription_settings`.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from subscriptions.custom_headers import masked
from subscriptions.encrypted_fields import UnreadableHeaders
from subscriptions.models import Subscription
from subscriptions.secret_rotation import LONGEST_OVERLAP_HOURS, PreviousSecret, SecretState
from subscriptions.signing_secrets import hint_of, signing_owner
from subscriptions.strict_fields import (
    Flag,
    NullWhenEmpty,
    Number,
    PublicId,
    StrictSerializer,
    Text,
)
from subscriptions.subscription_settings import DESCRIPTION_LIMIT_CHARACTERS


class RetryScheduleField(serializers.Field[Any, Any, list[int], Any]):
    """A list of seconds, or a preset's name; always shown as the list."""

    def to_internal_value(self, data: Any) -> Any:
        """Return what was given: `check_retry_schedule` judges all of it."""
        return data

    def to_representation(self, value: list[int]) -> list[int]:
        """Return the delays in seconds."""
        return value


class CustomHeadersField(serializers.DictField):
    """Names and values; values may be credentials, so they go in only and come out as masks."""

    def to_representation(self, value: dict[str, str]) -> Any:
        """Return names and masks; `None` where nobody can read them."""
        return None if isinstance(value, UnreadableHeaders) else masked(value)


class SubscriptionSerializer(StrictSerializer):
    """A subscription; `secret` goes in only, and comes out where it was just made."""

    id = PublicId("sub", read_only=True)
    url = Text()
    description = Text(required=False, allow_blank=True, max_length=DESCRIPTION_LIMIT_CHARACTERS)
    event_types = serializers.ListField(child=Text(allow_blank=True))
    wire_format = Text(required=False)
    repsona_fields = Flag(required=False)
    signature_schemes = serializers.ListField(child=Text(), required=False, allow_null=True)
    secret = Text(write_only=True, required=False, allow_null=True)
    uses_default_secret = Flag(required=False)
    secret_hint = serializers.SerializerMethodField()
    active = Flag(source="is_active", required=False)
    retry_schedule = RetryScheduleField(required=False, allow_null=True)
    custom_headers = CustomHeadersField(
        child=Text(allow_blank=True), required=False, allow_null=True
    )
    failure_streak = serializers.IntegerField(read_only=True)
    deactivated_at = serializers.DateTimeField(read_only=True)
    deactivation_reason = NullWhenEmpty()
    last_error = NullWhenEmpty()
    last_error_at = serializers.DateTimeField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def get_secret_hint(self, subscription: Subscription) -> str | None:
        """Return the end of the newest secret that signs: enough to tell two apart."""
        newest = next(iter(signing_owner(subscription).signing_secrets.all()), None)
        return hint_of(newest) if newest else None


class RotationSerializer(StrictSerializer):
    """What can be said of a rotation."""

    secret = Text(required=False, allow_null=True)
    overlap_hours = Number(min_value=0, max_value=LONGEST_OVERLAP_HOURS, required=False)


class PreviousSecretSerializer(serializers.Serializer[PreviousSecret]):
    """The secret that signs beside the newest, while one is rotated in."""

    hint = serializers.CharField()
    expires_at = serializers.DateTimeField()


class SecretSerializer(serializers.Serializer[SecretState]):
    """The secret that signs; only routes with the scope `manage` answer with it."""

    secret = serializers.CharField()
    created_at = serializers.DateTimeField()
    previous = PreviousSecretSerializer()
