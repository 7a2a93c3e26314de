"""Replaces signing secrets without a gap: for a while the new one and the one before both sign.

Called by the API for a subscription's own secret and for a project's default. At most two are live:
a third would make of an overlap a state that lasts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from subscriptions.access.audit_log import Action, record, target_of
from subscriptions.models import Project, SigningSecret, Subscription
from subscriptions.secrets.encryption import decrypt
from subscriptions.secrets.signing_secrets import (
    SecretOwner,
    add_secret,
    choose_secret,
    hint_of,
    live_secrets,
)

DEFAULT_OVERLAP_HOURS: Final = 24
LONGEST_OVERLAP_HOURS: Final = 7 * 24


class OverlapUnderWay(Exception):
    """The secret before the newest is still live: a new rotation would make three of them."""

    def __init__(self, ends_at: datetime) -> None:
        super().__init__(ends_at)
        self.ends_at = ends_at


class NoSecret(Exception):
    """The project has no default secret; rotating makes one."""


@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """The secret that still signs beside the newest."""

    hint: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SecretState:
    """What signs at present."""

    secret: str
    """The newest, in plain text."""
    created_at: datetime
    previous: PreviousSecret | None


@dataclass(frozen=True, slots=True)
class LiveSecret:
    """A secret that signs, as far as everybody may see it."""

    hint: str | None
    """Its end; `None` where it cannot be read."""
    created_at: datetime
    expires_at: datetime | None
    """`None` for the newest, which signs for good."""


def list_live(owner: SecretOwner) -> list[LiveSecret]:
    """Return what signs now, newest first, without what it is; nobody needs to know who asked."""
    return [
        LiveSecret(hint_of(row), row.created_at, row.expires_at)
        for row in live_secrets(owner.signing_secrets.all())
    ]


def reveal(owner: SecretOwner) -> SecretState:
    """Return what signs now, and note who saw it; raises `NoSecret` or `SecretUnreadable`."""
    with transaction.atomic():
        state = _read(owner)
        record(Action.SECRET_REVEALED, target_of(owner))
    return state


def rotate(
    owner: SecretOwner,
    *,
    secret: str | None = None,
    overlap_hours: int = DEFAULT_OVERLAP_HOURS,
) -> SecretState:
    """Make a secret the newest (`None`: a generated one); the one before signs until it expires.

    `overlap_hours` is 0 to 168; 0 ends all older ones at once, for a secret that leaked. Raises
    `OverlapUnderWay`, and `FieldsRefused` for a secret that does not suit every scheme in use.
    """
    with transaction.atomic():
        _lock(owner)
        new = choose_secret(secret, _schemes_in_use(owner))
        older = live_secrets(owner.signing_secrets.all())
        before = {"hint": hint_of(older[0]) if older else None}
        if overlap_hours == 0:
            owner.signing_secrets.all().delete()
        else:
            _begin_overlap(owner, older, timedelta(hours=overlap_hours))
        row = add_secret(owner, new)
        after = {"hint": hint_of(row), "overlap_hours": overlap_hours}
        record(Action.SECRET_ROTATED, target_of(owner), before=before, after=after)
        return _read(owner)


def end_overlap(owner: SecretOwner) -> SecretState:
    """Let only the newest secret sign, from now on; raises `NoSecret` or `SecretUnreadable`."""
    with transaction.atomic():
        _lock(owner)
        state = _read(owner)
        owner.signing_secrets.exclude(expires_at=None).delete()
        before = {"previous": state.previous.hint if state.previous else None}
        # Even where there was no overlap: the answer shows the secret.
        record(Action.SECRET_EXPIRED, target_of(owner), before=before, after={"previous": None})
    return SecretState(state.secret, state.created_at, previous=None)


def forget_expired() -> int:
    """Delete what signs no more, everybody's; return how many there were."""
    deleted, _ = SigningSecret.objects.filter(expires_at__lte=Now()).delete()
    return deleted


def _lock(owner: SecretOwner) -> None:
    """Let rotations of one owner, and changes of the schemes that its secrets must suit, queue."""
    rows: QuerySet[Any] = type(owner)._default_manager.select_for_update(no_key=True)
    rows.get(pk=owner.pk)


def _begin_overlap(
    owner: SecretOwner, older: Collection[SigningSecret], overlap: timedelta
) -> None:
    for row in older:
        if row.expires_at is not None:
            raise OverlapUnderWay(row.expires_at)
    owner.signing_secrets.filter(expires_at__lte=Now()).delete()
    owner.signing_secrets.update(expires_at=Now() + overlap)


def _schemes_in_use(owner: SecretOwner) -> set[str]:
    """Return the names of all schemes that sign with this owner's secrets."""
    if isinstance(owner, Project):
        users: Iterable[Subscription] = owner.subscriptions.filter(
            uses_default_secret=True, deleted_at=None
        )
    else:
        owner.refresh_from_db(fields=["signature_schemes"])
        users = [owner]
    return {name for user in users for name in user.signature_schemes}


def _read(owner: SecretOwner) -> SecretState:
    return _state(list(live_secrets(owner.signing_secrets.all())))


def _state(live: list[SigningSecret]) -> SecretState:
    if not live:
        raise NoSecret
    newest, *older = live
    previous = None
    if older and older[0].expires_at is not None:
        previous = PreviousSecret(hint_of(older[0]), older[0].expires_at)
    return SecretState(decrypt(newest.ciphertext), newest.created_at, previous)
