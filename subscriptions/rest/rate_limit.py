"""Decides whether a request comes too soon: a burst, then a steady rate (GCRA).

A subject's whole state is one time: when its burst will be whole again (GCRA's "theoretical arrival
time"). Called by `rate_store`, whose Lua script says the same. Pure: it must not know who asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

MICROSECONDS: Final = 1_000_000

PER_SECOND_MAX: Final = 10_000
"""Beyond that a token's interval in whole microseconds would no longer be near enough."""


class RatePolicy(msgspec.Struct, frozen=True, gc=False):
    """How much one subject may do: `burst` tokens at once, and a new one every interval."""

    name: str
    """As clients see it in `RateLimit-Policy`."""
    burst: int
    interval_us: int

    @property
    def window_us(self) -> int:
        """Microseconds in which the whole burst comes back."""
        return self.burst * self.interval_us


def per_second(name: str, tokens: int, *, burst_seconds: int) -> RatePolicy:
    """Make a policy of 1 to 10,000 tokens a second; its burst is that of some seconds at once."""
    return RatePolicy(name, tokens * burst_seconds, MICROSECONDS // tokens)


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What a policy says of one request, and what is left of it."""

    policy: RatePolicy
    is_allowed: bool
    remaining: int
    """Tokens that could be taken at once now."""
    wait_us: int
    """Microseconds until the refused request would be allowed; 0 when it was not refused."""

    @property
    def wait_seconds(self) -> int:
        """Whole seconds to wait, as `Retry-After` has them."""
        return math.ceil(self.wait_us / MICROSECONDS)


def judge(policy: RatePolicy, *, whole_at_us: int, now_us: int, tokens: int) -> Allowance:
    """Say whether so many tokens can be had; `remaining` is what there is before they are taken.

    More tokens than the burst has are given when it is whole, on credit: the rate holds in the long
    run, and a large batch is not refused for ever. Giving tokens back is always allowed.
    """
    missing_us = max(0, whole_at_us - now_us)
    wait_us = missing_us + min(tokens, policy.burst) * policy.interval_us - policy.window_us
    remaining = max(0, policy.window_us - missing_us) // policy.interval_us
    if tokens <= 0 or wait_us <= 0:
        return Allowance(policy, True, remaining, 0)
    return Allowance(policy, False, remaining, wait_us)


def whole_again_at_us(policy: RatePolicy, *, whole_at_us: int, now_us: int, tokens: int) -> int:
    """Return the state once the tokens are taken; a negative number of them is given back."""
    return max(whole_at_us, now_us) + tokens * policy.interval_us


def after_taking(allowances: Sequence[Allowance], *, tokens: int) -> tuple[Allowance, ...]:
    """Return what is left once all policies have allowed it; as it was when one has not."""
    if not all(allowance.is_allowed for allowance in allowances):
        return tuple(allowances)
    return tuple(
        Allowance(allowance.policy, True, max(0, allowance.remaining - tokens), 0)
        for allowance in allowances
    )
