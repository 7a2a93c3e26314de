"""Leaves a server alone that does not answer: after a failure one caller tries, every few seconds.

Held by whoever can go on without that server: wake-ups (workers poll), rate limits (all pass), and
counts that processes otherwise share.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")
_Default = TypeVar("_Default")

BREAK_SECONDS = 5.0
"""Between two tries. A try may wait for a timeout, so one thread at a time makes it."""


class Breaker:
    """For all threads of this process; logs once that the server is away, once that it is back."""

    def __init__(
        self,
        logger: logging.Logger,
        *,
        errors: tuple[type[Exception], ...],
        away: str,
        back: str,
    ) -> None:
        """Take which errors say that the server is away, and what to log then and afterwards."""
        self._logger = logger
        self._errors = errors
        self._away = away
        self._back = back
        self._lock = threading.Lock()
        self._is_tripped = False
        self._next_try_at = 0.0

    @property
    def is_tripped(self) -> bool:
        """Whether the last try failed."""
        return self._is_tripped

    def ask(self, question: Callable[[], _Answer], *, default: _Default) -> _Answer | _Default:
        """Return what the server answers; `default`, at once if possible, while it is away."""
        if not self._take_turn():
            return default
        try:
            answer = question()
        except self._errors as error:
            self._trip(error)
            return default
        self._mend()
        return answer

    def _take_turn(self) -> bool:
        """Say whether to try; while the server is away, one caller has the turn."""
        if not self._is_tripped:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._next_try_at:
                return False
            self._next_try_at = now + BREAK_SECONDS
            return True

    def _trip(self, error: Exception) -> None:
        with self._lock:
            was_tripped, self._is_tripped = self._is_tripped, True
            self._next_try_at = time.monotonic() + BREAK_SECONDS
        if not was_tripped:
            self._logger.warning("%s: %s", self._away, error)

    def _mend(self) -> None:
        if not self._is_tripped:
            return
        with self._lock:
            was_tripped, self._is_tripped = self._is_tripped, False
        if was_tripped:
            self._logger.warning("%s", self._back)
