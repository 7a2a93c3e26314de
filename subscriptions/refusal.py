"""How a customer's setting is refused: one exception, whose text is a sentence for the customer.

The `check_…` functions of this app raise it, serializers and forms turn it into a field's error.
Pure: it must not know who asked.
"""

from __future__ import annotations

_SHOWN_LIMIT_CHARACTERS = 60  # enough to recognise an entry, too short to flood a page


class SettingRefused(ValueError):
    """A setting is not acceptable; `str()` is one sentence that may be shown to the customer."""


def quoted(text: str) -> str:
    """Return the customer's own text in quotes: shortened, control and bidi characters escaped."""
    shown = text if len(text) <= _SHOWN_LIMIT_CHARACTERS else text[:_SHOWN_LIMIT_CHARACTERS] + "…"
    return repr(shown)
