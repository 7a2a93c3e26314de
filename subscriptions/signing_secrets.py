"""Keeps signing secrets: encrypts them at rest, says whose sign what, and which are live.

`secret_rotation` replaces them. `DISPATCHER_ENCRYPTION_KEYS` holds Fernet keys: the first encrypts,
all of them decrypt, so that a key is rotated by putting the new one in front.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from subscriptions.models import Project, SigningSecret, Subscription
from subscriptions.secret_format import check_secret

SecretOwner = Subscription | Project
"""Who has signing secrets: a subscription its own, a project a default for its subscriptions."""

HINT_CHARACTERS: Final = 4


class SecretUnreadable(Exception):
    """A stored secret cannot be decrypted with any of the configured keys."""


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(secret: str) -> str:
    """Return `secret` as it is stored: a Fernet token."""
    return _cipher(settings.DISPATCHER_ENCRYPTION_KEYS).encrypt(secret.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """Return the plain text of a stored secret; raises `SecretUnreadable`."""
    return _decrypt(ciphertext, settings.DISPATCHER_ENCRYPTION_KEYS)


@lru_cache(maxsize=10_000)  # the sender needs the same few secrets for every request
def _decrypt(ciphertext: str, keys: tuple[str, ...]) -> str:
    try:
        return _cipher(keys).decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable(
            "A signing secret was encrypted with a key that is not in DISPATCHER_ENCRYPTION_KEYS."
        ) from error


def add_secret(owner: SecretOwner, secret: str) -> SigningSecret:
    """Store a new signing secret of a subscription, or a project's default, encrypted."""
    return owner.signing_secrets.create(ciphertext=encrypt(secret))


def signing_owner(subscription: Subscription) -> SecretOwner:
    """Return whose secrets sign a subscription's requests: its own, or its project's."""
    return subscription.project if subscription.uses_default_secret else subscription


def live_secrets(secrets: QuerySet[SigningSecret]) -> QuerySet[SigningSecret]:
    """Narrow to those that sign now (the database's clock tells), newest first."""
    return secrets.filter(Q(expires_at=None) | Q(expires_at__gt=Now())).order_by("-id")


def reveal_newest(owner: SecretOwner) -> str:
    """Return the secret that signs first; raises `SigningSecret.DoesNotExist`."""
    return decrypt(owner.signing_secrets.latest("id").ciphertext)


def hint_of(secret: SigningSecret) -> str | None:
    """Return the end of a secret, enough to tell two apart; `None` where it cannot be read."""
    try:
        return f"…{decrypt(secret.ciphertext)[-HINT_CHARACTERS:]}"
    except SecretUnreadable:
        return None


def check_secrets_suit(owner: SecretOwner, schemes: Iterable[str]) -> None:
    """Check that all live secrets can sign by these schemes; raises `SettingRefused`."""
    names = tuple(schemes)
    for row in live_secrets(owner.signing_secrets.all()):
        try:
            check_secret(decrypt(row.ciphertext), names)
        except SecretUnreadable:
            return  # an operator's case: what nobody can read, nobody can judge
