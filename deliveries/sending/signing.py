"""Signs requests: a table of signature schemes, each a small pure function.

Called by the pump for every attempt, with the exact bytes that will be sent. Adding a scheme is one
function here, one row here and in `subscriptions.wire_formats`, one vector in the tests.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

from subscriptions.refusal import SettingRefused
from subscriptions.secrets.secret_format import standard_key

Headers = tuple[tuple[str, str], ...]


class NotSignable(ValueError):
    """A request cannot be signed as the subscription asks; `str()` may be shown to the customer."""


class ToSign(msgspec.Struct, frozen=True, gc=False):
    """One request as its signature sees it; `secrets` are those live now, newest first.

    `timestamp` is the attempt's, in whole Unix seconds; `message_id` is the same for every attempt.
    """

    message_id: str
    timestamp: int
    event_type: str
    body: bytes
    secrets: tuple[str, ...]


Scheme = Callable[[ToSign], Headers]


def sign(scheme_names: Iterable[str], to_sign: ToSign) -> Headers:
    """Return the headers of all these schemes, in their order, or raise `NotSignable`.

    While a secret is rotated, schemes with room for several signatures carry one for each live
    secret. The others sign with the newest: a receiver that has not changed yet fails visibly
    during the overlap, where the oldest would fail those that did as they were told.
    """
    if not to_sign.secrets:
        raise NotSignable("The subscription has no live signing secret.")
    headers: Headers = ()
    for name in scheme_names:
        headers += _scheme(name)(to_sign)
    return headers


def phrase_event_headers(event_type: str) -> Headers:
    """Return what a receiver of Phrase's requests dispatches on."""
    return (("X-PhraseApp-Event", event_type),)


def github_event_headers(event_type: str, message_id: str) -> Headers:
    """Return what a receiver of GitHub's requests dispatches on and de-duplicates by."""
    return (("X-GitHub-Event", event_type), ("X-GitHub-Delivery", message_id))


def _standard(to_sign: ToSign) -> Headers:
    """Standard Webhooks 1.0. A live secret of another form never verified here, so it is left out.

    Entries are separated by exactly one space, and each has a comma: the official verifiers crash
    on anything else.
    """
    content = f"{to_sign.message_id}.{to_sign.timestamp}.".encode() + to_sign.body
    keys = [key for key in map(_standard_key, to_sign.secrets) if key is not None]
    if not keys:
        raise NotSignable("The 'standard' signature scheme needs a secret that starts 'whsec_'.")
    return (
        ("webhook-id", to_sign.message_id),
        ("webhook-timestamp", str(to_sign.timestamp)),
        ("webhook-signature", " ".join(["v1," + _base64(_hmac(key, content)) for key in keys])),
    )


def _repsona(to_sign: ToSign) -> Headers:
    signature = _hmac(_newest_key(to_sign), _timestamped(to_sign)).hex()
    return (("Repsona-Signature", f"t={to_sign.timestamp},s={signature}"),)


def _stripe(to_sign: ToSign) -> Headers:
    content = _timestamped(to_sign)
    signatures = [_hmac(_text_key(secret), content).hex() for secret in to_sign.secrets]
    entries = "".join(f",v1={signature}" for signature in signatures)
    return (("Stripe-Signature", f"t={to_sign.timestamp}{entries}"),)


def _phrase(to_sign: ToSign) -> Headers:
    signature = _base64(_hmac(_newest_key(to_sign), to_sign.body))
    return (*phrase_event_headers(to_sign.event_type), ("X-PhraseApp-Signature", signature))


def _phrase_hex(to_sign: ToSign) -> Headers:
    signature = _hmac(_newest_key(to_sign), to_sign.body).hex()
    return (*phrase_event_headers(to_sign.event_type), ("X-PhraseApp-Signature", signature))


def _github(to_sign: ToSign) -> Headers:
    signature = _hmac(_newest_key(to_sign), to_sign.body).hex()
    return (
        *github_event_headers(to_sign.event_type, to_sign.message_id),
        ("X-Hub-Signature-256", f"sha256={signature}"),
    )


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "standard": _standard,
        "repsona": _repsona,
        "phrase": _phrase,
        "phrase-hex": _phrase_hex,
        "stripe": _stripe,
        "github": _github,
    }
)


def _scheme(name: str) -> Scheme:
    try:
        return SCHEMES[name]
    except KeyError:
        raise NotSignable("The subscription asks for an unknown signature scheme.") from None


def _hmac(key: bytes, content: bytes) -> bytes:
    begun = _begun(key).copy()
    begun.update(content)
    return begun.digest()


@lru_cache(maxsize=1000)
def _begun(key: bytes) -> hmac.HMAC:
    """Return what is the same for all that a key signs.

    `hmac.digest` makes it each time, and lets another thread have the interpreter meanwhile. Keys
    stay in memory here, as they do in `_standard_key`.
    """
    return hmac.new(key, digestmod="sha256")


def _base64(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def _timestamped(to_sign: ToSign) -> bytes:
    return f"{to_sign.timestamp}.".encode() + to_sign.body


def _newest_key(to_sign: ToSign) -> bytes:
    return _text_key(to_sign.secrets[0])


def _text_key(secret: str) -> bytes:
    try:
        return secret.encode()
    except UnicodeEncodeError:
        raise NotSignable("The subscription's signing secret is not valid text.") from None


@lru_cache(maxsize=10_000)  # every request needs a key; decoding costs more than signing 1 KiB
def _standard_key(secret: str) -> bytes | None:
    try:
        return standard_key(secret)
    except SettingRefused:
        return None
