"""Route of the audit: whether a project's events have all of their deliveries."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.audit_serializers import AuditReportSerializer
from deliveries.auditing.report import document_of
from deliveries.auditing.turns import audit_in_turn
from deliveries.costly_requests import Busy
from subscriptions.openapi.operations import operation
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.rates import too_many
from subscriptions.rest.strict_fields import StrictSerializer, Text, read_query

DAYS_DEFAULT = 7
DAYS_MAX = 31


class AuditQuery(StrictSerializer):
    """The query parameters."""

    unknown_message = "There is no such parameter."

    since = Text(
        required=False,
        help_text=f"The first day, in UTC: today or at most {DAYS_MAX} days ago; "
        f"{DAYS_DEFAULT} days, today included, if not given.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {"since": {"format": "date"}}

    def validate_since(self, text: str) -> date:
        """Return the day, if it is one of the last `DAYS_MAX`."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise serializers.ValidationError(
                "This is not a UTC day such as 2026-01-31.", "invalid"
            ) from None
        if not _days_ago(DAYS_MAX) <= day <= timezone.now().date():
            raise serializers.ValidationError(
                f"This must be a day from {DAYS_MAX} days ago until today.", "out_of_range"
            )
        return day


class AuditDetail(ProjectView):
    """`/projects/{project}/audit`."""

    scopes = {"GET": "read"}

    @operation(query=AuditQuery, answers={200: AuditReportSerializer})
    def get(self, request: Request, **_ids: str) -> Response:
        """Say whether every event has all of its deliveries.

        Costs the database something: a project waits four times as long as the last one took, and
        is told so with a 429.
        """
        since = read_query(request, AuditQuery).get("since") or _days_ago(DAYS_DEFAULT - 1)
        try:
            found = audit_in_turn(self.project, since=since)
        except Busy as busy:
            raise too_many("busy", str(busy), busy.wait_seconds) from None
        return Response(document_of(found))


def _days_ago(days: int) -> date:
    return timezone.now().date() - timedelta(days=days)
