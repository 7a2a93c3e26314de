"""Says how fast a key and its project may call the API, and tells clients what is left of that.

Called by `api_view` and, for keys that are not good, by `api_conventions`; pages ask here for their
visitors' limits. The headers are those of draft-ietf-httpapi-ratelimit-headers-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from django.conf import settings

from subscriptions.access.client_address import client_of
from subscriptions.field_errors import FieldError
from subscriptions.guard.special_addresses import IPAddress
from subscriptions.models import ApiKey
from subscriptions.rest.problems import Problem
from subscriptions.rest.rate_limit import MICROSECONDS, Allowance, RatePolicy, per_second
from subscriptions.rest.rate_store import Limit, take

_BURST_SECONDS: Final = 10
"""A burst is what ten seconds allow: publishers work in spurts."""

FAILED_KEYS_PER_ADDRESS: Final = RatePolicy(
    "failed-keys-per-address", burst=100, interval_us=MICROSECONDS
)
"""Keys that are not good, from one client: a hundred, then one a second.

A key has 256 bits, so no guess succeeds at any rate: this is for the noise, and tells a client that
repeats a revoked key for ever to slow down. Who has a good key is not asked, wherever it is.
"""


def note_failed_key(address: IPAddress | None) -> None:
    """Count a key that was not good; raise a 429 where its sender has tried too many."""
    check_allowed(take([Limit(FAILED_KEYS_PER_ADDRESS, client_of(address))]))


def publish_limits(key: ApiKey, slug: str) -> list[Limit]:
    """Return what limits publishing with this key: one token for each event.

    `slug` is the path's: nobody's tokens are taken with another project's key.
    """
    owner = key.project.slug if key.project else slug
    return [
        *_limit("publish-per-key", settings.DISPATCHER_PUBLISH_RATE_PER_KEY, key.digest),
        *_limit(
            "publish-per-project",
            settings.DISPATCHER_PUBLISH_RATE_PER_PROJECT,
            owner,
        ),
    ]


def request_limits(key: ApiKey) -> list[Limit]:
    """Return what limits all other requests with this key: one token for each."""
    return [*_limit("requests-per-key", settings.DISPATCHER_REQUEST_RATE_PER_KEY, key.digest)]


def page_limits(visitor: str) -> list[Limit]:
    """Return what limits the pages that somebody looks at: as many as a key's requests."""
    return [*_limit("pages-per-visitor", settings.DISPATCHER_REQUEST_RATE_PER_KEY, visitor)]


def check_allowed(allowances: Sequence[Allowance]) -> None:
    """Raise a 429 that says when to come back, unless every policy allows the request."""
    wait_seconds = max((allowance.wait_seconds for allowance in allowances), default=0)
    if not wait_seconds:
        return
    names = " and ".join(said.policy.name for said in allowances if not said.is_allowed)
    raise too_many(
        "rate_limited", f"Too fast for {names}: try again in {wait_seconds} s.", wait_seconds
    )


def too_many(code: str, sentence: str, wait_seconds: int) -> Problem:
    """Make a 429; `code` says of what there is too much."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        sentence,
        errors=[FieldError("", code, sentence)],
        headers={"Retry-After": str(wait_seconds)},
    )


def rate_headers(allowances: Sequence[Allowance]) -> dict[str, str]:
    """Return the headers that tell a client the policies, and what is left under each."""
    if not allowances:
        return {}
    wait_seconds = max(allowance.wait_seconds for allowance in allowances)
    return {
        "RateLimit-Policy": ", ".join(_policy_item(said.policy) for said in allowances),
        "RateLimit": ", ".join(_limit_item(said, wait_seconds) for said in allowances),
    }


def _limit(name: str, rate: int, subject: str) -> Iterable[Limit]:
    return [Limit(_policy(name, rate), subject)] if rate else []


@lru_cache
def _policy(name: str, rate: int) -> RatePolicy:
    return per_second(name, rate, burst_seconds=_BURST_SECONDS)


def _policy_item(policy: RatePolicy) -> str:
    return f'"{policy.name}";q={policy.burst};w={_seconds(policy.window_us)}'


def _limit_item(allowance: Allowance, wait_seconds: int) -> str:
    """Tell the time over which the rest may be spread: not faster than the steady rate (8.5).

    When the request was refused, the time is not longer than `Retry-After` (section 6).
    """
    seconds = _seconds(allowance.remaining * allowance.policy.interval_us)
    seconds = min(seconds, wait_seconds) if wait_seconds else seconds
    return f'"{allowance.policy.name}";r={allowance.remaining};t={seconds}'


def _seconds(microseconds: int) -> int:
    return max(1, -(-microseconds // MICROSECONDS))
