"""Waits until sockets are ready, however many they are, or until another thread wakes it.

`curl_transport` says what libcurl wants to know of each socket; what flows there is not known
here. epoll where there is one, the standard library's selectors elsewhere; never select(), which
cannot take descriptors above 1023.
"""

from __future__ import annotations

import os
import select
import selectors
import sys
import threading
from typing import Final, Protocol

READABLE: Final = 1
WRITABLE: Final = 2
BROKEN: Final = 4
"""The bits of both directions of libcurl's socket interface (CURL_POLL_*, CURL_CSELECT_*)."""

HUNG_UP: Final = 8
"""The peer will send nothing more than what can be read by now. Only epoll tells."""


class SocketWatch(Protocol):
    """Sockets, and what is to be known of each; `wake` may be called from any thread."""

    def want(self, descriptor: int, readiness: int) -> None:
        """Watch a socket for `READABLE`, `WRITABLE` or both, from now on."""

    def forget(self, descriptor: int) -> None:
        """Stop watching a socket."""

    def wait(self, timeout_seconds: float) -> tuple[list[tuple[int, int]], bool]:
        """Return the ready sockets with what they are ready for, and whether it was woken."""

    def wake(self) -> None:
        """End a `wait` that is under way, or the next one."""

    def close(self) -> None:
        """Release what the watch itself holds."""


class _WakePipe:
    """A pipe to oneself: what makes a waiting thread look up."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._lock = threading.Lock()
        self._is_set = False

    def set(self) -> None:
        with self._lock:
            if not self._is_set:
                self._is_set = True
                os.write(self._writer, b"\0")

    def taken_out_of(self, ready: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], bool]:
        """Remove the pipe from what is ready, and tell whether it was there."""
        if not self._is_set:
            return ready, False
        others = [pair for pair in ready if pair[0] != self.reader]
        if len(others) == len(ready):
            return ready, False
        with self._lock:
            os.read(self.reader, 16)
            self._is_set = False
        return others, True

    def close(self) -> None:
        with self._lock:
            self._is_set = True  # a late waker must not write to whatever has the number next
            for descriptor in (self.reader, self._writer):
                if descriptor >= 0:
                    os.close(descriptor)
            self.reader = self._writer = -1


if sys.platform == "linux":
    # With EPOLLOUT alone, an end of stream would be reported over and over, to nobody's use.
    _EPOLL_READ: Final = select.EPOLLIN | select.EPOLLRDHUP
    _EPOLL_MASKS: Final = (0, _EPOLL_READ, select.EPOLLOUT, _EPOLL_READ | select.EPOLLOUT)
    _EPOLL_TROUBLE: Final = select.EPOLLERR | select.EPOLLHUP
    _READINESS: Final = tuple(
        (READABLE if event & select.EPOLLIN else 0)
        | (WRITABLE if event & select.EPOLLOUT else 0)
        | (BROKEN | HUNG_UP if event & _EPOLL_TROUBLE else 0)
        for event in range(32)
    )
    """From epoll's bits to ours, but for EPOLLRDHUP: the others are below 32."""

    class EpollWatch:
        """A `SocketWatch` on epoll: half of the selectors module's cost per event."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._wake_pipe = _WakePipe()
            self._epoll.register(self._wake_pipe.reader, select.EPOLLIN)
            self._known: set[int] = set()

        def want(self, descriptor: int, readiness: int) -> None:
            mask = _EPOLL_MASKS[readiness]
            if descriptor in self._known:
                self._epoll.modify(descriptor, mask)
            else:
                self._epoll.register(descriptor, mask)
                self._known.add(descriptor)

        def forget(self, descriptor: int) -> None:
            if descriptor in self._known:
                self._known.remove(descriptor)
                self._epoll.unregister(descriptor)

        def wait(self, timeout_seconds: float) -> tuple[list[tuple[int, int]], bool]:
            events = self._epoll.poll(timeout_seconds)
            ready = [
                (descriptor, _READINESS[event & 31] | (HUNG_UP if event > 31 else 0))
                for descriptor, event in events
            ]
            return self._wake_pipe.taken_out_of(ready)

        def wake(self) -> None:
            self._wake_pipe.set()

        def close(self) -> None:
            self._epoll.close()
            self._wake_pipe.close()


class SelectorWatch:
    """A `SocketWatch` for platforms without epoll."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_pipe = _WakePipe()
        self._selector.register(self._wake_pipe.reader, selectors.EVENT_READ)

    def want(self, descriptor: int, readiness: int) -> None:
        # EVENT_READ and EVENT_WRITE are 1 and 2, as READABLE and WRITABLE.
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, readiness)
        else:
            self._selector.register(descriptor, readiness)

    def forget(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def wait(self, timeout_seconds: float) -> tuple[list[tuple[int, int]], bool]:
        ready = [(key.fd, events) for key, events in self._selector.select(timeout_seconds)]
        return self._wake_pipe.taken_out_of(ready)

    def wake(self) -> None:
        self._wake_pipe.set()

    def close(self) -> None:
        self._selector.close()
        self._wake_pipe.close()


def open_socket_watch() -> SocketWatch:
    """Return the best watch that this platform has."""
    return EpollWatch() if sys.platform == "linux" else SelectorWatch()
