"""The route that publishes: the one that must be fast, so it parses, calls ingest, and answers."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

import msgspec
from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.backlog_limit import BacklogFull
from deliveries.ingest import EventRefused, IdempotencyConflict, Published, publish
from deliveries.payload import (
    Payload,
    PayloadRefused,
    envelope_from_json,
    member_at_fault,
    payload_from_json,
)
from subscriptions.api_conventions import RawJSONParser
from subscriptions.api_rates import publish_limits, too_many
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.ids import to_public
from subscriptions.problems import Problem, field_problem
from subscriptions.project_view import ProjectView
from subscriptions.rate_store import Limit

IDEMPOTENCY_HEADER = "Idempotency-Key"


class EventList(ProjectView):
    """`/projects/{project}/events`."""

    parser_classes = [RawJSONParser]
    scopes = {"POST": "publish"}

    def limits(self) -> Sequence[Limit]:
        """Limit events by key and by project."""
        return publish_limits(self.api_key)

    def post(self, request: Request, **_ids: str) -> Response:
        """Publish an event: stored with its deliveries when this answers 202."""
        members = read_members(request, required=("type", "data"))
        try:
            published = publish(
                project=self.project,
                event_type=read_text("type", members["type"]),
                data=read_payload("data", members["data"]),
                idempotency_key=request.headers.get(IDEMPOTENCY_HEADER),
            )
        except EventRefused as refusal:
            raise problem_of_event(refusal) from None
        except IdempotencyConflict as conflict:
            raise field_problem(
                HTTPStatus.CONFLICT, IDEMPOTENCY_HEADER, "conflict", str(conflict)
            ) from None
        except BacklogFull as full:
            raise too_many("backlog_full", str(full), full.retry_after_seconds) from None
        headers = {"Idempotency-Replayed": "true"} if published.is_repeat else None
        return Response(_answer(published), status=HTTPStatus.ACCEPTED, headers=headers)


def read_members(
    request: Request, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, bytes]:
    """Split a body into the JSON text of its members, unparsed; every wrong name is an error."""
    raw = cast("bytes", request.data or b"")  # of RawJSONParser
    try:
        members = envelope_from_json(raw)
    except PayloadRefused as refusal:
        raise _problem_of_payload(member_at_fault(raw, refusal), refusal) from None
    errors = [
        FieldError(name, "unknown", "There is no such field.")
        for name in members
        if name not in required and name not in optional
    ]
    errors += [
        FieldError(name, "required", "This field is required.")
        for name in required
        if name not in members
    ]
    if errors:
        raise FieldsRefused(errors)
    return members


def read_text(field: str, raw: bytes) -> str:
    """Return the string of a member's JSON text."""
    try:
        return _TEXT.decode(raw)
    except msgspec.DecodeError:
        raise FieldsRefused([FieldError(field, "invalid", "This is not a string.")]) from None


def read_payload(field: str, raw: bytes) -> Payload:
    """Return a member's JSON text as a payload, checked and otherwise as given."""
    try:
        return payload_from_json(raw, limit_bytes=settings.DISPATCHER_PAYLOAD_LIMIT_BYTES)
    except PayloadRefused as refusal:
        raise _problem_of_payload(field, refusal) from None


def problem_of_event(refusal: EventRefused) -> Problem:
    """Return the answer to a refused event."""
    status = _STATUS_OF_CODE.get(refusal.code, HTTPStatus.BAD_REQUEST)
    return field_problem(status, refusal.field, refusal.code, str(refusal))


def _problem_of_payload(field: str, refusal: PayloadRefused) -> Problem:
    status = _STATUS_OF_CODE.get(refusal.code, HTTPStatus.BAD_REQUEST)
    # A whole body that is no object is malformed; a `data` that is none is understood and refused.
    status = HTTPStatus.BAD_REQUEST if not field else status
    return field_problem(status, field, refusal.code, str(refusal))


def _answer(published: Published) -> dict[str, Any]:
    return {
        "id": to_public("evt", published.id),
        "type": published.type,
        "created_at": published.created_at.isoformat().replace("+00:00", "Z"),
        "deliveries": [to_public("dlv", identifier) for identifier in published.delivery_ids],
    }


_TEXT = msgspec.json.Decoder(str)

# Well-formed and still not acceptable; all that is not listed is malformed.
_STATUS_OF_CODE = {
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unknown": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not_an_object": HTTPStatus.UNPROCESSABLE_ENTITY,
    "bad_example": HTTPStatus.UNPROCESSABLE_ENTITY,
}
