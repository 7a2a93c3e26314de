"""Servers that are away, each in its own way, on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def dead_redis(*, is_silent: bool) -> Iterator[str]:
    """A Redis URL where nobody listens, or where somebody takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if is_silent:
            listener.listen()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
