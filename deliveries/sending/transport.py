"""The contract of the way out: what is handed to a transport, and what comes back.

Two transports keep it (`curl_transport`, `requests_transport`); `door` resolves, judges and
hands over; the pump reads the exchanges. Values only: no Django, no Celery, no HTTP library.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Any, Protocol

import msgspec

from deliveries.sending.request_head import RequestHead
from subscriptions.guard.address_guard import Destination, IPAddress

HEADERS_LIMIT_BYTES = 16 * 1024
"""Response headers kept; a longer header block ends the attempt as `response_too_large`."""

BODY_LIMIT_BYTES = 16 * 1024
"""Response body kept; reading stops there, the attempt keeps its outcome."""

BLOCKED_ADDRESS_ERROR = "The URL leads to an address that may not be contacted."
"""The one sentence for every blocked address: more would make a port scanner of us."""


class Outcome(StrEnum):
    """How an attempt ended: stable codes, stored and shown as they are."""

    SUCCEEDED = "succeeded"
    """A complete header block with a status of 200–299 arrived within the deadline."""
    HTTP_ERROR = "http_error"
    """A complete header block with any other status arrived; redirects are not followed."""
    TIMEOUT = "timeout"
    """The name was resolved, and the deadline passed before a complete header block arrived."""
    CONNECTION_FAILED = "connection_failed"
    """Refused, reset, unreachable, closed early, or not understandable as HTTP."""
    DNS_FAILED = "dns_failed"
    """The name does not exist, has no address, or its servers answered with an error or too
    late."""
    TLS_FAILED = "tls_failed"
    """The handshake or the certificate check failed."""
    BLOCKED_ADDRESS = "blocked_address"
    """The address guard refused the URL or an address that its name resolves to; or the egress
    proxy did."""
    RESPONSE_TOO_LARGE = "response_too_large"
    """The response's header block exceeded its cap."""
    NOT_SENDABLE = "not_sendable"
    """The request could not be composed or signed; nothing was sent."""
    INTERRUPTED = "interrupted"
    """The worker ended or lost its lease in mid-attempt; the receiver may have seen it."""
    OWN_OUTAGE = "own_outage"
    """Our own DNS or egress failed for everything at once; no byte was sent."""


class Excuse(Enum):
    """What a receiver cannot help, although its answer is missing."""

    OWN_OUTAGE = auto()
    """The request was sent, and then our own network reached nobody."""
    STALE_CONNECTION = auto()
    """A connection that had served before ended instead of answering: most probably the receiver
    had just closed it as idle."""


class OutboundRequest(msgspec.Struct, frozen=True, gc=False):
    """One POST that is to be made, complete but for the address it goes to.

    `head` is all that will be sent above the body, `Host` and `Content-Length` included, so that
    what history shows is what went out. `ticket` is the caller's own and comes back untouched.
    """

    ticket: Any
    tenant: str
    """Whose request this is: look-ups under way are capped per tenant."""
    url: Destination
    head: RequestHead
    body: bytes


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """One attempt as it happened: what became of an `OutboundRequest`.

    Durations are milliseconds on the monotonic clock; `None` where the phase was not reached.
    """

    request: OutboundRequest
    outcome: Outcome
    error: str = ""
    """For the customer: one sentence, empty on success; constant for a blocked address."""
    operator_detail: str = ""
    """For the operator's log: the library's own words, the address, the rule."""
    status_code: int | None = None
    duration_ms: int = 0
    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None
    """Each phase's own length; `first_byte_ms` runs from the connection being ready (or reused) to
    the first byte of the answer."""
    remote_address: str | None = None
    http_version: str | None = None
    """`1.1` or `2`."""
    response_headers: bytes = b""
    """The final header block as received, status line included, capped."""
    response_body: bytes = b""
    is_truncated: bool = False
    """The body was longer than was kept, was still arriving when the deadline passed, or broke
    off."""
    request_was_sent: bool = False
    """True as soon as any byte of the request may have left this machine."""
    excuse: Excuse | None = None
    """Why its end says nothing about the receiver; such an attempt is repeated."""
    ended_at_proxy: bool = False
    """The egress proxy refused the tunnel or did not answer: whether for this receiver only, or for
    everybody, is to be judged before it counts. Nothing of the request was sent."""

    @property
    def is_own_outage(self) -> bool:
        """Whether our own network was down, before or after the request was sent."""
        return self.outcome is Outcome.OWN_OUTAGE or self.excuse is Excuse.OWN_OUTAGE


class Transport(Protocol):
    """Sends requests to addresses that were already judged; all methods but `wake` are called
    from one thread."""

    def submit(
        self,
        request: OutboundRequest,
        *,
        address: IPAddress,
        deadline_seconds: float,
        connect_seconds: float | None = None,
        dns_ms: int | None = None,
    ) -> None:
        """Begin sending to exactly this address; `deadline_seconds` is all the time there is.

        No connection within `connect_seconds` ends it sooner, as `timeout` and unsent: another
        address waits its turn. `dns_ms` was spent before; it is copied to the exchange and
        counts in its `duration_ms`. Does not raise: what cannot be sent is collected as
        `not_sendable`.
        """

    def collect(self, timeout_seconds: float) -> list[Exchange]:
        """Drive what is in flight, and return what ended; wait at most this long for the first."""

    def wake(self) -> None:
        """End a `collect` that is waiting, from any thread."""

    def close(self) -> None:
        """Drop everything that is in flight and release sockets and threads."""
