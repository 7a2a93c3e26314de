"""Routes of a subscription that make or end deliveries: change, delete, switch, test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import cast
from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.deliveries import delivery_with_attempts
from deliveries.api.events import problem_of_event
from deliveries.api.serializers import (
    AcceptedTestSerializer,
    DeliveryWithAttemptsSerializer,
    NewTestSerializer,
    NoMembers,
)
from deliveries.costly_requests import place
from deliveries.lifecycle import switching_off
from deliveries.lifecycle.waiting import finished, wait_preference
from deliveries.publishing.ingest import EventRefused, publish_test
from subscriptions import deactivation
from subscriptions.access.project_scope import subscriptions_of
from subscriptions.api.serializers import SubscriptionSerializer
from subscriptions.event_types import check_event_type
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.idempotency_key import REPLAYED_HEADER
from subscriptions.ids import from_public, to_public
from subscriptions.models import Project, Subscription
from subscriptions.openapi.operations import (
    ETAG,
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    KEY_WAS_USED,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    operation,
)
from subscriptions.refusal import SettingRefused
from subscriptions.rest.conventions import RawJSONParser
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.preconditions import etag_of, if_unchanged
from subscriptions.rest.problems import not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.raw_members import read_members, read_payload, read_text
from subscriptions.rest.strict_fields import read_body
from subscriptions.subscription_changes import SubscriptionGone
from subscriptions.subscription_settings import Settings

_TEST_MEMBERS = ("event_type", "data")


class SubscriptionDetail(ProjectView):
    """`/projects/{project}/subscriptions/{id}`; here because switching off cancels deliveries."""

    scopes = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}

    @operation(answers={200: SubscriptionSerializer}, gives=[ETAG])
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a subscription."""
        return _shown(self.find_subscription())

    @operation(
        body=SubscriptionSerializer,
        answers={200: SubscriptionSerializer},
        gives=[ETAG],
        is_conditional=True,
    )
    def patch(self, request: Request, **_ids: str) -> Response:
        """Change what is given of a subscription."""
        subscription = self.find_subscription()
        settings = cast("Settings", read_body(request, SubscriptionSerializer, partial=True))
        with self._if_unchanged(request, subscription):
            try:
                changed = switching_off.change(subscription, settings)
            except SubscriptionGone:
                raise not_found("subscription") from None
        return _shown(changed)

    @operation(answers={204: None}, is_conditional=True)
    def delete(self, request: Request, **_ids: str) -> Response:
        """Delete a subscription.

        What waits for it is cancelled; its history stays.
        """
        subscription = self.find_subscription()
        with self._if_unchanged(request, subscription):
            if not switching_off.delete(subscription):
                raise not_found("subscription")
        return Response(status=HTTPStatus.NO_CONTENT)

    def _if_unchanged(
        self, request: Request, subscription: Subscription
    ) -> AbstractContextManager[None]:
        rows = subscriptions_of(self.project).filter(id=subscription.id)
        return if_unchanged(request, rows, _tag_of)


class SubscriptionActivation(ProjectView):
    """`…/subscriptions/{id}/activate`; safe to repeat by itself, so it keeps no key."""

    scopes = {"POST": "manage"}

    @operation(answers={200: SubscriptionSerializer}, gives=[ETAG])
    def post(self, request: Request, **_ids: str) -> Response:
        """Switch a subscription on.

        With a streak of zero; what is under way counts neither for nor against it. One that is on
        stays as it is.
        """
        return _switched(self, request, deactivation.reactivate)


class SubscriptionDeactivation(ProjectView):
    """`…/subscriptions/{id}/deactivate`; safe to repeat by itself, so it keeps no key."""

    scopes = {"POST": "manage"}

    @operation(answers={200: SubscriptionSerializer}, gives=[ETAG])
    def post(self, request: Request, **_ids: str) -> Response:
        """Switch a subscription off.

        What waits for it is cancelled, tests excepted. One that is off stays as it is.
        """
        return _switched(self, request, switching_off.switch_off)


class SubscriptionTest(ProjectView):
    """`/projects/{project}/subscriptions/{id}/test`; the body may be left out."""

    parser_classes = [RawJSONParser]
    scopes = {"POST": "manage"}

    @operation(
        body=NewTestSerializer,
        answers={200: DeliveryWithAttemptsSerializer, 202: AcceptedTestSerializer},
        problems={
            409: KEY_WAS_USED,
            422: "The `phrase` format needs `data` to be an object.",
        },
        takes=[IDEMPOTENCY_KEY, PREFER],
        gives=[IDEMPOTENCY_REPLAYED, LOCATION, PREFERENCE_APPLIED],
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Send a test to this subscription only.

        Whatever its filters, on or off, and it never counts. With `Prefer: wait=6` the answer is
        the finished delivery, unless it takes longer or others are waiting already. The body may
        be left out.
        """
        accepted = self._publish(request)
        wait_seconds = wait_preference(request.headers.get("Prefer", ""))
        if wait_seconds is None:
            return accepted
        with place() as has_place:
            if not has_place:
                return accepted
            delivery = finished(_delivery_id_of(accepted), wait_seconds=wait_seconds)
        response = accepted if delivery is None else Response(delivery_with_attempts(delivery))
        if REPLAYED_HEADER in accepted:
            response[REPLAYED_HEADER] = accepted[REPLAYED_HEADER]
        response["Preference-Applied"] = f"wait={wait_seconds}"
        return response

    @idempotent
    def _publish(self, request: Request) -> Response:
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
        return _accepted(self.project, published.delivery_ids[0])


def _switched(
    view: ProjectView, request: Request, switch: Callable[[Subscription], bool]
) -> Response:
    """Switch the path's subscription, and answer with it as it is then."""
    subscription = view.find_subscription()
    read_body(request, NoMembers)
    switch(subscription)
    return _shown(view.find_subscription())


def _shown(subscription: Subscription) -> Response:
    return Response(
        SubscriptionSerializer(subscription).data, headers={"ETag": _tag_of(subscription)}
    )


def _tag_of(subscription: Subscription) -> str:
    return etag_of(subscription.updated_at)


def _read_event_type(raw: bytes) -> str:
    try:
        return check_event_type(read_text("event_type", raw))
    except SettingRefused as refusal:
        raise FieldsRefused([FieldError("event_type", "invalid", str(refusal))]) from None


def _delivery_id_of(accepted: Response) -> UUID:
    found = from_public("dlv", accepted.data["delivery"])
    assert found is not None  # noqa: S101  # of our own making
    return found


def _accepted(project: Project, delivery_id: UUID) -> Response:
    ids = {"project": project.slug, "delivery_id": to_public("dlv", delivery_id)}
    return Response(
        {"delivery": ids["delivery_id"]},
        status=HTTPStatus.ACCEPTED,
        headers={"Location": reverse("delivery", kwargs=ids)},
    )
