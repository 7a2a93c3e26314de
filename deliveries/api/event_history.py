"""Routes that look at one event: what it was, where it went, and why not elsewhere."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.event_serializers import (
    EventSerializer,
    EventWithDeliveriesSerializer,
    MatchSerializer,
)
from deliveries.api.serializers import DeliverySerializer
from deliveries.history.events import deliveries_of_event, find_event, matches_of
from deliveries.models import Event
from subscriptions.access.project_scope import subscriptions_ever_of
from subscriptions.openapi.operations import operation
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.problems import not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import read_query


class EventDetail(ProjectView):
    """`/projects/{project}/events/{id}`."""

    scopes = {"GET": "read"}

    @operation(answers={200: EventWithDeliveriesSerializer})
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show an event with its data and its deliveries."""
        event = _find(self)
        return Response(
            {
                **EventSerializer(event).data,
                "data": msgspec.Raw(event.data.encode()),
                "deliveries": DeliverySerializer(deliveries_of_event(event), many=True).data,
            }
        )


class EventMatches(ProjectView):
    """`/projects/{project}/events/{id}/matches`."""

    scopes = {"GET": "read"}

    @operation(query=PageQuery, page_of=MatchSerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """Say for every subscription why it got the event, or did not.

        Newest subscription first, deleted ones too. A delivery is a fact; without one, the
        settings of today are judged, and `certain` is false where they were changed since.
        """
        event = _find(self)
        return page_response(
            request,
            subscriptions_ever_of(self.project),
            project=self.project,
            query=read_query(request, PageQuery),
            serializer=cast("Any", _Matches(event)),
        )


class _Matches:
    """Writes a page of subscriptions as what each has to do with an event."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __call__(self, subscriptions: list[Any], *, many: bool) -> MatchSerializer:
        return MatchSerializer(matches_of(self._event, subscriptions), many=many)


def _find(view: ProjectView) -> Event:
    event = find_event(view.project, view.kwargs["event_id"])
    if event is None:
        raise not_found("event")
    return event
