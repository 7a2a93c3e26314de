"""Shares a worker's requests in flight among subscriptions, so that the slow cannot crowd out the
healthy.

Called by the pump. Pure: it is told the time. Each subscription has a cap, a low one until its
receiver has been heard; those that struggle (failing, slow, or silent for a while) share at most
half of all slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

STRUGGLING_AFTER_SECONDS = 1.0
"""An answer that takes longer, or silence for longer, makes a subscription count as struggling."""

UNHEARD_IN_FLIGHT = 8
"""Of a subscription whose receiver has not been heard yet. By the time that silence counts, some
dozens that hang, or whose names nobody answers, would have taken all slots for five seconds."""

_FORGET_AFTER_SECONDS = 60.0
"""A struggling subscription with nothing in flight is given a fresh start after this long."""

BEGUN_PER_TURN = 32
"""Requests begun before looking at what came back: composing 500 in one go takes 50 ms, by which
everything in flight would seem slower than it is."""

ENOUGH_UNDER_WAY = 64
"""Requests that keep us busy while answers come at once. With five hundred under way each costs a
third more: libcurl searches all connections to a receiver, and nothing stays in caches."""


def how_many_to_begin(*, answered: int, under_way: int) -> int:
    """Say how many requests to begin at most, when so many came back in the last turn.

    Fewer than that, while more than enough are under way. Where nothing came back, it is the
    receivers who are waited for, and more go out.
    """
    if answered and under_way >= ENOUGH_UNDER_WAY:
        return max(1, answered * 7 // 8)
    return BEGUN_PER_TURN


@dataclass(slots=True)
class _Load:
    in_flight: int = 0
    """Slots taken; some of it may not have begun."""
    under_way: int = 0
    is_struggling: bool = False
    is_heard: bool = False
    """Something succeeded, or failed without delay."""
    changed_at: float = 0.0
    """When something last came back, or began while nothing was under way."""

    def struggles(self, now: float) -> bool:
        is_silent = self.under_way > 0 and now - self.changed_at > STRUGGLING_AFTER_SECONDS
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
        """Slots that are taken."""
        return self._in_flight

    @property
    def free(self) -> int:
        """Requests that may be begun now."""
        return self.limit - self._in_flight

    def take(self, subscription_id: UUID) -> None:
        """Take a slot for a request that will begin soon."""
        self._loads.setdefault(subscription_id, _Load()).in_flight += 1
        self._in_flight += 1

    def give_back(self, subscription_id: UUID) -> None:
        """Free a slot whose request did not begin."""
        load = self._loads[subscription_id]
        self._free(subscription_id, load)

    def begin(self, subscription_id: UUID, *, now: float) -> None:
        """Begin a request in a slot that was taken."""
        load = self._loads[subscription_id]
        if load.under_way == 0:
            load.changed_at = now
        load.under_way += 1

    def end(
        self, subscription_id: UUID, *, has_succeeded: bool, seconds: float, now: float
    ) -> None:
        """End a request that took so many seconds, and free its slot."""
        load = self._loads[subscription_id]
        load.under_way -= 1
        load.changed_at = now
        is_slow = seconds > STRUGGLING_AFTER_SECONDS
        load.is_struggling = is_slow or not has_succeeded
        load.is_heard = load.is_heard or has_succeeded or not is_slow
        self._free(subscription_id, load)

    def _free(self, subscription_id: UUID, load: _Load) -> None:
        load.in_flight -= 1
        self._in_flight -= 1
        if load.in_flight == 0 and not load.is_struggling:
            del self._loads[subscription_id]

    def busy(self, *, now: float) -> set[UUID]:
        """Return the subscriptions that may begin nothing now."""
        self._forget_idle(now)
        struggling = {key for key, load in self._loads.items() if load.struggles(now)}
        struggling_in_flight = sum(self._loads[key].in_flight for key in struggling)
        full = {key for key, load in self._loads.items() if load.in_flight >= self._cap(load)}
        return full | struggling if struggling_in_flight >= self.limit // 2 else full

    def _cap(self, load: _Load) -> int:
        if load.is_heard:
            return self.per_subscription
        return min(self.per_subscription, UNHEARD_IN_FLIGHT)

    def _forget_idle(self, now: float) -> None:
        idle = [
            key
            for key, load in self._loads.items()
            if load.in_flight == 0 and now - load.changed_at > _FORGET_AFTER_SECONDS
        ]
        for key in idle:
            del self._loads[key]
