"""A model field whose value is encrypted at rest: a subscription's custom headers.

Names and values are one token, so that a copy of the database tells neither. No query can look
inside; the sender reads the column as text and calls `open_headers` itself, which caches.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.db import models

from subscriptions.secrets.encryption import SecretUnreadable, decrypt, encrypt


class UnreadableHeaders(dict[str, str]):
    """Stands for headers that no configured key can read: empty, and stored again as they were."""

    def __init__(self, ciphertext: str) -> None:
        super().__init__()
        self.ciphertext = ciphertext


def seal_headers(headers: dict[str, str]) -> str:
    """Return headers as they are stored; none are "" and need no key."""
    if isinstance(headers, UnreadableHeaders):
        return headers.ciphertext
    return encrypt(json.dumps(headers)) if headers else ""


def open_headers(stored: str) -> tuple[tuple[str, str], ...]:
    """Return names and values, in order; raises `SecretUnreadable`."""
    return _pairs(decrypt(stored)) if stored else ()


@lru_cache(maxsize=4096)
def _pairs(plain: str) -> tuple[tuple[str, str], ...]:
    return tuple(json.loads(plain).items())


class EncryptedHeaders(models.TextField):  # type: ignore[type-arg]  # Django's takes no parameters
    """A dict of names and values in Python, a token in the database."""

    def from_db_value(self, stored: str, *_context: Any) -> dict[str, str]:
        """Return the headers; what cannot be read must not keep a list from being shown."""
        try:
            return dict(open_headers(stored))
        except SecretUnreadable:
            return UnreadableHeaders(stored)

    def to_python(self, value: Any) -> Any:
        """Return the headers of a token, as fixtures hold one; a dict stays itself."""
        return self.from_db_value(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        """Return the token."""
        return seal_headers(value) if isinstance(value, dict) else value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the token for `dumpdata`, which would write plain text otherwise."""
        return seal_headers(self.value_from_object(obj))
