"""Puts history that is due to be pruned into the embedded home's SQLite file, by plain SQL.

Used by the case `pruning`. Each event has one delivery and one attempt.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

DAYS_AGO: Final = 32

# Ids as Django stores them in SQLite: 32 hex digits, the first twelve the time in ms.
_NUMBERS = """
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count),
rows AS (SELECT printf('%012x70008000%012x', :start_ms + n, n) AS id, n,
    strftime('%Y-%m-%d %H:%M:%f', (:start_ms + n) / 1000.0, 'unixepoch') AS at FROM numbers),
receiver AS (SELECT id, project_id FROM subscriptions_subscription LIMIT 1)
"""
_STATEMENTS: Final = (
    f"""{_NUMBERS} INSERT INTO deliveries_event
    (id, project_id, type, data, idempotency_key, matched_count, is_test, created_at)
    SELECT rows.id, project_id, 'Task.update', '{{"text": "' || hex(zeroblob(125)) || '"}}', '', 1,
    0, at FROM rows, receiver""",  # noqa: S608  # our own text
    f"""{_NUMBERS} INSERT INTO deliveries_delivery
    (id, project_id, event_id, subscription_id, event_type, is_test, status, attempt_count,
     tries_used, interruptions, last_outcome, last_status_code, end_reason, created_at, finished_at)
    SELECT rows.id, project_id, rows.id, receiver.id, 'Task.update', 0, 'succeeded', 1, 1, 0,
    'succeeded', 204, '', at, at FROM rows, receiver""",  # noqa: S608  # our own text
    f"""{_NUMBERS} INSERT INTO deliveries_attempt
    (id, delivery_id, number, started_at, outcome, status_code, error, duration_ms, wire_format,
     request_url, request_headers, response_headers, response_body, is_truncated)
    SELECT rows.id, rows.id, 1, at, 'succeeded', 204, '', 12, 'standard',
    'http://127.0.0.1:8000/', hex(zeroblob(170)), zeroblob(80), x'', 0
    FROM rows""",  # noqa: S608  # our own text
)


def add_old_rows(file: Path, *, count: int) -> None:
    """Store so many deliveries of one old day, a thousandth of a second apart."""
    start_ms = int((time.time() - DAYS_AGO * 24 * 3600) * 1000)
    with sqlite3.connect(file, timeout=30) as connection:
        for statement in _STATEMENTS:
            connection.execute(statement, {"count": count, "start_ms": start_ms})
    connection.close()
