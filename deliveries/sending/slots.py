"""Shares a worker's requests in flight among subscriptions, so that the slow cannot crowd out the
healthy.

Called by the pump. Pure: it is told the time. Each subscription has a cap; those that struggle
(failing, slow, or silent for a while) share at most half of all slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

STRUGGLING_AFTER_SECONDS = 1.0
"""An answer that takes longer, or silence for longer, makes a subscription count as struggling."""

_FORGET_AFTER_SECONDS = 60.0
"""A struggling subscription with nothing in flight is given a fresh start after this long."""


@dataclass(slots=True)
class _Load:
    in_flight: int = 0
    is_struggling: bool = False
    changed_at: float = 0.0
    """When something last came back, or began while nothing was in flight."""

    def struggles(self, now: float) -> bool:
        is_silent = self.in_flight > 0 and now - self.changed_at > STRUGGLING_AFTER_SECONDS
        return self.is_struggling or is_silent


class Slots:
    """Who has how many requests in flight; times are seconds on the monotonic clock."""

    def __init__(self, *, limit: int, per_subscription: int) -> None:
        self.limit = limit
        self.per_subscription = per_subscription
        self._loads: dict[UUID, _Load] = {}
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests under way in all."""
        return self._in_flight

    @property
    def free(self) -> int:
        """Requests that may be begun now."""
        return self.limit - self._in_flight

    def take(self, subscription_id: UUID, *, now: float) -> None:
        """Begin a request."""
        load = self._loads.setdefault(subscription_id, _Load())
        if load.in_flight == 0:
            load.changed_at = now
        load.in_flight += 1
        self._in_flight += 1

    def release(
        self, subscription_id: UUID, *, has_succeeded: bool, seconds: float, now: float
    ) -> None:
        """End a request that took so many seconds."""
        load = self._loads[subscription_id]
        load.in_flight -= 1
        self._in_flight -= 1
        load.changed_at = now
        load.is_struggling = not has_succeeded or seconds > STRUGGLING_AFTER_SECONDS
        if load.in_flight == 0 and not load.is_struggling:
            del self._loads[subscription_id]

    def busy(self, *, now: float) -> set[UUID]:
        """Return the subscriptions that may begin nothing now."""
        self._forget_idle(now)
        struggling = {key for key, load in self._loads.items() if load.struggles(now)}
        struggling_in_flight = sum(self._loads[key].in_flight for key in struggling)
        full = {key for key, load in self._loads.items() if load.in_flight >= self.per_subscription}
        return full | struggling if struggling_in_flight >= self.limit // 2 else full

    def _forget_idle(self, now: float) -> None:
        idle = [
            key
            for key, load in self._loads.items()
            if load.in_flight == 0 and now - load.changed_at > _FORGET_AFTER_SECONDS
        ]
        for key in idle:
            del self._loads[key]
