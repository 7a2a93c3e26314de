"""Decides what a signing secret looks like, makes new ones, and reads the key out of one.

Called by validation and rotation here, and by the sending engine's `signing`. Pure: it must not
know where secrets are stored. No sentence it raises repeats the secret.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable

from subscriptions.refusal import SettingRefused

PREFIX = "whsec_"
GENERATED_KEY_BYTES = 32  # as long as a SHA-256 digest: more adds nothing (RFC 2104, section 3)
STANDARD_KEY_BYTES = range(24, 64 + 1)  # Standard Webhooks 1.0, "Signature scheme"
SECRET_CHARACTERS = range(8, 256 + 1)
"""For schemes that take any text: vendors hand out 20 and more, and 8 keeps typing errors out."""


def generate_secret() -> str:
    """Make a new secret that every scheme accepts: `whsec_` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(GENERATED_KEY_BYTES)).decode()


def check_secret(secret: object, scheme_names: Iterable[str]) -> str:
    """Return the secret, or raise `SettingRefused`.

    Where `standard` is among the schemes it must be `whsec_` and base64; elsewhere it may be any
    8 to 256 printable characters, whose UTF-8 bytes are the key. Space at either end is refused:
    it is a slip of copying that no receiver would have.
    """
    if not isinstance(secret, str) or not secret.isprintable() or secret != secret.strip():
        raise SettingRefused("A secret is printable text, without spaces around it.")
    if len(secret) not in SECRET_CHARACTERS:
        raise SettingRefused("A secret has 8 to 256 characters.")
    if "standard" in scheme_names:
        standard_key(secret)
    return secret


def standard_key(secret: str) -> bytes:
    """Return the key of a `whsec_…` secret, or raise `SettingRefused`.

    Only padded, canonical base64 of the usual alphabet: what some decoders accept and others
    refuse would verify in one language and not in the next.
    """
    encoded = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded)
    except ValueError:  # not ASCII, or wrongly padded
        key = b""
    # Decoding skips characters of other alphabets; encoding again shows that there were none.
    is_canonical = base64.b64encode(key).decode() == encoded
    if encoded == secret or not is_canonical or len(key) not in STANDARD_KEY_BYTES:
        raise SettingRefused(
            "With the 'standard' signature scheme a secret is 'whsec_' followed by the base64 of "
            "24 to 64 random bytes."
        )
    return key
