"""Which workers there are, and whether each makes progress: one row per process that sends.

The pump writes its row every few seconds, through the same thread and database that it works with:
a row that is fresh means that deliveries are looked for. Readiness and pages read them.
"""

from __future__ import annotations

import logging
import os
import socket
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from deliveries.clock import ahead_of_database
from deliveries.models import Worker
from deliveries.version import VERSION
from subscriptions.ids import new_id

logger = logging.getLogger(__name__)

REPORT_SECONDS: Final = 5.0

LIVING_SECONDS: Final = 30
"""A worker that has not reported for so long is hung, gone, or cut off from the database."""

_REMEMBERED_DAYS: Final = 1
"""How long the row of a worker that was killed may tell when that was."""

CLOCK_LIMIT_SECONDS: Final = 5.0
"""Signatures carry this machine's time, and receivers refuse what is minutes old."""


class Reporter:
    """This process's row."""

    def __init__(self) -> None:
        self._id: UUID = new_id()
        self._warned_of_clock = False

    def report(self, *, in_flight: int, own_outage_since: datetime | None) -> None:
        """Say that this worker makes progress; `own_outage_since` while it reaches nobody."""
        state = {
            "seen_at": Now(),
            "in_flight": in_flight,
            "own_outage_since": own_outage_since,
        }
        mine = Worker.objects.filter(id=self._id)
        if not mine.update(**state):
            _forget_the_dead()
            Worker.objects.create(
                id=self._id,
                host=socket.gethostname()[:255],
                pid=os.getpid(),
                version=VERSION,
                **state,
            )
        self._check_clock()

    def leave(self) -> None:
        """Take the row away: this worker has ended in order."""
        Worker.objects.filter(id=self._id).delete()

    def _check_clock(self) -> None:
        ahead_seconds = ahead_of_database().total_seconds()
        is_wrong = abs(ahead_seconds) > CLOCK_LIMIT_SECONDS
        if is_wrong and not self._warned_of_clock:
            logger.warning(
                "this machine's clock is %.0f s ahead of the database's: receivers may refuse "
                "signatures as too old or too new",
                ahead_seconds,
            )
        self._warned_of_clock = is_wrong


def living_workers() -> QuerySet[Worker]:
    """Return the workers that reported lately, by the database's clock."""
    return Worker.objects.filter(seen_at__gt=Now() - timedelta(seconds=LIVING_SECONDS))


def _forget_the_dead() -> None:
    Worker.objects.filter(seen_at__lt=Now() - timedelta(days=_REMEMBERED_DAYS)).delete()
