"""Does recoveries in a worker process, on a thread beside the pump's: neither waits for the other.

Started and stopped by the worker (`dispatcher.celery`). It needs neither broker nor beat.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from django.db import connection

from deliveries.recoveries.run import UNAVAILABLE, is_any_running, run_next_batch

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 1.0
"""How soon a new recovery is found."""

WAITING_SECONDS: Final = 0.2
"""Between looks while a recovery waits for its rate or for receivers."""

AWAY_SECONDS: Final = 3.0
"""Between tries while the database is away."""


class RecoveryThread(threading.Thread):
    """Does what is due until it is stopped; start it once."""

    def __init__(self) -> None:
        super().__init__(name="recoveries", daemon=True)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin no further batch; one takes a fraction of a second."""
        self._stopping.set()

    def run(self) -> None:
        """Look again and again."""
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self._look())
        finally:
            connection.close()  # this thread's

    def _look(self) -> float:
        """Do what is due; return how long to rest."""
        try:
            if not is_any_running():
                return IDLE_SECONDS
            while not self._stopping.is_set() and run_next_batch():
                pass
        except UNAVAILABLE as error:
            logger.warning("database unavailable, recoveries wait: %s", error)
            connection.close()  # the next look connects anew
            return AWAY_SECONDS
        except Exception:  # the thread's border: it must outlive whatever one look meets
            logger.exception("recoveries wait")
            connection.close()
            return AWAY_SECONDS
        return WAITING_SECONDS
