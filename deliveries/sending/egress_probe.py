"""Asks receivers for a connection, to see whether our own network works; sends them nothing.

`egress_watch` begins a probe and reads its result; `egress_health` says whom to ask, and what it
means. Where an egress proxy is set, it is asked for tunnels to them instead.
"""

from __future__ import annotations

import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from deliveries.sending.egress_health import Witness
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.proxy_tunnel import first_reached_through

PROBE_SECONDS: Final = 2.0
"""For all of them together: they answered before, so they are not far."""


class EgressProbe:
    """One probe at a time, on a thread of its own."""

    def __init__(self, *, on_done: Callable[[], None], proxy: LocatedProxy | None = None) -> None:
        self._on_done = on_done
        self._proxy = proxy
        self._results: queue.SimpleQueue[Witness | None] = queue.SimpleQueue()

    def begin(self, witnesses: Sequence[Witness]) -> None:
        """Ask them all at once; `take_results` has the first that could be reached."""
        threading.Thread(target=self._run, args=(witnesses,), name="egress", daemon=True).start()

    def take_results(self) -> list[Witness | None]:
        """Return what ended since: a witness, or `None` where nobody could be reached."""
        results: list[Witness | None] = []
        while not self._results.empty():  # nobody else takes from it
            results.append(self._results.get())
        return results

    def _run(self, witnesses: Sequence[Witness]) -> None:
        try:
            self._results.put(self._first_reached(witnesses))
        except OSError:  # not even a socket: our own trouble, if any is
            self._results.put(None)
        self._on_done()

    def _first_reached(self, witnesses: Sequence[Witness]) -> Witness | None:
        if self._proxy is None:
            return _first_reached(witnesses)
        return first_reached_through(self._proxy, witnesses, within_seconds=PROBE_SECONDS)


def _first_reached(witnesses: Sequence[Witness]) -> Witness | None:
    ends_at = time.monotonic() + PROBE_SECONDS
    with selectors.DefaultSelector() as selector:
        try:
            for witness in witnesses:
                selector.register(_connecting(witness), selectors.EVENT_WRITE, witness)
            return _wait(selector, ends_at)
        finally:
            for key in list(selector.get_map().values()):
                selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]  # a socket, of `_connecting`


def _connecting(witness: Witness) -> socket.socket:
    address, _ = witness
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connecting = socket.socket(family, socket.SOCK_STREAM)
    connecting.setblocking(False)
    connecting.connect_ex(witness)  # its outcome comes with the readiness
    return connecting


def _wait(selector: selectors.BaseSelector, ends_at: float) -> Witness | None:
    while selector.get_map() and (left := ends_at - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            connected: socket.socket = key.fileobj  # type: ignore[assignment]  # of `_connecting`
            if connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and _has_peer(
                connected
            ):
                witness: Witness = key.data
                return witness
            selector.unregister(connected)
            connected.close()
    return None


def _has_peer(connected: socket.socket) -> bool:
    """Tell a connection from an attempt that failed at once, whose error was taken already."""
    try:
        connected.getpeername()
    except OSError:
        return False
    return True
