"""Routes of subscriptions that concern nothing but them: list and create.

What else a subscription can be asked (change, delete, test) has to do with deliveries and is in
`deliveries.api.subscriptions`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.audit_log import target_of
from subscriptions.access.project_scope import subscriptions_of, wanting
from subscriptions.api.serializers import CreatedSubscriptionSerializer, SubscriptionSerializer
from subscriptions.event_types import LIMIT_CHARACTERS, PATTERN, is_event_type
from subscriptions.guard.address_guard import URL_LIMIT_BYTES
from subscriptions.ids import to_public
from subscriptions.models import Project, Subscription
from subscriptions.openapi.operations import LOCATION, operation
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.idempotent_requests import SecretResponse, idempotent
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import FlagQuery, Text, read_body, read_query
from subscriptions.subscription_changes import create_subscription
from subscriptions.subscription_settings import Settings


class SubscriptionQuery(PageQuery):
    """The filters of the list."""

    active = FlagQuery(required=False, help_text="Whether events go there.")
    url = Text(
        required=False,
        max_length=URL_LIMIT_BYTES,
        help_text="A part of the URL, whatever its case.",
    )
    event_type = Text(
        required=False, help_text="A full name: those whose filters want it, active or not."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "active": {"type": "boolean", "enum": [True, False]},
        "event_type": {"pattern": PATTERN, "maxLength": LIMIT_CHARACTERS},
    }

    def validate_event_type(self, name: str) -> str:
        """Refuse what could be no event's type."""
        if not is_event_type(name):
            raise serializers.ValidationError("This is not an event type.", "invalid")
        return name


class SubscriptionList(ProjectView):
    """`/projects/{project}/subscriptions`."""

    scopes = {"GET": "read", "POST": "manage"}

    @operation(query=SubscriptionQuery, page_of=SubscriptionSerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's subscriptions, newest first.

        Those that all of the given filters want.
        """
        query = read_query(request, SubscriptionQuery)
        return page_response(
            request,
            _filtered(self.project, query)
            .select_related("project")
            .prefetch_related("signing_secrets", "project__signing_secrets"),
            project=self.project,
            query=query,
            serializer=SubscriptionSerializer,
        )

    @idempotent
    @operation(
        body=SubscriptionSerializer, answers={201: CreatedSubscriptionSerializer}, gives=[LOCATION]
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Create a subscription.

        Of all answers about it only this one holds its own secret.
        """
        settings = cast("Settings", read_body(request, SubscriptionSerializer))
        created = create_subscription(self.project, settings)
        body = {**SubscriptionSerializer(created.subscription).data, "secret": created.secret}
        headers = {"Location": subscription_path(self.project, created.subscription)}
        if created.secret is None:
            return Response(body, status=HTTPStatus.CREATED, headers=headers)
        of = target_of(created.subscription)
        return SecretResponse(body, of=of, status=HTTPStatus.CREATED, headers=headers)


def _filtered(project: Project, query: dict[str, Any]) -> QuerySet[Subscription]:
    """Apply validated filters."""
    found = subscriptions_of(project)
    if "active" in query:
        found = found.filter(is_active=query["active"])
    if "url" in query:
        found = found.filter(url__icontains=query["url"])
    if "event_type" in query:
        return wanting(found, query["event_type"])
    return found


def subscription_path(project: Project, subscription: Subscription) -> str:
    """Return the path of a subscription's own route."""
    ids: dict[str, Any] = {
        "project": project.slug,
        "subscription_id": to_public("sub", subscription.id),
    }
    return reverse("subscription", kwargs=ids)
