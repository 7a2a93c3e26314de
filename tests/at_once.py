"""Does things at the same time, each on a thread and a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection

_PATIENCE_SECONDS = 60


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Begin all actions together; return what each returned, in order, or raise what one raised."""
    start = Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        try:
            start.wait(_PATIENCE_SECONDS)
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(act, actions, timeout=_PATIENCE_SECONDS))
