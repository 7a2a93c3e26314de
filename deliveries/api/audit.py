"""Route of the audit: whether a project's events have all of their deliveries.

Counting costs the database something, so one request has a few seconds, a project has at most a
fifth of one database connection's time, and a web process counts for one request at once.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http import HTTPStatus

from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.audit import audit
from deliveries.audit_report import document_of
from subscriptions.models import Project
from subscriptions.problems import Problem
from subscriptions.project_view import ProjectView
from subscriptions.strict_fields import StrictSerializer, Text, read_query

logger = logging.getLogger(__name__)

DAYS_DEFAULT = 7
DAYS_MAX = 31

BUDGET_SECONDS = 3.0
"""What is not judged by then is left out: some 200,000 deliveries are (docs/adr/0010)."""

_REST_FACTOR = 4
"""After counting for a second, a project waits for four."""

_RUNNING_SECONDS = 15
"""How long a process that died in the midst of it keeps its project waiting."""

_place = threading.BoundedSemaphore(1)


class AuditQuery(StrictSerializer):
    """The query parameters."""

    unknown_message = "There is no such parameter."

    since = Text(required=False)

    def validate_since(self, text: str) -> date:
        """Return the day, if it is one of the last `DAYS_MAX`."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise serializers.ValidationError(
                "This is not a UTC day such as 2026-01-31.", "invalid"
            ) from None
        if not _days_ago(DAYS_MAX) <= day <= timezone.now().date():
            raise serializers.ValidationError(
                f"This must be a day from {DAYS_MAX} days ago until today.", "out_of_range"
            )
        return day


class AuditDetail(ProjectView):
    """`/projects/{project}/audit`."""

    scopes = {"GET": "read"}

    def get(self, request: Request, **_ids: str) -> Response:
        """Count the days from `since` on; by default, the last seven."""
        since = read_query(request, AuditQuery).get("since") or _days_ago(DAYS_DEFAULT - 1)
        with _turn(self.project):
            found = audit(project=self.project, since=since, budget_seconds=BUDGET_SECONDS)
        return Response(document_of(found))


def _days_ago(days: int) -> date:
    return timezone.now().date() - timedelta(days=days)


@contextmanager
def _turn(project: Project) -> Iterator[None]:
    """Hold this process's place and the project's turn; raises a 429 when either is taken.

    Turns are kept in the cache. While that is away the places alone limit what audits cost.
    """
    if not _place.acquire(blocking=False):
        raise _try_again(math.ceil(BUDGET_SECONDS))
    try:
        key = f"deliveries.audit:{project.pk}"
        if not _ask_cache(lambda: cache.add(key, 1, _RUNNING_SECONDS)):
            raise _try_again(math.ceil(BUDGET_SECONDS * _REST_FACTOR))
        started_at = time.monotonic()
        try:
            yield
        finally:
            rest_seconds = _REST_FACTOR * (time.monotonic() - started_at)
            _ask_cache(lambda: cache.set(key, 1, int(rest_seconds)))  # 0 forgets it at once
    finally:
        _place.release()


def _ask_cache(question: Callable[[], bool | None]) -> bool | None:
    try:
        return question()
    except (RedisError, OSError) as error:
        logger.warning("audits are not counted, the cache does not answer: %s", error)
        return True


def _try_again(seconds: int) -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "An audit takes the database some time: try again in a few seconds.",
        headers={"Retry-After": str(seconds)},
    )
