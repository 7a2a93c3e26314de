"""What an audit's answer holds (`audit_report` writes it), for the API's description."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from subscriptions.rest.strict_fields import PublicId


def _count(what: str) -> serializers.IntegerField:
    return serializers.IntegerField(help_text=what)


class AuditDaySerializer(serializers.Serializer[Any]):
    """A project's events of one day, and what became of their deliveries."""

    day = serializers.DateField(help_text="In UTC, by the events' ids.")
    project = serializers.CharField(help_text="The project's short name.")
    events = _count("Events that were published.")
    matched = _count("Deliveries that were made of them, as each event noted.")
    succeeded = _count("Of these: accepted by the receiver.")
    failed = _count("Ended without success.")
    cancelled = _count("Ended before they were sent.")
    pending = _count("Waiting.")
    sending = _count("On their way.")
    difference = _count("`matched`, less all of the above; 0 unless something is lost.")
    unbalanced = _count("Events whose deliveries are not as many as matched.")
    strays = _count("Deliveries whose event does not exist.")
    overdue = _count("Due for a minute and longer.")


class UnbalancedEventSerializer(serializers.Serializer[Any]):
    """An event that has more or fewer deliveries than matched."""

    project = serializers.CharField(help_text="The project's short name.")
    event = PublicId("evt", help_text="The event's id.")
    matched = _count("As many as there should be.")
    counted = _count("As many as there are.")


class StraySerializer(serializers.Serializer[Any]):
    """A delivery whose event does not exist."""

    project = serializers.CharField(help_text="The project's short name.")
    delivery = PublicId("dlv", help_text="The delivery's id.")
    event = PublicId("evt", help_text="The missing event's id.")


class AuditReportSerializer(serializers.Serializer[Any]):
    """Whether every event has all of its deliveries."""

    balanced = serializers.BooleanField(help_text="Nothing is missing, and nothing too many.")
    complete = serializers.BooleanField(help_text="False: there was no time for the oldest days.")
    since = serializers.DateField(
        allow_null=True, help_text="The first day that was judged; null if there was time for none."
    )
    until = serializers.DateField(help_text="The last day.")
    days = AuditDaySerializer(many=True, help_text="Those with events, oldest first.")
    unbalanced = UnbalancedEventSerializer(many=True, help_text="The first of them.")
    strays = StraySerializer(many=True, help_text="The first of them.")
    truncated = serializers.BooleanField(help_text="There are more of those than listed.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "since": {"examples": ["2026-01-25"]},
        "until": {"examples": ["2026-01-31"]},
    }
