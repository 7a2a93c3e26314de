"""Routes of a subscription that make or end deliveries: change, delete, test."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast
from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries import switching_off
from deliveries.api.deliveries import delivery_with_attempts
from deliveries.api.events import problem_of_event, read_members, read_payload, read_text
from deliveries.ingest import EventRefused, publish_test
from deliveries.waiting import finished, place_to_wait, wait_preference
from subscriptions.api_conventions import RawJSONParser
from subscriptions.event_types import check_event_type
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.ids import to_public
from subscriptions.models import Project
from subscriptions.problems import not_found
from subscriptions.project_view import ProjectView
from subscriptions.refusal import SettingRefused
from subscriptions.serializers import SubscriptionSerializer
from subscriptions.strict_fields import read_body
from subscriptions.subscription_changes import SubscriptionGone
from subscriptions.subscription_settings import Settings

_TEST_MEMBERS = ("event_type", "data")


class SubscriptionDetail(ProjectView):
    """`/projects/{project}/subscriptions/{id}`; here because switching off cancels deliveries."""

    scopes = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}

    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a subscription."""
        return Response(SubscriptionSerializer(self.find_subscription()).data)

    def patch(self, request: Request, **_ids: str) -> Response:
        """Change what is given."""
        subscription = self.find_subscription()
        settings = cast("Settings", read_body(request, SubscriptionSerializer, partial=True))
        try:
            changed = switching_off.change(subscription, settings)
        except SubscriptionGone:
            raise not_found("subscription") from None
        return Response(SubscriptionSerializer(changed).data)

    def delete(self, _request: Request, **_ids: str) -> Response:
        """Delete a subscription; its history stays."""
        if not switching_off.delete(self.find_subscription()):
            raise not_found("subscription")
        return Response(status=HTTPStatus.NO_CONTENT)


class SubscriptionTest(ProjectView):
    """`/projects/{project}/subscriptions/{id}/test`; the body may be left out."""

    parser_classes = [RawJSONParser]
    scopes = {"POST": "manage"}

    def post(self, request: Request, **_ids: str) -> Response:
        """Send a test; with `Prefer: wait=6` answer with what became of it, if there is room."""
        delivery_id = self._publish(request)
        wait_seconds = wait_preference(request.headers.get("Prefer", ""))
        if wait_seconds is None:
            return _accepted(self.project, delivery_id)
        with place_to_wait() as has_place:
            if not has_place:
                return _accepted(self.project, delivery_id)
            delivery = finished(delivery_id, wait_seconds=wait_seconds)
        if delivery is None:
            response = _accepted(self.project, delivery_id)
        else:
            response = Response(delivery_with_attempts(delivery))
        response["Preference-Applied"] = f"wait={wait_seconds}"
        return response

    def _publish(self, request: Request) -> UUID:
        subscription = self.find_subscription()
        members = read_members(request, optional=_TEST_MEMBERS) if request.data else {}
        name, data = members.get("event_type"), members.get("data")
        try:
            published = publish_test(
                subscription,
                event_type=None if name is None else _read_event_type(name),
                data=None if data is None else read_payload("data", data),
            )
        except EventRefused as refusal:
            raise problem_of_event(refusal) from None
        return published.delivery_ids[0]


def _read_event_type(raw: bytes) -> str:
    try:
        return check_event_type(read_text("event_type", raw))
    except SettingRefused as refusal:
        raise FieldsRefused([FieldError("event_type", "invalid", str(refusal))]) from None


def _accepted(project: Project, delivery_id: UUID) -> Response:
    ids = {"project": project.slug, "delivery_id": to_public("dlv", delivery_id)}
    return Response(
        {"delivery": ids["delivery_id"]},
        status=HTTPStatus.ACCEPTED,
        headers={"Location": reverse("delivery", kwargs=ids)},
    )
