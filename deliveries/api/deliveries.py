"""Routes of deliveries: list with filters, one with its attempts, send again, cancel."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.serializers import (
    AttemptSerializer,
    DeliverySerializer,
    DeliveryWithAttemptsSerializer,
    NoMembers,
)
from deliveries.history.deliveries import attempts_of, event_of, find_delivery, near_of
from deliveries.history.delivery_query import DeliveryQuery
from deliveries.history.filters import TooManyFound, filtered
from deliveries.lifecycle.cancellation import cancel
from deliveries.lifecycle.redelivery import NotRedeliverable, redeliver
from deliveries.models import Delivery
from subscriptions.access.project_scope import subscriptions_ever_of
from subscriptions.models import Project
from subscriptions.openapi.operations import operation
from subscriptions.rest.cursor_pages import page_response
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.problems import Problem, field_problem, not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import read_body, read_query


class DeliveryList(ProjectView):
    """`/projects/{project}/deliveries`."""

    scopes = {"GET": "read"}

    @operation(query=DeliveryQuery, page_of=DeliverySerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's deliveries, newest first.

        Those that all of the given filters want.
        """
        query = read_query(request, DeliveryQuery)
        return page_response(
            request,
            _filtered(self.project, query),
            project=self.project,
            query=query,
            serializer=DeliverySerializer,
            near=near_of(query),
        )


class DeliveryDetail(ProjectView):
    """`/projects/{project}/deliveries/{id}`."""

    scopes = {"GET": "read"}

    @operation(answers={200: DeliveryWithAttemptsSerializer})
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a delivery with its attempts, the latest 50."""
        return Response(delivery_with_attempts(_find(self)))


class DeliveryRedelivery(ProjectView):
    """`/projects/{project}/deliveries/{id}/redeliver`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(
        answers={202: DeliverySerializer},
        problems={
            409: "The delivery is on its way, the subscription is inactive, or the event is no "
            "longer kept."
        },
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Send a finished delivery again, once."""
        delivery = _find(self)
        read_body(request, NoMembers)
        try:
            redeliver(delivery)
        except NotRedeliverable as refusal:
            raise Problem(HTTPStatus.CONFLICT, str(refusal)) from None
        delivery.refresh_from_db()
        return Response(DeliverySerializer(delivery).data, status=HTTPStatus.ACCEPTED)


class DeliveryCancellation(ProjectView):
    """`/projects/{project}/deliveries/{id}/cancel`."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(
        answers={200: DeliverySerializer},
        problems={409: "The delivery is being sent just now, or has ended."},
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Cancel a pending delivery.

        It can be redelivered later.
        """
        delivery = _find(self)
        read_body(request, NoMembers)
        is_done = cancel(delivery)
        delivery.refresh_from_db()
        if not is_done:
            raise Problem(HTTPStatus.CONFLICT, _why_not_cancelled(delivery))
        return Response(DeliverySerializer(delivery).data)


def _why_not_cancelled(delivery: Delivery) -> str:
    if delivery.finished_at is None:
        return "The delivery is being sent just now: too late to cancel it."
    return f"The delivery has ended already: it is {delivery.status}."


def delivery_with_attempts(delivery: Delivery) -> dict[str, Any]:
    """Return the full answer about one delivery."""
    attempts = AttemptSerializer(
        attempts_of(delivery), many=True, context={"event": event_of(delivery)}
    )
    return {**DeliverySerializer(delivery).data, "attempts": attempts.data}


def _find(view: ProjectView) -> Delivery:
    delivery = find_delivery(view.project, view.kwargs["delivery_id"])
    if delivery is None:
        raise not_found("delivery")
    return delivery


def _filtered(project: Project, query: dict[str, Any]) -> QuerySet[Delivery]:
    """Apply validated filters; a subscription that is not the project's is a 404."""
    wanted = query.get("subscription")
    if wanted and not subscriptions_ever_of(project).filter(id=wanted).exists():
        raise field_problem(
            HTTPStatus.NOT_FOUND, "subscription", "not_found", "There is no such subscription."
        )
    try:
        return filtered(project, query)
    except TooManyFound:
        message = "Too many events fit: give more of the idempotency key."
        raise field_problem(HTTPStatus.BAD_REQUEST, "search", "too_many", message) from None
