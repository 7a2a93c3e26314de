"""Keeps signing secrets: encrypts them at rest, says which are live, reveals them.

`DISPATCHER_ENCRYPTION_KEYS` holds Fernet keys: the first encrypts, all of them decrypt, so that a
key is rotated by putting the new one in front.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from subscriptions.models import SigningSecret, Subscription


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


def add_secret(subscription: Subscription, secret: str) -> SigningSecret:
    """Store a new signing secret of the subscription, encrypted."""
    return SigningSecret.objects.create(subscription=subscription, ciphertext=encrypt(secret))


def live_secrets(secrets: QuerySet[SigningSecret]) -> QuerySet[SigningSecret]:
    """Narrow to those that sign now (the database's clock tells), newest first."""
    return secrets.filter(Q(expires_at=None) | Q(expires_at__gt=Now())).order_by(
        "-created_at", "-id"
    )


def reveal_newest(subscription: Subscription) -> str:
    """Return the secret that the subscription's requests are signed with first."""
    return decrypt(subscription.signing_secrets.latest("created_at", "id").ciphertext)
