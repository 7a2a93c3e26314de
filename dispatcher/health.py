"""Answers whoever supervises this process: `/healthz` (it runs) and `/readyz` (it can work).

`/readyz` is red (503) when events could not be taken in. What else is amiss is reported and stays
green: without a broker workers poll, and what is overdue is a worker's or a receiver's matter, for
which the API must not go away. Needs no key, so it tells no addresses and no error texts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from celery import current_app
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from deliveries.figures.backlog import oldest_overdue_seconds
from deliveries.models import Worker
from deliveries.upkeep.partitions import days_covered_ahead
from deliveries.workers import LIVING_SECONDS, living_workers

logger = logging.getLogger(__name__)

OVERDUE_LIMIT_SECONDS = 60.0
"""Workers poll every second: what waits this long waits for a worker that is not there."""

PARTITION_DAYS_MIN = 7
"""Half of what workers make ahead: a week is left to find out why they no longer do."""

_QUERY_TIMEOUT_MS = 2000  # a probe that waits longer than its caller tells nothing
_BROKER_TIMEOUT_SECONDS = 0.5
_CACHE_KEY_SECONDS = 10  # nobody reads it: it only has to go by itself


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    is_ok: bool
    is_required: bool
    detail: str


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """Say that this process answers; it asks nobody else."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Say whether this process has what it needs; 503 when something required is missing."""
    checks = readiness_checks()
    is_ready = all(check.is_ok for check in checks.values() if check.is_required)
    return JsonResponse(
        {
            "status": "ok" if is_ready else "unavailable",
            "checks": {name: _shown(check) for name, check in checks.items()},
        },
        status=HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def readiness_checks() -> dict[str, Check]:
    """Look at everything once; takes a few seconds at most, whatever is away."""
    return {**_database_checks(), "broker": _check_broker(), "cache": _check_cache()}


def _shown(check: Check) -> dict[str, object]:
    return {"ok": check.is_ok, "required": check.is_required, "detail": check.detail}


def _database_checks() -> dict[str, Check]:
    """Ask the database in one short transaction; when it is away, all of it is red."""
    try:
        with transaction.atomic():
            limit_query_time()
            days = days_covered_ahead()
            waited_seconds = oldest_overdue_seconds()
            workers = list(living_workers())
    except (DatabaseError, InterfaceError) as error:
        logger.warning("not ready: database: %s", error)
        return {"database": Check(False, True, "does not answer, or is not migrated")}
    return {
        "database": Check(True, True, "answers"),
        "partitions": Check(
            days >= PARTITION_DAYS_MIN, True, f"made {days} days ahead, {PARTITION_DAYS_MIN} needed"
        ),
        "overdue": Check(
            waited_seconds < OVERDUE_LIMIT_SECONDS,
            False,  # events can be taken in without any worker
            f"the oldest due delivery waits for {waited_seconds:.0f} s, "
            f"less than {OVERDUE_LIMIT_SECONDS:.0f} s needed",
        ),
        **_worker_checks(workers),
    }


def _worker_checks(workers: Sequence[Worker]) -> dict[str, Check]:
    """Judge what workers said last; not required, since events are taken in without them."""
    cut_off = sum(worker.own_outage_since is not None for worker in workers)
    return {
        "workers": Check(
            bool(workers), False, f"{len(workers)} made progress in the last {LIVING_SECONDS} s"
        ),
        "egress": Check(cut_off == 0, False, f"{cut_off} workers can reach no receiver at all"),
    }


def limit_query_time() -> None:
    """Let PostgreSQL give up statements of this transaction that take too long."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET LOCAL statement_timeout = {_QUERY_TIMEOUT_MS:d}")


def _check_broker() -> Check:
    return _reaches(_ask_broker, "polling covers it while it is away")


def _check_cache() -> Check:
    """Write, too: a Redis that is full, or read-only after a failover, still answers reads."""
    return _reaches(
        lambda: cache.set("readyz", 1, _CACHE_KEY_SECONDS), "wake-ups are sent without it"
    )


def _reaches(ask: Callable[[], object], without_it: str) -> Check:
    try:
        ask()
    except ResponseError as error:
        logger.warning("takes no writes: %s", error)
        return Check(False, False, f"takes no writes; {without_it}")
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("not reachable: %s", error)
        return Check(False, False, f"does not answer; {without_it}")
    return Check(True, False, "answers")


def _ask_broker() -> None:
    options = {
        **current_app.conf.broker_transport_options,
        "socket_timeout": _BROKER_TIMEOUT_SECONDS,
        "socket_connect_timeout": _BROKER_TIMEOUT_SECONDS,
    }
    with current_app.connection_for_write(
        connect_timeout=_BROKER_TIMEOUT_SECONDS, transport_options=options
    ) as broker:
        # By default kombu waits two seconds and tries again.
        broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
