"""Routes of deliveries: list with filters, one with its attempts, send again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.history import attempts_of, created_between, deliveries_of, event_of, find_delivery
from deliveries.models import Delivery
from deliveries.redelivery import NotRedeliverable, redeliver
from deliveries.serializers import AttemptSerializer, DeliveryQuery, DeliverySerializer, NoMembers
from subscriptions.cursor_pages import page_response
from subscriptions.models import Project
from subscriptions.problems import Problem, field_problem, not_found
from subscriptions.project_scope import subscriptions_ever_of
from subscriptions.project_view import ProjectView
from subscriptions.strict_fields import read_body, read_query


class DeliveryList(ProjectView):
    """`/projects/{project}/deliveries`."""

    scopes = {"GET": "read"}

    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's deliveries, newest first, as the filters ask for."""
        query = read_query(request, DeliveryQuery)
        return page_response(
            request,
            _filtered(self.project, query),
            project=self.project,
            query=query,
            serializer=DeliverySerializer,
        )


class DeliveryDetail(ProjectView):
    """`/projects/{project}/deliveries/{id}`."""

    scopes = {"GET": "read"}

    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a delivery with its attempts."""
        return Response(delivery_with_attempts(_find(self)))


class DeliveryRedelivery(ProjectView):
    """`/projects/{project}/deliveries/{id}/redeliver`."""

    scopes = {"POST": "manage"}

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
    exact: dict[str, Any] = {
        name: query[name] for name in ("status", "event_type") if name in query
    }
    if "subscription" in query:
        exact["subscription_id"] = query["subscription"]
        if not subscriptions_ever_of(project).filter(id=query["subscription"]).exists():
            raise field_problem(
                HTTPStatus.NOT_FOUND, "subscription", "not_found", "There is no such subscription."
            )
    deliveries = deliveries_of(project).filter(**exact)
    return created_between(deliveries, query.get("since"), query.get("until"))
