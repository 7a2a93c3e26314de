"""Keeps requests that take long from taking all threads of a web process, or the database's time.

A process has few places for all of them together, and nobody waits for one: so publishing always
finds a thread. For some kinds, a project makes one request at a time, with a rest after a long one.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache
from redis.exceptions import RedisError

from subscriptions.breaker import Breaker
from subscriptions.models import Project

logger = logging.getLogger(__name__)

PLACES: Final = 4
"""Of one process, for waits, audits, figures, previews, estimates, checks of URLs and signatures:
half of the threads that it has as delivered (`docker-compose.yml`). Exports have two more
(`pages.export`)."""

_RUNNING_SECONDS: Final = 15
"""How long a process that died in the midst of it keeps its project waiting."""

_places = threading.BoundedSemaphore(PLACES)


def make_breaker() -> Breaker:
    """Make what keeps costly requests from waiting for a cache that is away."""
    return Breaker(
        logger,
        errors=(RedisError, OSError),
        away="cache unreachable, audits and figures are limited by each process alone",
        back="cache reachable again, projects take turns at audits and figures",
    )


breaker = make_breaker()


@dataclass(frozen=True, slots=True)
class Kind:
    """What a project does one of at a time."""

    name: str
    longest_seconds: float
    """What one may take."""
    rest_factor: float = 1.0
    """After one of a second, the project rests for so many seconds."""
    least_rest_seconds: int = 0


FIGURES: Final = Kind("figures", longest_seconds=2)
ESTIMATES: Final = Kind("estimates", longest_seconds=2)
"""A recovery that is asked for is estimated, too."""
SIGNATURE_CHECKS: Final = Kind("signature-checks", longest_seconds=2)
"""A long body is signed in hundreds of ways."""


class Busy(Exception):
    """No place is free, or it is not the project's turn; `str()` is a sentence for customers."""

    sentence = "Too many requests that take long: try again in {wait_seconds} s."

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(self.sentence.format(wait_seconds=wait_seconds))
        self.wait_seconds = wait_seconds


@contextmanager
def place() -> Iterator[bool]:
    """Take one of this process's places, as long as the block lasts; gives whether one was free."""
    is_free = _places.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _places.release()


@contextmanager
def turn(project: Project | None, kind: Kind, *, owner: str = "") -> Iterator[None]:
    """Hold the project's turn and one of this process's places; raises `Busy`, and never waits.

    `None` is the operator, who asks about all projects and has a turn of their own. So has an
    `owner` within a project: when others ask is none of a visitor's business who sees part of it.
    Turns are kept in the cache. While that is away the places alone limit what this costs.
    """
    with place() as has_place:
        if not has_place:
            raise Busy(math.ceil(kind.longest_seconds))
        key = f"deliveries.turn:{kind.name}:{project.pk if project else 'all'}:{owner}"
        if not breaker.ask(lambda: cache.add(key, 1, _RUNNING_SECONDS), default=True):
            raise Busy(max(1, math.ceil(kind.longest_seconds * kind.rest_factor)))
        started_at = time.monotonic()
        try:
            yield
        finally:
            rested = int(kind.rest_factor * (time.monotonic() - started_at))
            rest_seconds = max(rested, kind.least_rest_seconds)
            breaker.ask(lambda: cache.set(key, 1, rest_seconds), default=None)  # 0 forgets at once
