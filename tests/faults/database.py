"""Reads a run's rows out of the product's database, with SQL of its own: no model is believed."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tests.faults.evidence import AttemptRow, DeliveryRow, SubscriptionRow

_PROJECT = "(SELECT id FROM subscriptions_project WHERE slug = {slug})"
_SUBSCRIPTIONS = f"""
SELECT id, url FROM subscriptions_subscription WHERE project_id = {_PROJECT}
"""  # noqa: S608  # our own text
_DELIVERIES = f"""
SELECT id, event_id, subscription_id, status, attempt_count, end_reason,
    CASE WHEN next_attempt_at IS NULL THEN 0 ELSE {{overdue}} END
FROM deliveries_delivery WHERE project_id = {_PROJECT}
"""  # noqa: S608  # our own text
_ATTEMPTS = f"""
SELECT attempt.delivery_id, attempt.number, attempt.outcome, attempt.started_at,
    attempt.duration_ms, attempt.request_headers, attempt.error
FROM deliveries_attempt AS attempt JOIN deliveries_delivery AS delivery
    ON delivery.id = attempt.delivery_id
WHERE delivery.project_id = {_PROJECT} ORDER BY attempt.delivery_id, attempt.number
"""  # noqa: S608  # our own text


class Database(Protocol):
    """What the rig asks of either database."""

    def subscriptions(self, slug: str) -> list[SubscriptionRow]: ...
    def deliveries(self, slug: str) -> list[DeliveryRow]: ...
    def attempts(self, slug: str) -> list[AttemptRow]: ...
    def count(self, slug: str, *statuses: str) -> int:
        """Count the deliveries in these states."""

    def execute(self, sql: str, *parameters: str) -> None:
        """Change rows by hand; `{mark}` stands for a parameter."""

    def connections(self) -> int:
        """Count the product's connections."""


class _Reader(ABC):
    """The reading, but for how a query is run and how the two dialects differ."""

    overdue: str
    """SQL for how many seconds a delivery is overdue."""
    placeholder: str

    @abstractmethod
    def query(self, sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Run a query in the database's own dialect; return its rows."""

    def subscriptions(self, slug: str) -> list[SubscriptionRow]:
        rows = self._ask(_SUBSCRIPTIONS, slug)
        return [SubscriptionRow(_hex(identifier), url) for identifier, url in rows]

    def deliveries(self, slug: str) -> list[DeliveryRow]:
        return [
            DeliveryRow(
                id=_hex(row[0]),
                event_id=_hex(row[1]),
                subscription_id=_hex(row[2]),
                status=row[3],
                attempt_count=row[4],
                end_reason=row[5],
                overdue_seconds=float(row[6]),
            )
            for row in self._ask(_DELIVERIES, slug)
        ]

    def attempts(self, slug: str) -> list[AttemptRow]:
        return [
            AttemptRow(
                delivery_id=_hex(delivery_id),
                number=number,
                outcome=outcome,
                started_at=_moment(started_at),
                duration_ms=duration_ms,
                signature=_signature(headers),
                error=error,
            )
            for delivery_id, number, outcome, started_at, duration_ms, headers, error in self._ask(
                _ATTEMPTS, slug
            )
        ]

    def count(self, slug: str, *statuses: str) -> int:
        marks = ", ".join([self.placeholder] * len(statuses))
        where = f"project_id = {_PROJECT} AND status IN ({marks})"
        sql = f"SELECT count(*) FROM deliveries_delivery WHERE {where}"  # noqa: S608  # our own
        return int(self._ask(sql, slug, *statuses)[0][0])

    def _ask(self, sql: str, slug: str, *more: str) -> Sequence[tuple[Any, ...]]:
        return self.query(sql.format(slug=self.placeholder, overdue=self.overdue), slug, *more)


class PostgresDatabase(_Reader):
    """Over a connection of its own for each question: the server may have been away."""

    overdue = "extract(epoch FROM statement_timestamp() - next_attempt_at)"
    placeholder = "%s"

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def execute(self, sql: str, *parameters: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.format(mark="%s").encode(), parameters)

    def connections(self) -> int:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user"
        return int(self.query(f"{sql} AND pid <> pg_backend_pid()")[0][0])


class SqliteDatabase(_Reader):
    """Over a read-only connection; a reader never holds up SQLite's writers in WAL mode."""

    overdue = "(julianday('now') - julianday(next_attempt_at)) * 86400"
    placeholder = "?"

    def __init__(self, path: Path) -> None:
        self.path = path

    def query(self, sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def execute(self, sql: str, *parameters: str) -> None:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                connection.execute(sql.format(mark="?"), parameters)
        finally:
            connection.close()

    def connections(self) -> int:
        return 0  # they are files, and counted as descriptors

    def complaint(self) -> str:
        """Say what PRAGMA integrity_check finds; empty when the file is sound."""
        words = str(self.query("PRAGMA integrity_check")[0][0])
        return "" if words == "ok" else words


def _hex(value: object) -> str:
    return str(value).replace("-", "")


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _signature(headers: str) -> str:
    """The same two headers that make up `Receipt.signature`."""
    found = dict(line.split(": ", 1) for line in headers.split("\n") if ": " in line)
    lower = {name.lower(): value for name, value in found.items()}
    if "webhook-id" not in lower:
        return ""
    return f"{lower.get('webhook-timestamp')} {lower.get('webhook-signature')}"
