"""Makes API keys and recognises them: a project's credential, of which only the digest is stored.

Called by the API for every request, by its routes of keys, by the admin and by commands. Whoever
may make keys for a project may give them any scope of it; `operate` is for operators' keys alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from subscriptions.access.audit_log import Action, record, record_change, target_of
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import ApiKey, Project

KEY_PREFIX = "whd_"
"""What every key begins with, so that leaked ones are found by scanners."""

ALL_SCOPES: tuple[str, ...] = tuple(
    scope for scope in ApiKey.Scope.values if scope != ApiKey.Scope.OPERATE
)
"""Those of a project's key."""

OPERATOR_SCOPES: tuple[str, ...] = tuple(ApiKey.Scope.values)
"""Those of an operator's key: on every project."""

NAME_LIMIT_CHARACTERS: Final = 200

KEYS_PER_PROJECT: Final = 100
"""Live ones: each key has rates of its own."""

ALL_KEYS: Final = f"The project has {KEYS_PER_PROJECT} live keys, which is all that it may have."

_RANDOM_BYTES = 32  # nobody guesses 256 bits, which is why the digest needs no slow hash
_SHOWN_CHARACTERS = 12
_LIMIT_CHARACTERS = 128  # longer ones are not ours: no need to hash them
_LAST_USED_PRECISION = timedelta(minutes=1)
"""`last_used_at` is written this often at most: a busy publisher must not cost a write each."""


class KeyEnded(Exception):
    """The key is revoked or expired, and stays so."""


class KeySettings(TypedDict, total=False):
    """What can be said of a key."""

    name: str
    scopes: Collection[str]
    expires_at: datetime | None


def make_key(
    project: Project | None,
    scopes: Collection[str] | None = None,
    *,
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key of a project, or (`None`) of an operator; scopes are all it may have if not given.

    Returns it and its plain text, which is not stored with it. Raises `FieldsRefused`.
    """
    granted = scopes_for(project) if scopes is None else scopes
    check_settings(project, {"name": name, "scopes": granted, "expires_at": expires_at})
    plain = KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    with transaction.atomic():
        if project is not None:
            _check_count(project)
        key = ApiKey.objects.create(
            project=project,
            name=name,
            prefix=plain[:_SHOWN_CHARACTERS],
            digest=ApiKey.digest_of(plain),
            scopes=_in_order(granted),
            expires_at=expires_at,
        )
        record(Action.API_KEY_CREATED, target_of(key), after=audited(key))
    return key, plain


def scopes_for(project: Project | None) -> tuple[str, ...]:
    """Return the scopes that a key of the project, or of an operator, may have."""
    return OPERATOR_SCOPES if project is None else ALL_SCOPES


def has_all_keys(project: Project) -> bool:
    """Say whether the project has as many live keys as it may."""
    lasting = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    live = ApiKey.objects.filter(lasting, project=project, revoked_at=None)
    return live.count() >= KEYS_PER_PROJECT


def check_settings(project: Project | None, settings: KeySettings) -> None:
    """Raise `FieldsRefused`, with every error, for what a key may not have."""
    if errors := list(_errors_of(project, settings)):
        raise FieldsRefused(errors)


def change_key(key: ApiKey, settings: KeySettings) -> ApiKey:
    """Change what is given; return the key as it is. Raises `FieldsRefused` or `KeyEnded`."""
    check_settings(key.project, settings)
    with transaction.atomic():
        current = ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        if has_ended(current):
            raise KeyEnded
        before = audited(current)
        current.name = settings.get("name", current.name)
        current.scopes = _in_order(settings.get("scopes", current.scopes))
        current.expires_at = settings.get("expires_at", current.expires_at)
        current.save(update_fields=["name", "scopes", "expires_at"])
        after = audited(current)
        record_change(Action.API_KEY_CHANGED, target_of(current), before=before, after=after)
    return current


def has_ended(key: ApiKey) -> bool:
    """Say whether the key is revoked or expired."""
    is_expired = key.expires_at is not None and key.expires_at <= timezone.now()
    return is_expired or key.revoked_at is not None


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


def is_of_our_form(plain: str) -> bool:
    """Say whether the text may be a key of ours."""
    return len(plain) <= _LIMIT_CHARACTERS


def is_use_noted(key: ApiKey) -> bool:
    """Say whether `last_used_at` is as new as it has to be."""
    return _is_recent(key, timezone.now())


def authenticate(plain: str) -> ApiKey | None:
    """Return the key, with its project, when it is known, not revoked and not expired."""
    if not is_of_our_form(plain):
        return None
    try:
        key = ApiKey.objects.select_related("project").get(digest=ApiKey.digest_of(plain))
    except ApiKey.DoesNotExist:
        return None
    if has_ended(key):
        return None
    _note_use(key, timezone.now())
    return key


def _check_count(project: Project) -> None:
    """Refuse one more than the project may have; of creations at once, one is looked at a time."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if has_all_keys(project):
        raise FieldsRefused([FieldError("", "limit_reached", ALL_KEYS)])


def _errors_of(project: Project | None, settings: KeySettings) -> Iterator[FieldError]:
    name = settings.get("name", "")
    if len(name) > NAME_LIMIT_CHARACTERS or not name.isprintable():
        code = "invalid" if name.isprintable() else "not_printable"
        message = f"A key's name is up to {NAME_LIMIT_CHARACTERS} printable characters."
        yield FieldError("name", code, message)
    scopes = settings.get("scopes")
    if scopes is not None and not scopes:
        yield FieldError("scopes", "empty", "A key needs a scope.")
    if unknown := set(scopes or ()) - set(scopes_for(project)):
        message = f"Unknown scopes: {', '.join(sorted(unknown))}."
        yield FieldError("scopes", "invalid", message)
    expires_at = settings.get("expires_at")
    if expires_at is not None and expires_at <= timezone.now():
        yield FieldError("expires_at", "past", "This time is past; a key is ended by revoking it.")


def _in_order(scopes: Collection[str]) -> list[str]:
    return [scope for scope in OPERATOR_SCOPES if scope in scopes]


def _is_recent(key: ApiKey, now: datetime) -> bool:
    return key.last_used_at is not None and key.last_used_at > now - _LAST_USED_PRECISION


def _note_use(key: ApiKey, now: datetime) -> None:
    if _is_recent(key, now):
        return
    latest_to_renew = now - _LAST_USED_PRECISION
    # Of many requests at once, one writes.
    ApiKey.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lte=latest_to_renew), pk=key.pk
    ).update(last_used_at=now)
