"""When an outage of our own begins and ends, by how attempts end."""

from __future__ import annotations

import time

import pytest

from deliveries.sending.outage import Outage
from deliveries.sending.request_head import NO_HEAD
from deliveries.sending.transport import Exchange, OutboundRequest, Outcome
from subscriptions.guard.address_guard import parse_destination


def request(url: str) -> OutboundRequest:
    return OutboundRequest(None, "a", parse_destination(url), head=NO_HEAD, body=b"")


NAMED = request("https://receiver.example.org/")
BY_ADDRESS = request("https://192.0.2.1/")

UNRESOLVED = Exchange(NAMED, Outcome.OWN_OUTAGE, dns_ms=4000, duration_ms=4000)
UNREACHED = Exchange(BY_ADDRESS, Outcome.OWN_OUTAGE, remote_address="192.0.2.1", duration_ms=5000)

ANSWERED = Exchange(BY_ADDRESS, Outcome.SUCCEEDED, status_code=204, duration_ms=10)
ANSWERED_BY_REMEMBERED = Exchange(
    NAMED, Outcome.SUCCEEDED, status_code=204, dns_ms=0, duration_ms=10
)
RESOLVED = Exchange(NAMED, Outcome.SUCCEEDED, status_code=204, dns_ms=1, duration_ms=5)
RESOLVED_BEFORE = Exchange(NAMED, Outcome.SUCCEEDED, status_code=204, dns_ms=1, duration_ms=3000)
NO_SUCH_NAME = Exchange(NAMED, Outcome.DNS_FAILED, dns_ms=5, duration_ms=5)


def outage_after(*exchanges: Exchange) -> Outage:
    outage = Outage()
    for exchange in exchanges:
        time.sleep(0.01)
        outage.note(exchange)
    return outage


@pytest.mark.parametrize("begin", [UNRESOLVED, UNREACHED])
def test_an_outage_begins_with_an_attempt_that_reached_nobody(begin: Exchange) -> None:
    assert outage_after(ANSWERED).since is None
    outage = outage_after(begin)
    first = outage.since
    assert first is not None
    outage.note(begin)
    assert outage.since == first


@pytest.mark.parametrize("end", [ANSWERED, ANSWERED_BY_REMEMBERED, RESOLVED])
def test_any_answer_ends_an_outage_of_the_network(end: Exchange) -> None:
    assert outage_after(UNREACHED, end).since is None


def test_a_name_that_fails_does_not_end_an_outage_of_the_network() -> None:
    assert outage_after(UNREACHED, NO_SUCH_NAME).since is not None


@pytest.mark.parametrize("answered", [ANSWERED, ANSWERED_BY_REMEMBERED, RESOLVED_BEFORE])
def test_an_answer_without_a_new_look_up_does_not_end_an_outage_of_the_resolver(
    answered: Exchange,
) -> None:
    assert outage_after(UNRESOLVED, answered).since is not None


@pytest.mark.parametrize("end", [RESOLVED, NO_SUCH_NAME])
def test_a_look_up_that_worked_ends_an_outage_of_the_resolver(end: Exchange) -> None:
    assert outage_after(UNRESOLVED, end).since is None
    assert outage_after(UNRESOLVED, UNREACHED, end).since is None


def test_the_next_outage_is_judged_by_how_it_began_itself() -> None:
    assert outage_after(UNRESOLVED, RESOLVED, UNREACHED, ANSWERED).since is None
