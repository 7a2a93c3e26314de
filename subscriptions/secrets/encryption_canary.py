"""Finds out at start whether the configured keys are those that the database was used with.

A known text lies encrypted in the database since the first `migrate`. With other keys every secret
would be unreadable, and each delivery would end failed: better not to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, InterfaceError, connection, transaction

from subscriptions.models import EncryptionCanary, SigningSecret
from subscriptions.secrets.encryption import SecretUnreadable, decrypt, encrypt

TEXT: Final = "these are the keys"

SENTENCE: Final = (
    "DISPATCHER_ENCRYPTION_KEYS cannot read what this database holds: it was used with another key."
)
HINT: Final = (
    "Put that key back (beside a new one, comma-separated). If it is gone for good: "
    "`manage.py rotate_encryption_key --accept-loss`."
)


class WrongKeys(Exception):
    """None of the configured keys is the one that the database was used with."""

    def __init__(self) -> None:
        super().__init__(f"{SENTENCE} {HINT}")


def check_keys() -> None:
    """Raise `WrongKeys` when the keys cannot read the canary.

    A database that is away, empty or not migrated says nothing about keys.
    """
    if not _is_readable(_stored_token()):
        raise WrongKeys


def plant(**_signal: Any) -> None:
    """Store the canary where there is none yet; after each `migrate`.

    Not with keys that cannot read the secrets which are there already.
    """
    if EncryptionCanary._meta.db_table in connection.introspection.table_names():
        token = _stored_token()
        if token is None or _is_readable(token):
            EncryptionCanary.objects.get_or_create(defaults={"token": encrypt(TEXT)})


def replace() -> None:
    """Let the present keys be the right ones from now on."""
    EncryptionCanary.objects.update_or_create(defaults={"token": encrypt(TEXT)})


@register(Tags.database)
def check_at_migration(databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """Refuse to migrate, and tell `check --database default`, where the keys are wrong."""
    if not databases or _is_readable(_stored_token()):
        return []
    return [Error(SENTENCE, hint=HINT, id="subscriptions.E001")]


def _stored_token() -> str | None:
    """Return the canary, or the newest secret where there is none yet."""
    try:
        with transaction.atomic():  # a missing table must not spoil the caller's transaction
            token = EncryptionCanary.objects.values_list("token", flat=True).first()
            return token or _newest_secret()
    except (DatabaseError, InterfaceError):
        return None


def _newest_secret() -> str | None:
    return SigningSecret.objects.order_by("-id").values_list("ciphertext", flat=True).first()


def _is_readable(token: str | None) -> bool:
    try:
        return token is None or bool(decrypt(token))
    except SecretUnreadable:
        return False
