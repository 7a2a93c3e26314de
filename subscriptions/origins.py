"""Decides what may be listed as an origin that frames a portal: `https://app.example.com`.

Called by `projects`. Such a text stands in a Content-Security-Policy as it is, so nothing but an
origin as browsers write it gets through. Pure: it must not know projects.
"""

from __future__ import annotations

import re
from typing import Final

LIMIT_ORIGINS: Final = 20
LIMIT_CHARACTERS: Final = 255

_HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_PORT = (
    r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}"
    r"|655[0-2][0-9]|6553[0-5]))?"
)
_OURSELVES = r"localhost|127\.0\.0\.1|\[::1\]"

PATTERN: Final = rf"^(?:https://{_HOST}|http://(?:{_OURSELVES})){_PORT}$"
"""As JSON Schema has it, beside `LIMIT_CHARACTERS`. Plain HTTP only from one's own machine."""

_ORIGIN = re.compile(PATTERN)


def is_origin(text: str) -> bool:
    """Say whether this is an origin, in lower case, with no path."""
    return len(text) <= LIMIT_CHARACTERS and _ORIGIN.fullmatch(text) is not None
