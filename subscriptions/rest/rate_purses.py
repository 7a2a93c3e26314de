"""Takes some tokens ahead for whoever asks in quick succession, so that not each asks Redis.

Held by `rate_store.RedisStore`, one for each process. What is taken ahead is gone for everybody
else; so nobody ever gets more than a policy allows, and it is only as much as comes back at once,
while there is plenty, and forgotten soon.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from subscriptions.rest.rate_limit import Allowance

AHEAD_AT_MOST: Final = 16

_COMES_BACK_WITHIN_US: Final = 50_000
"""What is taken ahead, and then perhaps not used, comes back in this time."""

_PLENTY: Final = 8
"""So many times what is taken ahead has to be there."""

_GOOD_SECONDS: Final = 0.1

_PURSES_AT_MOST: Final = 1000

Subject = tuple[str, ...]
"""The keys of the limits that are asked together."""

Ask = Callable[[int], tuple[Allowance, ...]]
"""Takes so many tokens from the limits at once, and says what is left; nothing: no answer."""


@dataclass(slots=True)
class _Purse:
    """Tokens that were taken ahead, and what the policies said then."""

    tokens: int
    taken_ahead: int
    good_until: float
    said: tuple[Allowance, ...]

    def pay(self) -> tuple[Allowance, ...]:
        """Give a token away, and say what is left after it."""
        self.tokens -= 1
        return _with(self.said, self.tokens)


class Purses:
    """One for each subject that asks often; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._purses: dict[Subject, _Purse] = {}

    def take_one(self, subject: Subject, ask: Ask) -> tuple[Allowance, ...]:
        """Take a token out of the subject's purse, or ask for it, and for some more."""
        with self._lock:
            purse = self._purses.get(subject)
            is_good = purse is not None and time.monotonic() < purse.good_until
            if purse is not None and is_good and purse.tokens:
                return purse.pay()
            ahead = _how_many_ahead(purse) if purse is not None and is_good else 0
        said = ask(1 + ahead)
        if ahead and not _is_allowed(said):
            ahead = 0
            said = ask(1)
        if not _is_allowed(said):
            return said
        with self._lock:
            return self._keep(subject, said, ahead)

    def _keep(
        self, subject: Subject, said: tuple[Allowance, ...], ahead: int
    ) -> tuple[Allowance, ...]:
        """Put what was taken ahead into the purse, to what another thread has put there."""
        now = time.monotonic()
        former = self._purses.get(subject)
        tokens = ahead + (former.tokens if former is not None and now < former.good_until else 0)
        if former is None and len(self._purses) >= _PURSES_AT_MOST:
            self._purses.clear()
        self._purses[subject] = _Purse(tokens, ahead, now + _GOOD_SECONDS, said)
        return _with(said, tokens)


def _how_many_ahead(purse: _Purse) -> int:
    """Return twice as many as last time, as long as nobody else could miss them."""
    bounds = (
        min(_COMES_BACK_WITHIN_US // said.policy.interval_us, said.remaining // _PLENTY)
        for said in purse.said
    )
    return min(AHEAD_AT_MOST, 2 * purse.taken_ahead + 1, *bounds)


def _is_allowed(said: Sequence[Allowance]) -> bool:
    """Say whether there was an answer, and a good one."""
    return bool(said) and all(allowance.is_allowed for allowance in said)


def _with(said: Sequence[Allowance], tokens: int) -> tuple[Allowance, ...]:
    """Say what is left where so many tokens are in the purse besides."""
    if not tokens:
        return tuple(said)
    return tuple(
        Allowance(allowance.policy, True, allowance.remaining + tokens, 0) for allowance in said
    )
