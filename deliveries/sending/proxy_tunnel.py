"""Asks the egress proxy for a tunnel over a plain socket, and tries whether one can be had.

The requests transport sends through such tunnels; the probe only asks for them. libcurl has its own
(`curl_tunnel`). Deadlines are the socket's owner's.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_address

from deliveries.sending.egress_health import Witness
from deliveries.sending.egress_proxy import (
    HEAD_LIMIT_BYTES,
    EgressProxy,
    connect_request,
    has_tunnel,
)
from deliveries.sending.proxy_address import LocatedProxy
from subscriptions.guard.address_guard import IPAddress


def ask_for_tunnel(
    connected: socket.socket, proxy: EgressProxy, address: IPAddress, port: int
) -> bytes:
    """Return the head of the proxy's answer to CONNECT; not a byte of what follows is read.

    Raises `OSError` where there is none: `ConnectionError` if the proxy closes instead.
    """
    connected.sendall(connect_request(proxy, address, port))
    return _read_head(connected)


def _read_head(connected: socket.socket) -> bytes:
    head = bytearray()
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        # One by one: what a receiver sends behind it belongs to somebody else.
        byte = connected.recv(1)
        if not byte or len(head) >= HEAD_LIMIT_BYTES:
            raise ConnectionError(f"the egress proxy ended in its answer: {bytes(head[:100])!r}")
        head += byte
    return bytes(head)


def first_reached_through(
    located: LocatedProxy, witnesses: Sequence[Witness], *, within_seconds: float
) -> Witness | None:
    """Ask for tunnels to all of them at once; return the first that came to be."""
    ends_at = time.monotonic() + within_seconds
    results: queue.SimpleQueue[Witness | None] = queue.SimpleQueue()

    def ask(witness: Witness) -> None:
        try:
            results.put(witness if _can_reach(located, witness, within_seconds) else None)
        except OSError:
            results.put(None)

    for witness in witnesses:
        threading.Thread(target=ask, args=(witness,), name="egress", daemon=True).start()
    for _ in witnesses:
        try:
            reached = results.get(timeout=max(0.001, ends_at - time.monotonic()))
        except queue.Empty:
            return None
        if reached is not None:
            return reached
    return None


def _can_reach(located: LocatedProxy, witness: Witness, within_seconds: float) -> bool:
    proxy_address = located.address
    if proxy_address is None:
        return False
    where = (str(proxy_address), located.proxy.port)
    with socket.create_connection(where, timeout=within_seconds) as connected:
        address, port = witness
        return has_tunnel(ask_for_tunnel(connected, located.proxy, ip_address(address), port))
