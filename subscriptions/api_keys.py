"""Makes API keys and recognises them: a project's credential, of which only the digest is stored.

Called by the API for every request, by pages and by `create_project`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from subscriptions.audit_log import Action, record, target_of
from subscriptions.models import ApiKey, Project

KEY_PREFIX = "whd_"
"""What every key begins with, so that leaked ones are found by scanners."""

ALL_SCOPES: tuple[str, ...] = tuple(ApiKey.Scope.values)

_RANDOM_BYTES = 32  # nobody guesses 256 bits, which is why the digest needs no slow hash
_SHOWN_CHARACTERS = 12
_LIMIT_CHARACTERS = 128  # longer ones are not ours: no need to hash them
_LAST_USED_PRECISION = timedelta(minutes=1)
"""`last_used_at` is written this often at most: a busy publisher must not cost a write each."""


def make_key(
    project: Project,
    scopes: Collection[str] = ALL_SCOPES,
    *,
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; return it and its plain text, which is nowhere kept. Raises `ValueError`."""
    if unknown := set(scopes) - set(ALL_SCOPES):
        raise ValueError(f"Unknown scopes: {', '.join(sorted(unknown))}.")
    plain = KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    with transaction.atomic():
        key = ApiKey.objects.create(
            project=project,
            name=name,
            prefix=plain[:_SHOWN_CHARACTERS],
            digest=ApiKey.digest_of(plain),
            scopes=[scope for scope in ALL_SCOPES if scope in scopes],
            expires_at=expires_at,
        )
        record(Action.API_KEY_CREATED, target_of(key), after=audited(key))
    return key, plain


def revoke(key: ApiKey) -> bool:
    """End a key at once; return whether this call did it."""
    with transaction.atomic():
        live = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
        is_revoked = bool(live.update(revoked_at=timezone.now()))
        if is_revoked:
            record(Action.API_KEY_REVOKED, target_of(key))
    return is_revoked


def audited(key: ApiKey) -> dict[str, Any]:
    """Return what the audit log says of a key."""
    expires_at = key.expires_at.isoformat() if key.expires_at else None
    return {"name": key.name, "scopes": key.scopes, "expires_at": expires_at}


def authenticate(plain: str) -> ApiKey | None:
    """Return the key, with its project, when it is known, not revoked and not expired."""
    if len(plain) > _LIMIT_CHARACTERS:
        return None
    try:
        key = ApiKey.objects.select_related("project").get(digest=ApiKey.digest_of(plain))
    except ApiKey.DoesNotExist:
        return None
    now = timezone.now()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        return None
    _note_use(key, now)
    return key


def _note_use(key: ApiKey, now: datetime) -> None:
    latest_to_renew = now - _LAST_USED_PRECISION
    if key.last_used_at is not None and key.last_used_at > latest_to_renew:
        return
    # Of many requests at once, one writes.
    ApiKey.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lte=latest_to_renew), pk=key.pk
    ).update(last_used_at=now)
