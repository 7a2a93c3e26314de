"""The route of events. Publishing must be fast: most events are answered by `answer_at_once`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.event_serializers import EventQuery, EventSerializer, PublishedSerializer
from deliveries.api.events_at_once import NOT_TRIED, Tried, try_at_once
from deliveries.api.serializers import NewEventSerializer
from deliveries.history.deliveries import near_of
from deliveries.history.events import events_of
from deliveries.publishing.backlog_limit import BacklogFull
from deliveries.publishing.ingest import EventRefused, IdempotencyConflict, Published, publish
from subscriptions.idempotency_key import HEADER, REPLAYED_HEADER
from subscriptions.ids import to_public
from subscriptions.openapi.operations import IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, operation
from subscriptions.rest.conventions import RawJSONParser
from subscriptions.rest.cursor_pages import page_response
from subscriptions.rest.problems import Problem, field_problem
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.rate_store import Limit
from subscriptions.rest.rates import (
    check_allowed,
    publish_limits,
    rate_headers,
    request_limits,
    too_many,
)
from subscriptions.rest.raw_members import read_members, read_payload, read_text
from subscriptions.rest.strict_fields import read_query


class EventList(ProjectView):
    """`/projects/{project}/events`."""

    parser_classes = [RawJSONParser]
    scopes = {"GET": "read", "POST": "publish"}

    def check_throttles(self, request: Request) -> None:
        """Take the request's token, unless it was taken already; go no further after a failure."""
        tried: Tried = getattr(request, "tried_at_once", NOT_TRIED)
        if tried.failure is not None:
            raise tried.failure
        if tried.allowances is None:
            super().check_throttles(request)
        else:
            self.allowances = tried.allowances
            check_allowed(self.allowances)

    def limits(self) -> Sequence[Limit]:
        """Limit events by key and by project."""
        if self.request.method != "POST":
            return request_limits(self.api_key)
        return publish_limits(self.api_key, self.kwargs["project"])

    @operation(query=EventQuery, page_of=EventSerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's events, newest first, without their data.

        Those that all of the given filters want.
        """
        query = read_query(request, EventQuery)
        return page_response(
            request,
            events_of(self.project, query),
            project=self.project,
            query=query,
            serializer=EventSerializer,
            near=near_of(query),
        )

    @operation(
        name="publish_event",
        body=NewEventSerializer,
        answers={202: PublishedSerializer},
        problems={
            409: "The idempotency key was used with other content.",
            422: "Understood, and refused: the type is archived, or unknown to a strict catalogue; "
            "`data` does not fit its schema, or is no object where a subscription's `phrase` "
            "format needs one.",
        },
        takes=[IDEMPOTENCY_KEY],
        gives=[IDEMPOTENCY_REPLAYED],
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Publish an event.

        When this answers 202 it is stored, with a delivery for each matching active subscription.
        """
        members = read_members(request, required=("type", "data"))
        try:
            published = publish(
                project=self.project,
                event_type=read_text("type", members["type"]),
                data=read_payload("data", members["data"]),
                idempotency_key=request.headers.get(HEADER),
            )
        except EventRefused as refusal:
            raise problem_of_event(refusal) from None
        except IdempotencyConflict as conflict:
            raise field_problem(HTTPStatus.CONFLICT, HEADER, "conflict", str(conflict)) from None
        except BacklogFull as full:
            raise too_many("backlog_full", str(full), full.retry_after_seconds) from None
        headers = {REPLAYED_HEADER: "true"} if published.is_repeat else None
        return Response(published_answer(published), status=HTTPStatus.ACCEPTED, headers=headers)


def _headers_of_route() -> dict[str, str]:
    view = EventList()
    view.setup(HttpRequest())
    retirement = {} if view.retirement is None else view.retirement.headers()
    return {**view.default_response_headers, **retirement}


_HEADERS: Final = _headers_of_route()


def answer_at_once(request: HttpRequest, slug: str) -> HttpResponse | None:
    """Publish the event and answer as the route would, where nothing is in doubt.

    Else the route is asked: it sees from the request how far this came. Called by a middleware.
    """
    tried = try_at_once(request, slug)
    if tried.published is None:
        request.tried_at_once = tried  # type: ignore[attr-defined]  # for `check_throttles`
        return None
    content = msgspec.json.encode(published_answer(tried.published))
    return HttpResponse(
        content,
        content_type="application/json",
        status=HTTPStatus.ACCEPTED,
        headers={
            **_HEADERS,
            **rate_headers(tried.allowances or ()),
            "Content-Length": str(len(content)),
        },
    )


def problem_of_event(refusal: EventRefused) -> Problem:
    """Return the answer to a refused event."""
    status = _STATUS_OF_CODE.get(refusal.code, HTTPStatus.BAD_REQUEST)
    return Problem(status, str(refusal), errors=refusal.errors)


def event_answer(published: Published) -> dict[str, Any]:
    """Return what is told of an event that is stored with others (`BatchPublishedSerializer`)."""
    return {**_head_of(published), "matched_count": published.matched_count}


def _head_of(published: Published) -> dict[str, Any]:
    return {
        "id": to_public("evt", published.id),
        "type": published.type,
        "created_at": published.created_at.isoformat().replace("+00:00", "Z"),
    }


def published_answer(published: Published) -> dict[str, Any]:
    """Return what is told of an event that is stored (`PublishedSerializer`)."""
    return {
        **_head_of(published),
        "deliveries": [to_public("dlv", identifier) for identifier in published.delivery_ids],
        "matched": [
            {"subscription": to_public("sub", subscription), "delivery": to_public("dlv", delivery)}
            for subscription, delivery in zip(
                published.subscription_ids, published.delivery_ids, strict=True
            )
        ],
    }


# Well-formed and still not acceptable; all that is not listed is malformed.
_STATUS_OF_CODE = {
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unknown": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not_an_object": HTTPStatus.UNPROCESSABLE_ENTITY,
    "archived": HTTPStatus.UNPROCESSABLE_ENTITY,
    "bad_example": HTTPStatus.UNPROCESSABLE_ENTITY,
    "schema": HTTPStatus.UNPROCESSABLE_ENTITY,
    "schema_too_costly": HTTPStatus.UNPROCESSABLE_ENTITY,
}
