"""Lets a request wait for a delivery to finish (`Prefer: wait=6`, RFC 7240), a few at a time.

A wait holds one thread of the web process and looks at one row now and then, in no transaction.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from deliveries.models import Delivery

WAITS_AT_ONCE = 4
"""Per web process: whoever comes beyond that is told to look later, so publishing goes on."""

WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 1, 10
"""The request deadline is 5 s: 6 sees every first attempt end, 10 leaves room for a queue."""

_LOOK_EVERY_SECONDS = 0.05
_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,6})"?', re.ASCII | re.IGNORECASE)

_places = threading.BoundedSemaphore(WAITS_AT_ONCE)


def wait_preference(prefer: str) -> int | None:
    """Return the seconds that a `Prefer` header asks to wait, within bounds; `None` if it does not.

    The first `wait` counts; what is not understood is ignored, as the RFC demands.
    """
    for preference in prefer.split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found:
            return min(max(int(found[1]), WAIT_SECONDS_MIN), WAIT_SECONDS_MAX)
    return None


@contextmanager
def place_to_wait() -> Iterator[bool]:
    """Take one of this process's places, as long as the block lasts; gives whether one was free."""
    is_free = _places.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _places.release()


def finished(delivery_id: UUID, *, wait_seconds: float) -> Delivery | None:
    """Return the delivery once it has ended; `None` when it has not within the time."""
    give_up_at = time.monotonic() + wait_seconds
    while True:
        delivery = Delivery.objects.filter(id=delivery_id, next_attempt_at=None).first()
        if delivery is not None or time.monotonic() >= give_up_at:
            return delivery
        time.sleep(_LOOK_EVERY_SECONDS)
