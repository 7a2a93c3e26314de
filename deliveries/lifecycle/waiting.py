"""Lets a request wait for a delivery to finish (`Prefer: wait=6`, RFC 7240), a few at a time.

A wait holds one thread of the web process and looks at one row now and then, in no transaction.
Whoever finds no place among the `costly_requests` is told to look later, so publishing goes on.
"""

from __future__ import annotations

import re
import time
from uuid import UUID

from deliveries.models import Delivery

WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 1, 10
"""The request deadline is 5 s: 6 sees every first attempt end, 10 leaves room for a queue."""

_LOOK_EVERY_SECONDS = 0.05
_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,6})"?', re.ASCII | re.IGNORECASE)


def wait_preference(prefer: str) -> int | None:
    """Return the seconds that a `Prefer` header asks to wait, within bounds; `None` if it does not.

    The first `wait` counts; what is not understood is ignored, as the RFC demands.
    """
    for preference in prefer.split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found:
            return min(max(int(found[1]), WAIT_SECONDS_MIN), WAIT_SECONDS_MAX)
    return None


def finished(delivery_id: UUID, *, wait_seconds: float) -> Delivery | None:
    """Return the delivery once it has ended; `None` when it has not within the time."""
    give_up_at = time.monotonic() + wait_seconds
    while True:
        delivery = Delivery.objects.filter(id=delivery_id, next_attempt_at=None).first()
        if delivery is not None or time.monotonic() >= give_up_at:
            return delivery
        time.sleep(_LOOK_EVERY_SECONDS)
