"""Writes events and their deliveries: on PostgreSQL in one statement, however many they are.

Called by ingest and `at_once`. What is written was judged before; a lone event's statement can look
once more whether that still holds, and then needs no transaction around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models.functions import Now

from deliveries.models import Delivery, Event
from deliveries.publishing.new_events import CheckedEvent
from deliveries.publishing.published import Published
from subscriptions.among import uuid_array


class Stored(Enum):
    """What became of an event that was to be stored only if nothing stands against it."""

    YES = auto()
    PROJECT_CHANGED = auto()
    """It is at another revision, or gone."""
    KEY_IS_KNOWN = auto()
    """Another event has the idempotency key."""


Rows = Sequence[tuple[CheckedEvent, Published]]


def store(project_id: int, rows: Rows, *, is_test: bool = False) -> None:
    """Store events with their deliveries, in the transaction that is open."""
    if connection.vendor == "postgresql":
        _run(_STORE, _values_of(project_id, rows, is_test=is_test))
    else:
        _store_models(project_id, rows, is_test=is_test)


def store_if_unchanged(
    project_id: int, event: CheckedEvent, published: Published, *, revision: int
) -> Stored:
    """Store one event while its project is at this revision and nobody has its idempotency key.

    One statement of PostgreSQL's, which commits by itself; other than `YES` means that nothing was
    stored. A key that somebody is about to store is waited for.
    """
    values = {
        "project": project_id,
        "revision": revision,
        "is_test": False,
        "id": event.id,
        "type": event.type,
        "data": event.payload.text,
        "key": event.idempotency_key,
        "count": published.matched_count,
        "created": published.created_at,
        "delivery_ids": uuid_array(published.delivery_ids),
        "subscriptions": uuid_array(published.subscription_ids),
    }
    statement = _STORE_IF_UNCHANGED
    if event.idempotency_key:
        statement = _STORE_IF_UNCHANGED_AND_NEW
        values["digest"] = event.digest
    is_unchanged, is_stored = _run(statement, values)
    if is_stored:
        return Stored.YES
    return Stored.KEY_IS_KNOWN if is_unchanged else Stored.PROJECT_CHANGED


# Lone values and payloads go as binary: nothing in them has to be quoted, nor read from quotes
# again. Of many, all else goes as a document or as arrays written here: psycopg calls Python for
# each element of an array.
_MANY_EVENTS: Final = """
    ROWS FROM (
        json_to_recordset(%(events)s::json)
            AS (id uuid, type text, key text, count int, created_at timestamptz),
        unnest(%(datas)b::text[])
    ) AS new (id, type, key, count, created_at, data)
"""
_THEIR_DELIVERIES: Final = """
    (SELECT made.*, fresh.type, fresh.created_at
        FROM unnest(%(delivery_ids)s::uuid[], %(of_events)s::uuid[], %(subscriptions)s::uuid[])
            AS made (id, event_id, subscription_id)
        JOIN fresh ON fresh.id = made.event_id) AS new
"""
_ONE_EVENT: Final = """
    (SELECT %(id)b::uuid, %(type)b::text, %(data)b::text, %(key)b::text, %(count)b::int,
        %(created)b::timestamptz) AS new (id, type, data, key, count, created_at)
"""
_ITS_DELIVERIES: Final = """
    (SELECT *, %(id)b::uuid, %(type)b::text, %(created)b::timestamptz
        FROM unnest(%(delivery_ids)s::uuid[], %(subscriptions)s::uuid[]))
        AS new (id, subscription_id, event_id, type, created_at)
"""
_EVENT: Final = """
    INSERT INTO deliveries_event
        (id, project_id, type, data, idempotency_key, matched_count, is_test, created_at)
    SELECT new.id, %(project)b, new.type, new.data, new.key, new.count, %(is_test)b, new.created_at
    FROM {rows} RETURNING id
"""
# Due by the database's clock: ours may be wrong.
_DELIVERY: Final = """
    INSERT INTO deliveries_delivery
        (id, project_id, event_id, subscription_id, event_type, is_test, status, next_attempt_at,
         attempt_count, tries_used, interruptions, last_outcome, end_reason, created_at)
    SELECT new.id, %(project)b, new.event_id, new.subscription_id, new.type, %(is_test)b, 'pending',
        statement_timestamp(), 0, 0, 0, '', '', new.created_at
    FROM {rows}
"""
_UNCHANGED: Final = """
    SELECT FROM subscriptions_projectrevision
    WHERE project_id = %(project)b AND number = %(revision)b
"""
_KEY: Final = """
    INSERT INTO deliveries_idempotencykey (project_id, key, content_digest, event_id, created_at)
    SELECT %(project)b, %(key)b, %(digest)b, %(id)b, statement_timestamp() FROM unchanged
    ON CONFLICT DO NOTHING RETURNING event_id
"""
_STORE: Final = f"""
WITH fresh AS MATERIALIZED (SELECT * FROM {_MANY_EVENTS}),
event AS ({_EVENT.format(rows="fresh AS new")}),
delivery AS ({_DELIVERY.format(rows=_THEIR_DELIVERIES)})
SELECT true
"""  # noqa: S608  # of texts of our own
_STORE_IF_UNCHANGED: Final = f"""
WITH unchanged AS MATERIALIZED ({_UNCHANGED}),
event AS ({_EVENT.format(rows=f"unchanged, {_ONE_EVENT}")}),
delivery AS ({_DELIVERY.format(rows=f"event, {_ITS_DELIVERIES}")})
SELECT EXISTS (SELECT FROM unchanged), EXISTS (SELECT FROM event)
"""  # noqa: S608  # of texts of our own
_STORE_IF_UNCHANGED_AND_NEW: Final = f"""
WITH unchanged AS MATERIALIZED ({_UNCHANGED}), claimed AS ({_KEY}),
event AS ({_EVENT.format(rows=f"claimed, {_ONE_EVENT}")}),
delivery AS ({_DELIVERY.format(rows=f"event, {_ITS_DELIVERIES}")})
SELECT EXISTS (SELECT FROM unchanged), EXISTS (SELECT FROM event)
"""  # noqa: S608  # of texts of our own


def _run(statement: LiteralString, values: Mapping[str, Any]) -> tuple[bool, ...]:
    """Run a statement with what is PostgreSQL's own: parameters beside it, and its plan kept.

    Django's cursor writes values into the text, which is parsed and planned again each time.
    """
    database = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks this thread's up each time
    database.close_if_health_check_failed()
    database.ensure_connection()
    binds_on_server: Any = psycopg.Cursor(database.connection)
    wrapped = database.make_debug_cursor if database.queries_logged else database.make_cursor
    with wrapped(binds_on_server) as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone() or ()


def _values_of(project_id: int, rows: Rows, *, is_test: bool) -> dict[str, Any]:
    events = [
        {
            "id": event.id,
            "type": event.type,
            "key": event.idempotency_key,
            "count": published.matched_count,
            "created_at": published.created_at,
        }
        for event, published in rows
    ]
    made = [published for _, published in rows]
    return {
        "project": project_id,
        "is_test": is_test,
        "events": msgspec.json.encode(events).decode(),
        "datas": [event.payload.text for event, _ in rows],
        "delivery_ids": uuid_array([one for each in made for one in each.delivery_ids]),
        "of_events": uuid_array([each.id for each in made for _ in each.delivery_ids]),
        "subscriptions": uuid_array([one for each in made for one in each.subscription_ids]),
    }


def _store_models(project_id: int, rows: Rows, *, is_test: bool) -> None:
    """Do the same where statements cost little and there are no arrays."""
    Event.objects.bulk_create(
        Event(
            id=event.id,
            project_id=project_id,
            type=event.type,
            data=event.payload.text,
            idempotency_key=event.idempotency_key,
            matched_count=published.matched_count,
            is_test=is_test,
            created_at=published.created_at,
        )
        for event, published in rows
    )
    Delivery.objects.bulk_create(
        (
            Delivery(
                id=identifier,
                project_id=project_id,
                event_id=event.id,
                subscription_id=subscription_id,
                event_type=event.type,
                is_test=is_test,
                next_attempt_at=Now(),
                created_at=event.created_at,
            )
            for _, event in rows
            for identifier, subscription_id in zip(
                event.delivery_ids, event.subscription_ids, strict=True
            )
        ),
        batch_size=1000,
    )
