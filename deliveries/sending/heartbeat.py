"""Leaves a sign of life in a file: its time of modification is when somebody last got on.

The pump and beat give the sign, Compose's health checks read it; nobody needs the broker for it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
"""Often enough for checks that think in minutes, seldom enough to cost nothing."""


class Heartbeat:
    """Touches one file once a second, however often it is asked to; without a file it rests."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._next_at = 0.0

    def beat(self) -> None:
        """Say that work goes on; a file that cannot be written is logged and otherwise ignored."""
        now = time.monotonic()
        if self._file is None or now < self._next_at:
            return
        self._next_at = now + EVERY_SECONDS
        try:
            self._file.touch()
        except OSError as error:  # a full disk must not stop deliveries
            logger.warning("no sign of life: %s", error)
