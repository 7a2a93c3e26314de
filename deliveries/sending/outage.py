"""Paces the pump while our own network is down: a few deliveries at a time feel the way.

Called by the pump for every exchange. Pure, but for the log: the alarm that nothing can be sent.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from django.utils import timezone

from deliveries.sending.transport import Exchange

logger = logging.getLogger(__name__)

FEELERS: Final = 5
"""Deliveries per claim in an outage: each leaves an attempt in its history."""

FEEL_EVERY_SECONDS: Final = 2.0


class Outage:
    """Whether our own network is down, as far as this worker can tell."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self._excused = 0

    def note(self, exchange: Exchange) -> None:
        """Learn from how an attempt ended: any answer ends the outage."""
        if exchange.is_own_outage:
            if self.since is None:
                self.since = timezone.now()
                logger.error(
                    "own outage: this worker reaches nobody; deliveries stay pending (%s)",
                    exchange.operator_detail,
                )
            self._excused += 1
        elif self.since is not None and exchange.status_code is not None:
            seconds = (timezone.now() - self.since).total_seconds()
            logger.warning("own outage over after %.0f s, %d attempts", seconds, self._excused)
            self.since = None
            self._excused = 0
