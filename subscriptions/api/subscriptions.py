"""Routes of subscriptions that concern nothing but them: list and create.

What else a subscription can be asked (change, delete, test) has to do with deliveries and is in
`deliveries.api.subscriptions`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.cursor_pages import PageQuery, page_response
from subscriptions.ids import to_public
from subscriptions.models import Project, Subscription
from subscriptions.project_scope import subscriptions_of
from subscriptions.project_view import ProjectView
from subscriptions.serializers import SubscriptionSerializer
from subscriptions.strict_fields import read_body, read_query
from subscriptions.subscription_changes import create_subscription
from subscriptions.subscription_settings import Settings


class SubscriptionList(ProjectView):
    """`/projects/{project}/subscriptions`."""

    scopes = {"GET": "read", "POST": "manage"}

    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's subscriptions, newest first."""
        return page_response(
            request,
            subscriptions_of(self.project)
            .select_related("project")
            .prefetch_related("signing_secrets", "project__signing_secrets"),
            project=self.project,
            query=read_query(request, PageQuery),
            serializer=SubscriptionSerializer,
        )

    def post(self, request: Request, **_ids: str) -> Response:
        """Create a subscription; of all answers about it only this one holds its own secret."""
        settings = cast("Settings", read_body(request, SubscriptionSerializer))
        created = create_subscription(self.project, settings)
        body = {**SubscriptionSerializer(created.subscription).data, "secret": created.secret}
        headers = {"Location": subscription_path(self.project, created.subscription)}
        return Response(body, status=HTTPStatus.CREATED, headers=headers)


def subscription_path(project: Project, subscription: Subscription) -> str:
    """Return the path of a subscription's own route."""
    ids: dict[str, Any] = {
        "project": project.slug,
        "subscription_id": to_public("sub", subscription.id),
    }
    return reverse("subscription", kwargs=ids)
