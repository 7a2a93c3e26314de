"""Counts what each subject has taken, so that no race gets more than its policy allows.

In Redis for all processes of an installation, in memory for an installation of one process. Called
by `api_rates` and by the login. While Redis is away nothing is limited: nobody waits for a limit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol, cast

import msgspec
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from subscriptions.breaker import Breaker
from subscriptions.rest.rate_limit import (
    Allowance,
    RatePolicy,
    after_taking,
    judge,
    whole_again_at_us,
)
from subscriptions.rest.rate_purses import Purses

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 0.2
"""What a request waits for a Redis that does not answer, once in `breaker.BREAK_SECONDS`."""

_SWEEP_AT: Final = 10_000
"""Subjects in memory before those with a whole burst are dropped: a stranger may name many."""


class Limit(msgspec.Struct, frozen=True, gc=False):
    """Whose tokens are taken, and by which policy."""

    policy: RatePolicy
    subject: str

    @property
    def key(self) -> str:
        """The name of its state; policies of different names never share one."""
        return f"dispatcher.rate:{self.policy.name}:{self.subject}"


class RateStore(Protocol):
    """Where states are kept; safe for all threads."""

    def take(self, limits: Sequence[Limit], *, tokens: int) -> tuple[Allowance, ...]:
        """Take tokens from all limits, or from none when one refuses; see `take`."""


def take(limits: Sequence[Limit], *, tokens: int = 1) -> tuple[Allowance, ...]:
    """Take tokens from all limits at once, or from none of them when one refuses.

    Returns what each says, in their order, with what is left; nothing when there is no limit, or
    none that can be asked. Costs a round trip, or none.
    """
    return (
        _store_at(settings.DISPATCHER_RATE_REDIS_URL).take(limits, tokens=tokens) if limits else ()
    )


def give_back(limits: Sequence[Limit], *, tokens: int = 1) -> None:
    """Undo a taking that turned out not to count."""
    take(limits, tokens=-tokens)


@lru_cache
def _store_at(redis_url: str) -> RateStore:
    return RedisStore(redis_url) if redis_url else MemoryStore()


class MemoryStore:
    """States of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._whole_at_us: dict[str, int] = {}
        self._sweep_at = _SWEEP_AT

    def take(self, limits: Sequence[Limit], *, tokens: int) -> tuple[Allowance, ...]:
        """See `RateStore`."""
        with self._lock:
            now_us = time.monotonic_ns() // 1000
            found = [self._whole_at_us.get(limit.key, now_us) for limit in limits]
            said = _judge_all(limits, found, now_us=now_us, tokens=tokens)
            if all(allowance.is_allowed for allowance in said):
                self._store(limits, found, now_us=now_us, tokens=tokens)
        return after_taking(said, tokens=tokens)

    def _store(
        self, limits: Sequence[Limit], found: Sequence[int], *, now_us: int, tokens: int
    ) -> None:
        for limit, whole_at_us in zip(limits, found, strict=True):
            self._whole_at_us[limit.key] = whole_again_at_us(
                limit.policy, whole_at_us=whole_at_us, now_us=now_us, tokens=tokens
            )
        if len(self._whole_at_us) >= self._sweep_at:
            self._whole_at_us = {
                key: whole_at_us
                for key, whole_at_us in self._whole_at_us.items()
                if whole_at_us > now_us
            }
            self._sweep_at = max(_SWEEP_AT, 2 * len(self._whole_at_us))


# The same arithmetic as in `rate_limit`, held to it by a test. Redis's clock tells, so processes
# need not agree on the time. A number below 2^53 is whole in Lua: microseconds are until 2255.
_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local tokens = tonumber(ARGV[1])
local found, is_allowed = {}, true
for i, key in ipairs(KEYS) do
    local burst, interval = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    found[i] = math.max(tonumber(redis.call('GET', key) or now), now)
    local wanted = math.min(tokens, burst) * interval
    if tokens > 0 and found[i] - now + wanted > burst * interval then is_allowed = false end
end
if is_allowed then
    for i, key in ipairs(KEYS) do
        local whole_at = found[i] + tokens * tonumber(ARGV[2 * i + 1])
        if whole_at > now then
            -- Redis counts from the millisecond that has begun: one more, or it would forget early.
            local left_ms = math.ceil((whole_at - now) / 1000) + 1
            redis.call('SET', key, string.format('%.0f', whole_at), 'PX', left_ms)
        else
            redis.call('DEL', key)
        end
    end
end
return {now, unpack(found)}
"""


class RedisStore:
    """States of all processes, kept by one script; keys expire once they say nothing."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
            # A connection from before a restart is replaced; a timeout is not waited for twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._purses = Purses()
        self._breaker = Breaker(
            logger,
            errors=(RedisError, OSError),
            away="Redis away, nothing is rate-limited",
            back="Redis back, rates are limited",
        )

    def take(self, limits: Sequence[Limit], *, tokens: int) -> tuple[Allowance, ...]:
        """See `RateStore`; returns nothing while Redis is away."""
        if tokens != 1:
            return self._ask(limits, tokens)
        return self._purses.take_one(tuple(limits), lambda tokens: self._ask(limits, tokens))

    def _ask(self, limits: Sequence[Limit], tokens: int) -> tuple[Allowance, ...]:
        answer = self._breaker.ask(lambda: self._run(limits, tokens), default=None)
        if answer is None:
            return ()
        now_us, *found = answer
        return after_taking(_judge_all(limits, found, now_us=now_us, tokens=tokens), tokens=tokens)

    def _run(self, limits: Sequence[Limit], tokens: int) -> list[int]:
        numbers = [number for limit in limits for number in _numbers_of(limit.policy)]
        keys = [limit.key for limit in limits]
        return cast("list[int]", self._script(keys=keys, args=[tokens, *numbers]))


def _numbers_of(policy: RatePolicy) -> tuple[int, int]:
    return policy.burst, policy.interval_us


def _judge_all(
    limits: Sequence[Limit], found: Sequence[int], *, now_us: int, tokens: int
) -> tuple[Allowance, ...]:
    return tuple(
        judge(limit.policy, whole_at_us=whole_at_us, now_us=now_us, tokens=tokens)
        for limit, whole_at_us in zip(limits, found, strict=True)
    )
