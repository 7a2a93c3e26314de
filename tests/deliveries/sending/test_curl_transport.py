"""What only the libcurl transport owes: HTTP/2, reuse without hidden repetition, many sockets."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pycurl
import pytest

from deliveries.sending import curl_transport
from deliveries.sending.curl_transfer import Route
from deliveries.sending.curl_transport import CurlTransport
from deliveries.sending.transport import Exchange, Outcome
from subscriptions.address_guard import AddressPolicy, IPAddress
from tests.certificates import Authority
from tests.hostile_receiver import HostileReceiver, refusing_port
from tests.http2_receiver import Http2Receiver
from tests.outbound import LOOPBACK_ALLOWED, collect_all, request_to, send_one, submit


@pytest.fixture
def transport() -> Iterator[CurlTransport]:
    """Make a transport for plain HTTP."""
    transport = CurlTransport(policy=LOOPBACK_ALLOWED, max_connections=100)
    yield transport
    transport.close()


@pytest.fixture
def receiver() -> Iterator[HostileReceiver]:
    """Start a receiver of the test's own."""
    with HostileReceiver() as receiver:
        yield receiver


# ---- Connections that are used again -------------------------------------------------------------


def test_a_connection_is_used_again(transport: CurlTransport, receiver: HostileReceiver) -> None:
    exchanges = [send_one(transport, request_to(f"{receiver.origin}/ok")) for _ in range(3)]
    assert receiver.connections == 1
    assert [exchange.connect_ms is None for exchange in exchanges] == [False, True, True]
    assert {exchange.remote_address for exchange in exchanges} == {"127.0.0.1"}


def test_requests_to_one_receiver_do_not_wait_for_its_first_answer(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    """A first answer that never comes must not take the others' time."""
    hanging = request_to(f"{receiver.origin}/hang")
    quick = [request_to(f"{receiver.origin}/ok") for _ in range(5)]
    for request in (hanging, *quick):
        submit(transport, request, deadline_seconds=1.5)
    outcomes = {id(e.request): e for e in collect_all(transport, 6, within_seconds=5)}
    assert outcomes[id(hanging)].outcome is Outcome.TIMEOUT
    assert [outcomes[id(request)].outcome for request in quick] == [Outcome.SUCCEEDED] * 5
    assert max(outcomes[id(request)].duration_ms for request in quick) < 1000


def test_a_request_on_a_dying_connection_is_not_sent_a_second_time(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/dies-when-reused"
    assert send_one(transport, request_to(url)).outcome is Outcome.SUCCEEDED
    exchange = send_one(transport, request_to(url))
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert exchange.request_was_sent
    assert "kept-alive" in exchange.error
    assert [received.connection for received in receiver.requests] == [1, 1]


def test_the_next_request_after_a_dying_connection_gets_one_of_its_own(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/dies-when-reused"
    outcomes = [send_one(transport, request_to(url)).outcome for _ in range(5)]
    assert outcomes.count(Outcome.CONNECTION_FAILED) == 1
    assert outcomes[2:] == [Outcome.SUCCEEDED] * 3


def test_a_receiver_that_closes_without_saying_so_loses_nothing(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/closes-silently"
    for _ in range(5):
        assert send_one(transport, request_to(url)).outcome is Outcome.SUCCEEDED
        time.sleep(0.02)  # its FIN is here by now
    assert [received.connection for received in receiver.requests] == [1, 2, 3, 4, 5]


def test_the_guard_against_repetition_works_for_each_request_of_a_handle(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    for _ in range(3):
        assert send_one(transport, request_to(f"{receiver.origin}/ok")).outcome is Outcome.SUCCEEDED
    send_one(transport, request_to(f"{receiver.origin}/dies-when-reused"))
    lost = send_one(transport, request_to(f"{receiver.origin}/ok/lost"))
    assert lost.outcome is Outcome.CONNECTION_FAILED
    assert len(receiver.requests_for("/ok/lost")) == 1


def test_a_connection_that_was_idle_for_too_long_is_not_used_again(
    receiver: HostileReceiver,
) -> None:
    transport = CurlTransport(policy=LOOPBACK_ALLOWED, max_connections=10, max_idle_seconds=1)
    send_one(transport, request_to(f"{receiver.origin}/ok"))
    time.sleep(1.1)
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.connect_ms is not None
    assert receiver.connections == 2


def test_a_handle_carries_nothing_over_from_its_former_request(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    first = send_one(
        transport,
        request_to(f"{receiver.origin}/hang", headers=[("X-A", "1")], body=b"x" * 100_000),
        deadline_seconds=0.2,
    )
    second = send_one(transport, request_to(f"{receiver.origin}/ok", body=b"{}"))
    assert (first.outcome, second.outcome) == (Outcome.TIMEOUT, Outcome.SUCCEEDED)
    assert receiver.requests[1].body == b"{}"
    assert b"X-A" not in receiver.requests[1].head
    assert (second.error, second.operator_detail, second.is_truncated) == ("", "", False)


def test_each_request_has_its_own_deadline_whatever_its_handle_had_before(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    send_one(transport, request_to(f"{receiver.origin}/ok"), deadline_seconds=5.0)
    exchange = send_one(transport, request_to(f"{receiver.origin}/hang"), deadline_seconds=0.3)
    assert exchange.outcome is Outcome.TIMEOUT
    assert exchange.duration_ms < 1000


def test_handles_are_used_in_turn_and_not_piled_up(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    gc.collect()
    before = _count_handles()
    for _ in range(20):
        send_one(transport, request_to(f"{receiver.origin}/ok"))
    assert _count_handles() == before + 1


def _count_handles() -> int:
    return sum(isinstance(thing, pycurl.Curl) for thing in gc.get_objects())


# ---- Sockets -------------------------------------------------------------------------------------


def test_descriptors_above_1023_are_served(
    transport: CurlTransport, receiver: HostileReceiver
) -> None:
    taken = [os.dup(0) for _ in range(1100)]
    try:
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    finally:
        for descriptor in taken:
            os.close(descriptor)
    assert exchange.outcome is Outcome.SUCCEEDED


def test_300_requests_at_once_all_end(transport: CurlTransport, receiver: HostileReceiver) -> None:
    requests = [request_to(f"{receiver.origin}/slow/{number}") for number in range(300)]
    for request in requests:
        submit(transport, request, deadline_seconds=4.0)
    exchanges = collect_all(transport, 300)
    assert {exchange.outcome for exchange in exchanges} == {Outcome.SUCCEEDED}
    assert {id(exchange.request) for exchange in exchanges} == {id(each) for each in requests}


def test_running_out_of_descriptors_is_not_the_receivers_fault(transport: CurlTransport) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    request = request_to("http://127.0.0.1:8080/")
    transport.collect(0.0)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        submit(transport, request)
        (exchange,) = collect_all(transport, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert exchange.outcome is Outcome.OWN_OUTAGE
    assert not exchange.request_was_sent


def test_a_hook_that_fails_leaves_its_reason_with_the_operator() -> None:
    def broken(_address: object) -> bool:
        raise OSError(5, "the kernel\nwould not say")

    transport = CurlTransport(policy=AddressPolicy(is_own=broken), max_connections=1)
    request = request_to("http://public.test/")
    transport.submit(request, address=ip_address("8.8.8.8"), deadline_seconds=1.0)
    (exchange,) = collect_all(transport, 1)
    transport.close()
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert "the kernel\\nwould not say" in exchange.operator_detail  # and still one line


def test_libcurl_cannot_go_elsewhere_than_to_the_judged_address(
    receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Misdirected(Route):
        def __init__(self, address: IPAddress, port: int) -> None:
            super().__init__(ip_address("127.0.0.2"), port)
            self.connect_to = Route(address, port).connect_to

    monkeypatch.setattr(curl_transport, "Route", Misdirected)
    transport = CurlTransport(policy=LOOPBACK_ALLOWED, max_connections=1)
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert "not the address that was judged" in exchange.operator_detail
    assert receiver.connections == 0


def test_an_ipv6_address_is_reached(transport: CurlTransport) -> None:
    with HostileReceiver(host="::1") as receiver:
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.remote_address == "::1"


def test_connections_do_not_outlive_the_transport(receiver: HostileReceiver) -> None:
    before = len(os.listdir("/dev/fd"))
    transport = CurlTransport(policy=LOOPBACK_ALLOWED, max_connections=10)
    for _ in range(3):
        send_one(transport, request_to(f"{receiver.origin}/ok"))
    with refusing_port() as port:
        send_one(transport, request_to(f"http://127.0.0.1:{port}/"))
    transport.close()
    time.sleep(0.1)  # the receiver's threads close their ends
    assert len(os.listdir("/dev/fd")) <= before


# ---- HTTP/2 --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Stand for the public authorities."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def http2_receiver(authority: Authority) -> Iterator[Http2Receiver]:
    """Start a receiver that speaks HTTP/2."""
    receiver = Http2Receiver(authority.server_context("127.0.0.1", alpn=("h2", "http/1.1")))
    yield receiver
    receiver.close()


@pytest.fixture
def tls_transport(authority: Authority) -> Iterator[CurlTransport]:
    """Make a transport that trusts the authority."""
    transport = CurlTransport(
        policy=LOOPBACK_ALLOWED, max_connections=100, ca_file=str(authority.file)
    )
    yield transport
    transport.close()


def _send(transport: CurlTransport, receiver: Http2Receiver, path: str) -> Exchange:
    return send_one(transport, request_to(f"{receiver.origin}/{path}"))


def test_http_2_is_spoken_where_it_is_offered(
    tls_transport: CurlTransport, http2_receiver: Http2Receiver
) -> None:
    request = request_to(f"{http2_receiver.origin}/ok?a=1", headers=[("webhook-id", "evt_1")])
    exchange = send_one(tls_transport, request)
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.http_version == "2"
    assert exchange.response_body == b"ok"
    (received,) = http2_receiver.requests
    sent = {name.lower(): value for name, value in request.headers if name != "Host"}
    assert dict(received.headers) == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": request.url.host_header,
        ":path": "/ok?a=1",
        **sent,
    }
    assert received.body == request.body


def test_many_requests_at_once_share_one_http_2_connection(
    tls_transport: CurlTransport, http2_receiver: Http2Receiver
) -> None:
    for number in range(80):
        submit(tls_transport, request_to(f"{http2_receiver.origin}/ok/{number}"))
    exchanges = collect_all(tls_transport, 80)
    assert {exchange.outcome for exchange in exchanges} == {Outcome.SUCCEEDED}
    assert http2_receiver.connections <= 2


@pytest.mark.parametrize("path", ["refuse-once", "retire-once"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_request_that_http_2_declines_unread_goes_to_a_new_connection(
    tls_transport: CurlTransport, http2_receiver: Http2Receiver, path: str, is_first: bool
) -> None:
    if not is_first:
        _send(tls_transport, http2_receiver, "ok")
    exchange = _send(tls_transport, http2_receiver, path)
    assert exchange.outcome is Outcome.SUCCEEDED, exchange
    assert http2_receiver.connections == 2


def test_a_request_on_a_dying_http_2_connection_is_not_sent_a_second_time(
    tls_transport: CurlTransport, http2_receiver: Http2Receiver
) -> None:
    _send(tls_transport, http2_receiver, "ok")
    exchange = _send(tls_transport, http2_receiver, "hang-up")
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert exchange.request_was_sent
    assert [request.path for request in http2_receiver.requests] == ["/ok", "/hang-up"]


@pytest.mark.parametrize(
    ("path", "outcome", "is_truncated"),
    [
        ("hang", Outcome.TIMEOUT, False),
        ("hints-then-ok", Outcome.SUCCEEDED, False),
        ("many-headers", Outcome.RESPONSE_TOO_LARGE, False),
        ("endless-body", Outcome.SUCCEEDED, True),
        ("reset-in-body", Outcome.SUCCEEDED, True),
        ("reset", Outcome.CONNECTION_FAILED, False),
        ("refuse", Outcome.CONNECTION_FAILED, False),
    ],
)
def test_misbehaviour_within_http_2_has_the_right_outcome(
    tls_transport: CurlTransport,
    http2_receiver: Http2Receiver,
    path: str,
    outcome: Outcome,
    is_truncated: bool,
) -> None:
    began_at = time.monotonic()
    exchange = _send(tls_transport, http2_receiver, path)
    assert (exchange.outcome, exchange.is_truncated) == (outcome, is_truncated), exchange
    assert time.monotonic() - began_at < 1.5
    assert _send(tls_transport, http2_receiver, "ok").outcome is Outcome.SUCCEEDED


def test_a_missing_list_of_authorities_is_not_the_receivers_fault(
    authority: Authority, tmp_path: Path
) -> None:
    transport = CurlTransport(
        policy=LOOPBACK_ALLOWED, max_connections=1, ca_file=str(tmp_path / "missing.pem")
    )
    with HostileReceiver(tls=authority.server_context("127.0.0.1")) as receiver:
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.outcome is Outcome.OWN_OUTAGE
