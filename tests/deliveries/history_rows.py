"""Puts deliveries and events into history as if they had been made then, for tests of figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from deliveries.models import Attempt, Delivery, Event
from deliveries.upkeep import partitions
from subscriptions.ids import first_id_of
from subscriptions.models import Project, Subscription

_numbers = count(1)


def prepare_days(first: datetime) -> None:
    """Have partitions from this day on, where the database wants them."""
    partitions.make_partitions(first_day=first.date() - timedelta(days=1))


def id_at(moment: datetime) -> UUID:
    """A new id as it would have been made then."""
    return UUID(int=first_id_of(moment).int + (7 << 76) + (2 << 62) + next(_numbers))


def add_delivery(
    subscription: Subscription,
    made_at: datetime,
    *,
    status: str = "succeeded",
    outcome: str | None = None,
    durations_ms: tuple[int, ...] = (),
    **fields: Any,
) -> Delivery:
    """A delivery with an attempt for each duration; the outcome follows from the status."""
    outcome = (
        {"succeeded": "succeeded", "failed": "http_error"}.get(status, "")
        if outcome is None
        else outcome
    )
    code = {"succeeded": 200, "http_error": 500}.get(outcome)
    is_unfinished = status in ("pending", "sending")
    values = {
        "project": subscription.project,
        "subscription": subscription,
        "event_id": id_at(made_at),
        "event_type": "Task.update",
        "next_attempt_at": made_at if is_unfinished else None,
        "attempt_count": len(durations_ms),
        "last_outcome": outcome,
        "last_status_code": code,
        "created_at": made_at,
    }
    delivery = Delivery.objects.create(id=id_at(made_at), status=status, **values | fields)
    for number, duration_ms in enumerate(durations_ms, start=1):
        is_last = number == len(durations_ms)
        Attempt.objects.create(
            id=id_at(made_at),
            delivery=delivery,
            number=number,
            started_at=made_at + timedelta(seconds=number),
            outcome=outcome if is_last else "timeout",
            status_code=delivery.last_status_code if is_last else None,
            error="" if outcome == "succeeded" else f"Attempt {number} went wrong.",
            duration_ms=duration_ms,
            wire_format="standard",
            request_url=subscription.url,
            response_headers=b"",
            response_body=b"",
        )
    return delivery


def add_event(project: Project, made_at: datetime, event_type: str, **fields: Any) -> Event:
    """An event that matched nothing."""
    values = {"project": project, "type": event_type, "data": "{}", "matched_count": 0}
    return Event.objects.create(id=id_at(made_at), created_at=made_at, **values | fields)
