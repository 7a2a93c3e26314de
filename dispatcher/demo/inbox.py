"""Keeps what the demo inbox received: the last requests, in memory, of bounded size.

Filled and read by `views`; `tour` looks up whether its deliveries were verified.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

KEPT_REQUESTS = 100
BODY_LIMIT_BYTES = 16 * 1024
HEADERS_LIMIT_CHARACTERS = 8 * 1024
"""Kept of each, so that all of it stays under some three megabytes."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came, cut to what is kept of it."""

    received_at: datetime
    preset: str
    event_type: str
    signature: str
    refusal: str
    """Why it was answered 401; empty when the signature was verified."""
    headers: tuple[tuple[str, str], ...]
    body: str
    body_bytes: int
    is_cut: bool

    @property
    def is_verified(self) -> bool:
        """Say whether its signature was right."""
        return not self.refusal


class Inbox:
    """The last requests, newest first; threads may share it."""

    def __init__(self) -> None:
        self.is_open = False
        """Answers 404 until `manage.py up` opens it for the demo."""
        self._lock = threading.Lock()
        self._requests: deque[Received] = deque(maxlen=KEPT_REQUESTS)

    def add(self, received: Received) -> None:
        """Keep a request, and forget the oldest beyond `KEPT_REQUESTS`."""
        with self._lock:
            self._requests.appendleft(received)

    def latest(self, preset: str = "") -> list[Received]:
        """Return what is kept, newest first; of one preset where one is named."""
        with self._lock:
            requests = list(self._requests)
        return [request for request in requests if preset in ("", request.preset)]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._requests.clear()


inbox = Inbox()
"""This process's."""


def cut_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers in order, up to the limit of characters."""
    kept: list[tuple[str, str]] = []
    room = HEADERS_LIMIT_CHARACTERS
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept.append((name, value))
    return tuple(kept)
