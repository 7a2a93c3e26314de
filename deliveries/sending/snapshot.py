"""What the sender needs of subscriptions, read once per claim with their live secrets.

Called by `claim`, in its transaction. A change of a subscription is seen by the next claim; what is
in flight ends within the request deadline.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from subscriptions.models import EventType, SigningSecret, Subscription
from subscriptions.signing_secrets import SecretUnreadable, decrypt, live_secrets


@dataclass(frozen=True, slots=True)
class SubscriptionSnapshot:
    """A subscription as it was when its deliveries were claimed."""

    id: UUID
    project_id: int
    generation: int
    is_active: bool
    is_deleted: bool
    url: str
    wire_format: str
    signature_schemes: tuple[str, ...]
    secrets: tuple[str, ...]
    """Plain text, newest first; empty when none could be decrypted (`secret_error` says why)."""
    secret_error: str
    custom_headers: tuple[tuple[str, str], ...]
    retry_schedule: tuple[int, ...]
    """Delays in seconds."""


_COLUMNS = (
    "id",
    "project_id",
    "generation",
    "is_active",
    "deleted_at",
    "url",
    "wire_format",
)
_JSON_COLUMNS = ("signature_schemes", "custom_headers", "retry_schedule")
_AS_TEXT = [Cast(name, TextField()) for name in _JSON_COLUMNS]
"""Decoded here, where the same few texts are decoded once."""


def load_snapshots(ids: Collection[UUID]) -> dict[UUID, SubscriptionSnapshot]:
    """Read these subscriptions and their live secrets; two queries, and no model is built."""
    if not ids:
        return {}
    ciphertexts = _live_ciphertexts(ids)
    found = Subscription.objects.filter(id__among=ids)
    rows: Iterable[tuple[Any, ...]] = found.values_list(*_COLUMNS, *_AS_TEXT)
    return {row[0]: _snapshot(row, ciphertexts[row[0]]) for row in rows}


def _live_ciphertexts(ids: Collection[UUID]) -> defaultdict[UUID, list[str]]:
    """Return the stored secrets that sign now, newest first, by subscription."""
    rows = live_secrets(SigningSecret.objects.filter(subscription__in=ids))
    found: defaultdict[UUID, list[str]] = defaultdict(list)
    for subscription_id, ciphertext in rows.values_list("subscription_id", "ciphertext"):
        found[subscription_id].append(ciphertext)
    return found


def _snapshot(row: tuple[Any, ...], ciphertexts: list[str]) -> SubscriptionSnapshot:
    secrets: tuple[str, ...] = ()
    secret_error = ""
    try:
        secrets = tuple([decrypt(ciphertext) for ciphertext in ciphertexts])
    except SecretUnreadable as error:
        secret_error = str(error)
    identifier, project_id, generation, is_active, deleted_at, url, wire_format, *texts = row
    schemes, custom_headers, retry_schedule = map(_decoded, texts)
    return SubscriptionSnapshot(
        id=identifier,
        project_id=project_id,
        generation=generation,
        is_active=is_active,
        is_deleted=deleted_at is not None,
        url=url,
        wire_format=wire_format,
        signature_schemes=schemes,
        secrets=secrets,
        secret_error=secret_error,
        custom_headers=custom_headers,
        retry_schedule=retry_schedule,
    )


@lru_cache(maxsize=4096)
def _decoded(text: str) -> tuple[Any, ...]:
    """Return a JSON list as a tuple, an object as a tuple of its members."""
    value = json.loads(text)
    return tuple(value.items() if isinstance(value, dict) else value)


def describe_event_types(names: Collection[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """Return the catalogue's descriptions of event types, by project and name."""
    if not names:
        return {}
    rows = EventType.objects.filter(
        project__in={project_id for project_id, _ in names}, name__in={name for _, name in names}
    )
    return {
        (project_id, name): description
        for project_id, name, description in rows.values_list("project_id", "name", "description")
    }
