"""What comes of receivers that misbehave, whichever transport meets them.

The rows (in `misbehaviours`) run all at once through one transport, healthy requests among them:
that they do not disturb one another is part of what is owed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from deliveries.sending.transport import Exchange, Excuse, OutboundRequest, Outcome, Transport
from tests.deliveries.sending.misbehaviours import (
    BOMBS,
    DIFFERENCES,
    NAME_ROWS,
    ROWS,
    Row,
    open_door,
    open_scene,
    owed,
    request_for_name,
)
from tests.deliveries.sending.transports import TRANSPORTS
from tests.hostile_receiver import HostileReceiver
from tests.outbound import collect_all, request_to, resident_bytes, send_one, submit

DEADLINE_SECONDS = 2.5
GRACE_SECONDS = 1.0


@dataclass
class Results:
    """What became of the rows, and of the healthy requests beside them."""

    transport_name: str
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    healthy: list[Exchange] = field(default_factory=list)
    paths_requested: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    """Paths whose request met a connection that was being closed, and was sent again."""


@pytest.fixture(scope="module", params=sorted(TRANSPORTS))
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Results]:
    """Run the whole table once, all rows at a time."""
    with open_scene(tmp_path_factory.mktemp("certificates")) as scene:
        transport = TRANSPORTS[request.param](ca_file=scene.ca_file)
        rows = [scene.request_for(row) for row in ROWS]
        results = Results(request.param)
        _run(transport, rows, results, healthy_url=f"{scene.receiver.origin}/ok/healthy")
        results.paths_requested.update(received.path for received in scene.receiver.requests)
        transport.close()
        yield results


def _run(
    transport: Transport, rows: list[OutboundRequest], results: Results, *, healthy_url: str
) -> None:
    began_at = time.monotonic()
    submitted_at: dict[str, float] = {}
    for request in rows:
        submitted_at[request.url.target[1:]] = time.monotonic()
        submit(transport, request, deadline_seconds=DEADLINE_SECONDS)
    submit(transport, request_to(healthy_url), deadline_seconds=DEADLINE_SECONDS)
    while len(results.exchanges) < len(rows):
        assert time.monotonic() < began_at + 4 * DEADLINE_SECONDS
        for exchange in transport.collect(0.05):
            if exchange.excuse is Excuse.STALE_CONNECTION:
                # A neighbour's connection, which was being closed: repeated, as the pump does.
                target = exchange.request.url.target
                results.repeated[target] += 1
                submitted_at[target[1:]] = time.monotonic()
                submit(transport, exchange.request, deadline_seconds=DEADLINE_SECONDS)
            elif exchange.request.url.url == healthy_url:
                results.healthy.append(exchange)
                submit(transport, request_to(healthy_url), deadline_seconds=DEADLINE_SECONDS)
            else:
                path = exchange.request.url.target[1:]
                results.exchanges[path] = exchange
                results.seconds[path] = time.monotonic() - submitted_at[path]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_a_misbehaving_receiver_has_the_right_outcome(results: Results, row: Row) -> None:
    row = owed(results.transport_name, row)
    exchange = results.exchanges[row.path]
    assert (exchange.outcome, exchange.status_code) == (row.outcome, row.status), exchange
    assert exchange.is_truncated is row.is_truncated
    assert exchange.request_was_sent is row.was_sent
    assert (exchange.error == "") is (row.outcome is Outcome.SUCCEEDED)


SEEN_LATER_SECONDS = 1.5
"""Less than the deadline: time that an attempt hid would show."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_no_receiver_can_hold_an_attempt_for_longer_than_the_deadline(
    results: Results, row: Row
) -> None:
    assert results.seconds[row.path] <= DEADLINE_SECONDS + GRACE_SECONDS
    shown_seconds = results.exchanges[row.path].duration_ms / 1000
    # All rows run at once: what ended is seen a little later.
    assert -0.1 <= results.seconds[row.path] - shown_seconds <= SEEN_LATER_SECONDS
    takes_all_time = owed(results.transport_name, row).takes_all_time
    if takes_all_time is not None:
        assert (shown_seconds >= DEADLINE_SECONDS - 0.1) is takes_all_time


def test_what_a_transport_does_not_owe_is_said_with_a_reason_and_is_a_difference() -> None:
    rows = {row.path: row for row in ROWS}
    for differences in DIFFERENCES.values():
        for path, difference in differences.items():
            assert difference.row != rows[path]
            assert difference.reason


def test_healthy_requests_beside_hostile_ones_succeed_quickly(results: Results) -> None:
    assert {exchange.outcome for exchange in results.healthy} == {Outcome.SUCCEEDED}
    assert len(results.healthy) >= 10
    assert sorted(exchange.duration_ms for exchange in results.healthy)[-2] < 1000


def test_each_request_arrives_once_and_redirects_are_not_followed(results: Results) -> None:
    for path, times in results.paths_requested.items():
        assert path == "/ok/healthy" or times <= 1 + results.repeated[path], path
        assert "redirected" not in path


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
def test_names_that_are_hard_to_resolve_have_the_right_outcome_in_time(name: str) -> None:
    transport = TRANSPORTS[name]()
    with open_door(transport, deadline_seconds=DEADLINE_SECONDS) as door:
        for row in NAME_ROWS:
            door.submit(request_for_name(row))
        ended = {each.request.url.host: each for each in collect_all(door, len(NAME_ROWS))}
    transport.close()
    assert {name: each.outcome for name, each in ended.items()} == {
        row.name: row.outcome for row in NAME_ROWS
    }
    slowest_ms = max(each.duration_ms for each in ended.values())
    assert slowest_ms <= 1000 * (DEADLINE_SECONDS + GRACE_SECONDS)
    assert not any(each.request_was_sent for each in ended.values())


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
