"""Decides what an event type may be called: `Task.update`, `jobs:locale:complete`, `order.paid`.

Called by the catalogue, by event-type filters and by ingest. Pure: it must not know which event
types a project has.
"""

from __future__ import annotations

import re

from subscriptions.refusal import SettingRefused, quoted

SEPARATORS = ".:/-"
"""What stands between the parts of a name; a filter's prefix ends in one of them."""

LIMIT_CHARACTERS = 128
"""Names travel in headers and stand in indexes; the longest in the field are under 60."""

_NAME = re.compile(rf"[A-Za-z0-9_]++(?:[{SEPARATORS}][A-Za-z0-9_]++)*+")

PATTERN = rf"^[A-Za-z0-9_]+(?:[{SEPARATORS}][A-Za-z0-9_]+)*$"
"""The same as JSON Schema has it, beside `LIMIT_CHARACTERS`."""


def is_event_type(name: str) -> bool:
    """Tell whether this is a possible event type."""
    return len(name) <= LIMIT_CHARACTERS and _NAME.fullmatch(name) is not None


def check_event_type(name: object) -> str:
    """Return the name, or raise `SettingRefused`.

    1 to 128 characters: ASCII letters, digits and `_` in parts of at least one, joined by
    single `.`, `:`, `/` or `-`. Case counts. ASCII only, because the name goes into headers.
    """
    if not isinstance(name, str):
        raise SettingRefused("An event type is a text of 1 to 128 characters.")
    if not is_event_type(name):
        raise SettingRefused(
            f"{quoted(name)} is not an event type: at most {LIMIT_CHARACTERS} letters, digits "
            "and underscores, in parts joined by single '.', ':', '/' or '-'."
        )
    return name
