"""Reads what happened: a project's deliveries, their attempts, and these as they were on the wire.

Called by API, pages and admin. Ids are sortable by time, so queries say from when on: partitions
that cannot hold what is asked for are not looked at.
"""

from __future__ import annotations

import base64
import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import QuerySet

from deliveries.models import Attempt, Delivery, Event
from deliveries.sending.compose import NotComposable, compose_body
from subscriptions.ids import CLOCKS_APART, EPOCH, first_id_of, from_public
from subscriptions.models import Project

_Row = TypeVar("_Row", Event, Delivery)

NEAR = timedelta(days=3)
"""Where lists look first: PostgreSQL plans these days in a millisecond, and a month in four."""

ATTEMPTS_SHOWN = 50
"""The latest ones: a schedule has 21 at most, but redelivering has no limit."""


def deliveries_of(project: Project) -> QuerySet[Delivery]:
    """Return the project's deliveries, those of deleted subscriptions included."""
    return Delivery.objects.filter(project=project)


def find_delivery(project: Project, public_id: str) -> Delivery | None:
    """Return the project's delivery of this id (`dlv_…`)."""
    identifier = from_public("dlv", public_id)
    return None if identifier is None else deliveries_of(project).filter(id=identifier).first()


def created_between(
    rows: QuerySet[_Row], since: datetime | None, until: datetime | None
) -> QuerySet[_Row]:
    """Keep events or deliveries of `since` and later, and before `until`; from 1970 to 9998."""
    if since is not None:
        earliest = max(since - CLOCKS_APART, EPOCH)
        rows = rows.filter(id__gte=first_id_of(earliest), created_at__gte=since)
    if until is not None:
        latest = until + CLOCKS_APART
        rows = rows.filter(id__lt=first_id_of(latest), created_at__lt=until)
    return rows


def near_of(wanted: Mapping[str, Any]) -> timedelta | None:
    """Return within which time a list's page is looked for first, unless it begins long ago."""
    return None if "until" in wanted and "cursor" not in wanted else NEAR


def attempts_of(delivery: Delivery) -> list[Attempt]:
    """Return the delivery's attempts, the latest `ATTEMPTS_SHOWN` of them, in order."""
    earliest = first_id_of(delivery.created_at - CLOCKS_APART)
    attempts = Attempt.objects.filter(delivery_id=delivery.id, id__gte=earliest)
    attempts = attempts.order_by("-number", "-id")
    if delivery.finished_at is not None:
        latest = first_id_of(delivery.finished_at + CLOCKS_APART)
        found = list(attempts.filter(id__lt=latest)[:ATTEMPTS_SHOWN])
        first = max(0, delivery.attempt_count - ATTEMPTS_SHOWN)
        if [attempt.number for attempt in found] == [*range(delivery.attempt_count, first, -1)]:
            return found[::-1]
        # One is still out, or came in long after: from a worker that had slept, say.
    return list(attempts[:ATTEMPTS_SHOWN])[::-1]


def event_of(delivery: Delivery) -> Event | None:
    """Return the delivery's event while it is kept."""
    return Event.objects.filter(id=delivery.event_id).first()


def request_body_of(attempt: Attempt, event: Event | None) -> str | None:
    """Return the body as it was sent, or `None` where that can no longer be said.

    What event and wire format alone give again was not stored with the attempt.
    """
    if attempt.request_body is not None or event is None:
        return attempt.request_body
    try:
        composed = compose_body(
            attempt.wire_format,
            event_type=event.type,
            created_at=event.created_at,
            data=event.data,
        )
    except NotComposable:
        return None
    return composed.body.decode() if composed.is_derivable else None


def header_fields(block: str) -> list[tuple[str, str]]:
    """Split a header block into names and values, in order; a status line is left out.

    A line that continues another (RFC 9112, 5.2) is joined to it.
    """
    fields: list[tuple[str, list[str]]] = []
    for line in block.replace("\r\n", "\n").split("\n"):
        if line[:1] in {" ", "\t"} and fields:
            fields[-1][1].append(line.strip())
        elif ":" in line and not line.startswith("HTTP/"):
            name, _, value = line.partition(":")
            fields.append((name, [value.strip()]))
    return [(name, " ".join(lines)) for name, lines in fields]


@dataclass(frozen=True, slots=True)
class Content:
    """A body as text: itself where it is UTF-8, base64 where it is not."""

    text: str
    encoding: str
    """`utf-8` or `base64`."""


def response_headers_of(attempt: Attempt) -> list[tuple[str, str]]:
    """Return the response's headers; bytes that are not UTF-8 are read as Latin-1."""
    block = bytes(attempt.response_headers)
    try:
        return header_fields(block.decode())
    except UnicodeDecodeError:
        return header_fields(block.decode("latin-1"))


def response_body_of(attempt: Attempt) -> Content:
    """Return the response's body; where it was cut, half a character at its end is dropped."""
    body = bytes(attempt.response_body)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return Content(decoder.decode(body, final=not attempt.is_truncated), "utf-8")
    except UnicodeDecodeError:
        return Content(base64.b64encode(body).decode(), "base64")
