"""Keeps which requests came with an idempotency key, so that a repetition has no second effect.

The API's routes (`rest.idempotent_requests`) and the pages' forms (`pages.form_once`) keep theirs
here; what the answer was is theirs to write and to read. Pruning forgets the old ones.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from subscriptions.models import IdempotentRequest, Project

REMEMBERED: Final = timedelta(hours=24)
"""How long a key is known: retries are over by then, and answers that hold a secret are gone."""

_BATCH: Final = 500
"""Answers deleted per transaction; some are long."""


def claim(project: Project | None, key: str, digest: str) -> IdempotentRequest:
    """Return the key's row: this request's own, without a status, or that of one before it.

    The insert waits for whoever is at the same key until their transaction ends.
    """
    row = _kept_or_new(project, key, digest)
    if row.created_at < timezone.now() - REMEMBERED:
        row.delete()  # waits likewise, and of several one makes the new row
        row = _kept_or_new(project, key, digest)
    return row


def forget_old(*, now: datetime | None = None) -> int:
    """Forget keys and answers that are older than `REMEMBERED`; return how many there were."""
    old = IdempotentRequest.objects.filter(created_at__lt=(now or timezone.now()) - REMEMBERED)
    total = 0
    while ids := list(old.values_list("pk", flat=True)[:_BATCH]):
        total += IdempotentRequest.objects.filter(pk__in=ids)._raw_delete(connection.alias)
    return total


def _kept_or_new(project: Project | None, key: str, digest: str) -> IdempotentRequest:
    new = IdempotentRequest(project=project, key=key, content_digest=digest)
    IdempotentRequest.objects.bulk_create([new], ignore_conflicts=True)
    return IdempotentRequest.objects.get(project=project, key=key)
