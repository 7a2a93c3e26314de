"""Routes of figures: of a subscription, of a project with what waits, and of a filter not yet set.

Each may keep the database busy for a second or two: a project reads for one request at a time.
"""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.stats_serializers import (
    WIDTHS,
    BacklogSerializer,
    FilterSerializer,
    PreviewSerializer,
    ProjectStatsSerializer,
    StatsQuery,
    StatsSerializer,
)
from deliveries.api.turns import turn
from deliveries.costly_requests import FIGURES, Kind
from deliveries.figures.filter_preview import preview
from deliveries.figures.stats import backlog_of, stats_of
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.matching import check_filters
from subscriptions.models import Project, Subscription
from subscriptions.openapi.operations import operation
from subscriptions.refusal import SettingRefused
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import read_body, read_query

PREVIEWS = Kind("previews", longest_seconds=2)


class SubscriptionStats(ProjectView):
    """`/projects/{project}/subscriptions/{id}/stats`."""

    scopes = {"GET": "read"}

    @operation(query=StatsQuery, answers={200: StatsSerializer})
    def get(self, request: Request, **_ids: str) -> Response:
        """Say how a subscription's deliveries went.

        Those made in the interval, tests left out: by status, how fast, and what failed; 7 days,
        today included, if not given. Exact up to 20,000 deliveries, estimated beyond.
        """
        subscription = self.find_subscription()
        query = read_query(request, StatsQuery)
        with turn(self.project, FIGURES):
            return Response(_stats(query, subscription))


class ProjectStats(ProjectView):
    """`/projects/{project}/stats`."""

    scopes = {"GET": "read"}

    @operation(query=StatsQuery, answers={200: ProjectStatsSerializer})
    def get(self, request: Request, **_ids: str) -> Response:
        """Say how all of the project's deliveries went, and what waits.

        As the figures of a subscription, with the backlog.
        """
        query = read_query(request, StatsQuery)
        with turn(self.project, FIGURES):
            backlog = BacklogSerializer(backlog_of(self.project)).data
            return Response({**_stats(query, self.project), "backlog": backlog})


class FilterPreview(ProjectView):
    """`/projects/{project}/subscriptions/preview`: reads only, so it keeps no idempotency key."""

    scopes = {"POST": "read"}

    @operation(body=FilterSerializer, answers={200: PreviewSerializer}, name="preview_event_filter")
    def post(self, request: Request, **_ids: str) -> Response:
        """Say what a filter would have let through.

        Of the events of the last 7 days, tests left out: how many, of which types, and the newest
        five. Exact up to 20,000 events, estimated beyond. Nothing is stored.
        """
        given = read_body(request, FilterSerializer)
        try:
            filters = check_filters(given["event_types"])
        except SettingRefused as refusal:
            raise FieldsRefused([FieldError("event_types", "invalid", str(refusal))]) from None
        with turn(self.project, PREVIEWS):
            found = preview(self.project, filters)
        return Response(PreviewSerializer(found).data)


def _stats(query: dict[str, Any], owner: Subscription | Project) -> dict[str, object]:
    width = WIDTHS[query["bucket"]]
    found = stats_of(owner, since=query["since"], until=query["until"], width=width)
    return dict(StatsSerializer(found).data)
