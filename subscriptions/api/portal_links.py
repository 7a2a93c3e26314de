"""The route of portal links: a project's pages, shown by its provider in their own product."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.urls import get_script_prefix
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.audit_log import Target
from subscriptions.access.portal import (
    DEFAULT_SECONDS,
    LIMIT_SUBSCRIPTIONS,
    LONGEST_SECONDS,
    ROLES,
    SHORTEST_SECONDS,
    make_link,
)
from subscriptions.access.project_scope import subscriptions_of
from subscriptions.openapi.operations import operation
from subscriptions.rest.idempotent_requests import SecretResponse, idempotent
from subscriptions.rest.problems import not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import Number, PublicId, StrictSerializer, read_body


class PortalLinkSerializer(StrictSerializer):
    """What the visitor of a portal may do, and for how long."""

    role = serializers.ChoiceField(
        choices=ROLES,
        help_text="`viewer` reads; `editor` changes subscriptions and their secrets, sends tests, "
        "redelivers.",
    )
    subscriptions = serializers.ListField(
        child=PublicId("sub"),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=LIMIT_SUBSCRIPTIONS,
        help_text="Those that are shown, with what they got; null or not given: all of the "
        "project.",
    )
    expires_in_seconds = Number(
        required=False,
        min_value=SHORTEST_SECONDS,
        max_value=LONGEST_SECONDS,
        help_text="For how long the link is good.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "role": {"examples": ["viewer"]},
        "subscriptions": {"minItems": 1},
        "expires_in_seconds": {"default": DEFAULT_SECONDS},
    }


class CreatedPortalLinkSerializer(serializers.Serializer[Any]):
    """The link; whoever has it may do what it says until it ends."""

    id = serializers.CharField(help_text="Names the link in the audit log.")
    url = serializers.URLField(help_text="What to open, or to frame from a listed origin.")
    expires_at = serializers.DateTimeField(help_text="When it ends.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {"id": {"pattern": "^ptl_[0-9a-f]{32}$"}}


class PortalLinkList(ProjectView):
    """`/projects/{project}/portal-links`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(body=PortalLinkSerializer, answers={201: CreatedPortalLinkSerializer})
    def post(self, request: Request, **_ids: str) -> Response:
        """Make a link to the project's pages.

        For a provider's own customers: it needs no sign-in and no cookie, and shows what it allows
        inside a frame of the project's `portal_origins`. It ends by itself, and not before.
        """
        wanted = read_body(request, PortalLinkSerializer)
        link = make_link(
            self.project,
            role=wanted["role"],
            subscription_ids=self._checked(wanted.get("subscriptions")),
            expires_in_seconds=wanted.get("expires_in_seconds", DEFAULT_SECONDS),
        )
        url = request.build_absolute_uri(f"{get_script_prefix()}portal/{link.token}/")
        answer = {"id": link.id, "url": url, "expires_at": link.expires_at}
        return SecretResponse(
            CreatedPortalLinkSerializer(answer).data,
            of=Target("portal_link", link.id, self.project.pk),
            status=HTTPStatus.CREATED,
        )

    def _checked(self, ids: list[UUID] | None) -> list[UUID] | None:
        """Return the ids, each once, if all are subscriptions of the project."""
        if ids is None:
            return None
        wanted = set(ids)
        if subscriptions_of(self.project).filter(id__among=wanted).count() != len(wanted):
            raise not_found("subscription")
        return sorted(wanted)
