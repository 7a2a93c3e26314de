"""Routes of the catalogue: which event types a project has, and what their data looks like."""

from __future__ import annotations

from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, cast

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.api.event_type_serializers import (
    EventTypeQuery,
    EventTypeSerializer,
    ImportedSerializer,
    ImportSerializer,
    values_of,
)
from subscriptions.catalogue.entries import (
    EventTypeExists,
    EventTypeGone,
    EventTypeSettings,
    change_event_type,
    create_event_type,
    delete_event_type,
    find_event_type,
)
from subscriptions.catalogue.imports import import_catalogue
from subscriptions.models import EventType, Project
from subscriptions.openapi.operations import ETAG, LOCATION, operation
from subscriptions.rest.conventions import RawJSONParser
from subscriptions.rest.cursor_pages import page_response
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.preconditions import etag_of, if_unchanged
from subscriptions.rest.problems import field_problem, not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.raw_members import raw_members
from subscriptions.rest.strict_fields import read_body, read_query


class EventTypeList(ProjectView):
    """`/projects/{project}/event-types`."""

    parser_classes = [RawJSONParser]
    scopes = {"GET": "read", "POST": "manage"}

    @operation(query=EventTypeQuery, page_of=EventTypeSerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's event types, newest first."""
        query = read_query(request, EventTypeQuery)
        rows = EventType.objects.filter(project=self.project)
        if "archived" in query:
            rows = rows.filter(is_archived=query["archived"])
        return page_response(
            request, rows, project=self.project, query=query, serializer=EventTypeSerializer
        )

    @idempotent
    @operation(
        body=EventTypeSerializer,
        answers={201: EventTypeSerializer},
        problems={409: "The catalogue has an event type of this name."},
        gives=[LOCATION],
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Add an event type to the catalogue.

        With both, the example must fit the schema.
        """
        settings = _settings(request)
        try:
            created = create_event_type(self.project, settings)
        except EventTypeExists:
            message = "The catalogue has an event type of this name."
            raise field_problem(HTTPStatus.CONFLICT, "name", "exists", message) from None
        return _shown(
            created,
            status=HTTPStatus.CREATED,
            headers={"Location": _path(self.project, created)},
        )


class EventTypeDetail(ProjectView):
    """`/projects/{project}/event-types/{name}`; a name may hold slashes."""

    parser_classes = [RawJSONParser]
    scopes = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}

    @operation(answers={200: EventTypeSerializer}, gives=[ETAG])
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show an event type."""
        return _shown(self._find())

    @operation(
        body=EventTypeSerializer,
        answers={200: EventTypeSerializer},
        gives=[ETAG],
        is_conditional=True,
    )
    def patch(self, request: Request, **_ids: str) -> Response:
        """Change what is given of an event type.

        What is published from then on is judged by it.
        """
        event_type = self._find()
        settings = _settings(request, partial=True)
        with self._if_unchanged(request, event_type):
            try:
                changed = change_event_type(event_type, settings)
            except EventTypeGone:
                raise not_found("event type") from None
        return _shown(changed)

    @operation(answers={204: None}, is_conditional=True)
    def delete(self, request: Request, **_ids: str) -> Response:
        """Remove an event type from the catalogue.

        What was published stays. New events of the type are judged by no schema, or refused where
        the catalogue is strict.
        """
        event_type = self._find()
        with self._if_unchanged(request, event_type):
            if not delete_event_type(event_type):
                raise not_found("event type")
        return Response(status=HTTPStatus.NO_CONTENT)

    def _find(self) -> EventType:
        event_type = find_event_type(self.project, self.kwargs["event_type"])
        if event_type is None:
            raise not_found("event type")
        return event_type

    def _if_unchanged(
        self, request: Request, event_type: EventType
    ) -> AbstractContextManager[None]:
        rows = EventType.objects.filter(pk=event_type.pk)
        return if_unchanged(request, rows, _tag_of)


class EventTypeImport(ProjectView):
    """`/projects/{project}/event-types/import`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(name="import_event_types", body=ImportSerializer, answers={200: ImportedSerializer})
    def post(self, request: Request, **_ids: str) -> Response:
        """Add a ready catalogue.

        The event types of Phrase or Repsona, with descriptions and examples. What the catalogue
        has already stays as it is.
        """
        wanted = read_body(request, ImportSerializer)
        imported = import_catalogue(self.project, wanted["catalogue"])
        return Response({"added": imported.added, "existing": imported.existing})


def _settings(request: Request, *, partial: bool = False) -> EventTypeSettings:
    members = raw_members(request) if request.data or not partial else {}  # a change of nothing
    body = EventTypeSerializer(data=values_of(members), partial=partial)
    body.is_valid(raise_exception=True)
    return cast("EventTypeSettings", body.validated_data)


def _shown(
    event_type: EventType, *, headers: dict[str, str] | None = None, **rest: Any
) -> Response:
    tag = {"ETag": _tag_of(event_type)}
    return Response(
        EventTypeSerializer(event_type).data, headers={**tag, **(headers or {})}, **rest
    )


def _tag_of(event_type: EventType) -> str:
    return etag_of(event_type.updated_at)


def _path(project: Project, event_type: EventType) -> str:
    return reverse("event-type", kwargs={"project": project.slug, "event_type": event_type.name})
