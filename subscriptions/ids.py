"""Ids: UUIDv7 inside (sortable by time of creation), prefixed on the wire (`sub_…`, `evt_…`).

A range of ids is a range of time; partitions and history pages rest on that (RFC 9562, 5.7).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS_APART = timedelta(hours=1)
"""Ids are made by the clocks of several machines; what bounds a query by id allows for that."""

_LAST = (1 << 128) - 1
_HEX = re.compile(r"[0-9a-f]{32}")


def new_id() -> UUID:
    """Make a new UUIDv7."""
    return uuid7()


def first_id_of(moment: datetime) -> UUID:
    """Return the smallest id that can be made at `moment`; older ones are smaller."""
    return UUID(int=((moment - EPOCH) // timedelta(milliseconds=1)) << 80)


def time_of(identifier: UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond."""
    return EPOCH + timedelta(milliseconds=identifier.int >> 80)


def shifted(identifier: UUID, by: timedelta) -> UUID:
    """Return the id that lies `by` later, or earlier; the last, or first, where there is none."""
    distance = (by // timedelta(milliseconds=1)) << 80
    return UUID(int=min(max(identifier.int + distance, 0), _LAST))


def to_public(prefix: str, identifier: UUID) -> str:
    """Write an id as it goes over the wire: `to_public("sub", id)` is `sub_` and 32 hex digits."""
    return f"{prefix}_{identifier.hex}"


def from_public(prefix: str, text: str) -> UUID | None:
    """Read an id from the wire; `None` when it is not one of this kind."""
    start, _, digits = text.partition("_")
    if start != prefix or not _HEX.fullmatch(digits):
        return None
    return UUID(hex=digits)
