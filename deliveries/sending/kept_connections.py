"""Knows which sockets belong to which connection, and so whether the peer has hung up meanwhile.

libcurl looks at a kept-alive connection only once a second before it uses it again; when the peer
has closed it by then, libcurl sends the request a second time on a new one. `curl_transfer` asks
here instead, before the first byte is sent. Not for HTTP: descriptors and addresses only.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final

DISTRUST_SECONDS: Final = 600.0
"""How long an origin that hung up without saying so is spared kept-alive connections."""

_DISTRUSTED_AT_MOST: Final = 10_000

Ends = tuple[str, str, int, int]
"""Both ends of a connection: remote and local address, remote and local port."""

# POLLRDHUP is Linux only; elsewhere an end of stream is POLLHUP or merely readable.
_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)


class KeptConnections:
    """The descriptors of open connections, and the origins that do not keep theirs."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._descriptors: dict[Ends, int] = {}
        self._ends: dict[int, Ends] = {}
        self._distrusted: dict[tuple[str, int], float] = {}
        self._poll = select.poll()

    def __len__(self) -> int:
        return len(self._descriptors)

    def remember(self, ends: Ends, descriptor: int) -> None:
        """Note a connection that was just opened."""
        # A descriptor given out again tells that its former connection is closed: so this table
        # is never longer than the most connections that were open at one time.
        former = self._ends.get(descriptor)
        if former is not None and self._descriptors.get(former) == descriptor:
            del self._descriptors[former]
        self._ends[descriptor] = ends
        self._descriptors[ends] = descriptor

    def is_dead(self, ends: Ends, *, expects_silence: bool) -> bool:
        """Tell whether an idle connection has ended; where silence is expected, any byte ends it.

        With TLS or HTTP/2 a peer may speak unasked; over plain HTTP/1.1 it may not.
        """
        descriptor = self._descriptors.get(ends)
        if descriptor is None:
            return False
        self._poll.register(descriptor, _HUNG_UP | select.POLLIN if expects_silence else _HUNG_UP)
        events = self._poll.poll(0)
        self._poll.unregister(descriptor)
        return bool(events)

    def distrust(self, host: str, port: int) -> None:
        """Note that an origin closes connections without saying so."""
        if len(self._distrusted) >= _DISTRUSTED_AT_MOST:
            self._distrusted.clear()
        self._distrusted[host, port] = self._clock() + DISTRUST_SECONDS

    def is_distrusted(self, host: str, port: int) -> bool:
        """Tell whether to open a new connection for each request to an origin."""
        until = self._distrusted.get((host, port))
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self._distrusted[host, port]
        return False
