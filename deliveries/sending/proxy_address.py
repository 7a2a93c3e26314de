"""Knows where the egress proxy is at present: its name is looked up as the system does.

Not by `resolve`: the proxy's name is the operator's, and may stand in /etc/hosts or in a container
network's own DNS. Both transports and the probe ask here before each connection.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from deliveries.sending import verdicts
from deliveries.sending.egress_proxy import EgressProxy
from deliveries.sending.transport import Exchange, OutboundRequest
from subscriptions.guard.address_guard import IPAddress

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0
"""After a look-up that failed; what was known stays."""

FIRST_LOOKUP_SECONDS: Final = 5.0
"""How long a start waits for the first one."""

LooksUp = Callable[[str, int], list[IPAddress]]


class LocatedProxy:
    """The proxy and its present address; from any thread."""

    def __init__(self, proxy: EgressProxy, *, look_up: LooksUp | None = None) -> None:
        self.proxy = proxy
        self._look_up = look_up or _ask_system
        self._lock = threading.Lock()
        self._addresses: list[IPAddress] = []
        self._next_lookup_at = 0.0
        self._is_looking_up = False
        first = self._begin_lookup()
        if first is not None:
            first.join(FIRST_LOOKUP_SECONDS)

    @property
    def address(self) -> IPAddress | None:
        """Return where to connect, or `None` while the name leads nowhere; does not wait."""
        if time.monotonic() >= self._next_lookup_at:
            self._begin_lookup()
        addresses = self._addresses
        return addresses[0] if addresses else None

    def note_failure(self, address: IPAddress) -> None:
        """Let another of the name's addresses have its turn."""
        with self._lock:
            if len(self._addresses) > 1 and self._addresses[0] == address:
                self._addresses = [*self._addresses[1:], address]

    def _begin_lookup(self) -> threading.Thread | None:
        with self._lock:
            if self._is_looking_up:
                return None
            self._is_looking_up = True
        thread = threading.Thread(target=self._run, name="proxy-address", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        found: list[IPAddress] = []
        try:
            found = self._look_up(self.proxy.host, self.proxy.port)
        except OSError as error:
            logger.error("the egress proxy's name cannot be resolved: %s", error)
        with self._lock:
            # The order is the system's, but the address in use stays in use while it is one.
            is_same = set(found) == set(self._addresses)
            self._addresses = found if found and not is_same else self._addresses
            seconds = REFRESH_SECONDS if found else RETRY_SECONDS
            self._next_lookup_at = time.monotonic() + seconds
            self._is_looking_up = False


def proxy_is_nowhere(request: OutboundRequest, *, dns_ms: int | None) -> Exchange:
    """Make the exchange of a request that there is no proxy for."""
    return Exchange(
        request=request,
        outcome=verdicts.PROXY_FAILED.outcome,
        error=verdicts.PROXY_FAILED.error,
        operator_detail="the egress proxy's name leads nowhere",
        duration_ms=dns_ms or 0,
        dns_ms=dns_ms,
    )


def _ask_system(host: str, port: int) -> list[IPAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(each[4][0]) for each in found))
