"""Routes of recoveries: ask for one or what it would send, list, follow, pause, end."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.recovery_serializers import (
    NewRecoverySerializer,
    RecoveryEstimateSerializer,
    RecoverySerializer,
    criteria_of,
)
from deliveries.api.serializers import NoMembers
from deliveries.api.turns import turn
from deliveries.costly_requests import ESTIMATES
from deliveries.models import Recovery
from deliveries.recoveries import recovery as recoveries
from deliveries.recoveries.recovery import NotPossible, Wanted
from subscriptions.access.project_scope import subscriptions_of
from subscriptions.ids import from_public, to_public
from subscriptions.models import Project
from subscriptions.openapi.operations import LOCATION, operation
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.problems import Problem, field_problem, not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import read_body, read_query


class RecoveryList(ProjectView):
    """`/projects/{project}/recoveries`."""

    scopes = {"GET": "read", "POST": "manage"}

    @operation(query=PageQuery, page_of=RecoverySerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's recoveries, newest first."""
        return page_response(
            request,
            Recovery.objects.filter(project=self.project),
            project=self.project,
            query=read_query(request, PageQuery),
            serializer=RecoverySerializer,
        )

    @idempotent
    @operation(
        body=NewRecoverySerializer,
        answers={200: RecoveryEstimateSerializer, 202: RecoverySerializer},
        problems={
            409: "The subscription is inactive, or too many recoveries are under way already."
        },
        gives=[LOCATION],
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Send many deliveries again, or what a subscription missed.

        With `dry_run` the answer is `200` and says what would be sent; otherwise it is `202`, and
        workers begin.
        """
        asked = read_body(request, NewRecoverySerializer)
        wanted = _wanted(self.project, asked)
        if asked.get("dry_run"):
            with turn(self.project, ESTIMATES):
                found = recoveries.estimate(self.project, wanted)
            return Response(RecoveryEstimateSerializer(found).data)
        try:
            with turn(self.project, ESTIMATES):
                recovery = recoveries.create(self.project, wanted)
        except NotPossible as refusal:
            raise Problem(HTTPStatus.CONFLICT, str(refusal)) from None
        ids = {"project": self.project.slug, "recovery_id": to_public("rcv", recovery.id)}
        return Response(
            RecoverySerializer(recovery).data,
            status=HTTPStatus.ACCEPTED,
            headers={"Location": reverse("recovery", kwargs=ids)},
        )


class RecoveryDetail(ProjectView):
    """`/projects/{project}/recoveries/{id}`."""

    scopes = {"GET": "read"}

    @operation(answers={200: RecoverySerializer})
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a recovery and how far it is."""
        return Response(RecoverySerializer(_find(self)).data)


class RecoveryPause(ProjectView):
    """`/projects/{project}/recoveries/{id}/pause`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(answers={200: RecoverySerializer}, problems={409: "It is not running."})
    def post(self, request: Request, **_ids: str) -> Response:
        """Pause a running recovery; what it has sent already goes its way."""
        return _change(self, request, recoveries.pause)


class RecoveryResume(ProjectView):
    """`/projects/{project}/recoveries/{id}/resume`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(answers={200: RecoverySerializer}, problems={409: "It is not paused."})
    def post(self, request: Request, **_ids: str) -> Response:
        """Let a paused recovery go on where it stopped."""
        return _change(self, request, recoveries.resume)


class RecoveryCancellation(ProjectView):
    """`/projects/{project}/recoveries/{id}/cancel`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(answers={200: RecoverySerializer}, problems={409: "It has ended already."})
    def post(self, request: Request, **_ids: str) -> Response:
        """End a recovery; what it has sent already goes its way."""
        return _change(self, request, recoveries.cancel)


def _change(view: ProjectView, request: Request, change: Callable[[Recovery], None]) -> Response:
    recovery = _find(view)
    read_body(request, NoMembers)
    try:
        change(recovery)
    except NotPossible as refusal:
        raise Problem(HTTPStatus.CONFLICT, str(refusal)) from None
    return Response(RecoverySerializer(recovery).data)


def _find(view: ProjectView) -> Recovery:
    identifier = from_public("rcv", view.kwargs["recovery_id"])
    recovery = (
        None
        if identifier is None
        else Recovery.objects.filter(project=view.project, id=identifier).first()
    )
    if recovery is None:
        raise not_found("recovery")
    return recovery


def _wanted(project: Project, asked: dict[str, Any]) -> Wanted:
    """Return what is to be recovered; a subscription that is not the project's is a 404."""
    subscription = None
    if identifier := asked.get("subscription"):
        subscription = subscriptions_of(project).filter(id=identifier).first()
        if subscription is None:
            raise field_problem(
                HTTPStatus.NOT_FOUND, "subscription", "not_found", "There is no such subscription."
            )
    return Wanted(
        kind=asked["kind"],
        criteria=criteria_of(asked),
        subscription=subscription,
        rate_per_second=asked.get("rate_per_second"),
    )
