"""Verifies the signatures of requests that reach the demo inbox, as a receiver would.

Written from WIRE.md alone: it must not know `deliveries.sending.signing`, so that the two can
disagree. The standard library is all that a receiver needs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

TOLERANCE_SECONDS = 300
"""How old a signed timestamp may be: Standard Webhooks' advice against replayed requests."""


class NotVerified(Exception):
    """The signature is missing or wrong; `str()` is a sentence for the inbox page."""


def verify(preset: str, headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Check a request against one secret; raises `NotVerified`.

    `headers` are looked up by any case, as Django's are.
    """
    try:
        is_right = VERIFIERS[preset](headers, body, secret)
    except KeyError as error:
        raise NotVerified(f"The header {error.args[0]} is missing.") from None
    except ValueError:
        raise NotVerified("The signature is not of the form that this preset uses.") from None
    if not is_right:
        raise NotVerified("The signature is not that of this body and secret.")


def _standard(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    sent_at = headers["webhook-timestamp"]
    _check_age(sent_at)
    signed = f"{headers['webhook-id']}.{sent_at}.".encode() + body
    right = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    entries = headers["webhook-signature"].encode().split(b" ")
    return any(hmac.compare_digest(right, entry) for entry in entries)


def _repsona(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    parts = dict(part.split("=", 1) for part in headers["Repsona-Signature"].split(","))
    _check_age(parts.get("t", ""))
    signed = f"{parts['t']}.".encode() + body
    right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), parts.get("s", "").encode())


def _phrase(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest), headers["X-PhraseApp-Signature"].encode())


def _check_age(unix_seconds: str) -> None:
    if abs(time.time() - int(unix_seconds)) > TOLERANCE_SECONDS:
        raise NotVerified("The signature's timestamp is more than five minutes off.")


VERIFIERS: Mapping[str, Callable[[Mapping[str, str], bytes, str], bool]] = MappingProxyType(
    {"standard": _standard, "repsona": _repsona, "phrase": _phrase}
)
SIGNATURE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "standard": "webhook-signature",
        "repsona": "Repsona-Signature",
        "phrase": "X-PhraseApp-Signature",
    }
)
