"""The second transport: one thread per request under way, each a blocking POST through requests.

`door` hands it judged requests and collects their exchanges. For platforms without libcurl, and as
the yardstick in benchmarks; it owns the threads. What happens on a connection is in
`requests_connection`, what an attempt meant in `requests_attempt`.
"""

from __future__ import annotations

import logging
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import certifi
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from deliveries.sending import verdicts
from deliveries.sending.deadline_watch import DeadlineWatch
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.requests_attempt import Attempt, AttemptEnded
from deliveries.sending.requests_connection import Authorities, Origin, PinnedConnection
from deliveries.sending.requests_pool import IdleConnections, PinningAdapter, PreparedAttempt
from deliveries.sending.response_reader import STOP
from deliveries.sending.transport import Exchange, OutboundRequest, Outcome
from deliveries.sending.verdicts import Verdict
from subscriptions.guard.address_guard import AddressPolicy, IPAddress

logger = logging.getLogger(__name__)

CAPACITY: Final = 100
"""Requests under way at once. A deadline counts from `submit`: more would have to wait for a
thread, at the receivers' expense. More threads do not send faster, for they share one lock."""

MAX_IDLE_SECONDS: Final = 3.0
"""As with libcurl: shorter than the idle timeout of most servers."""

_PIECE_BYTES: Final = 16 * 1024

_INTERRUPTED: Final = Verdict(Outcome.INTERRUPTED, "The attempt was interrupted.")


class RequestsTransport:
    """A `Transport` on requests; at most `CAPACITY` requests may be under way at once.

    `ca_file` is a PEM file of authorities, certifi's by default. With a `proxy` all connections
    are tunnels through it.
    """

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        ca_file: str | None = None,
        max_idle_seconds: float = MAX_IDLE_SECONDS,
        proxy: LocatedProxy | None = None,
    ) -> None:
        self._policy = policy
        self._proxy = proxy
        self._authorities = Authorities(ca_file or certifi.where())
        self._watch = DeadlineWatch()
        self._idle = IdleConnections(limit=CAPACITY, max_idle_seconds=max_idle_seconds)
        self._adapter = PinningAdapter(idle=self._idle, open_to=self._open_to)
        self._threads = ThreadPoolExecutor(CAPACITY, thread_name_prefix="sender")
        self._ended: queue.SimpleQueue[Exchange | None] = queue.SimpleQueue()
        """Exchanges, and `None` for a wake."""

    def _open_to(self, origin: Origin) -> PinnedConnection:
        return PinnedConnection(
            origin,
            policy=self._policy,
            authorities=self._authorities,
            watch=self._watch,
            proxy=self._proxy,
        )

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
        attempt = Attempt(
            request,
            address=address,
            deadline_seconds=deadline_seconds,
            connect_seconds=connect_seconds,
            dns_ms=dns_ms,
        )
        try:
            self._threads.submit(self._carry_out, attempt)
        except RuntimeError as error:  # the system gives no further thread: it waits for one
            logger.warning("a request waits for a thread: %s", error)

    def collect(self, timeout_seconds: float) -> list[Exchange]:
        """Return what ended; see `Transport.collect`."""
        self._idle.drop_old()
        ended: list[Exchange] = []
        try:
            first = self._ended.get(timeout=max(0.0, timeout_seconds))
            while True:
                if first is not None:
                    ended.append(first)
                first = self._ended.get_nowait()
        except queue.Empty:
            return ended

    def wake(self) -> None:
        """End a `collect` that is waiting, from any thread."""
        self._ended.put(None)

    def close(self) -> None:
        """Drop everything that is in flight; see `Transport.close`."""
        self._watch.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._adapter.close()

    # ---- In a thread of its own ----------------------------------------------------------------

    def _carry_out(self, attempt: Attempt) -> None:
        self._ended.put(self._exchange(attempt))

    def _exchange(self, attempt: Attempt) -> Exchange:
        try:
            self._send(attempt)
        except AttemptEnded as ended:
            if ended.verdict is verdicts.HUNG_UP_INSTEAD:
                self._adapter.distrust(attempt)
            return attempt.exchange(ended)
        except Exception as error:  # a request must not be lost with its thread
            logger.exception("sending failed in a way that is not foreseen")
            return attempt.exchange(AttemptEnded(_INTERRUPTED, repr(error)))
        return attempt.exchange()

    def _send(self, attempt: Attempt) -> None:
        response = self._adapter.send(
            PreparedAttempt(attempt), stream=True, timeout=max(0.001, attempt.seconds_left)
        )
        try:
            if attempt.reader.has_body_due:
                _read_body(response.raw, attempt)
        finally:
            response.close()


def _read_body(body: BaseHTTPResponse, attempt: Attempt) -> None:
    try:
        while piece := body.read1(_PIECE_BYTES, decode_content=False):
            if attempt.reader.take_body(piece) == STOP:
                return
    except (HTTPError, AttemptEnded) as error:
        attempt.break_off_body(repr(error))
    if body.length_remaining is None and attempt.seconds_left <= 0:  # it has no end of its own
        attempt.break_off_body("the deadline has passed")
