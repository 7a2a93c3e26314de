"""Refuses events when too many deliveries of their project are unfinished: back-pressure.

Called by ingest before it stores. The figure is an estimate: of all processes one counts every few
seconds, and each adds what it has stored itself since. Redeliveries and tests are not refused.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from deliveries.unfinished_count import count_unfinished
from subscriptions.breaker import Breaker

logger = logging.getLogger(__name__)

HOLD_SECONDS: Final = 5.0
"""How long a count is good for, at the least."""

_REST_FACTOR: Final = 20
"""A count that takes 0.5 s is good for 10 s: a twentieth of one connection's time is for it."""

_REMEMBERED_SECONDS: Final = 120
"""How long other processes find the last count."""

_PROJECTS_AT_MOST: Final = 10_000
"""Figures in memory; beyond that they are read again."""


class BacklogFull(Exception):
    """The project has too many unfinished deliveries; nothing was stored. Try again later."""

    def __init__(self, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"More than {limit} deliveries of the project would be unfinished: try again in "
            f"{retry_after_seconds} s, or see why its receivers do not take them."
        )
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class _Figure:
    """What this process believes of one project."""

    unfinished: int = 0
    good_until: float = 0.0
    """On `time.monotonic()`."""


def make_room(project_id: int, subscriptions: Collection[UUID], *, deliveries: int) -> None:
    """Note that so many deliveries are about to be stored; raises `BacklogFull` and notes nothing.

    `subscriptions` are those of the project that may get any: what waits for others is being
    cancelled. Call it inside the transaction that stores.
    """
    limit = settings.DISPATCHER_UNFINISHED_LIMIT
    if limit and deliveries:
        figures.add(project_id, subscriptions, deliveries=deliveries, limit=limit)


class BacklogFigures:
    """The figures of one process, for all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[int, _Figure] = {}
        self._breaker = Breaker(
            logger,
            away="cache unreachable, each process counts what is unfinished",
            back="cache reachable again, one process counts what is unfinished",
        )

    def add(
        self, project_id: int, subscriptions: Collection[UUID], *, deliveries: int, limit: int
    ) -> None:
        """See `make_room`."""
        figure = self._figure_of(project_id)
        if self._is_mine_to_renew(figure):
            self._renew(figure, project_id, subscriptions, at_most=limit + 1)
        with self._lock:
            if figure.unfinished + deliveries > limit:
                wait_seconds = math.ceil(max(1.0, figure.good_until - time.monotonic()))
                raise BacklogFull(limit, wait_seconds)
            figure.unfinished += deliveries

    def _figure_of(self, project_id: int) -> _Figure:
        with self._lock:
            if len(self._figures) >= _PROJECTS_AT_MOST:
                self._figures.clear()
            return self._figures.setdefault(project_id, _Figure())

    def _is_mine_to_renew(self, figure: _Figure) -> bool:
        """Say whether the figure is old and nobody is at it; others go on with the old one."""
        now = time.monotonic()
        with self._lock:
            if now < figure.good_until:
                return False
            figure.good_until = now + HOLD_SECONDS
            return True

    def _renew(
        self, figure: _Figure, project_id: int, subscriptions: Collection[UUID], *, at_most: int
    ) -> None:
        """Count, or take what another process has counted within the time that it is good."""
        turn, key = f"deliveries.counting:{project_id}", f"deliveries.unfinished:{project_id}"
        if not self._ask(lambda: cache.add(turn, 1, HOLD_SECONDS), default=True):
            counted = self._ask(lambda: cache.get(key), default=None)
            good_seconds = HOLD_SECONDS
        else:
            began_at = time.monotonic()
            counted = count_unfinished(subscriptions, at_most=at_most)
            good_seconds = max(HOLD_SECONDS, _REST_FACTOR * (time.monotonic() - began_at))
            self._ask(lambda: cache.set(key, counted, _REMEMBERED_SECONDS), default=None)
            self._ask(lambda: cache.set(turn, 1, good_seconds), default=None)
        with self._lock:
            figure.good_until = time.monotonic() + good_seconds
            if counted is not None:
                figure.unfinished = counted

    def _ask(self, question: Callable[[], Any], *, default: Any) -> Any:
        """Ask the cache; while it is away every process counts for itself."""
        if not self._breaker.allows():
            return default
        try:
            answer = question()
        except (RedisError, OSError) as error:
            self._breaker.trip(error)
            return default
        self._breaker.mend()
        return answer


figures = BacklogFigures()
