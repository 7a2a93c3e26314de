"""Silence on real sockets: receivers that are gone, and a network that is gone for all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from deliveries.sending.curl_transport import CurlTransport
from deliveries.sending.door import Door
from deliveries.sending.egress_watch import EgressWatch
from deliveries.sending.resolve import Resolver
from deliveries.sending.transport import Exchange, Excuse, Outcome
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from subscriptions.guard.address_guard import AddressPolicy
from tests.outbound import LOOPBACK_ALLOWED, collect_all, request_to

DEADLINE_SECONDS = 1.0


def accept(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def hang(connection: Connection) -> bool:
    connection.pause(10)
    return KEEP


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(
        transport=CurlTransport(policy=LOOPBACK_ALLOWED, max_connections=100),
        resolver=Resolver(),
        policy=LOOPBACK_ALLOWED,
        deadline_seconds=DEADLINE_SECONDS,
    )
    yield door
    door.close()


@pytest.fixture
def others() -> Iterator[list[ThreadedServer]]:
    """Receivers on addresses of their own."""
    servers = [
        ThreadedServer({"accept": accept, "hang": hang}, host=f"127.0.0.{number}")
        for number in (2, 3)
    ]
    yield servers
    for server in servers:
        server.close()


def send(door: Door, *urls: str) -> list[Exchange]:
    for url in urls:
        door.submit(request_to(url))
    return collect_all(door, len(urls), within_seconds=10)


DEAD_URL = "http://127.0.0.9:9999/"
"""Nothing listens on that address."""


def test_one_dead_receiver_among_living_ones_is_its_own_fault(
    door: Door, others: list[ThreadedServer]
) -> None:
    send(door, *(f"{other.origin}/accept" for other in others))

    began_at = time.monotonic()
    (exchange,) = send(door, DEAD_URL)

    assert (exchange.outcome, exchange.excuse) == (Outcome.CONNECTION_FAILED, None)
    assert time.monotonic() - began_at < 0.9  # the witnesses answer at once
    assert exchange.duration_ms < 500  # waiting for the verdict is not its time
    assert all(len(other.requests) == 1 for other in others)  # a probe sends nothing


def test_when_nobody_can_be_reached_any_more_it_is_our_outage(
    door: Door, others: list[ThreadedServer]
) -> None:
    urls = [f"{other.origin}/accept" for other in others]
    send(door, *urls)
    for other in others:
        other.close()

    exchanges = send(door, *urls, DEAD_URL)

    assert {exchange.outcome for exchange in exchanges} == {Outcome.OWN_OUTAGE}
    assert {exchange.request_was_sent for exchange in exchanges} == {False}
    assert all("not your fault" in exchange.error for exchange in exchanges)


def test_what_was_sent_when_the_network_went_keeps_its_outcome_and_is_excused(
    door: Door, others: list[ThreadedServer]
) -> None:
    hanging, witness = others
    send(door, f"{witness.origin}/accept", f"{hanging.origin}/accept")
    door.submit(request_to(f"{hanging.origin}/hang"))
    assert door.collect(0.3) == []
    for other in others:
        other.close()

    (exchange,) = collect_all(door, 1, within_seconds=10)

    assert (exchange.outcome, exchange.excuse) == (Outcome.CONNECTION_FAILED, Excuse.OWN_OUTAGE)
    assert exchange.request_was_sent
    assert exchange.is_own_outage


def test_an_answer_of_anybody_ends_the_waiting(door: Door, others: list[ThreadedServer]) -> None:
    send(door, *(f"{other.origin}/accept" for other in others))
    door.submit(request_to(DEAD_URL))
    for _ in range(3):
        door.submit(request_to(f"{others[0].origin}/accept"))

    exchanges = collect_all(door, 4, within_seconds=10)

    outcomes = sorted(exchange.outcome for exchange in exchanges)
    assert outcomes == [Outcome.CONNECTION_FAILED, *[Outcome.SUCCEEDED] * 3]


def test_what_is_held_back_is_in_flight(door: Door) -> None:
    door.submit(request_to(DEAD_URL))
    door.collect(0.2)
    assert door.in_flight == 1
    (exchange,) = collect_all(door, 1)
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert door.in_flight == 0


def test_whom_the_guard_refuses_by_now_is_not_asked_for_a_connection(
    others: list[ThreadedServer],
) -> None:
    watch = EgressWatch(on_news=lambda: None, policy=AddressPolicy())  # loopback is closed
    for other in others:
        request = request_to(f"{other.origin}/accept")
        address = other.origin.split("/")[2].split(":")[0]
        answered = Exchange(request, Outcome.SUCCEEDED, status_code=204, remote_address=address)
        assert not watch.holds_back(answered)
    silent = Exchange(request_to(DEAD_URL), Outcome.TIMEOUT, remote_address="127.0.0.9")
    assert watch.holds_back(silent)
    until = time.monotonic() + 5
    while not watch.judged():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert [other.connections for other in others] == [0, 0]
