"""How receivers misbehave, and what must come of it, whichever transport meets them.

The conformance suite runs these rows; `compare_transports` prints them side by side. What requests
does not owe stands at the end, with what it gives instead and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deliveries.sending.door import Door
from deliveries.sending.resolve import Resolver
from deliveries.sending.transport import OutboundRequest, Outcome, Transport
from dispatcher.chaos.certificates import Authority
from dispatcher.chaos.tls import TLS_MISBEHAVIOURS
from tests.dns_stub import NO_ADDRESS, NXDOMAIN, REFUSED, SERVFAIL, Answer, DnsStub
from tests.hostile_receiver import HostileReceiver, black_hole, never_reading, refusing_port
from tests.http2_floods import http2_floods
from tests.http2_receiver import Http2Receiver
from tests.outbound import LOOPBACK_ALLOWED, request_to

LARGE_BODY = b"x" * 8_000_000


@dataclass(frozen=True)
class Row:
    """A misbehaviour, and what must come of it."""

    path: str
    outcome: Outcome
    status: int | None = None
    is_truncated: bool = False
    was_sent: bool = True
    body: bytes = b"{}"
    takes_all_time: bool | None = None
    """Whether it goes on until the deadline; `None` where that is not the point."""


_FAILED = Outcome.CONNECTION_FAILED
_OVERSIZED = Outcome.RESPONSE_TOO_LARGE

ROWS = [
    # F30: receivers that hang, reset, refuse, swallow or do not read
    Row("hang", Outcome.TIMEOUT),
    Row("close-at-once", _FAILED),
    Row("reset", _FAILED),
    Row("refused", _FAILED, was_sent=False),
    Row("black-hole", Outcome.TIMEOUT, was_sent=False),
    Row("never-reads", Outcome.TIMEOUT, body=LARGE_BODY),
    Row("handshake-hangs", Outcome.TIMEOUT, was_sent=False),
    Row("early-413", Outcome.HTTP_ERROR, 413, body=LARGE_BODY),
    Row("early-413-kept-open", Outcome.HTTP_ERROR, 413, body=LARGE_BODY, takes_all_time=False),
    # F33: too slow
    Row("drip-status-line", Outcome.TIMEOUT),
    Row("drip-headers", Outcome.TIMEOUT),
    Row("drip-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("drip-body-of-error", Outcome.HTTP_ERROR, 503, is_truncated=True),
    Row("no-length-kept-open", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("slow-endless-100", Outcome.TIMEOUT),
    # F33: too much
    Row("endless-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("gigabyte-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("endless-chunks", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("redirect-with-endless-body", Outcome.HTTP_ERROR, 302, is_truncated=True),
    Row("gzip-bomb", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("trailer-bomb", Outcome.SUCCEEDED, 200, is_truncated=True, takes_all_time=False),
    Row("fast-endless-100", _OVERSIZED),
    Row("many-headers", _OVERSIZED),
    Row("giant-header", _OVERSIZED),
    Row("headers-of/16384", Outcome.SUCCEEDED, 200),
    Row("headers-of/16385", _OVERSIZED),
    Row("body-of/16384", Outcome.SUCCEEDED, 200),
    Row("body-of/16385", Outcome.SUCCEEDED, 200, is_truncated=True),
    # F33: not as it should be
    Row("hints-then-ok", Outcome.SUCCEEDED, 200),
    Row("switching-protocols", Outcome.HTTP_ERROR, 101),
    Row("no-content-with-body", Outcome.SUCCEEDED, 204),
    Row("status-999", Outcome.HTTP_ERROR, 999),
    Row("status-20", _FAILED),
    Row("http-09", _FAILED),
    Row("not-http", _FAILED),
    Row("bad-chunks", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("negative-chunk", Outcome.SUCCEEDED, 200, is_truncated=True, takes_all_time=False),
    Row("two-lengths", _FAILED),
    Row("nul-in-header", _FAILED),
    Row("folded-first-header", _FAILED),
    Row("http-2-status-line", Outcome.SUCCEEDED, 200),
    Row("not-utf8", Outcome.SUCCEEDED, 200),
    Row("cut-in-status-line", _FAILED),
    Row("cut-in-headers", _FAILED),
    Row("cut-before-blank-line", _FAILED),
    Row("cut-before-trailers", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("cut-in-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("reset-in-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("nasty-body", Outcome.SUCCEEDED, 200),
    Row("server-error", Outcome.HTTP_ERROR, 500),
    Row("status/404", Outcome.HTTP_ERROR, 404),
    Row("gone", Outcome.HTTP_ERROR, 410),
    Row("busy/600", Outcome.HTTP_ERROR, 503),
    Row("redirect", Outcome.HTTP_ERROR, 307),
    Row("ok/http-2-only", Outcome.SUCCEEDED, 200),
    # TLS
    *(
        Row(
            f"tls/{each.name}",
            Outcome(each.outcome),
            was_sent=each.name == "client-certificate",  # with TLS 1.3 it is refused afterwards
        )
        for each in TLS_MISBEHAVIOURS
    ),
    # HTTP/2, frame by frame
    Row("h2/continuation-flood", _OVERSIZED),
    Row("h2/empty-continuations", _FAILED),
    Row("h2/hpack-bomb", _OVERSIZED),
    Row("h2/endless-hints", _OVERSIZED),
    Row("h2/settings-flood", _FAILED),
    Row("h2/ping-flood", _FAILED),
    Row("h2/window-flood", Outcome.TIMEOUT),
    Row("h2/unknown-frames", Outcome.TIMEOUT),
    Row("h2/endless-padding", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("h2/empty-data", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("h2/retires-always", _FAILED),
    Row("h2/refuses-always", _FAILED),
    Row("h2/no-window", Outcome.TIMEOUT, body=b"x" * 200_000),
    Row("h2/pushes", _FAILED),
]


@dataclass(frozen=True)
class NameRow:
    """A name that is hard to resolve, and what must come of it within the deadline."""

    name: str
    answer: Answer
    outcome: Outcome


NAME_ROWS = [
    # F34
    NameRow("missing.test", NXDOMAIN, Outcome.DNS_FAILED),
    NameRow("broken.test", SERVFAIL, Outcome.DNS_FAILED),
    NameRow("refused.test", REFUSED, Outcome.DNS_FAILED),
    NameRow("empty.test", NO_ADDRESS, Outcome.DNS_FAILED),
    NameRow("late.test", Answer(("127.0.0.1",), delay_seconds=30), Outcome.DNS_FAILED),
    NameRow("dead.test", Answer(tuple(f"127.99.0.{number}" for number in range(1, 51))), _FAILED),
    NameRow("inside.test", Answer(("127.0.0.1", "10.0.0.1")), Outcome.BLOCKED_ADDRESS),
]


@contextmanager
def open_door(transport: Transport, *, deadline_seconds: float) -> Iterator[Door]:
    """Make a door whose name server knows the names; closing the transport is the caller's."""
    with DnsStub() as dns:
        for row in NAME_ROWS:
            dns.set(row.name, row.answer)
        resolver = Resolver(servers=[dns.server])
        yield Door(
            transport=transport,
            resolver=resolver,
            policy=LOOPBACK_ALLOWED,
            deadline_seconds=deadline_seconds,
        )
        resolver.close()


def request_for_name(row: NameRow) -> OutboundRequest:
    """Make a row's request, to a port at which nothing listens."""
    return request_to(f"http://{row.name}:9999/")


BOMBS = [
    "nasty-body",
    "endless-body",
    "gigabyte-body",
    "endless-chunks",
    "redirect-with-endless-body",
    "gzip-bomb",
    "trailer-bomb",
    "fast-endless-100",
    "many-headers",
    "giant-header",
]


@dataclass(frozen=True)
class Difference:
    """What one transport gives instead of what the row says, and why that is accepted."""

    row: Row
    reason: str


_OF_REQUESTS = [
    Difference(
        Row("ok/http-2-only", _FAILED),
        "HTTP/2 is libcurl's; receivers that speak nothing else are next to none",
    ),
    Difference(
        Row("http-2-status-line", _FAILED),
        "only a status line of HTTP/1.0 or 1.1 is taken for one",
    ),
    Difference(
        Row("folded-first-header", Outcome.SUCCEEDED, 200),
        "a folded line is taken wherever it stands; what is kept is what was received",
    ),
    Difference(
        Row("early-413-kept-open", Outcome.HTTP_ERROR, 413, body=LARGE_BODY, takes_all_time=True),
        "a blocking socket sends first and reads then: the answer is found when time is up",
    ),
    Difference(
        Row("negative-chunk", Outcome.SUCCEEDED, 200, is_truncated=True, takes_all_time=True),
        "http.client takes any number of Python's for a chunk's length, and reads until it ends",
    ),
    Difference(
        Row("cut-before-trailers", Outcome.SUCCEEDED, 200),
        "http.client takes an end of stream for the end of the trailers; the body is complete",
    ),
]

_OF_REQUESTS += [
    Difference(
        Row(row.path, _FAILED, body=row.body),
        "HTTP/2 is libcurl's; here its frames are no HTTP",
    )
    for row in ROWS
    if row.path.startswith("h2/") and row.outcome is not _FAILED
]

DIFFERENCES: dict[str, dict[str, Difference]] = {
    "curl": {},
    "requests": {difference.row.path: difference for difference in _OF_REQUESTS},
}


def owed(transport_name: str, row: Row) -> Row:
    """Return what a transport owes for a row: the row, or the difference that is accepted."""
    difference = DIFFERENCES[transport_name].get(row.path)
    return row if difference is None else difference.row


@dataclass(frozen=True)
class Scene:
    """The receivers of all rows."""

    receiver: HostileReceiver
    origins: dict[str, str]
    ca_file: str

    def request_for(self, row: Row) -> OutboundRequest:
        """Make the row's request; its path names the row."""
        origin = self.origins.get(row.path, self.receiver.origin)
        return request_to(f"{origin}/{row.path}", body=row.body)


@contextmanager
def open_scene(folder: Path) -> Iterator[Scene]:
    """Start the receivers, with certificates of an authority of their own."""
    authority = Authority(folder)
    with ExitStack() as stack:
        receiver = stack.enter_context(HostileReceiver())
        never_reads = stack.enter_context(never_reading())
        http2 = Http2Receiver(authority.server_context("127.0.0.1", alpn=("h2",)))
        stack.callback(http2.close)
        floods = stack.enter_context(http2_floods(authority))
        tls = {
            f"tls/{each.name}": stack.enter_context(each.open(authority, "127.0.0.1", 0)).port
            for each in TLS_MISBEHAVIOURS
        }
        yield Scene(
            receiver,
            {
                "refused": f"http://127.0.0.1:{stack.enter_context(refusing_port())}",
                "black-hole": f"http://127.0.0.1:{stack.enter_context(black_hole())}",
                "never-reads": never_reads.origin,
                "handshake-hangs": never_reads.origin.replace("http:", "https:"),
                "ok/http-2-only": http2.origin,
                **{name: f"https://127.0.0.1:{port}" for name, port in tls.items()},
                **{f"h2/{name}": server.origin for name, server in floods.items()},
            },
            str(authority.file),
        )
