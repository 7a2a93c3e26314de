"""Routes of projects: operators make and list them, owners change their own.

There is no DELETE: history and the audit log refer to a project for as long as they are kept.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.projects import (
    FAILURE_LIMIT_MAX,
    NAME_LIMIT_CHARACTERS,
    SLUG_LIMIT_CHARACTERS,
    SLUG_PATTERN,
    Settings,
    SlugTaken,
    audited,
    change_project,
    create_project,
)
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import Project
from subscriptions.openapi.operations import ETAG, LOCATION, operation
from subscriptions.origins import LIMIT_CHARACTERS, LIMIT_ORIGINS, PATTERN
from subscriptions.rest.api_view import ApiView
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.preconditions import etag_of, if_unchanged
from subscriptions.rest.problems import field_problem
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import (
    Flag,
    Number,
    StrictSerializer,
    Text,
    read_body,
    read_query,
)

_TAKEN = "Another project has this slug."


class ProjectSerializer(StrictSerializer):
    """A project: the tenant that everything else belongs to."""

    slug = Text(
        required=False,
        help_text="Its short name, which stands in addresses and stays. Made from the name if not "
        "given, with a number where that is taken.",
    )
    name = Text(help_text="What people call it: printable characters.")
    https_only = Flag(
        source="is_https_only",
        required=False,
        help_text="Refuse subscriptions whose URL is plain http://. Those that are there stay.",
    )
    failure_limit = Number(
        required=False,
        help_text="Deliveries that end failed, in a row, until a subscription is deactivated.",
    )
    strict_catalogue = Flag(
        source="is_catalogue_strict",
        required=False,
        help_text="Refuse events whose type is not in the project's catalogue.",
    )
    public_catalogue = Flag(
        source="is_catalogue_public",
        required=False,
        help_text="Show the event types to anybody, without signing in, at `/catalogue/{slug}`.",
    )
    portal_origins = serializers.ListField(
        child=Text(),
        required=False,
        help_text="Where the project's pages may be framed, by a link of `portal-links`: origins "
        "of https, or of http on localhost.",
    )
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was made.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "slug": {
            "minLength": 1,
            "maxLength": SLUG_LIMIT_CHARACTERS,
            "pattern": SLUG_PATTERN,
            "examples": ["acme"],
        },
        "name": {
            "minLength": 1,
            "maxLength": NAME_LIMIT_CHARACTERS,
            "pattern": "[^ ]",
            "examples": ["Acme Ltd"],
        },
        "https_only": {"default": True},
        "failure_limit": {"minimum": 1, "maximum": FAILURE_LIMIT_MAX, "default": 10},
        "strict_catalogue": {"default": False},
        "public_catalogue": {"default": False},
        "portal_origins": {
            "items": {"type": "string", "pattern": PATTERN, "maxLength": LIMIT_CHARACTERS},
            "maxItems": LIMIT_ORIGINS,
            "default": [],
            "examples": [["https://app.example.com"]],
        },
    }
    only_when_creating: ClassVar = ("slug",)


class ProjectList(ApiView):
    """`/projects`."""

    scopes = {"GET": "operate", "POST": "operate"}

    @operation(query=PageQuery, page_of=ProjectSerializer)
    def get(self, request: Request) -> Response:
        """List all projects of the installation, newest first."""
        return page_response(
            request,
            Project.objects.all(),
            project=None,
            query=read_query(request, PageQuery),
            serializer=ProjectSerializer,
        )

    @idempotent
    @operation(
        body=ProjectSerializer,
        answers={201: ProjectSerializer},
        problems={409: _TAKEN},
        gives=[LOCATION],
    )
    def post(self, request: Request) -> Response:
        """Create a project.

        It has no members and no keys yet.
        """
        try:
            project = create_project(**read_body(request, ProjectSerializer))
        except SlugTaken:
            raise field_problem(HTTPStatus.CONFLICT, "slug", "taken", _TAKEN) from None
        path = reverse("project", kwargs={"project": project.slug})
        return _shown(project, status=HTTPStatus.CREATED, Location=path)


class ProjectDetail(ProjectView):
    """`/projects/{project}`."""

    scopes = {"GET": "read", "PATCH": "own"}

    @operation(answers={200: ProjectSerializer}, gives=[ETAG])
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a project."""
        return _shown(self.project)

    @operation(
        body=ProjectSerializer,
        answers={200: ProjectSerializer},
        gives=[ETAG],
        is_conditional=True,
    )
    def patch(self, request: Request, **_ids: str) -> Response:
        """Change what is given of a project."""
        settings = read_body(request, ProjectSerializer, partial=True)
        if "slug" in settings:
            message = "The slug stays: it stands in addresses that programs use."
            raise FieldsRefused([FieldError("slug", "not_changeable", message)])
        rows = Project.objects.filter(pk=self.project.pk)
        with if_unchanged(request, rows, _tag_of):
            changed = change_project(self.project, cast("Settings", settings))
        return _shown(changed)


def _shown(project: Project, status: int = HTTPStatus.OK, **headers: str) -> Response:
    headers["ETag"] = _tag_of(project)
    return Response(ProjectSerializer(project).data, status=status, headers=headers)


def _tag_of(project: Project) -> str:
    return etag_of(*audited(project).values())
