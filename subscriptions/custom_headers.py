"""Decides which headers a subscription may add to its requests, and how their values are shown.

Called by validation, and wherever headers are shown: a value may be a credential, so only its mask
leaves. Pure: it must not know requests; what a request carries of its own accord is listed here as
reserved, and a test holds that list against what is really sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from subscriptions.refusal import SettingRefused, quoted

LIMIT_HEADERS = 20
LIMIT_NAME_CHARACTERS = 100
LIMIT_VALUE_CHARACTERS = 1024
LIMIT_TOTAL_CHARACTERS = 4096
"""Many servers refuse a header block over 8 KiB; ours and the signatures need room beside these."""

MASK = "…"
"""No value can begin with it: values are ASCII."""

_MASK_SHOWS_CHARACTERS = 4
_MASK_SHOWS_FROM_CHARACTERS = 12
"""The end of a shorter value would be too much of it."""

NAME_PATTERN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"  # RFC 9110, section 5.6.2: token
VALUE_PATTERN = r"^[!-~](?:[\t -~]*[!-~])?$"  # space at either end would be lost on the way
"""As JSON Schema has them: `$` is the end of the text."""

_NAME = re.compile(NAME_PATTERN[1:-1])
_VALUE = re.compile(VALUE_PATTERN[1:-1])

_RESERVED_NAMES = frozenset(
    {
        # what every request carries
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        # about the connection, not the request: smuggling (RFC 9110, section 7.6.1)
        "connection",
        "expect",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # would make receivers believe that somebody else is calling, or calling otherwise
        "cookie",
        "date",
        "forwarded",
        "via",
        "x-real-ip",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        # open the metadata services of clouds; the address guard is the first wall, this a second
        "metadata",
        "metadata-flavor",
        "x-google-metadata-request",
    }
)

_RESERVED_PREFIXES = (
    "content-",
    "proxy-",
    "x-forwarded-",
    "x-aws-ec2-metadata-",
    "webhook-",
    "x-github-",
    "x-hub-",
    "x-phraseapp-",
)

_RESERVED_SUFFIX = "-signature"  # ours, and the vendor names that a receiver may trust


def check_custom_headers(headers: object) -> dict[str, str]:
    """Return the headers in the given order, or raise `SettingRefused`.

    Takes an object of names and values; `None` is none. Names are tokens that nothing else uses,
    values 1 to 1024 visible ASCII characters, spaces and tabs, not at either end.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise SettingRefused("Custom headers are an object of names and values.")
    if len(headers) > LIMIT_HEADERS:
        raise SettingRefused(f"At most {LIMIT_HEADERS} custom headers can be set.")
    checked = {_check_name(name): _check_value(name, value) for name, value in headers.items()}
    if len({_folded(name) for name in checked}) < len(checked):
        raise SettingRefused("Each custom header can be set only once, whatever its case.")
    if sum(len(name) + len(value) for name, value in checked.items()) > LIMIT_TOTAL_CHARACTERS:
        raise SettingRefused(
            f"Custom headers have at most {LIMIT_TOTAL_CHARACTERS} characters together."
        )
    return checked


def mask(value: str) -> str:
    """Return what is shown of a value: its end where that tells little of it, else nothing."""
    is_long = len(value) >= _MASK_SHOWS_FROM_CHARACTERS
    return MASK + value[-_MASK_SHOWS_CHARACTERS:] if is_long else MASK


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with each value's mask."""
    return {name: mask(value) for name, value in headers.items()}


def unmasked(given: object, stored: Mapping[str, str]) -> object:
    """Put the stored values where their masks were given back; the rest stays as given."""
    if not isinstance(given, Mapping):
        return given
    known = masked(stored)
    return {
        name: stored[name] if name in stored and value == known[name] else value
        for name, value in given.items()
    }


def is_reserved(name: str) -> bool:
    """Tell whether a header of this name is ours to set, or nobody's."""
    folded = _folded(name)
    return (
        folded in _RESERVED_NAMES
        or folded.startswith(_RESERVED_PREFIXES)
        or folded.endswith(_RESERVED_SUFFIX)
    )


def _folded(name: str) -> str:
    # CGI and WSGI servers take `Content_Length` for `Content-Length`.
    return name.lower().replace("_", "-")


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingRefused(
            "The name of a custom header has letters, digits and any of !#$%&'*+-.^_`|~ only."
        )
    if len(name) > LIMIT_NAME_CHARACTERS:
        raise SettingRefused(
            f"The name of a custom header has at most {LIMIT_NAME_CHARACTERS} characters."
        )
    if is_reserved(name):
        raise SettingRefused(f"The header {quoted(name)} cannot be set: its name is reserved.")
    return name


def _check_value(name: object, value: object) -> str:
    """Values may be credentials, so no sentence repeats one."""
    if isinstance(value, str) and value.startswith(MASK):
        raise SettingRefused(
            f"The value of the header {quoted(str(name))} is a mask, and not that of what is "
            "stored: give the value."
        )
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise SettingRefused(
            f"The value of the header {quoted(str(name))} has visible ASCII characters, with "
            "spaces and tabs between them, and no line breaks."
        )
    if len(value) > LIMIT_VALUE_CHARACTERS:
        raise SettingRefused(
            f"The value of the header {quoted(str(name))} has at most {LIMIT_VALUE_CHARACTERS} "
            "characters."
        )
    return value
