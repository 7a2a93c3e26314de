"""Fills partitions of past days with history, by plain SQL: millions of rows in a few minutes.

Used by the cases about history and its pruning. An event has five deliveries, with one attempt
each; one in a hundred failed, spread over all subscriptions. Rows are as large as those that the
product writes. Durability is off while it lasts, and on again before anything is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import scalar_row

from bench.projects import EVENT_TYPE, Project
from bench.stack import Stack

FAN_OUT: Final = 5
BYTES_PER_ATTEMPT: Final = 950
"""On disk, with its share of delivery, event and all indexes."""

_TABLES: Final = ("deliveries_event", "deliveries_delivery", "deliveries_attempt")
_DAY: Final = timedelta(days=1)

# A UUIDv7 of a time in ms: unique by a kind, one hex digit, and a number.
_ID = """
CREATE OR REPLACE FUNCTION bench_id(kind text, at_ms bigint, number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (lpad(to_hex(at_ms), 12, '0') || '70008' || kind || lpad(to_hex(number), 14, '0'))::uuid $$
"""

# The n-th delivery of a day belongs to event n / 5, which begins at the number that `first` is.
_NUMBERS = """
WITH numbers AS (
    SELECT n, first, project,
        %(day_ms)s + first * 86390000 / %(count)s AS event_ms,
        %(day_ms)s + n * 86390000 / %(count)s AS at_ms,
        to_timestamp((%(day_ms)s + n * 86390000 / %(count)s) / 1000.0) AS at,
        (%(subscriptions)s::uuid[])[1 + project * %(per_project)s
            + (n - first) * (%(per_project)s / 5)
            + first / 5 / %(projects)s %% (%(per_project)s / 5)] AS subscription_id,
        (n + n / 100 * 13) %% 100 = 7 AS has_failed
    FROM (SELECT n, n - n %% 5 AS first, n / 5 %% %(projects)s AS project
          FROM generate_series(0::bigint, %(count)s - 1) AS n) AS raw)
"""
_EVENTS = f"""
{_NUMBERS} INSERT INTO {{table}}
    (id, project_id, type, data, idempotency_key, matched_count, is_test, created_at)
SELECT bench_id('1', event_ms, n), (%(project_ids)s::bigint[])[1 + project], %(type)s,
    '{{{{"id": ' || n || ', "text": "' || repeat('x', 150) || '"}}}}', '', 5, false, at
FROM numbers WHERE n = first
"""  # noqa: S608  # our own text
_DELIVERIES = f"""
{_NUMBERS} INSERT INTO {{table}}
    (id, project_id, event_id, subscription_id, event_type, is_test, status, attempt_count,
     tries_used, interruptions, last_outcome, last_status_code, end_reason, created_at, finished_at)
SELECT bench_id('2', at_ms, n), (%(project_ids)s::bigint[])[1 + project],
    bench_id('1', event_ms, first), subscription_id, %(type)s, false,
    CASE WHEN has_failed THEN 'failed' ELSE 'succeeded' END, 1, 1, 0,
    CASE WHEN has_failed THEN 'http_error' ELSE 'succeeded' END,
    CASE WHEN has_failed THEN 500 ELSE 204 END, '', at, at
FROM numbers
"""  # noqa: S608  # our own text
_ATTEMPTS = f"""
{_NUMBERS} INSERT INTO {{table}}
    (id, delivery_id, number, started_at, outcome, status_code, error, duration_ms, connect_ms,
     first_byte_ms, remote_address, wire_format, request_url, request_headers, response_headers,
     response_body, is_truncated)
SELECT bench_id('3', at_ms, n), bench_id('2', at_ms, n), 1, at,
    CASE WHEN has_failed THEN 'http_error' ELSE 'succeeded' END,
    CASE WHEN has_failed THEN 500 ELSE 204 END, '', 12, 1, 11, '127.0.0.1', 'standard',
    'http://127.0.0.1:8000/inbox/' || project, %(request_headers)s, %(response_headers)s, '', false
FROM numbers
"""  # noqa: S608  # our own text

_REQUEST_HEADERS = (
    "Host: 127.0.0.1:8000\nContent-Type: application/json\nContent-Length: 230\n"
    "User-Agent: webhook-dispatcher/0.1.0\n"
    f"webhook-id: evt_{'0' * 32}\nwebhook-timestamp: 1700000000\n"
    f"webhook-signature: v1,{'A' * 43}="
)
_RESPONSE_HEADERS = b"HTTP/1.1 204 No Content\r\nServer: nginx\r\nConnection: keep-alive\r\n\r\n"


@dataclass(frozen=True, slots=True)
class _Day:
    """One day's partitions, by the names that the product gives them."""

    day: date

    def partition(self, table: str) -> str:
        return f"{table}_p{self.day:%Y%m%d}"

    @property
    def start_ms(self) -> int:
        start = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return int(start.timestamp() * 1000)

    @property
    def bounds(self) -> tuple[UUID, UUID]:
        end_ms = self.start_ms + _DAY // timedelta(milliseconds=1)
        return UUID(int=self.start_ms << 80), UUID(int=end_ms << 80)


def generate(
    stack: Stack, projects: Sequence[Project], *, days_ago: Sequence[int], per_day: int
) -> None:
    """Make partitions of past days, each with so many attempts; the days must have none yet.

    Rounded down to whole events. The projects have equally many subscriptions each, a multiple of
    five.
    """
    today = datetime.now(UTC).date()
    with _forgetful(stack), stack.connect() as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute(_ID)
        for days in days_ago:
            _fill_day(connection, _Day(today - days * _DAY), _parameters(projects, per_day))
        connection.execute("DROP FUNCTION bench_id")
        for table in _TABLES:
            connection.execute(f"ANALYZE {table}")


def _parameters(projects: Sequence[Project], per_day: int) -> dict[str, Any]:
    return {
        "count": per_day - per_day % FAN_OUT,
        "projects": len(projects),
        "project_ids": [project.id for project in projects],
        "subscriptions": [one for project in projects for one in project.subscriptions],
        "per_project": len(projects[0].subscriptions),
        "type": EVENT_TYPE,
        "request_headers": _REQUEST_HEADERS,
        "response_headers": _RESPONSE_HEADERS,
    }


def _fill_day(
    connection: psycopg.Connection[tuple[object, ...]], day: _Day, parameters: dict[str, Any]
) -> None:
    """Fill a table of its own and attach it: indexes are made at once, when all rows are there."""
    first, last = day.bounds
    statements = zip(_TABLES, (_EVENTS, _DELIVERIES, _ATTEMPTS), strict=True)
    for table, statement in statements:
        name = day.partition(table)
        like = f"LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
        connection.execute(f"CREATE TABLE {name} ({like})")
        connection.execute(
            statement.format(table=name).encode(), parameters | {"day_ms": day.start_ms}
        )
        connection.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{last}')"
        )
        connection.execute(f"VACUUM ANALYZE {name}")


@contextmanager
def _forgetful(stack: Stack) -> Iterator[None]:
    """Let PostgreSQL not wait for the disk, and have everything on it at the end."""
    settings = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
    with stack.postgres.superuser() as connection:
        for name, value in (settings | {"autovacuum": "off"}).items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CHECKPOINT")
    os.sync()


def let_fail(stack: Stack, subscription: str, count: int) -> None:
    """Let so many of a subscription's deliveries have failed, the newest of them."""
    with stack.connect() as connection:
        failed = connection.execute(
            "UPDATE deliveries_delivery SET status = 'failed', last_outcome = 'http_error', "
            "last_status_code = 500 WHERE id = ANY(ARRAY(SELECT id FROM deliveries_delivery "
            "WHERE subscription_id = %s ORDER BY id DESC LIMIT %s))",
            [subscription, count],
        )
    if failed.rowcount != count:
        raise ValueError(f"there are only {failed.rowcount} deliveries")


def size_gb(stack: Stack) -> float:
    """Return how large the database is, in GB of 2^30 bytes."""
    with stack.connect() as connection:
        cursor = connection.cursor(row_factory=scalar_row)
        size = cursor.execute("SELECT pg_database_size(current_database())").fetchone()
    assert isinstance(size, int)
    return size / 1024**3
