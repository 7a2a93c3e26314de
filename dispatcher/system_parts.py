"""Finds out what the operator's page shows of the installation, part by part.

Called by `system_page`. Each part asks in a short transaction of its own: when one fails or takes
too long, it says so, and the others are shown.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from deliveries.auditing.audit import Audit, Tally
from deliveries.auditing.report import document_of
from deliveries.figures.backlog import oldest_overdue_seconds
from deliveries.models import Delivery, PeriodicRun, Worker
from deliveries.upkeep import partitions
from deliveries.upkeep.periodic import NEVER
from deliveries.version import VERSION
from deliveries.workers import living_workers
from dispatcher.health import (
    OVERDUE_LIMIT_SECONDS,
    PARTITION_DAYS_MIN,
    limit_query_time,
    readiness_checks,
)

logger = logging.getLogger(__name__)

WORKERS_SHOWN: Final = 100
COUNTED_AT_MOST: Final = 10_000
"""Unfinished deliveries: what is more than that is a number for the figures of a project."""

_ERROR_CHARACTERS: Final = 300

_AUDIT_KEY: Final = "dispatcher.system.audit"
_AUDIT_KEPT_SECONDS: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Part:
    """What was found, or why not."""

    found: Any = None
    failure: str = ""
    """In the words of what failed; empty when nothing did."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent, or is under way."""

    unfinished: int
    is_more: bool
    """There are more than were counted."""
    overdue_seconds: float

    @property
    def is_overdue(self) -> bool:
        """Whether what is due waits for longer than workers need."""
        return self.overdue_seconds >= OVERDUE_LIMIT_SECONDS


@dataclass(frozen=True, slots=True)
class Partitions:
    """The days of history that have their place; on SQLite there is one file for all."""

    is_partitioned: bool
    first: date | None
    last: date | None
    days: int
    gaps: tuple[date, ...]
    """Days in between on which a table has none."""
    days_ahead: int

    @property
    def is_enough(self) -> bool:
        """Whether a week is made ahead, as readiness wants it."""
        return self.days_ahead >= PARTITION_DAYS_MIN


@dataclass(frozen=True, slots=True)
class Run:
    """When a periodic task began last."""

    name: str
    began_at: datetime | None
    has_failed: bool = False
    """The last one did, and is due again at once."""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Software:
    """What runs here, as this process knows it without asking."""

    version: str
    python: str
    django: str
    transport: str
    retention_days: int
    audit_retention_days: int
    broker: str
    cache: str


@dataclass(frozen=True, slots=True)
class Database:
    """Where everything is stored."""

    product: str
    version: str
    name: str
    size_bytes: int


def all_parts() -> dict[str, Part]:
    """Look at everything; takes some seconds at most for each part that does not answer."""
    return {
        "checks": Part(readiness_checks()),
        "workers": _asked(_workers),
        "backlog": _asked(_backlog),
        "partitions": _asked(_partitions),
        "runs": _asked(_periodic_runs),
        "audit": _last_audit(),
        "database": _asked(_database),
        "software": Part(_software()),
    }


def _asked(ask: Callable[[], object]) -> Part:
    """Ask the database, for a short time; nothing that it answers stays open."""
    try:
        with transaction.atomic():
            limit_query_time()
            return Part(ask())
    except (DatabaseError, InterfaceError, OSError) as error:
        logger.warning("the system page lacks a part: %s", error)
        return Part(failure=_in_short(error))


def _in_short(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:_ERROR_CHARACTERS]


# ---- The parts ------------------------------------------------------------------------------


def _workers() -> list[dict[str, Any]]:
    """Return those that are remembered; an old row is a worker's that was killed, or hangs."""
    living = set(living_workers().values_list("id", flat=True)[:WORKERS_SHOWN])
    rows = Worker.objects.order_by("-seen_at")[:WORKERS_SHOWN]
    return [{"row": row, "is_living": row.id in living} for row in rows]


def _backlog() -> Backlog:
    unfinished = Delivery.objects.filter(next_attempt_at__isnull=False).order_by()
    counted = unfinished[: COUNTED_AT_MOST + 1].count()
    return Backlog(
        min(counted, COUNTED_AT_MOST),
        is_more=counted > COUNTED_AT_MOST,
        overdue_seconds=oldest_overdue_seconds(),
    )


def _partitions() -> Partitions:
    ahead = partitions.days_covered_ahead()
    if not partitions.is_partitioned():
        return Partitions(False, None, None, 0, (), ahead)
    existing = set(partitions.existing_partitions())
    days = sorted({partition.day for partition in existing})
    if not days:
        return Partitions(True, None, None, 0, (), ahead)
    span = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    gaps = tuple(
        day
        for day in span
        if any(
            partitions.Partition(day, table) not in existing
            for table in partitions.PARTITIONED_TABLES
        )
    )
    return Partitions(True, days[0], days[-1], len(days), gaps, ahead)


def _periodic_runs() -> list[Run]:
    """Return the periodic tasks, those that never ran among them."""
    began = dict(PeriodicRun.objects.values_list("name", "began_at")[:100])
    names = sorted({*settings.CELERY_BEAT_SCHEDULE, *began})
    return [_run(name, began.get(name)) for name in names]


def _run(name: str, began_at: datetime | None) -> Run:
    if began_at is None:
        return Run(name, None)
    if began_at == NEVER:
        return Run(name, None, has_failed=True)
    late_after = 2 * settings.DISPATCHER_HOUSEKEEPING_EVERY
    return Run(name, began_at, is_late=timezone.now() - began_at > late_after)


def _database() -> Database:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version'), current_database(),"
                " pg_database_size(current_database())"
            )
            version, name, size = cursor.fetchone()
        return Database("PostgreSQL", version, name, size)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()")
        (version,) = cursor.fetchone()
    file = Path(connection.settings_dict["NAME"])
    beside = file.with_name(f"{file.name}-wal")
    size = sum(each.stat().st_size for each in (file, beside) if each.exists())
    return Database("SQLite", version, str(file), size)


def _software() -> Software:
    return Software(
        version=VERSION,
        python=platform.python_version(),
        django=django.get_version(),
        transport=settings.DISPATCHER_TRANSPORT,
        retention_days=settings.DISPATCHER_RETENTION_DAYS,
        audit_retention_days=settings.DISPATCHER_AUDIT_RETENTION_DAYS,
        broker=without_password(settings.CELERY_BROKER_URL),
        cache=str(settings.CACHES["default"]["BACKEND"]).rpartition(".")[2],
    )


def without_password(url: str) -> str:
    """Return scheme, host and port: what stands around them may be a secret."""
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.hostname and parts.port else ""
    except ValueError:  # not one address
        return parts.scheme
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


# ---- The last audit -------------------------------------------------------------------------


def keep_audit(found: Audit) -> dict[str, Any]:
    """Keep what an audit found, for a week, so that the page shows it; return what is kept."""
    document = document_of(found)
    total = sum(found.tallies.values(), Tally())
    kept = {
        "at": timezone.now(),
        "is_balanced": found.is_balanced,
        "is_complete": found.is_complete,
        "since": document["since"],
        "until": document["until"],
        "events": total.events,
        "matched": total.matched,
        "overdue": total.overdue,
        "wrong": [
            row
            for row in document["days"]
            if row["difference"] or row["unbalanced"] or row["strays"]
        ],
    }
    try:
        cache.set(_AUDIT_KEY, kept, _AUDIT_KEPT_SECONDS)
    except (RedisError, OSError) as error:
        logger.warning("an audit's result is not kept: %s", error)
    return kept


def _last_audit() -> Part:
    try:
        return Part(cache.get(_AUDIT_KEY))
    except (RedisError, OSError) as error:
        logger.warning("the system page lacks the last audit: %s", error)
        return Part(failure=_in_short(error))
