"""What the sender needs of subscriptions, read with their live secrets.

Called by claims, in their transaction, for what `known_snapshots` does not remember. A change of a
subscription is seen by the next claim; what is in flight ends within the request deadline.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from subscriptions.models import EventType, SigningSecret, Subscription
from subscriptions.secrets.encrypted_fields import open_headers
from subscriptions.secrets.encryption import SecretUnreadable, decrypt
from subscriptions.secrets.signing_secrets import live_secrets


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
    repsona_fields: bool
    signature_schemes: tuple[str, ...]
    secrets: tuple[str, ...]
    """Plain text, newest first; empty when one could not be decrypted."""
    secret_error: str
    """Why secrets or custom headers could not be decrypted, for the operator."""
    custom_headers: tuple[tuple[str, str], ...]
    """Plain text."""
    retry_schedule: tuple[int, ...]
    """Delays in seconds."""
    is_lasting: bool = False
    """It stays so until somebody changes it: none of its secrets expires."""


class _Row(NamedTuple):
    """What is read of a subscription, in this order; the last three as text."""

    id: UUID
    project_id: int
    generation: int
    is_active: bool
    deleted_at: datetime | None
    url: str
    wire_format: str
    repsona_fields: bool
    uses_default_secret: bool
    signature_schemes: str
    custom_headers: str
    retry_schedule: str


_TEXT_COLUMNS = ("signature_schemes", "custom_headers", "retry_schedule")
_COLUMNS = tuple(name for name in _Row._fields if name not in _TEXT_COLUMNS)
_AS_TEXT = [Cast(name, TextField()) for name in _TEXT_COLUMNS]
"""Decoded here, where the same few texts are decoded (or decrypted) once."""


def load_snapshots(ids: Collection[UUID]) -> dict[UUID, SubscriptionSnapshot]:
    """Read these subscriptions and their live secrets; no model is built.

    Two queries; a third where projects' default secrets sign.
    """
    if not ids:
        return {}
    found = Subscription.objects.filter(id__among=ids)
    rows = [_Row(*row) for row in found.values_list(*_COLUMNS, *_AS_TEXT)]
    own = _live_secrets("subscription", ids)
    defaults = _live_secrets("project", {row.project_id for row in rows if row.uses_default_secret})
    return {
        row.id: _snapshot(row, defaults[row.project_id] if row.uses_default_secret else own[row.id])
        for row in rows
    }


class _Secret(NamedTuple):
    """A stored secret that signs now."""

    ciphertext: str
    expires_at: datetime | None


def _live_secrets(
    owner: Literal["subscription", "project"], ids: Collection[Any]
) -> defaultdict[Any, list[_Secret]]:
    """Return what signs now, newest first, by the id of who has it."""
    found: defaultdict[Any, list[_Secret]] = defaultdict(list)
    if not ids:
        return found
    rows = live_secrets(SigningSecret.objects.filter(**{f"{owner}__in": ids}))
    for owner_id, *secret in rows.values_list(f"{owner}_id", *_Secret._fields):
        found[owner_id].append(_Secret(*secret))
    return found


def _snapshot(row: _Row, stored: list[_Secret]) -> SubscriptionSnapshot:
    secrets: tuple[str, ...] = ()
    custom_headers: tuple[tuple[str, str], ...] = ()
    secret_error = ""
    try:
        secrets = tuple([decrypt(secret.ciphertext) for secret in stored])
        custom_headers = open_headers(row.custom_headers)
    except SecretUnreadable as error:
        secret_error = str(error)
    return SubscriptionSnapshot(
        id=row.id,
        project_id=row.project_id,
        generation=row.generation,
        is_active=row.is_active,
        is_deleted=row.deleted_at is not None,
        url=row.url,
        wire_format=row.wire_format,
        repsona_fields=row.repsona_fields,
        signature_schemes=_decoded(row.signature_schemes),
        secrets=secrets,
        secret_error=secret_error,
        custom_headers=custom_headers,
        retry_schedule=_decoded(row.retry_schedule),
        is_lasting=all(secret.expires_at is None for secret in stored),
    )


@lru_cache(maxsize=4096)
def _decoded(text: str) -> tuple[Any, ...]:
    """Return a JSON list as a tuple."""
    return tuple(json.loads(text))


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
