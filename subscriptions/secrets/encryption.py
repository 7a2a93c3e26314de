"""Encrypts what must not be readable in a copy of the database: signing secrets, custom headers.

`DISPATCHER_ENCRYPTION_KEYS` holds Fernet keys: the first encrypts, all of them decrypt.
`encryption_rotation` moves what is stored to the first, `encryption_canary` finds a wrong one.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SecretUnreadable(Exception):
    """What is stored cannot be decrypted with any of the configured keys."""


def encrypt(plain: str) -> str:
    """Return `plain` as it is stored: a Fernet token by the first key."""
    return _cipher(settings.DISPATCHER_ENCRYPTION_KEYS).encrypt(plain.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """Return the plain text of what is stored; raises `SecretUnreadable`."""
    return _decrypt(ciphertext, settings.DISPATCHER_ENCRYPTION_KEYS)


def needs_old_key(ciphertext: str) -> bool:
    """Tell whether the first key alone does not decrypt it."""
    try:
        _cipher(settings.DISPATCHER_ENCRYPTION_KEYS[:1]).decrypt(ciphertext.encode())
    except InvalidToken:
        return True
    return False


@lru_cache(maxsize=10_000)  # the sender needs the same few secrets for every request
def _decrypt(ciphertext: str, keys: tuple[str, ...]) -> str:
    try:
        return _cipher(keys).decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable(
            "Something was encrypted with a key that is not in DISPATCHER_ENCRYPTION_KEYS."
        ) from error


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
