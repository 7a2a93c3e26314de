"""Gives a test rates of its own: what others have taken is forgotten, or was by other names."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.conf import settings

from subscriptions.models import Project
from subscriptions.rest import rate_purses, rate_store, rates
from subscriptions.rest.rate_limit import MICROSECONDS, RatePolicy
from tests.factories import make_project

REFILL_SECONDS = 20


def forget_rates() -> None:
    """Forget what this process has counted, or taken ahead of what is counted in Redis."""
    in_memory = rate_store._store_at("")
    assert isinstance(in_memory, rate_store.MemoryStore)
    in_memory._whole_at_us.clear()
    shared = rate_store._store_at(settings.DISPATCHER_RATE_REDIS_URL)
    if isinstance(shared, rate_store.RedisStore):
        shared._purses = rate_purses.Purses()


def refill_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a token come back after 20 s instead of one: no ten requests take so long."""

    def policy(name: str, rate: int) -> RatePolicy:
        return RatePolicy(name, 10 * rate, REFILL_SECONDS * MICROSECONDS // rate)

    monkeypatch.setattr(rates, "_policy", policy)


def make_uncounted_project() -> Project:
    """A project under whose name nothing was ever counted, in no process of the suite."""
    return make_project(slug=f"project-{uuid4().hex}")
