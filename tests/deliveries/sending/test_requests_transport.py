"""What is the requests transport's own: its threads, its idle connections, what it must unlearn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from msgspec.structs import replace

from deliveries.sending import engine
from deliveries.sending.request_head import RequestHead
from deliveries.sending.requests_attempt import Attempt
from deliveries.sending.requests_connection import Origin
from deliveries.sending.requests_pool import PinningAdapter
from deliveries.sending.requests_transport import CAPACITY, RequestsTransport
from deliveries.sending.transport import Outcome
from tests.deliveries.sending.transports import TRANSPORTS
from tests.hostile_receiver import HostileReceiver, black_hole
from tests.outbound import LOOPBACK, LOOPBACK_ALLOWED, collect_all, request_to, send_one, submit
from tests.workers import eventually


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    """Make a transport for plain HTTP."""
    transport = RequestsTransport(policy=LOOPBACK_ALLOWED)
    yield transport
    transport.close()


@pytest.fixture
def receiver() -> Iterator[HostileReceiver]:
    """Start a receiver of the test's own."""
    with HostileReceiver() as receiver:
        yield receiver


def _count_senders() -> int:
    return sum(thread.name.startswith("sender") for thread in threading.enumerate())


# ---- Bytes ---------------------------------------------------------------------------------------


def test_both_transports_send_the_same_bytes(receiver: HostileReceiver) -> None:
    request = request_to(
        f"{receiver.origin}/ok//a/%20%C3%A9~!$&'()*+,;=:@?q=/?%23&r=%25;s",
        body='{"name":"日本語"}'.encode(),
        headers=[
            ("user-agent", "webhook-dispatcher/0.1"),
            ("Webhook-ID", "evt_1"),
            ("X-PhraseApp-Event", "translations:create"),
            ("Accept-Encoding", "identity"),
            ("Cookie", "a=b"),
        ],
    )
    bare = replace(request, head=RequestHead("\n".join(request.head.text.splitlines()[:2])))
    for make_transport in TRANSPORTS.values():
        transport = make_transport()
        for each in (request, bare):
            assert send_one(transport, each).outcome is Outcome.SUCCEEDED
        transport.close()
    sent = [(received.head, received.body) for received in receiver.requests]
    assert sent[:2] == sent[2:]


# ---- Threads -------------------------------------------------------------------------------------


def test_as_many_requests_as_its_capacity_go_out_at_once(
    transport: RequestsTransport, receiver: HostileReceiver
) -> None:
    began_at = time.monotonic()
    for number in range(CAPACITY):
        submit(transport, request_to(f"{receiver.origin}/slow/{number}"), deadline_seconds=4.0)
    exchanges = collect_all(transport, CAPACITY)
    assert {exchange.outcome for exchange in exchanges} == {Outcome.SUCCEEDED}
    assert time.monotonic() - began_at < 2.0  # each alone takes 0.3 s


def test_submitting_never_waits_for_what_is_under_way(transport: RequestsTransport) -> None:
    with black_hole() as port:
        began_at = time.monotonic()
        for _ in range(CAPACITY + 20):
            submit(transport, request_to(f"http://127.0.0.1:{port}/"), deadline_seconds=2.0)
        assert time.monotonic() - began_at < 1.0


def test_threads_are_made_as_needed_and_end_with_the_transport(receiver: HostileReceiver) -> None:
    before = _count_senders()
    transport = RequestsTransport(policy=LOOPBACK_ALLOWED)
    for _ in range(5):
        send_one(transport, request_to(f"{receiver.origin}/ok"))
        time.sleep(0.2)  # its thread is free again
    assert _count_senders() == before + 1
    submit(transport, request_to(f"{receiver.origin}/hang"))
    submit(transport, request_to(f"{receiver.origin}/hang"))
    transport.close()
    assert _count_senders() == before


def test_a_request_waits_where_the_system_gives_no_further_thread(
    transport: RequestsTransport, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(threading.Thread, "start", refused)
        submit(transport, request_to(f"{receiver.origin}/ok/waiting"))
    submit(transport, request_to(f"{receiver.origin}/ok"))
    assert {each.outcome for each in collect_all(transport, 2)} == {Outcome.SUCCEEDED}
    assert len(receiver.requests_for("/ok/waiting")) == 1


def test_a_failure_that_nobody_foresaw_loses_no_request(
    transport: RequestsTransport, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise LookupError("nobody\nforesaw it")

    monkeypatch.setattr(PinningAdapter, "request_url", broken)
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    assert exchange.outcome is Outcome.INTERRUPTED
    assert "foresaw it" in exchange.operator_detail
    assert exchange.operator_detail.isprintable()
    monkeypatch.undo()
    assert send_one(transport, request_to(f"{receiver.origin}/ok")).outcome is Outcome.SUCCEEDED


# ---- Connections ---------------------------------------------------------------------------------


def test_requests_cannot_go_elsewhere_than_to_the_judged_address(
    transport: RequestsTransport, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misdirected(_: PinningAdapter, attempt: Attempt) -> Origin:
        return Origin("http", "127.0.0.1", attempt.request.url.port, ip_address("127.0.0.2"))

    monkeypatch.setattr(PinningAdapter, "origin_of", misdirected)
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert "not the address that was judged" in exchange.operator_detail
    assert receiver.connections == 0


def test_a_connection_that_got_too_old_since_the_last_look_is_not_used_again(
    receiver: HostileReceiver,
) -> None:
    transport = RequestsTransport(policy=LOOPBACK_ALLOWED, max_idle_seconds=0.2)
    send_one(transport, request_to(f"{receiver.origin}/ok"))
    time.sleep(0.3)
    submit(transport, request_to(f"{receiver.origin}/ok"))
    eventually(lambda: len(receiver.requests) == 2)  # it is sent before anything is collected
    transport.close()
    assert receiver.connections == 2


def test_a_kept_connection_is_spared_the_deadline_of_the_attempt_before(
    transport: RequestsTransport, receiver: HostileReceiver
) -> None:
    send_one(transport, request_to(f"{receiver.origin}/ok"), deadline_seconds=0.3)
    time.sleep(0.5)
    send_one(transport, request_to(f"{receiver.origin}/ok"))
    assert receiver.connections == 1


def test_idle_connections_are_closed_although_nobody_calls_that_receiver_again() -> None:
    transport = RequestsTransport(policy=LOOPBACK_ALLOWED, max_idle_seconds=0.2)
    with HostileReceiver() as receiver:
        send_one(transport, request_to(f"{receiver.origin}/ok"))
        (connection,) = transport._idle._oldest_first
        time.sleep(0.3)
        transport.collect(0.0)
        assert connection.is_closed
    transport.close()


def test_no_more_connections_are_kept_than_can_be_under_way(
    transport: RequestsTransport, receiver: HostileReceiver
) -> None:
    for number in range(CAPACITY + 5):
        request = request_to(f"http://receiver-{number}.test:{receiver.port}/ok")
        assert send_one(transport, request).outcome is Outcome.SUCCEEDED
    assert len(transport._idle._oldest_first) == CAPACITY


def test_a_connection_with_bytes_left_over_is_not_used_again(
    transport: RequestsTransport, receiver: HostileReceiver
) -> None:
    for _ in range(2):
        send_one(transport, request_to(f"{receiver.origin}/no-content-with-body"))
    assert receiver.connections == 2


# ---- The choice ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted", "capacity"),
    [("curl", 1000, 1000), ("requests", 1000, CAPACITY), ("requests", 7, 7)],
)
def test_the_setting_chooses_the_transport_and_what_it_can_carry(
    settings: Any, name: str, wanted: int, capacity: int
) -> None:
    settings.DISPATCHER_TRANSPORT = name
    settings.DISPATCHER_IN_FLIGHT_LIMIT = wanted
    settings.DISPATCHER_ALLOWED_NETWORKS = (LOOPBACK,)
    door, in_flight_limit = engine._make_door()
    assert in_flight_limit == capacity
    threads_before = _count_senders()
    with HostileReceiver() as receiver:
        door.submit(request_to(f"{receiver.origin}/ok"))
        (exchange,) = collect_all(door, 1)
        assert exchange.outcome is Outcome.SUCCEEDED
        assert _count_senders() - threads_before == (name == "requests")
    door.close()
