"""Reads the secrets that may have signed a subscription's requests, to check signatures with.

Called by the signature debugger. What is returned must never be shown, stored or logged: showing
one is `secret_rotation.reveal`'s, which writes it down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from subscriptions.models import Subscription
from subscriptions.secrets.encryption import SecretUnreadable, decrypt
from subscriptions.secrets.signing_secrets import SecretOwner, live_secrets, signing_owner


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """One of them."""

    name: str
    """`newest` and `previous` sign; `default` and `own` do not: the other owner's."""
    text: str = field(repr=False)
    signs: bool


def known_secrets(subscription: Subscription, *, with_default: bool) -> list[KnownSecret]:
    """Return those that sign, newest first, then the other owner's; unreadable ones left out.

    Without `with_default` the project's default secret is among them only where it signs.
    """
    owner = signing_owner(subscription)
    others: SecretOwner = subscription if owner is not subscription else subscription.project
    other_name = "own" if others is subscription else "default"
    signing = zip(("newest", "previous"), _texts(owner), strict=False)
    known = [KnownSecret(name, text, signs=True) for name, text in signing]
    if others is not subscription and not with_default:
        return known
    return known + [KnownSecret(other_name, text, signs=False) for text in _texts(others)]


def _texts(owner: SecretOwner) -> Iterator[str]:
    for row in live_secrets(owner.signing_secrets.all()):
        try:
            yield decrypt(row.ciphertext)
        except SecretUnreadable:
            continue
