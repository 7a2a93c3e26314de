"""Leaves a server alone that does not answer: after a failure one caller tries, every few seconds.

Held by whoever can go on without that server: wake-ups (workers poll) and rate limits (all pass).
"""

from __future__ import annotations

import logging
import threading
import time

BREAK_SECONDS = 5.0
"""Between two tries. A try may wait for a timeout, so one thread at a time makes it."""


class Breaker:
    """For all threads of this process; logs once that the server is away, once that it is back."""

    def __init__(self, logger: logging.Logger, *, away: str, back: str) -> None:
        """Take what to log: `away` as a warning, with the error, and `back`."""
        self._logger = logger
        self._away = away
        self._back = back
        self._lock = threading.Lock()
        self._is_tripped = False
        self._next_try_at = 0.0

    @property
    def is_tripped(self) -> bool:
        """Whether the last try failed."""
        return self._is_tripped

    def allows(self) -> bool:
        """Say whether to try; while the server is away, that is a turn which the caller takes."""
        if not self._is_tripped:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._next_try_at:
                return False
            self._next_try_at = now + BREAK_SECONDS
            return True

    def trip(self, error: Exception) -> None:
        """Note that the server failed."""
        with self._lock:
            was_tripped, self._is_tripped = self._is_tripped, True
            self._next_try_at = time.monotonic() + BREAK_SECONDS
        if not was_tripped:
            self._logger.warning("%s: %s", self._away, error)

    def mend(self) -> None:
        """Note that the server answered."""
        if not self._is_tripped:
            return
        with self._lock:
            was_tripped, self._is_tripped = self._is_tripped, False
        if was_tripped:
            self._logger.warning("%s", self._back)
