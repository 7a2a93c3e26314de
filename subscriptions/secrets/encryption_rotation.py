"""Encrypts what is stored anew, with the first key, so that older keys can be thrown away.

Called by `manage.py rotate_encryption_key`, beside running workers and writers: a row is replaced
only while it is what was read. Stopped half-way it is simply begun again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.db.models import Model, QuerySet, TextField, Value
from django.db.models.functions import Cast

from subscriptions.ids import to_public
from subscriptions.models import EncryptionCanary, IdempotentRequest, SigningSecret, Subscription
from subscriptions.secrets.encryption import SecretUnreadable, decrypt, encrypt, needs_old_key

_BATCH: Final = 200
"""Rows per transaction: some milliseconds in which nobody else changes these."""

_PLACES: Final[tuple[tuple[type[Model], str], ...]] = (
    (EncryptionCanary, "token"),
    (SigningSecret, "ciphertext"),
    (Subscription, "custom_headers"),
    (IdempotentRequest, "answer"),
)
"""Each model and column that holds ciphertext."""


@dataclass(slots=True)
class Rotated:
    """What was found, and done."""

    looked_at: int = 0
    encrypted_anew: int = 0
    need_old_key: int = 0
    """Still readable, but not with the first key alone."""
    unreadable: list[str] = field(default_factory=list)
    """What no configured key reads, by name."""


def rotate() -> Rotated:
    """Encrypt everything with the first key; what is left to do is counted afterwards."""
    done = sum(_encrypt_anew(*place) for place in _PLACES)
    found = survey()
    found.encrypted_anew = done
    return found


def survey() -> Rotated:
    """Tell what an old key, or a lost one, is still needed for; changes nothing."""
    found = Rotated()
    for model, column in _PLACES:
        for batch in _batches(model, column):
            found.looked_at += len(batch)
            for key, ciphertext in batch:
                if not needs_old_key(ciphertext):
                    continue
                if _anew(ciphertext) is None:
                    found.unreadable.append(_name(model, key))
                else:
                    found.need_old_key += 1
    return found


def _encrypt_anew(model: type[Model], column: str) -> int:
    done = 0
    for batch in _batches(model, column):
        with transaction.atomic():
            for key, old in batch:
                new = _anew(old) if needs_old_key(old) else None
                if new is not None:
                    unchanged = _rows(model, column).filter(pk=key, stored=_text(old))
                    done += unchanged.update(**{column: _text(new)})
    return done


def _batches(model: type[Model], column: str) -> Iterator[list[tuple[Any, str]]]:
    """Walk the table by primary key, each batch a query of its own: no snapshot stays open."""
    rows = _rows(model, column).exclude(stored="").order_by("pk")
    batch = list(rows.values_list("pk", "stored")[:_BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1][0]).values_list("pk", "stored")[:_BATCH])


def _rows(model: type[Model], column: str) -> QuerySet[Any]:
    """Rows with the column as it is stored, whatever its field makes of it."""
    return model._default_manager.annotate(stored=Cast(column, TextField()))


def _text(ciphertext: str) -> Value:
    return Value(ciphertext, output_field=TextField())


def _anew(ciphertext: str) -> str | None:
    try:
        return encrypt(decrypt(ciphertext))
    except SecretUnreadable:
        return None


def _name(model: type[Model], key: Any) -> str:
    """Name a row by what an operator can look up."""
    if model is Subscription:
        return f"custom headers of {to_public('sub', key)}"
    if model is SigningSecret:
        secrets = SigningSecret.objects.filter(pk=key)
        owner, slug = secrets.values_list("subscription_id", "project__slug").first() or (None, "")
        return f"signing secret of {to_public('sub', owner) if owner else slug}"
    if model is IdempotentRequest:
        return f"the answer to an idempotent request, row {key}"
    return "the canary"
