"""Gives a test rates of its own: what others have taken is forgotten, or was by other names."""

from __future__ import annotations

from uuid import uuid4

from subscriptions.models import Project
from subscriptions.rest import rate_store
from tests.factories import make_project


def forget_rates() -> None:
    """Forget what was taken in this process's memory; in Redis no two tests share a name."""
    store = rate_store._store_at("")
    assert isinstance(store, rate_store.MemoryStore)
    store._whole_at_us.clear()


def make_uncounted_project() -> Project:
    """A project under whose name nothing was ever counted, in no process of the suite."""
    return make_project(slug=f"project-{uuid4().hex}")
