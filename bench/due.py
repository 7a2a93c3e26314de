"""Fills the queue: events with a due delivery each, by plain SQL, many thousands in a second.

Used by the cases that send. All deliveries become due at one moment, so that nothing is sent before
everything is there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.projects import EVENT_TYPE, Project
from bench.stack import Stack
from tests.faults.stack import eventually

TEXT_CHARACTERS = 900
"""Of each payload: with the envelope, the body that is sent has 1 KiB."""

_INSERTED_PER_SECOND = 8_000
"""Slower than any machine this ran on; what is due too early spoils the figure: it is checked."""

# Ids of both are PostgreSQL's own UUIDv7.
_FILL = """
WITH made AS MATERIALIZED (
    SELECT n, uuidv7() AS event_id, uuidv7() AS delivery_id, clock_timestamp() AS at
    FROM generate_series(1, %(count)s) AS n
), events AS (
    INSERT INTO deliveries_event
        (id, project_id, type, data, idempotency_key, matched_count, is_test, created_at)
    SELECT event_id, %(project)s, %(type)s,
        '{"n": ' || n || ', "text": "' || repeat('x', %(characters)s) || '"}', '', 1, false, at
    FROM made
)
INSERT INTO deliveries_delivery
    (id, project_id, event_id, subscription_id, event_type, is_test, status, next_attempt_at,
     attempt_count, tries_used, interruptions, last_outcome, end_reason, created_at)
SELECT delivery_id, %(project)s, event_id,
    (%(subscriptions)s::uuid[])[1 + n %% cardinality(%(subscriptions)s::uuid[])], %(type)s, false,
    'pending', to_timestamp(%(due_at)s), 0, 0, 0, '', '', at
FROM made
"""


class TooSlow(RuntimeError):
    """The rows were due before all of them were there."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the deliveries that were due."""

    count: int
    seconds: float
    """From the first attempt's start to the last recording, by what was recorded."""

    @property
    def per_second(self) -> float:
        """Recorded deliveries per second."""
        return self.count / self.seconds


def fill(stack: Stack, project: Project, count: int) -> float:
    """Store events with deliveries, spread over the project's subscriptions.

    Returns when all of them become due, in seconds of Unix time; they are stored by then.
    """
    due_at = time.time() + 1.0 + count / _INSERTED_PER_SECOND
    with stack.connect() as connection:
        connection.execute(
            _FILL,
            {
                "count": count,
                "project": project.id,
                "type": EVENT_TYPE,
                "characters": TEXT_CHARACTERS,
                "subscriptions": list(project.subscriptions),
                "due_at": due_at,
            },
        )
    if time.time() > due_at:
        raise TooSlow(f"{count} deliveries took longer to insert than {_INSERTED_PER_SECOND}/s")
    return due_at


def wait_until_sent(stack: Stack, *, within_seconds: float) -> None:
    """Wait until nothing is unfinished, without making the database work for the answer."""
    with stack.connect() as connection:

        def is_done() -> bool:
            unfinished = connection.execute(
                "SELECT FROM deliveries_delivery WHERE next_attempt_at IS NOT NULL LIMIT 1"
            )
            return unfinished.fetchone() is None

        eventually(is_done, "all is sent", within_seconds=within_seconds, every_seconds=0.25)


def analyze(stack: Stack) -> None:
    """Give the planner statistics of today, as autovacuum does within a minute."""
    with stack.connect() as connection:
        connection.execute(f"ANALYZE {_todays_partitions()}")


def _todays_partitions() -> str:
    tables = ("deliveries_event", "deliveries_delivery", "deliveries_attempt")
    return ", ".join(f"{table}_p{datetime.now(UTC):%Y%m%d}" for table in tables)


def mark_as_retries(stack: Stack, project: Project) -> None:
    """Say of a project's deliveries that each has failed once."""
    with stack.connect() as connection:
        connection.execute(
            "UPDATE deliveries_delivery SET attempt_count = 1, tries_used = 1, "
            "last_outcome = 'http_error', last_status_code = 500 "
            "WHERE project_id = %s AND attempt_count = 0",
            [project.id],
        )


def wait_until_sent_to(stack: Stack, project: Project) -> None:
    """Wait until a project's deliveries have ended."""
    with stack.connect() as connection:

        def is_done() -> bool:
            unfinished = connection.execute(
                "SELECT FROM deliveries_delivery WHERE next_attempt_at IS NOT NULL "
                "AND subscription_id = ANY(%s::uuid[]) LIMIT 1",
                [list(project.subscriptions)],
            )
            return unfinished.fetchone() is None

        eventually(is_done, "all is sent", within_seconds=600, every_seconds=0.5)


def empty_of_unfinished(stack: Stack, project: Project) -> None:
    """Forget what a project still waits for."""
    with stack.connect() as connection:
        connection.execute(
            "DELETE FROM deliveries_delivery WHERE next_attempt_at IS NOT NULL "
            "AND subscription_id = ANY(%s::uuid[])",
            [list(project.subscriptions)],
        )


def read_in_flight(stack: Stack) -> int:
    """Return how many deliveries some worker holds."""
    with stack.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM deliveries_delivery "
            "WHERE next_attempt_at IS NOT NULL AND status = 'sending'"
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


@dataclass(frozen=True, slots=True)
class Written:
    """What PostgreSQL has written to its log, and committed."""

    wal_bytes: float
    commits: float

    def __sub__(self, other: Written) -> Written:
        return Written(self.wal_bytes - other.wal_bytes, self.commits - other.commits)

    def __truediv__(self, number: float) -> Written:
        return Written(self.wal_bytes / number, self.commits / number)


NOTHING = Written(0, 0)


def read_written(stack: Stack) -> Written:
    """Return what has been written so far."""
    with stack.connect() as connection:
        row = connection.execute(
            "SELECT (pg_current_wal_lsn() - '0/0')::float8, xact_commit::float8 "
            "FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return Written(*map(float, map(str, row)))


def read_sent(stack: Stack, *, expected: int) -> Sent:
    """Return what was recorded; raises unless each delivery succeeded at its first attempt."""
    with stack.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE status = 'succeeded'), max(finished_at), "
            "(SELECT count(*) FROM deliveries_attempt), "
            "(SELECT min(started_at) FROM deliveries_attempt) FROM deliveries_delivery"
        ).fetchone()
    assert row is not None
    succeeded, last, attempts, first = row
    if (succeeded, attempts) != (expected, expected):
        raise RuntimeError(f"{succeeded} of {expected} succeeded, in {attempts} attempts")
    return Sent(expected, (last - first).total_seconds())  # type: ignore[operator]  # datetimes


def empty_today(stack: Stack) -> None:
    """Forget today's events, deliveries and attempts; where history was made, it stays."""
    with stack.connect() as connection:
        connection.execute(f"TRUNCATE {_todays_partitions()}")
