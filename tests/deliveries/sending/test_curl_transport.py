"""What only the libcurl transport owes: HTTP/2, handles in turn, hundreds of requests at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pycurl
import pytest

from deliveries.sending import curl_transport
from deliveries.sending.curl_transfer import Route
from deliveries.sending.curl_transport import CurlTransport
from deliveries.sending.transport import Exchange, Outcome
from dispatcher.chaos.certificates import Authority
from subscriptions.guard.address_guard import IPAddress
from tests.hostile_receiver import HostileReceiver
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


# ---- Handles and sockets -------------------------------------------------------------------------


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


def test_300_requests_at_once_all_end(transport: CurlTransport, receiver: HostileReceiver) -> None:
    requests = [request_to(f"{receiver.origin}/slow/{number}") for number in range(300)]
    for request in requests:
        submit(transport, request, deadline_seconds=4.0)
    exchanges = collect_all(transport, 300)
    assert {exchange.outcome for exchange in exchanges} == {Outcome.SUCCEEDED}
    assert {id(exchange.request) for exchange in exchanges} == {id(each) for each in requests}


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
    sent = {name.lower(): value for name, value in request.head.fields if name != "Host"}
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
    assert exchange.excuse is None  # others may have been on it: it did not end for being idle
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
    assert time.monotonic() - began_at < 1.9  # its deadline is a second
    assert _send(tls_transport, http2_receiver, "ok").outcome is Outcome.SUCCEEDED
