"""Decides which subscriptions want an event, by their event-type filters.

Called by validation (`check_filters`), by ingest for every event (`matches`), and by pages that
explain (`why`). Pure: it must not know models or the catalogue.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from subscriptions.event_types import LIMIT_CHARACTERS, PATTERN, SEPARATORS, is_event_type
from subscriptions.refusal import SettingRefused, quoted

EVERYTHING = "*"

LIMIT_FILTERS = 100
"""Twice the largest catalogue in the field; whoever needs more wants a prefix."""

FILTER_PATTERN = rf"^(?:\*|{PATTERN[1:-1]}(?:[{SEPARATORS}]\*)?)$"
"""What a filter looks like, as JSON Schema has it; it has `LIMIT_CHARACTERS` at most."""


def check_filters(filters: object) -> tuple[str, ...]:
    """Return the filters, each once, in the given order, or raise `SettingRefused`.

    A filter is a full event type, `*`, or a prefix that ends in a separator and `*` (`Task.*`).
    An empty list is refused: nothing is not "everything".
    """
    if not isinstance(filters, list | tuple) or not filters:
        raise SettingRefused("List at least one event type, or '*' for all of them.")
    if len(filters) > LIMIT_FILTERS:
        raise SettingRefused(f"At most {LIMIT_FILTERS} event types can be listed; use a prefix.")
    return tuple(dict.fromkeys(_check_filter(entry) for entry in filters))


def matches(filters: Collection[str], event_type: str) -> bool:
    """Tell whether any of these checked filters wants the event type."""
    return not filters_wanting(event_type).isdisjoint(filters)


def why(filters: Collection[str], event_type: str) -> str | None:
    """Return the first of these checked filters that wants the event type, or `None`."""
    wanting = filters_wanting(event_type)
    return next((entry for entry in filters if entry in wanting), None)


@lru_cache(maxsize=4096)  # ingest asks for the same few names again and again
def filters_wanting(event_type: str) -> frozenset[str]:
    """Return every filter that could be written to want this event type.

    `jobs:locale:complete` is wanted by itself, `jobs:locale:*`, `jobs:*` and `*`: matching is
    then one set operation per subscription, however many filters it has.
    """
    ends = [position + 1 for position, char in enumerate(event_type) if char in SEPARATORS]
    prefixes = [event_type[:end] + EVERYTHING for end in ends]
    return frozenset((EVERYTHING, event_type, *prefixes))


def _check_filter(entry: object) -> str:
    if not isinstance(entry, str):
        raise SettingRefused("Each entry of the event types is a text.")
    if entry == EVERYTHING or is_event_type(entry) or _is_prefix(entry):
        return entry
    raise SettingRefused(
        f"{quoted(entry)} is neither an event type, nor '*', nor a prefix that ends in a "
        "separator and '*', such as 'Task.*' or 'jobs:*'."
    )


def _is_prefix(entry: str) -> bool:
    """Tell whether this is a prefix; one as long as no event type could be would match nothing."""
    return (
        entry[-1:] == EVERYTHING
        and entry[-2:-1] in SEPARATORS
        and len(entry) <= LIMIT_CHARACTERS
        and is_event_type(entry[:-2])
    )
