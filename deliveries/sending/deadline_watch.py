"""Cuts sockets off when their time is up, so that a thread that waits on one goes on.

A socket's own timeout is no deadline: it starts anew with each byte. `requests_connection` puts a
socket under guard for each phase of an attempt; what is sent over it is not known here.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time


class DeadlineWatch:
    """One thread that watches over many sockets; all methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._guarded: dict[socket.socket, float] = {}
        self._looks_at = math.inf
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="deadline-watch", daemon=True)
        self._thread.start()

    def guard(self, guarded: socket.socket, *, until: float) -> None:
        """Cut a socket off at this moment of the monotonic clock, unless `let_go` comes first.

        Guarding it again changes the moment. Raises `TimeoutError` where the time is up already.
        """
        with self._changed:
            if self._is_closed or until <= time.monotonic():
                self._guarded.pop(guarded, None)
                raise TimeoutError("the deadline has passed")
            self._guarded[guarded] = until
            if until < self._looks_at:
                self._looks_at = until
                self._changed.notify()

    def let_go(self, guarded: socket.socket) -> None:
        """Leave a socket alone from now on; to be called before it is closed or kept."""
        with self._changed:
            self._guarded.pop(guarded, None)

    def close(self) -> None:
        """Cut everything off, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._is_closed:
                self._cut_off_until(time.monotonic())
                # Sockets that were let go need no waking: with deadlines of one length, the next
                # look is due after the oldest, however many came and went.
                self._looks_at = min(self._guarded.values(), default=math.inf)
                is_idle = self._looks_at == math.inf
                self._changed.wait(None if is_idle else self._looks_at - time.monotonic())
            self._cut_off_until(math.inf)

    def _cut_off_until(self, moment: float) -> None:
        for guarded in [each for each, until in self._guarded.items() if until <= moment]:
            del self._guarded[guarded]
            # The lock is held: nobody can close the socket, and have its number given to another.
            # Not SSLSocket's own method: it takes the TLS state away from the thread in there.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(guarded, socket.SHUT_RDWR)
