"""The default transport: many requests at once through libcurl, each to one pinned address.

`door` hands it judged requests and collects their exchanges. It drives libcurl's handles and owns
their pool; what one transfer is told and means is in `curl_transfer`. libcurl's own select() or
poll() are not used, for descriptors above 1023 and for `wake`; the price is 10 µs per request.
"""

from __future__ import annotations

import time
from typing import Final

import certifi
import pycurl

from deliveries.sending import curl_errors, verdicts
from deliveries.sending.curl_transfer import CurlTransfer, Route
from deliveries.sending.kept_connections import KeptConnections
from deliveries.sending.proxy_address import LocatedProxy, proxy_is_nowhere
from deliveries.sending.socket_watch import HUNG_UP, open_socket_watch
from deliveries.sending.transport import Exchange, OutboundRequest
from subscriptions.guard.address_guard import AddressPolicy, IPAddress

MAX_IDLE_SECONDS: Final = 3
"""How long a connection may have been idle to be used again. Shorter than the idle timeout of
most servers (Node, Apache and uvicorn: 5 s): a request that meets their closing is lost."""

SWEEP_EVERY_SECONDS: Final = 1.0
"""How often what has been idle for too long is closed; libcurl does so once a second at most."""

_ROUTES_AT_MOST: Final = 10_000


class CurlTransport:
    """A `Transport` on libcurl's multi interface.

    `max_connections` idle connections are kept at most; how many requests are in flight is the
    caller's to bound. `ca_file` is a PEM file of authorities, certifi's by default. With a `proxy`
    all connections are tunnels through it.
    """

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        max_connections: int,
        ca_file: str | None = None,
        max_idle_seconds: int = MAX_IDLE_SECONDS,
        proxy: LocatedProxy | None = None,
    ) -> None:
        self._policy = policy
        self._ca_file = ca_file or certifi.where()
        self._max_idle_seconds = max_idle_seconds
        self._proxy = proxy
        self._kept = KeptConnections()
        self._routes: dict[tuple[int, int, int], Route] = {}
        self._free: list[CurlTransfer] = []
        self._busy: dict[pycurl.Curl, CurlTransfer] = {}
        self._ended: list[Exchange] = []
        self._watch = open_socket_watch()
        self._timer_due_at: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._sweeper = _make_sweeper(max_idle_seconds)
        self._sweep_due_at = time.monotonic() + SWEEP_EVERY_SECONDS

    def submit(
        self,
        request: OutboundRequest,
        *,
        address: IPAddress,
        deadline_seconds: float,
        connect_seconds: float | None = None,
        dns_ms: int | None = None,
    ) -> None:
        """Begin sending; see `Transport.submit`."""
        if self._proxy is not None and self._proxy.address is None:
            self._ended.append(proxy_is_nowhere(request, dns_ms=dns_ms))
            return
        transfer = self._free.pop() if self._free else self._new_transfer()
        try:
            transfer.begin(
                request,
                self._route(address, request.url.port),
                deadline_seconds=deadline_seconds,
                connect_seconds=connect_seconds,
                dns_ms=dns_ms,
            )
        except pycurl.error as error:
            self._free.append(transfer)
            self._ended.append(_not_sendable(request, error))
            return
        self._busy[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def _new_transfer(self) -> CurlTransfer:
        return CurlTransfer(
            policy=self._policy,
            kept=self._kept,
            ca_file=self._ca_file,
            max_idle_seconds=self._max_idle_seconds,
            proxy=self._proxy,
        )

    def _route(self, address: IPAddress, port: int) -> Route:
        key = (int(address), address.version, port)
        route = self._routes.get(key)
        if route is None:
            if len(self._routes) >= _ROUTES_AT_MOST:
                self._routes.clear()
            route = self._routes[key] = Route(address, port)
        return route

    def collect(self, timeout_seconds: float) -> list[Exchange]:
        """Drive what is in flight; see `Transport.collect`."""
        now = time.monotonic()
        until = now + timeout_seconds
        if now >= self._sweep_due_at:
            self._sweep(now)
        while True:
            self._run_due_timer()
            ready, is_woken = self._watch.wait(self._seconds_to_wait(until))
            action = self._multi.socket_action
            for descriptor, readiness in ready:
                if readiness & HUNG_UP:
                    self._kept.note_hang_up(descriptor)
                action(descriptor, readiness & ~HUNG_UP)
            self._harvest()
            if self._ended or is_woken or time.monotonic() >= until:
                ended, self._ended = self._ended, []
                return ended

    def wake(self) -> None:
        """End a `collect` that is waiting, from any thread."""
        self._watch.wake()

    def close(self) -> None:
        """Drop everything that is in flight, and close all connections."""
        for transfer in self._busy.values():
            self._multi.remove_handle(transfer.curl)
        self._multi.close()
        for transfer in (*self._busy.values(), *self._free):
            transfer.curl.close()
        self._sweeper.close()
        self._busy.clear()
        self._free.clear()
        self._watch.close()

    def _sweep(self, now: float) -> None:
        """Close what has been idle for too long, though nothing is sent."""
        self._sweep_due_at = now + SWEEP_EVERY_SECONDS
        self._multi.add_handle(self._sweeper)
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._multi.remove_handle(self._sweeper)
        self._harvest()  # others' timers may have run out as well

    def _on_socket(self, wanted: int, descriptor: int, _multi: object, _data: object) -> None:
        if wanted in {pycurl.POLL_REMOVE, pycurl.POLL_NONE}:
            self._watch.forget(descriptor)
        else:
            self._watch.want(descriptor, wanted)

    def _on_timer(self, milliseconds: int) -> None:
        self._timer_due_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _run_due_timer(self) -> None:
        due_at = self._timer_due_at
        if due_at is None or time.monotonic() < due_at:
            return
        self._timer_due_at = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._harvest()

    def _seconds_to_wait(self, until: float) -> float:
        if self._ended:
            return 0.0
        due_at = self._timer_due_at
        next_at = until if due_at is None else min(due_at, until)
        return max(0.0, next_at - time.monotonic())

    def _harvest(self) -> None:
        queued = 1
        while queued:
            queued, done, failed = self._multi.info_read()
            for curl in done:
                self._end(curl, 0, "")
            for curl, error_number, words in failed:
                self._end(curl, error_number, words)

    def _end(self, curl: pycurl.Curl, error_number: int, words: str) -> None:
        self._multi.remove_handle(curl)
        transfer = self._busy[curl]
        if transfer.is_on_dead_connection:
            if transfer.begin_afresh():
                self._multi.add_handle(curl)
                return
            error_number = curl_errors.OPERATION_TIMEDOUT
        del self._busy[curl]
        self._ended.append(transfer.finish(error_number, words))
        self._free.append(transfer)


def _not_sendable(request: OutboundRequest, error: pycurl.error) -> Exchange:
    """Make the exchange of a request that libcurl does not take: our own mistake."""
    return Exchange(
        request=request,
        outcome=verdicts.OUR_SETUP.outcome,
        error=verdicts.OUR_SETUP.error,
        operator_detail=str(error),
    )


def _make_sweeper(max_idle_seconds: int) -> pycurl.Curl:
    """Make a transfer that gets no socket, and has libcurl tidy up before it asks for one.

    libcurl closes idle connections when a transfer looks for one that it could use again
    (`Curl_cpool_prune_dead`), and at no other time. The call that would do so at once,
    CURLMOPT_NETWORK_CHANGED, is not in pycurl 7.49; a new multi handle would parse the authorities
    and make all TLS sessions anew.
    """
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.URL, "http://0.0.0.0:1/")  # nobody's: no connection is the one it looks for
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.MAXAGE_CONN, max_idle_seconds)
    curl.setopt(pycurl.OPENSOCKETFUNCTION, lambda *_: pycurl.SOCKET_BAD)
    return curl
