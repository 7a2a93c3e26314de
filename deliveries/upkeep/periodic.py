"""Runs periodic work once per period, however many ask: beats, workers, an operator by hand.

Called by the tasks that beat starts and by each worker's timer. Who moves the time of the last run
runs; that row outlives restarts, and the database's clock tells.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models.functions import Now

from deliveries.models import PeriodicRun

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Of what is due at once: it failed, or its first run is about to begin."""

_EARLY: Final = 0.9
"""Of the period: who asks every hour asks a little sooner or later each time."""


def run_once(name: str, action: Callable[[], object], *, every: timedelta) -> bool:
    """Run the action unless somebody did within the period; return whether this call did.

    An action that fails is due again at once; its exception is raised.
    """
    PeriodicRun.objects.get_or_create(name=name, defaults={"began_at": NEVER})
    mine = PeriodicRun.objects.filter(name=name)
    if not mine.filter(began_at__lte=Now() - every * _EARLY).update(began_at=Now()):
        return False
    try:
        action()
    except BaseException:
        mine.update(began_at=NEVER)
        raise
    return True
