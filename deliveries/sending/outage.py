"""Paces the pump while our own network is down: a few deliveries at a time feel the way.

Called by the pump for every exchange. Pure, but for the log: the alarm that nothing can be sent.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from deliveries.sending.transport import Exchange, Outcome

logger = logging.getLogger(__name__)

FEELERS: Final = 5
"""Deliveries per claim in an outage: each leaves an attempt in its history."""

FEEL_EVERY_SECONDS: Final = 2.0


class Outage:
    """Whether our own network or resolver is down, as far as this worker can tell."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self._unresolved_at: datetime | None = None
        """When our resolver last failed, if that is what this outage is."""
        self._excused = 0

    def note(self, exchange: Exchange) -> None:
        """Learn from how an attempt ended.

        Any answer ends an outage of the network. One of the resolver ends with a look-up that
        worked, since some receivers need none, or with `note_resolver_works`.
        """
        if exchange.is_own_outage:
            self._begin(exchange)
        elif self.since is not None and self._is_over(exchange):
            self._end(self.since)

    @property
    def is_of_resolver(self) -> bool:
        """Whether names cannot be resolved: whoever has an address may be reached all the same."""
        return self._unresolved_at is not None

    def note_resolver_works(self) -> None:
        """End an outage that `is_of_resolver`: nobody may need it for a long time."""
        if self.since is not None:
            self._end(self.since)

    def _end(self, since: datetime) -> None:
        seconds = (timezone.now() - since).total_seconds()
        logger.warning("own outage over after %.0f s, %d attempts", seconds, self._excused)
        self.since = self._unresolved_at = None
        self._excused = 0

    def _begin(self, exchange: Exchange) -> None:
        if self.since is None:
            self.since = timezone.now()
            logger.error(
                "own outage: this worker reaches nobody; deliveries stay pending (%s)",
                exchange.operator_detail,
            )
            if _is_unresolved(exchange):
                self._unresolved_at = self.since
        elif self._unresolved_at is not None and _is_unresolved(exchange):
            self._unresolved_at = timezone.now()
        self._excused += 1

    def _is_over(self, exchange: Exchange) -> bool:
        if self._unresolved_at is None:
            return exchange.status_code is not None
        # What became of the look-up, or of the attempt after it, is the receiver's affair.
        resolved_at = _resolved_at(exchange)
        return resolved_at is not None and resolved_at > self._unresolved_at


def _is_unresolved(exchange: Exchange) -> bool:
    """Tell whether it came no further than the look-up of a name."""
    is_unsent = exchange.outcome is Outcome.OWN_OUTAGE and exchange.remote_address is None
    return is_unsent and exchange.request.url.address is None


def _resolved_at(exchange: Exchange) -> datetime | None:
    """Return when its look-up ended; `None` if it needed none, or the name was remembered."""
    if not exchange.dns_ms:
        return None
    return timezone.now() - timedelta(milliseconds=exchange.duration_ms - exchange.dns_ms)
