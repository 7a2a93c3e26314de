"""What comes of receivers that misbehave, whichever transport meets them.

The rows of a table run all at once through one transport, healthy requests among them: that they
do not disturb one another is part of what is owed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from deliveries.sending.transport import Exchange, OutboundRequest, Outcome, Transport
from tests.deliveries.sending.transports import TRANSPORTS
from tests.hostile_receiver import HostileReceiver, black_hole, never_reading, refusing_port
from tests.outbound import request_to, resident_bytes, send_one, submit

DEADLINE_SECONDS = 1.2
GRACE_SECONDS = 0.5

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
    Row("trailer-bomb", Outcome.SUCCEEDED, 200, is_truncated=True),
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
    Row("two-lengths", _FAILED),
    Row("nul-in-header", _FAILED),
    Row("not-utf8", Outcome.SUCCEEDED, 200),
    Row("cut-in-status-line", _FAILED),
    Row("cut-in-headers", _FAILED),
    Row("cut-before-blank-line", _FAILED),
    Row("cut-in-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("reset-in-body", Outcome.SUCCEEDED, 200, is_truncated=True),
    Row("server-error", Outcome.HTTP_ERROR, 500),
    Row("redirect", Outcome.HTTP_ERROR, 307),
]

BOMBS = [
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


@dataclass
class Results:
    """What became of the rows, and of the healthy requests beside them."""

    exchanges: dict[str, Exchange] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    healthy: list[Exchange] = field(default_factory=list)
    paths_requested: list[str] = field(default_factory=list)


@pytest.fixture(scope="module", params=sorted(TRANSPORTS))
def results(request: pytest.FixtureRequest) -> Iterator[Results]:
    """Run the whole table once, all rows at a time."""
    with ExitStack() as stack:
        receiver = stack.enter_context(HostileReceiver())
        never_reads = stack.enter_context(never_reading())
        origins = {
            "refused": f"http://127.0.0.1:{stack.enter_context(refusing_port())}",
            "black-hole": f"http://127.0.0.1:{stack.enter_context(black_hole())}",
            "never-reads": never_reads.origin,
            "handshake-hangs": never_reads.origin.replace("http:", "https:"),
        }
        transport = TRANSPORTS[request.param]()
        stack.callback(transport.close)
        rows = [
            request_to(f"{origins.get(row.path, receiver.origin)}/{row.path}", body=row.body)
            for row in ROWS
        ]
        results = _run(transport, rows, healthy_url=f"{receiver.origin}/ok/healthy")
        results.paths_requested = [received.path for received in receiver.requests]
        yield results


def _run(transport: Transport, rows: list[OutboundRequest], *, healthy_url: str) -> Results:
    results = Results()
    began_at = time.monotonic()
    for request in rows:
        submit(transport, request, deadline_seconds=DEADLINE_SECONDS)
    submit(transport, request_to(healthy_url), deadline_seconds=DEADLINE_SECONDS)
    while len(results.exchanges) < len(rows):
        assert time.monotonic() < began_at + 4 * DEADLINE_SECONDS
        for exchange in transport.collect(0.05):
            if exchange.request.url.url == healthy_url:
                results.healthy.append(exchange)
                submit(transport, request_to(healthy_url), deadline_seconds=DEADLINE_SECONDS)
            else:
                path = exchange.request.url.target[1:]
                results.exchanges[path] = exchange
                results.seconds[path] = time.monotonic() - began_at
    return results


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_a_misbehaving_receiver_has_the_right_outcome(results: Results, row: Row) -> None:
    exchange = results.exchanges[row.path]
    assert (exchange.outcome, exchange.status_code) == (row.outcome, row.status), exchange
    assert exchange.is_truncated is row.is_truncated
    assert exchange.request_was_sent is row.was_sent
    assert (exchange.error == "") is (row.outcome is Outcome.SUCCEEDED)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_no_receiver_can_hold_an_attempt_for_longer_than_the_deadline(
    results: Results, row: Row
) -> None:
    assert results.seconds[row.path] <= DEADLINE_SECONDS + GRACE_SECONDS
    shown_seconds = results.exchanges[row.path].duration_ms / 1000
    assert shown_seconds == pytest.approx(results.seconds[row.path], abs=0.3)


def test_healthy_requests_beside_hostile_ones_succeed_quickly(results: Results) -> None:
    assert {exchange.outcome for exchange in results.healthy} == {Outcome.SUCCEEDED}
    assert len(results.healthy) >= 10
    assert sorted(exchange.duration_ms for exchange in results.healthy)[-2] < 400


def test_each_request_arrives_once_and_redirects_are_not_followed(results: Results) -> None:
    others = [path for path in results.paths_requested if path != "/ok/healthy"]
    assert len(others) == len(set(others))
    assert not [path for path in others if "redirected" in path]


def test_what_was_kept_of_an_answer_is_what_the_receiver_sent(results: Results) -> None:
    kept = results.exchanges
    assert kept["hints-then-ok"].response_headers == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert kept["hints-then-ok"].response_body == b"ok"
    assert b"\xff\xfe\x1b[31m" in kept["not-utf8"].response_headers
    assert kept["not-utf8"].response_body == b"\xff\x00"
    assert len(kept["headers-of/16384"].response_headers) == 16384
    assert len(kept["body-of/16384"].response_body) == 16384
    assert len(kept["body-of/16385"].response_body) == 16384


def test_a_compressed_body_is_kept_as_it_came(results: Results) -> None:
    assert results.exchanges["gzip-bomb"].response_body.startswith(b"\x1f\x8b")


@pytest.mark.parametrize("name", sorted(TRANSPORTS))
@pytest.mark.parametrize("path", BOMBS)
def test_no_answer_takes_more_than_5_mb_of_memory(name: str, path: str) -> None:
    transport = TRANSPORTS[name]()
    with HostileReceiver() as receiver:
        send_one(transport, request_to(f"{receiver.origin}/ok"))
        before_bytes = resident_bytes()
        if before_bytes is None:
            pytest.skip("this system does not tell how much memory a process has")
        submit(transport, request_to(f"{receiver.origin}/{path}"), deadline_seconds=1.0)
        peak_bytes = before_bytes
        while not transport.collect(0.002):
            peak_bytes = max(peak_bytes, resident_bytes() or 0)
        assert peak_bytes - before_bytes <= 5_000_000
    transport.close()
