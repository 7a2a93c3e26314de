"""Writes down how attempts ended: attempt rows, the deliveries' next states, the failure streaks.

Called by the pump, one transaction per batch: all of it is stored or nothing. A delivery moves on
only while it still carries the attempt's number (the fence): a worker that overran its lease cannot
overwrite its successor, but what its receiver saw still enters the history.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from msgspec.structs import replace

from deliveries.models import Attempt, Delivery
from deliveries.sending.claim import ClaimedDelivery
from deliveries.sending.request_head import NO_HEAD, RequestHead
from deliveries.sending.snapshot import SubscriptionSnapshot
from deliveries.sending.transitions import Transition, next_state
from deliveries.sending.transport import Exchange, Outcome
from subscriptions import deactivation
from subscriptions.among import uuid_array
from subscriptions.custom_headers import mask
from subscriptions.ids import new_id


class AttemptResult(msgspec.Struct, frozen=True, gc=False):
    """One attempt that ended: whose it was, what was sent, what came back."""

    delivery: ClaimedDelivery
    subscription: SubscriptionSnapshot
    exchange: Exchange
    started_at: datetime
    request_body: str | None
    """The body as sent where it cannot be composed again from event and wire format."""

    def without_content(self) -> AttemptResult:
        """Return the same end without any text or bytes, for a database that refuses them."""
        exchange = self.exchange
        bare = Exchange(
            request=replace(exchange.request, head=NO_HEAD),
            outcome=exchange.outcome,
            status_code=exchange.status_code,
            error="The details of this attempt could not be stored.",
            is_truncated=True,
        )
        return replace(self, exchange=bare, request_body="")


class _Recording(msgspec.Struct, frozen=True, gc=False):
    """A result and where it takes its delivery."""

    result: AttemptResult
    transition: Transition


def record_results(
    results: Sequence[AttemptResult], *, jitter: Callable[[], float] = random.random
) -> list[UUID]:
    """Store a batch of results; return the subscriptions that it deactivated.

    The order of `results` is the order in which they count. Their pending deliveries are the
    caller's to cancel once this is committed.
    """
    now = timezone.now()
    recordings = [_Recording(result, _transition(result, now, jitter)) for result in results]
    with transaction.atomic():
        moved = _move_deliveries(recordings, now)
        on_time = [recording for place, recording in enumerate(recordings) if place in moved]
        late = [recording for place, recording in enumerate(recordings) if place not in moved]
        _insert_attempts([recording.result for recording in on_time])
        accepted_late = [recording for recording in late if _record_late(recording, now)]
        return deactivation.count(
            _verdict(recording)
            for recording in (*on_time, *accepted_late)
            if recording.transition.counts
        )


def hand_back(deliveries: Sequence[ClaimedDelivery]) -> None:
    """Return deliveries that were claimed and not sent: due now, as if never claimed."""
    for delivery in deliveries:
        _held(delivery).update(
            status=Delivery.Status.PENDING,
            next_attempt_at=Now(),
            attempt_count=delivery.attempt_count - 1,
        )


def _held(delivery: ClaimedDelivery) -> Any:
    """The delivery's row while this claim still holds it."""
    return Delivery.objects.filter(
        id=delivery.id, attempt_count=delivery.attempt_count, status=Delivery.Status.SENDING
    )


def _transition(result: AttemptResult, now: datetime, jitter: Callable[[], float]) -> Transition:
    return next_state(
        result.exchange,
        is_test=result.delivery.is_test,
        is_redelivery=result.delivery.is_redelivery,
        tries_used=result.delivery.tries_used,
        retry_schedule=result.subscription.retry_schedule,
        now=now,
        jitter=jitter,
    )


def _verdict(recording: _Recording) -> deactivation.Verdict:
    result = recording.result
    return deactivation.Verdict(
        subscription_id=result.subscription.id,
        generation=result.subscription.generation,
        has_succeeded=result.exchange.outcome is Outcome.SUCCEEDED,
        error=result.exchange.error,
        is_gone=recording.transition.is_gone,
    )


# ---- Deliveries -----------------------------------------------------------------------------

_MOVE_POSTGRES = """
UPDATE deliveries_delivery AS delivery SET
    status = change.status,
    next_attempt_at = statement_timestamp() + change.delay_seconds * interval '1 second',
    finished_at = CASE WHEN change.delay_seconds IS NULL THEN statement_timestamp() END,
    tries_used = tries_used + change.tries,
    interruptions = 0,
    last_outcome = change.outcome,
    last_status_code = change.status_code
FROM jsonb_to_recordset(%s::jsonb) AS change (
    place int, id uuid, attempt_count int, status text, delay_seconds float8, tries int,
    outcome text, status_code int)
WHERE delivery.id = change.id AND delivery.id = ANY(%s::uuid[])
    AND delivery.attempt_count = change.attempt_count AND delivery.status = 'sending'
RETURNING change.place
"""


def _move_deliveries(recordings: Sequence[_Recording], now: datetime) -> set[int]:
    """Move the deliveries that these attempts still hold; return the places of those.

    After a long outage a batch may hold two claims of one delivery.
    """
    if connection.vendor == "postgresql":
        return _move_postgres(recordings)
    return {
        place
        for place, recording in enumerate(recordings)
        if _held(recording.result.delivery).update(**_changes(recording, now))
    }


def _move_postgres(recordings: Sequence[_Recording]) -> set[int]:
    """One statement; the changes travel as one document, which costs less than arrays."""
    changes = [
        {
            "place": place,
            "id": recording.result.delivery.id,
            "attempt_count": recording.result.delivery.attempt_count,
            "status": recording.transition.status,
            "delay_seconds": recording.transition.delay_seconds,
            "tries": int(recording.transition.uses_try),
            "outcome": recording.result.exchange.outcome.value,
            "status_code": recording.result.exchange.status_code,
        }
        for place, recording in enumerate(recordings)
    ]
    ids = uuid_array([recording.result.delivery.id for recording in recordings])
    with connection.cursor() as cursor:
        # Today's partition has no statistics until autovacuum has been there; without them the
        # planner compares each row with each change (100 ms for 500 instead of 5).
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(_MOVE_POSTGRES, [msgspec.json.encode(changes).decode(), ids])
        moved = {place for (place,) in cursor.fetchall()}
        cursor.execute("SET LOCAL enable_nestloop = on")
        return moved


def _changes(recording: _Recording, now: datetime) -> dict[str, Any]:
    transition, result = recording.transition, recording.result
    delay = transition.delay_seconds
    return {
        "status": transition.status,
        "next_attempt_at": None if delay is None else now + timedelta(seconds=delay),
        "finished_at": now if delay is None else None,
        "tries_used": result.delivery.tries_used + int(transition.uses_try),
        "interruptions": 0,
        "last_outcome": result.exchange.outcome.value,
        "last_status_code": result.exchange.status_code,
    }


# ---- Attempts -------------------------------------------------------------------------------

_ATTEMPT_COLUMNS = (
    "id",
    "delivery_id",
    "number",
    "started_at",
    "outcome",
    "status_code",
    "error",
    "duration_ms",
    "dns_ms",
    "connect_ms",
    "tls_ms",
    "first_byte_ms",
    "remote_address",
    "wire_format",
    "request_url",
    "request_headers",
    "request_body",
    "response_headers",
    "response_body",
    "is_truncated",
)
_COPY_ATTEMPTS = f"COPY deliveries_attempt ({', '.join(_ATTEMPT_COLUMNS)}) FROM STDIN"


def _insert_attempts(results: Sequence[AttemptResult]) -> None:
    if not results:
        return
    rows = [(new_id(), *_attempt_values(result)) for result in results]
    if connection.vendor == "postgresql":
        _copy_postgres(rows)
        return
    Attempt.objects.bulk_create(
        Attempt(**dict(zip(_ATTEMPT_COLUMNS, row, strict=True))) for row in rows
    )


def _copy_postgres(rows: Iterable[tuple[Any, ...]]) -> None:
    # Django wraps the errors of execute(), not of copy().
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(_COPY_ATTEMPTS) as copy,
    ):
        for identifier, delivery_id, number, started_at, *rest in rows:
            # As text at once: from a UUID or a time, psycopg takes three times as long.
            copy.write_row((identifier.hex, delivery_id.hex, number, str(started_at), *rest))


def _attempt_values(result: AttemptResult) -> tuple[Any, ...]:
    """The attempt's columns but its id, in the order of `_ATTEMPT_COLUMNS`."""
    exchange = result.exchange
    return (
        result.delivery.id,
        result.delivery.attempt_count,
        result.started_at,
        exchange.outcome.value,
        exchange.status_code,
        exchange.error[:500],
        exchange.duration_ms,
        exchange.dns_ms,
        exchange.connect_ms,
        exchange.tls_ms,
        exchange.first_byte_ms,
        exchange.remote_address,
        result.subscription.wire_format,
        exchange.request.url.url,
        _stored_head(exchange.request.head, result.subscription.custom_headers),
        result.request_body,
        exchange.response_headers,
        exchange.response_body,
        exchange.is_truncated,
    )


def _stored_head(head: RequestHead, custom_headers: Sequence[tuple[str, str]]) -> str:
    """Return the header block that history keeps: as sent, but for the values of custom headers.

    They may be credentials, and history is read by more people, for longer, than settings are.
    """
    if not custom_headers:
        return head.text
    custom = frozenset(custom_headers)
    shown = [(field[0], mask(field[1])) if field in custom else field for field in head.fields]
    return "\n".join([f"{name}: {value}" for name, value in shown])


def _record_late(recording: _Recording, now: datetime) -> bool:
    """Complete the history of an attempt whose lease had passed; a success still counts.

    Returns whether this ended the delivery.
    """
    result = recording.result
    values = dict(zip(_ATTEMPT_COLUMNS[1:], _attempt_values(result), strict=True))
    completed = Attempt.objects.filter(
        delivery_id=result.delivery.id,
        number=result.delivery.attempt_count,
        outcome=Outcome.INTERRUPTED,
    ).update(**values)
    if not completed:
        _insert_attempts([result])
    if result.exchange.outcome is not Outcome.SUCCEEDED:
        return False
    unfinished = Delivery.objects.filter(
        id=result.delivery.id, status__in=[Delivery.Status.PENDING, Delivery.Status.SENDING]
    )
    return bool(
        unfinished.update(
            status=Delivery.Status.SUCCEEDED,
            next_attempt_at=None,
            finished_at=now,
            last_outcome=Outcome.SUCCEEDED.value,
            last_status_code=result.exchange.status_code,
        )
    )
