"""Answers 429 at once where a costly request has no place, or it is not its project's turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deliveries import costly_requests
from deliveries.costly_requests import Busy, Kind
from subscriptions.models import Project
from subscriptions.rest.rates import too_many


@contextmanager
def turn(project: Project, kind: Kind) -> Iterator[None]:
    """Hold a turn as `costly_requests.turn` does; raises a 429 `busy`."""
    try:
        with costly_requests.turn(project, kind):
            yield
    except Busy as busy:
        raise too_many("busy", str(busy), busy.wait_seconds) from None
