"""Takes some tokens ahead for whoever asks in quick succession, so that not each asks Redis.

Held by `rate_store.RedisStore`, one for each process. What is taken ahead is gone for everybody
else; so over time nobody gets more than a policy allows, though a burst may have what each process
holds besides. It is only as much as comes back at once, while there is plenty, and forgotten soon.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
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

Subject = tuple[Hashable, ...]
"""The limits that are asked together: whose tokens, by which policies."""

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
        self._filling: set[Subject] = set()
        """For whom some thread is taking ahead: the others take what they need."""

    def take_one(self, subject: Subject, ask: Ask) -> tuple[Allowance, ...]:
        """Take a token out of the subject's purse, or ask for it, and for some more."""
        with self._lock:
            if paid := self._pay(subject):
                return paid
            ahead = self._how_many_ahead(subject)
            is_filling = ahead > 0
            if is_filling:
                self._filling.add(subject)
        try:
            said = ask(1 + ahead)
            if is_filling and not _is_allowed(said):
                said, ahead = ask(1), 0
        except BaseException:
            with self._lock:
                if is_filling:
                    self._filling.discard(subject)
            raise
        with self._lock:
            if is_filling:
                self._filling.discard(subject)
            if _is_allowed(said):
                return self._keep(subject, said, ahead)
            return self._pay(subject) or said  # another thread may have filled it meanwhile

    def _good(self, subject: Subject) -> _Purse | None:
        purse = self._purses.get(subject)
        return purse if purse is not None and time.monotonic() < purse.good_until else None

    def _pay(self, subject: Subject) -> tuple[Allowance, ...] | None:
        purse = self._good(subject)
        return purse.pay() if purse is not None and purse.tokens else None

    def _how_many_ahead(self, subject: Subject) -> int:
        """Return twice as many as last time, as long as nobody else could miss them."""
        purse = self._good(subject)
        if purse is None or subject in self._filling:
            return 0
        bounds = (
            min(_COMES_BACK_WITHIN_US // said.policy.interval_us, said.remaining // _PLENTY)
            for said in purse.said
        )
        return min(AHEAD_AT_MOST, 2 * purse.taken_ahead + 1, *bounds)

    def _keep(
        self, subject: Subject, said: tuple[Allowance, ...], ahead: int
    ) -> tuple[Allowance, ...]:
        """Put what was taken ahead into the purse, to what another thread has put there."""
        if any(allowance.policy.interval_us > _COMES_BACK_WITHIN_US for allowance in said):
            return said  # nothing is ever taken ahead
        former = self._good(subject)
        tokens = ahead + (former.tokens if former is not None else 0)
        taken_ahead = max(ahead, former.taken_ahead if former is not None else 0)
        if subject not in self._purses and len(self._purses) >= _PURSES_AT_MOST:
            self._purses.clear()
        until = time.monotonic() + _GOOD_SECONDS
        self._purses[subject] = _Purse(tokens, taken_ahead, until, said)
        return _with(said, tokens)


def _is_allowed(said: Sequence[Allowance]) -> bool:
    """Say whether there was an answer, and a good one."""
    return bool(said) and all(allowance.is_allowed for allowance in said)


def _with(said: Sequence[Allowance], tokens: int) -> tuple[Allowance, ...]:
    """Say what is left where so many tokens are in the purse besides."""
    if not tokens:
        return tuple(said)
    return tuple(
        Allowance(
            allowance.policy, True, min(allowance.policy.burst, allowance.remaining + tokens), 0
        )
        for allowance in said
    )
