"""Keeps signing secrets, encrypted: says whose sign what, and which are live.

`secret_rotation` replaces them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import Project, SigningSecret, Subscription
from subscriptions.refusal import SettingRefused
from subscriptions.secrets.encryption import SecretUnreadable, decrypt, encrypt
from subscriptions.secrets.secret_format import check_secret, generate_secret

SecretOwner = Subscription | Project
"""Who has signing secrets: a subscription its own, a project a default for its subscriptions."""

HINT_CHARACTERS: Final = 4


def choose_secret(secret: str | None, schemes: Iterable[str]) -> str:
    """Return the customer's own secret, or a generated one for `None`.

    Raises `FieldsRefused` on `secret` for one that does not suit all the schemes.
    """
    if secret is None:
        return generate_secret()
    try:
        return check_secret(secret, schemes)
    except SettingRefused as refusal:
        raise FieldsRefused([FieldError("secret", "invalid", str(refusal))]) from None


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
