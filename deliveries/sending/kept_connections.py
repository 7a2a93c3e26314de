"""Knows of each open connection whether the peer has hung up, and who hangs up without saying so.

A kept-alive connection that the peer closes cannot tell whether a request on it was read. libcurl
then sends it again on a new one; `curl_transfer` asks here to tell when that would be a second
request, and when the first was never taken. Descriptors and addresses only.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final

DISTRUST_SECONDS: Final = 600.0
"""How long an origin that lost a request this way is spared kept-alive connections."""

_DISTRUSTED_AT_MOST: Final = 10_000

Ends = tuple[str, str, int, int]
"""Both ends of a connection: remote and local address, remote and local port."""

# POLLRDHUP is Linux only; elsewhere an end of stream is POLLHUP, or merely readable.
_END_OF_STREAM: Final = getattr(select, "POLLRDHUP", 0)


class KeptConnection:
    """One connection, from its first request on."""

    __slots__ = ("descriptor", "ends", "has_hung_up", "speaks_http2")

    def __init__(self, ends: Ends, descriptor: int) -> None:
        self.ends = ends
        self.descriptor = descriptor
        self.has_hung_up = False
        """The peer's end of stream was seen, or an error."""
        self.speaks_http2 = False


class KeptConnections:
    """The open connections, and the origins that do not keep theirs."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_ends: dict[Ends, KeptConnection] = {}
        self._by_descriptor: dict[int, KeptConnection] = {}
        self._distrusted: dict[tuple[str, int], float] = {}
        self._poll = select.poll()

    def __len__(self) -> int:
        return len(self._by_ends)

    def get(self, ends: Ends) -> KeptConnection | None:
        """Return the connection between two ends."""
        return self._by_ends.get(ends)

    def add(self, ends: Ends, descriptor: int) -> KeptConnection:
        """Note a connection that was just opened."""
        # A descriptor given out again tells that its former connection is closed: so these
        # tables are never longer than the most connections that were open at one time.
        former = self._by_descriptor.get(descriptor)
        if former is not None and self._by_ends.get(former.ends) is former:
            del self._by_ends[former.ends]
        connection = KeptConnection(ends, descriptor)
        self._by_ends[ends] = self._by_descriptor[descriptor] = connection
        return connection

    def note_hang_up(self, descriptor: int) -> None:
        """Note that a peer's end of stream was seen before what it sent last was read."""
        connection = self._by_descriptor.get(descriptor)
        if connection is not None:
            connection.has_hung_up = True

    def is_dead(self, connection: KeptConnection, *, expects_silence: bool) -> bool:
        """Look whether an idle connection has ended; where silence is expected, any byte ends it.

        With TLS or HTTP/2 a peer may speak unasked; over plain HTTP/1.1 it may not.
        """
        wanted = _END_OF_STREAM | select.POLLIN if expects_silence else _END_OF_STREAM
        self._poll.register(connection.descriptor, wanted)
        events = self._poll.poll(0)
        self._poll.unregister(connection.descriptor)
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
