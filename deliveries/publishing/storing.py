"""Writes events and their deliveries: on PostgreSQL in one statement, however many they are.

Called by ingest and `at_once`. What is written was judged before; a lone event's statement can look
once more whether that still holds, and then needs no transaction around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final, LiteralString

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models.functions import Now

from deliveries.models import Delivery, Event
from deliveries.publishing.new_events import CheckedEvent
from deliveries.publishing.published import Published


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
        "delivery_ids": list(published.delivery_ids),
        "subscriptions": list(published.subscription_ids),
    }
    statement = _STORE_IF_UNCHANGED
    if event.idempotency_key:
        statement = _STORE_IF_UNCHANGED_AND_NEW
        values["digest"] = event.digest
    is_unchanged, is_stored = _run(statement, values)
    if is_stored:
        return Stored.YES
    return Stored.KEY_IS_KNOWN if is_unchanged else Stored.PROJECT_CHANGED


# Values go as binary: nothing in them has to be quoted, nor read from quotes again.
_MANY_EVENTS: Final = """
    unnest(%(ids)b::uuid[], %(types)b::text[], %(datas)b::text[], %(keys)b::text[],
        %(counts)b::int[], %(created)b::timestamptz[])
        AS new (id, type, data, key, count, created_at)
"""
_MANY_DELIVERIES: Final = """
    unnest(%(delivery_ids)b::uuid[], %(of_events)b::uuid[], %(subscriptions)b::uuid[],
        %(delivery_types)b::text[], %(delivery_created)b::timestamptz[])
        AS new (id, event_id, subscription_id, type, created_at)
"""
_ONE_EVENT: Final = """
    (SELECT %(id)b::uuid, %(type)b::text, %(data)b::text, %(key)b::text, %(count)b::int,
        %(created)b::timestamptz) AS new (id, type, data, key, count, created_at)
"""
_ITS_DELIVERIES: Final = """
    (SELECT *, %(id)b::uuid, %(type)b::text, %(created)b::timestamptz
        FROM unnest(%(delivery_ids)b::uuid[], %(subscriptions)b::uuid[]))
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
WITH event AS ({_EVENT.format(rows=_MANY_EVENTS)}),
delivery AS ({_DELIVERY.format(rows=_MANY_DELIVERIES)})
SELECT true
"""
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
    deliveries = [
        (identifier, event, subscription)
        for _, event in rows
        for identifier, subscription in zip(event.delivery_ids, event.subscription_ids, strict=True)
    ]
    return {
        "project": project_id,
        "is_test": is_test,
        "ids": [event.id for event, _ in rows],
        "types": [event.type for event, _ in rows],
        "datas": [event.payload.text for event, _ in rows],
        "keys": [event.idempotency_key for event, _ in rows],
        "counts": [published.matched_count for _, published in rows],
        "created": [published.created_at for _, published in rows],
        "delivery_ids": [identifier for identifier, _, _ in deliveries],
        "of_events": [event.id for _, event, _ in deliveries],
        "subscriptions": [subscription for _, _, subscription in deliveries],
        "delivery_types": [event.type for _, event, _ in deliveries],
        "delivery_created": [event.created_at for _, event, _ in deliveries],
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
