"""The route that publishes many events at once, each with a result of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.event_serializers import (
    BATCH_LIMIT_EVENTS,
    BatchResultsSerializer,
    NewBatchSerializer,
)
from deliveries.api.events import event_answer, problem_of_event
from deliveries.publishing.backlog_limit import BacklogFull
from deliveries.publishing.ingest import (
    EventRefused,
    IdempotencyConflict,
    NewEvent,
    Published,
    Refusal,
    TooManyDeliveries,
    publish_each,
)
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.idempotency_key import HEADER
from subscriptions.openapi.operations import operation
from subscriptions.payload import PayloadRefused, entries_of, members_of
from subscriptions.rest.conventions import RawJSONParser
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.problems import Problem, document_of, field_problem
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.rate_store import Limit
from subscriptions.rest.rates import publish_limits, too_many
from subscriptions.rest.raw_members import check_names, read_members, read_payload, read_text

_KEY: Final = "idempotency_key"

_Unreadable = FieldsRefused | Problem


class EventBatch(ProjectView):
    """`/projects/{project}/events/batch`."""

    parser_classes = [RawJSONParser]
    scopes = {"POST": "publish"}

    def limits(self) -> Sequence[Limit]:
        """Limit events by key and by project."""
        return publish_limits(self.api_key, self.kwargs["project"])

    @idempotent
    @operation(
        name="publish_events", body=NewBatchSerializer, answers={200: BatchResultsSerializer}
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Publish up to 1000 events.

        Each has its own result, in the same order: what is acceptable is stored, with its
        deliveries, whatever becomes of the others. Only a body that is malformed as a whole is
        refused as a whole; so is every event while the project has too many unfinished deliveries.
        """
        entries = _entries(read_members(request, required=("events",))["events"])
        if len(entries) > 1:
            self.take_tokens(len(entries) - 1)  # one was taken for the request
        read = [_read(entry) for entry in entries]
        try:
            stored = publish_each(
                project=self.project, events=[one for one in read if isinstance(one, NewEvent)]
            )
        except BacklogFull as full:
            raise too_many("backlog_full", str(full), full.retry_after_seconds) from None
        except TooManyDeliveries as refusal:
            raise _refused("too_many_deliveries", str(refusal)) from None
        results = iter(stored)
        return _answer(next(results) if isinstance(one, NewEvent) else one for one in read)


def _entries(raw: bytes) -> list[bytes]:
    try:
        entries = entries_of(raw)
    except PayloadRefused:
        raise _refused("invalid", "This is not a list of events.") from None
    if not entries:
        raise _refused("empty", "There is no event in the list.")
    if len(entries) > BATCH_LIMIT_EVENTS:
        raise _refused("too_many", f"A batch has at most {BATCH_LIMIT_EVENTS} events.")
    return entries


def _refused(code: str, message: str) -> FieldsRefused:
    return FieldsRefused([FieldError("events", code, message)])


def _read(raw: bytes) -> NewEvent | _Unreadable:
    """Return an event of the batch, or why it is none."""
    try:
        members = members_of(raw)
        check_names(members, required=("type", "data"), optional=(_KEY,))
        return NewEvent(
            read_text("type", members["type"]),
            read_payload("data", members["data"]),
            read_text(_KEY, members[_KEY]) if _KEY in members else None,
        )
    except PayloadRefused as refusal:
        return field_problem(HTTPStatus.BAD_REQUEST, "", refusal.code, str(refusal))
    except (FieldsRefused, Problem) as refusal:
        return refusal


def _answer(results: Iterable[Published | Refusal | _Unreadable]) -> Response:
    shown = [_result(result) for result in results]  # no serializers: a thousand take 100 ms
    count = Counter(result["status"] for result in shown)
    totals = {status: count[status] for status in ("accepted", "repeated", "refused")}
    return Response({**totals, "results": shown})


def _result(result: Published | Refusal | _Unreadable) -> dict[str, Any]:
    if isinstance(result, Published):
        status = "repeated" if result.is_repeat else "accepted"
        return {"status": status, "event": event_answer(result), "error": None}
    return {"status": "refused", "event": None, "error": document_of(_problem_of(result))}


def _problem_of(refusal: Refusal | _Unreadable) -> Exception:
    match refusal:
        case IdempotencyConflict():
            return field_problem(HTTPStatus.CONFLICT, _KEY, "conflict", str(refusal))
        case EventRefused() if refusal.field == HEADER:
            return field_problem(HTTPStatus.BAD_REQUEST, _KEY, refusal.code, str(refusal))
        case EventRefused():
            return problem_of_event(refusal)
    return refusal
