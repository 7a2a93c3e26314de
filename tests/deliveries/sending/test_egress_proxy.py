"""Sending through the egress proxy: what it is told, and what its failures are called."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from deliveries.sending.egress_proxy import EgressProxy
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR, Exchange, Outcome, Transport
from dispatcher.chaos.certificates import Authority
from dispatcher.chaos.threaded_server import Connection, ThreadedServer
from subscriptions.guard.address_guard import AddressPolicy
from tests.connect_proxy import ConnectProxy
from tests.deliveries.sending.transports import TRANSPORTS, MakesTransport
from tests.hostile_receiver import HostileReceiver, black_hole, never_reading, refusing_port
from tests.outbound import collect_all, request_to, send_one, submit

CREDENTIALS = "robot:s3cret/pass"
BASIC = b"Proxy-Authorization: Basic cm9ib3Q6czNjcmV0L3Bhc3M="


@pytest.fixture(params=sorted(TRANSPORTS))
def make_transport(request: pytest.FixtureRequest) -> MakesTransport:
    """Give one transport after the other."""
    return TRANSPORTS[request.param]


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as proxy:
        yield proxy


@pytest.fixture
def receiver() -> Iterator[HostileReceiver]:
    with HostileReceiver() as receiver:
        yield receiver


def located(host: str, port: int, *, credentials: str = "") -> LocatedProxy:
    return LocatedProxy(EgressProxy(host, port, credentials))


@pytest.fixture
def transport(make_transport: MakesTransport, proxy: ConnectProxy) -> Iterator[Transport]:
    """Make a transport that sends through the proxy."""
    way = located(proxy.host, proxy.port, credentials=CREDENTIALS)
    transport = make_transport(proxy=way)
    yield transport
    transport.close()


# ---- What goes where -----------------------------------------------------------------------------


def test_plain_http_goes_through_a_tunnel_to_the_judged_address(
    transport: Transport, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    url = f"http://receiver.invalid:{receiver.port}/ok?x=1"
    request = request_to(url, headers=[("webhook-signature", "v1,secret")])
    exchange = send_one(transport, request)
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.remote_address == "127.0.0.1"  # whom it was meant for, not the proxy's port
    assert exchange.connect_ms is not None
    authority = f"127.0.0.1:{receiver.port}".encode()
    lines = [b"CONNECT " + authority + b" HTTP/1.1", b"Host: " + authority, BASIC]
    assert proxy.heads == [b"\r\n".join([*lines, b"", b""])]
    (received,) = receiver.requests
    assert received.head.startswith(b"POST /ok?x=1 HTTP/1.1\r\nHost: receiver.invalid:")
    assert b"roxy" not in received.head


def test_over_tls_the_proxy_names_the_address_and_the_certificate_the_host(
    make_transport: MakesTransport, proxy: ConnectProxy, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    transport = make_transport(
        ca_file=str(authority.file), proxy=located(proxy.host, proxy.port, credentials=CREDENTIALS)
    )
    with HostileReceiver(tls=authority.server_context("receiver.test")) as receiver:
        right = send_one(transport, request_to(f"https://receiver.test:{receiver.port}/ok"))
        wrong = send_one(transport, request_to(f"https://other.test:{receiver.port}/ok"))
        arrived = len(receiver.requests)
    transport.close()
    assert right.outcome is Outcome.SUCCEEDED, right
    assert right.tls_ms is not None
    assert wrong.outcome is Outcome.TLS_FAILED
    assert "another host name" in wrong.error
    assert proxy.authorities == [f"127.0.0.1:{receiver.port}"] * 2
    assert arrived == 1
    assert b"POST" not in proxy.seen


def test_receivers_and_proxies_may_have_ipv6_addresses(make_transport: MakesTransport) -> None:
    with ConnectProxy(host="::1") as proxy, HostileReceiver(host="::1") as receiver:
        transport = make_transport(proxy=located("::1", proxy.port))
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
        transport.close()
    assert exchange.outcome is Outcome.SUCCEEDED, exchange
    assert exchange.remote_address == "::1"
    assert proxy.authorities == [f"[::1]:{receiver.port}"]
    assert b"Authorization" not in proxy.heads[0]


def test_a_tunnel_is_used_again_for_its_receiver_and_for_no_other(
    transport: Transport, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    with HostileReceiver(host="127.0.0.2") as other:
        for url in (receiver.origin, receiver.origin, other.origin, receiver.origin):
            assert send_one(transport, request_to(f"{url}/ok")).outcome is Outcome.SUCCEEDED
        assert other.connections == 1
    assert receiver.connections == 1
    assert proxy.authorities == [f"127.0.0.1:{receiver.port}", f"127.0.0.2:{other.port}"]


def test_the_proxys_answer_is_never_taken_for_the_receivers(
    transport: Transport, receiver: HostileReceiver
) -> None:
    # On a dying connection libcurl opens a second tunnel, whose "200" comes after a request.
    first, second = (
        send_one(transport, request_to(f"{receiver.origin}/dies-when-reused")) for _ in range(2)
    )
    assert first.outcome is Outcome.SUCCEEDED
    assert second.outcome is Outcome.CONNECTION_FAILED, second
    assert second.status_code is None
    assert second.request_was_sent
    assert len(receiver.requests) == 2
    assert b"Via" not in first.response_headers


def test_what_the_guard_refuses_is_not_even_asked_of_the_proxy(
    make_transport: MakesTransport, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    transport = make_transport(policy=AddressPolicy(), proxy=located(proxy.host, proxy.port))
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert not exchange.ended_at_proxy
    assert proxy.connections == 0


def test_receivers_that_misbehave_are_told_apart_as_without_a_proxy(
    transport: Transport, receiver: HostileReceiver
) -> None:
    expected = {
        "reset": Outcome.CONNECTION_FAILED,
        "close-at-once": Outcome.CONNECTION_FAILED,
        "cut-in-headers": Outcome.CONNECTION_FAILED,
        "hang": Outcome.TIMEOUT,
        "server-error": Outcome.HTTP_ERROR,
        "many-headers": Outcome.RESPONSE_TOO_LARGE,
        "endless-body": Outcome.SUCCEEDED,
    }
    for path in expected:
        submit(transport, request_to(f"{receiver.origin}/{path}"), deadline_seconds=0.8)
    exchanges = {
        each.request.url.target[1:]: each for each in collect_all(transport, len(expected))
    }
    assert {path: each.outcome for path, each in exchanges.items()} == expected
    assert not any(each.ended_at_proxy for each in exchanges.values())
    assert all(each.request_was_sent for each in exchanges.values())


def test_a_handshake_that_hangs_behind_the_tunnel_is_the_receivers(transport: Transport) -> None:
    with never_reading() as mute:
        url = f"https://127.0.0.1:{mute.port}/"
        exchange = send_one(transport, request_to(url), deadline_seconds=0.5)
    assert exchange.outcome is Outcome.TIMEOUT
    assert exchange.error == "The TLS handshake was not complete within 0.5 seconds."
    assert not exchange.ended_at_proxy


# ---- The proxy's own failures --------------------------------------------------------------------

FAILURES = {
    "refused": Outcome.OWN_OUTAGE,
    "black hole": Outcome.OWN_OUTAGE,
    "closes": Outcome.OWN_OUTAGE,
    "cut": Outcome.OWN_OUTAGE,
    "no HTTP": Outcome.OWN_OUTAGE,
    "endless head": Outcome.OWN_OUTAGE,
    "407 Proxy Authentication Required": Outcome.OWN_OUTAGE,
    "400 Bad Request": Outcome.OWN_OUTAGE,
    "404 Not Found": Outcome.OWN_OUTAGE,
    "302 Found": Outcome.OWN_OUTAGE,
    "102 Processing": Outcome.OWN_OUTAGE,
}
AT_PROXY = {
    "403 Forbidden": Outcome.BLOCKED_ADDRESS,
    "407 Request rejected by proxy\r\nX-Smokescreen-Error: denied": Outcome.BLOCKED_ADDRESS,
    "500 Internal Server Error": Outcome.CONNECTION_FAILED,
    "502 Bad Gateway": Outcome.CONNECTION_FAILED,
    "503 Service Unavailable": Outcome.CONNECTION_FAILED,
    "504 Gateway Timeout": Outcome.TIMEOUT,
    "silent": Outcome.TIMEOUT,
    "drips": Outcome.TIMEOUT,
}


def _drip(connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000)


def _flood(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.send_for_ever(b"X: y\r\n" * 1000)


@contextmanager
def failing_proxy(failure: str) -> Iterator[LocatedProxy]:
    """Give a proxy that fails so."""
    behaviours = {"drips": _drip, "endless head": _flood}
    if failure == "refused":
        with refusing_port() as port:
            yield located("127.0.0.1", port)
    elif failure == "black hole":
        with black_hole() as port:
            yield located("127.0.0.1", port)
    elif failure in behaviours:
        with ThreadedServer({}, on_connect=behaviours[failure]) as server:
            yield located("127.0.0.1", server.port)
    else:
        answers = {"closes": b"", "cut": b"HTTP/1.1 200 OK\r\nX", "no HTTP": b"SSH-2.0-x\r\n"}
        status = f"HTTP/1.1 {failure}\r\nContent-Length: 3\r\n\r\nno!".encode()
        with ConnectProxy(answers.get(failure, status)) as proxy:
            proxy.is_silent = failure == "silent"
            yield located("127.0.0.1", proxy.port, credentials=CREDENTIALS)


def _send_through(make_transport: MakesTransport, failure: str, scheme: str) -> Exchange:
    with failing_proxy(failure) as way:
        transport = make_transport(proxy=way)
        request = request_to(f"{scheme}://receiver.test:8443/ok")
        began_at = time.monotonic()
        exchange = send_one(transport, request, deadline_seconds=0.6)
        assert time.monotonic() - began_at <= 0.6 + 0.5
        transport.close()
    assert not exchange.request_was_sent
    assert exchange.status_code is None
    assert exchange.response_headers == b""
    assert exchange.operator_detail.isprintable()
    assert "s3cret" not in repr(exchange)
    assert "cm9ib3Q6" not in repr(exchange)
    return exchange


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_proxy_that_fails_is_our_own_outage(
    make_transport: MakesTransport, failure: str, scheme: str
) -> None:
    exchange = _send_through(make_transport, failure, scheme)
    assert exchange.outcome is Outcome.OWN_OUTAGE, exchange
    assert "not your fault" in exchange.error
    assert not exchange.ended_at_proxy
    assert exchange.remote_address is None  # nobody else is to be asked about it
    assert exchange.operator_detail


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("failure", AT_PROXY)
def test_what_a_proxy_says_of_a_receiver_is_marked_as_its_word(
    make_transport: MakesTransport, failure: str, scheme: str
) -> None:
    exchange = _send_through(make_transport, failure, scheme)
    assert exchange.outcome is AT_PROXY[failure], exchange
    assert exchange.ended_at_proxy
    assert exchange.remote_address == "127.0.0.1"
    assert (exchange.error == BLOCKED_ADDRESS_ERROR) is (
        exchange.outcome is Outcome.BLOCKED_ADDRESS
    )
    assert failure[:3].isdigit() is (failure[:3] in exchange.operator_detail)


def test_a_proxy_whose_name_leads_nowhere_is_our_own_outage(
    make_transport: MakesTransport, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(_host: str, _port: int) -> list[object]:
        raise OSError("no such name")

    way = LocatedProxy(EgressProxy("proxy.test", 3128, CREDENTIALS), look_up=nowhere)  # type: ignore[arg-type]  # returns nothing
    transport = make_transport(proxy=way)
    exchange = send_one(transport, request_to("http://receiver.test/"))
    transport.close()
    assert exchange.outcome is Outcome.OWN_OUTAGE
    assert not exchange.request_was_sent
    assert "cannot be resolved" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_proxys_next_address_is_tried_after_one_that_fails(
    make_transport: MakesTransport, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    addresses = [ip_address("127.0.0.9"), ip_address("127.0.0.1")]
    way = LocatedProxy(EgressProxy("proxy.test", proxy.port), look_up=lambda *_: addresses)
    transport = make_transport(proxy=way)
    outcomes = [send_one(transport, request_to(f"{receiver.origin}/ok")).outcome for _ in range(2)]
    transport.close()
    assert outcomes == [Outcome.OWN_OUTAGE, Outcome.SUCCEEDED]


def test_a_proxy_in_the_environment_or_a_list_of_exceptions_changes_nothing(
    transport: Transport,
    proxy: ConnectProxy,
    receiver: HostileReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1,receiver.test,*")
    url = f"http://receiver.test:{receiver.port}/ok"
    assert send_one(transport, request_to(url)).outcome is Outcome.SUCCEEDED
    assert len(proxy.heads) == 1
