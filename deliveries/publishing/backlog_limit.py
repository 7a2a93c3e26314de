"""Refuses events when too many deliveries of their project are unfinished: back-pressure.

Called by ingest before it stores. The figure is an estimate: of all processes one counts every few
seconds, and each adds what it has stored itself since. Redeliveries and tests are not refused;
recoveries wait.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from deliveries.publishing.unfinished_count import count_unfinished
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
    cancelled.
    """
    limit = settings.DISPATCHER_UNFINISHED_LIMIT
    if limit and deliveries:
        figures.add(project_id, subscriptions, deliveries=deliveries, limit=limit)


def leave_room(project_id: int, *, deliveries: int) -> None:
    """Undo `make_room` for deliveries that were not stored after all."""
    if settings.DISPATCHER_UNFINISHED_LIMIT and deliveries:
        figures.subtract(project_id, deliveries=deliveries)


def make_room_for_recovery(
    project_id: int, subscriptions: Collection[UUID], *, deliveries: int
) -> None:
    """Do as `make_room`, but leave half of the room to what is published."""
    limit = settings.DISPATCHER_UNFINISHED_LIMIT
    if limit and deliveries:
        figures.add(project_id, subscriptions, deliveries=deliveries, limit=limit, share=0.5)


class BacklogFigures:
    """The figures of one process, for all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[int, _Figure] = {}
        self._breaker = Breaker(
            logger,
            errors=(RedisError, OSError),
            away="cache unreachable, each process counts what is unfinished",
            back="cache reachable again, one process counts what is unfinished",
        )

    def add(
        self,
        project_id: int,
        subscriptions: Collection[UUID],
        *,
        deliveries: int,
        limit: int,
        share: float = 1.0,
    ) -> None:
        """See `make_room`; `share` is the part of the limit that may be used."""
        figure = self._figure_of(project_id)
        if self._is_mine_to_renew(figure):
            self._renew(figure, project_id, subscriptions, at_most=limit + 1)
        with self._lock:
            if figure.unfinished + deliveries > limit * share:
                wait_seconds = math.ceil(max(1.0, figure.good_until - time.monotonic()))
                raise BacklogFull(limit, wait_seconds)
            figure.unfinished += deliveries

    def subtract(self, project_id: int, *, deliveries: int) -> None:
        """See `leave_room`; a count made in between may leave the figure too low, for seconds."""
        figure = self._figure_of(project_id)
        with self._lock:
            figure.unfinished = max(0, figure.unfinished - deliveries)

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
        ask = self._breaker.ask  # while the cache is away every process counts for itself
        if not ask(lambda: cache.add(turn, 1, HOLD_SECONDS), default=True):
            counted = ask(lambda: cache.get(key), default=None)
            good_seconds = HOLD_SECONDS
        else:
            began_at = time.monotonic()
            counted = count_unfinished(subscriptions, at_most=at_most)
            good_seconds = max(HOLD_SECONDS, _REST_FACTOR * (time.monotonic() - began_at))
            ask(lambda: cache.set(key, counted, _REMEMBERED_SECONDS), default=None)
            ask(lambda: cache.set(turn, 1, good_seconds), default=None)
        with self._lock:
            figure.good_until = time.monotonic() + good_seconds
            if counted is not None:
                figure.unfinished = counted


figures = BacklogFigures()
