"""The route of the audit log: who changed what in the project, newest first."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.cache import add_never_cache_headers
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.audit_log import Action
from subscriptions.cursor_pages import PageQuery, page_response
from subscriptions.models import AuditEntry, Project
from subscriptions.project_view import ProjectView
from subscriptions.strict_fields import (
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
        error_messages={"invalid_choice": "This is not an action of the audit log."},
    )
    actor = Text(required=False)
    target = Text(required=False)


class AuditEntrySerializer(StrictSerializer):
    """An entry of the audit log."""

    id = PublicId("aud", read_only=True)
    at = serializers.DateTimeField(read_only=True)
    action = serializers.CharField(read_only=True)
    actor = serializers.SerializerMethodField()
    target = serializers.SerializerMethodField()
    before = serializers.JSONField(read_only=True)
    after = serializers.JSONField(read_only=True)
    address = serializers.CharField(read_only=True)
    request_id = NullWhenEmpty()

    def get_actor(self, entry: AuditEntry) -> dict[str, str]:
        """Return who did it."""
        return {"kind": entry.actor_kind, "id": entry.actor_id, "label": entry.actor_label}

    def get_target(self, entry: AuditEntry) -> dict[str, str]:
        """Return what it was done to."""
        return {"kind": entry.target_kind, "id": entry.target_id}


class AuditLog(ProjectView):
    """`/projects/{project}/audit-log`."""

    scopes = {"GET": "manage"}

    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's entries as the filters ask for."""
        query = read_query(request, AuditQuery)
        response = page_response(
            request,
            _filtered(self.project, query),
            project=self.project,
            query=query,
            serializer=AuditEntrySerializer,
        )
        add_never_cache_headers(response)
        return response


def _filtered(project: Project, query: dict[str, Any]) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.filter(project=project)
    columns = {"action": "action", "target": "target_id", "since": "at__gte", "until": "at__lt"}
    given = {column: query[name] for name, column in columns.items() if name in query}
    if "actor" in query:
        entries = entries.filter(Q(actor_id=query["actor"]) | Q(actor_label=query["actor"]))
    return entries.filter(**given)
