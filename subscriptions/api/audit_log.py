"""The route of the audit log: who changed what in the project, newest first."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.cache import add_never_cache_headers
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.audit_log import Action, entries_of
from subscriptions.models import AuditEntry
from subscriptions.openapi.operations import operation
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import (
    Interval,
    NullWhenEmpty,
    PublicId,
    StrictSerializer,
    Text,
    read_query,
)


class AuditQuery(Interval, PageQuery):
    """The filters of the audit log."""

    action = serializers.ChoiceField(
        choices=[action.value for action in Action],
        required=False,
        help_text="A stable code: what was done.",
        error_messages={"invalid_choice": "This is not an action of the audit log."},
    )
    actor = Text(required=False, help_text="An actor's `id` or `label`.")
    target = Text(required=False, help_text="A target's `id`.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "target": {"examples": ["sub_019c138a780070008000a1b2c3d4e5f6"]}
    }


class ActorSerializer(serializers.Serializer[AuditEntry]):
    """Who did something."""

    kind = serializers.CharField(
        source="actor_kind",
        help_text="`api_key`, `user`, `portal` (a link's visitor), `command`, `system`, or "
        "`nobody`: not logged in.",
    )
    id = serializers.CharField(
        source="actor_id", help_text="A key's first characters, a user's number; may be empty."
    )
    label = serializers.CharField(  # type: ignore[assignment]  # `Field.label` is another thing
        source="actor_label", help_text="Their name; may be empty."
    )


class TargetSerializer(serializers.Serializer[AuditEntry]):
    """What something was done to."""

    kind = serializers.CharField(
        source="target_kind", help_text="`subscription`, `project`, `api_key`, …"
    )
    id = serializers.CharField(source="target_id", help_text="As the API writes it.")


class AuditEntrySerializer(StrictSerializer):
    """An entry of the audit log."""

    id = PublicId("aud", read_only=True, help_text="Sorts by time.")
    at = serializers.DateTimeField(read_only=True, help_text="By the database's clock.")
    action = serializers.CharField(read_only=True, help_text="A stable code: what was done.")
    actor = ActorSerializer(source="*", read_only=True, help_text="Who did it.")
    target = TargetSerializer(source="*", read_only=True, help_text="What it was done to.")
    before = serializers.JSONField(
        read_only=True,
        help_text="What was changed, as it was; null where there is nothing to say. Secrets are "
        "hints, values of custom headers masks.",
    )
    after = serializers.JSONField(read_only=True, help_text="What it became; or null.")
    address = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="The client's address; null for what came from no request.",
    )
    request_id = NullWhenEmpty(
        help_text="The answer's `X-Request-Id`; null for what came from no request."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "action": {"examples": ["subscription.changed"]},
        "before": {"type": ["object", "null"]},
        "after": {"type": ["object", "null"]},
    }


class AuditLog(ProjectView):
    """`/projects/{project}/audit-log`."""

    scopes = {"GET": "manage"}

    @operation(query=AuditQuery, page_of=AuditEntrySerializer, name="list_audit_entries")
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's entries as the filters ask for."""
        query = read_query(request, AuditQuery)
        response = page_response(
            request,
            entries_of(self.project, query),
            project=self.project,
            query=query,
            serializer=AuditEntrySerializer,
        )
        add_never_cache_headers(response)
        return response
