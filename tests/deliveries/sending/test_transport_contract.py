"""What every transport owes besides outcomes: the bytes on the wire, addresses, time, TLS."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR, Exchange, Outcome, Transport
from dispatcher.chaos.certificates import Authority
from subscriptions.guard.address_guard import AddressPolicy
from tests.deliveries.sending.transports import TRANSPORTS, MakesTransport
from tests.hostile_receiver import HostileReceiver, black_hole, never_reading, refusing_port
from tests.outbound import collect_all, request_to, send_one, submit


@pytest.fixture(params=sorted(TRANSPORTS))
def make_transport(request: pytest.FixtureRequest) -> MakesTransport:
    """Give one transport after the other."""
    return TRANSPORTS[request.param]


@pytest.fixture
def transport(make_transport: MakesTransport) -> Iterator[Transport]:
    """Make a transport, and close it."""
    transport = make_transport()
    yield transport
    transport.close()


@pytest.fixture
def receiver() -> Iterator[HostileReceiver]:
    """Start a receiver of the test's own."""
    with HostileReceiver() as receiver:
        yield receiver


# ---- The request ---------------------------------------------------------------------------------


def test_what_goes_over_the_wire_is_exactly_the_request(
    transport: Transport, receiver: HostileReceiver
) -> None:
    body = '{"name":"日本語 \\u0000"}'.encode()
    request = request_to(
        f"{receiver.origin}/ok/a%20b?x=1&y=%2F",
        body=body,
        headers=[
            ("User-Agent", "webhook-dispatcher/0.1"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("webhook-id", "evt_1"),
            ("X-Inner-Space", "a  b\tc"),
        ],
    )
    assert send_one(transport, request).outcome is Outcome.SUCCEEDED
    (received,) = receiver.requests
    assert received.head.startswith(b"POST /ok/a%20b?x=1&y=%2F HTTP/1.1\r\n")
    assert [_pair(line) for line in received.header_lines] == list(request.head.fields)
    assert received.body == body


def _pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("ascii").partition(":")
    return name, value.strip()


def test_a_bare_request_gets_no_headers_that_history_would_not_show(
    transport: Transport, receiver: HostileReceiver
) -> None:
    request = request_to(f"{receiver.origin}/ok", body=b"x" * 2_000_000)
    send_one(transport, request)
    (received,) = receiver.requests
    assert [_pair(line)[0] for line in received.header_lines] == [
        "Host",
        "Content-Length",
        "Content-Type",
    ]


def test_nothing_of_the_environment_is_used(
    make_transport: MakesTransport,
    receiver: HostileReceiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / ".netrc").write_text("default login alice password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    transport = make_transport()
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.outcome is Outcome.SUCCEEDED
    assert b"authorization" not in receiver.requests[0].head.lower()


def test_a_cookie_is_not_sent_back(transport: Transport, receiver: HostileReceiver) -> None:
    for _ in range(2):
        send_one(transport, request_to(f"{receiver.origin}/sets-cookie"))
    assert len(receiver.requests) == 2
    assert b"\ncookie:" not in receiver.requests[1].head.lower()


# ---- The address ---------------------------------------------------------------------------------


def test_a_request_goes_to_the_given_address_whatever_its_name_resolves_to(
    transport: Transport, receiver: HostileReceiver
) -> None:
    request = request_to(f"http://receiver.invalid:{receiver.port}/ok")
    exchange = send_one(transport, request)
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.remote_address == "127.0.0.1"
    assert b"Host: receiver.invalid:" in receiver.requests[0].head


def test_a_kept_connection_is_not_used_for_another_address_of_the_name(
    transport: Transport, receiver: HostileReceiver
) -> None:
    url = f"http://receiver.test:{receiver.port}/ok"
    send_one(transport, request_to(url))
    transport.submit(request_to(url), address=ip_address("127.0.0.2"), deadline_seconds=1.0)
    (exchange,) = collect_all(transport, 1)
    assert exchange.remote_address != "127.0.0.1"
    assert receiver.connections == 1


def test_an_address_that_the_guard_refuses_is_not_contacted(
    make_transport: MakesTransport, receiver: HostileReceiver
) -> None:
    transport = make_transport(policy=AddressPolicy())
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert exchange.error == BLOCKED_ADDRESS_ERROR
    assert "127.0.0.1" in exchange.operator_detail
    assert exchange.remote_address is None
    assert receiver.connections == 0


# ---- Time ----------------------------------------------------------------------------------------


def test_phases_have_lengths_of_their_own(transport: Transport, receiver: HostileReceiver) -> None:
    request = request_to(f"{receiver.origin}/slow")
    transport.submit(request, address=ip_address("127.0.0.1"), deadline_seconds=1.0, dns_ms=7)
    (first,) = collect_all(transport, 1)
    assert first.dns_ms == 7
    assert first.connect_ms is not None
    assert first.connect_ms < 300  # not the answer's time
    assert first.tls_ms is None
    assert first.first_byte_ms is not None
    assert 200 <= first.first_byte_ms < 1000
    assert first.duration_ms >= 307
    assert first.http_version == "1.1"


def test_waiting_addresses_shorten_the_wait_for_a_connection_only(transport: Transport) -> None:
    with black_hole() as port, HostileReceiver() as receiver:
        hole = request_to(f"http://127.0.0.1:{port}/")
        slow = request_to(f"{receiver.origin}/slow")
        began_at = time.monotonic()
        submit(transport, hole, deadline_seconds=5.0, connect_seconds=0.2)
        submit(transport, slow, deadline_seconds=5.0, connect_seconds=0.2)
        first, second = collect_all(transport, 2)
        assert time.monotonic() - began_at < 1.0
    assert (first.request, first.outcome) == (hole, Outcome.TIMEOUT)
    assert not first.request_was_sent
    assert (second.request, second.outcome) == (slow, Outcome.SUCCEEDED)


def test_another_thread_can_wake_a_waiting_collect(transport: Transport) -> None:
    threading.Timer(0.1, transport.wake).start()
    began_at = time.monotonic()
    assert transport.collect(5.0) == []
    assert 0.05 < time.monotonic() - began_at < 1.0


def test_a_wake_before_collect_is_not_lost(transport: Transport) -> None:
    transport.wake()
    began_at = time.monotonic()
    assert transport.collect(5.0) == []
    assert time.monotonic() - began_at < 1.0


def test_collect_waits_no_longer_than_it_is_told(transport: Transport) -> None:
    began_at = time.monotonic()
    assert transport.collect(0.2) == []
    assert 0.15 < time.monotonic() - began_at < 2.0


def test_closing_drops_what_is_in_flight(
    make_transport: MakesTransport, receiver: HostileReceiver
) -> None:
    transport = make_transport()
    submit(transport, request_to(f"{receiver.origin}/hang"), deadline_seconds=5.0)
    transport.collect(0.1)
    began_at = time.monotonic()
    transport.close()
    assert time.monotonic() - began_at < 2.0
    assert len(receiver.requests) == 1


# ---- Sentences -----------------------------------------------------------------------------------


def test_a_timeout_says_how_far_the_attempt_came(
    transport: Transport, receiver: HostileReceiver
) -> None:
    with black_hole() as hole, never_reading() as mute, refusing_port() as closed:
        sentences = {
            f"http://127.0.0.1:{hole}/": "No connection could be established within 0.5 seconds.",
            f"https://127.0.0.1:{mute.port}/": (
                "The TLS handshake was not complete within 0.5 seconds."
            ),
            f"{receiver.origin}/hang": "No answer arrived within 0.5 seconds.",
            f"{receiver.origin}/drip-headers": (
                "The answer's headers were not complete within 0.5 seconds."
            ),
            f"http://127.0.0.1:{closed}/": (
                "The connection was refused: nothing listens on the URL's port."
            ),
        }
        for url in sentences:
            submit(transport, request_to(url), deadline_seconds=0.5)
        exchanges = collect_all(transport, len(sentences))
    assert {exchange.request.url.url: exchange.error for exchange in exchanges} == sentences


def test_the_operators_detail_is_one_line_whatever_the_receiver_sends(
    transport: Transport, receiver: HostileReceiver
) -> None:
    for path in ("bad-chunks", "nul-in-header", "not-http", "two-lengths"):
        detail = send_one(transport, request_to(f"{receiver.origin}/{path}")).operator_detail
        assert detail
        assert detail.isprintable()


# ---- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Stand for the public authorities."""
    return Authority(tmp_path_factory.mktemp("certificates"))


def _send_over_tls(
    make_transport: MakesTransport, authority: Authority, tls: ssl.SSLContext, host: str
) -> Exchange:
    transport = make_transport(ca_file=str(authority.file))
    with HostileReceiver(tls=tls) as receiver:
        exchange = send_one(transport, request_to(f"https://{host}:{receiver.port}/ok"))
    transport.close()
    return exchange


def test_a_verified_receiver_is_sent_to_over_tls(
    make_transport: MakesTransport, authority: Authority
) -> None:
    for host in ("receiver.test", "127.0.0.1"):
        tls = authority.server_context("receiver.test", "127.0.0.1")
        exchange = _send_over_tls(make_transport, authority, tls, host)
        assert exchange.outcome is Outcome.SUCCEEDED, exchange
        assert exchange.tls_ms is not None


@pytest.mark.parametrize(
    ("flaw", "sentence"),
    [
        ("expired", "has expired"),
        ("not valid yet", "is not valid yet"),
        ("self-signed", "is self-signed"),
        ("unknown authority", "authority is unknown"),
        ("another name", "is for another host name"),
    ],
)
def test_a_receiver_that_cannot_be_verified_is_sent_nothing(
    make_transport: MakesTransport, authority: Authority, tmp_path: Path, flaw: str, sentence: str
) -> None:
    name = "receiver.test"
    tls = {
        "expired": lambda: authority.server_context(name, starts_days=-9, ends_days=-1),
        "not valid yet": lambda: authority.server_context(name, starts_days=1),
        "self-signed": lambda: authority.server_context(name, is_self_signed=True),
        "unknown authority": lambda: Authority(tmp_path, name="Other").server_context(name),
        "another name": lambda: authority.server_context("other.test"),
    }[flaw]()
    exchange = _send_over_tls(make_transport, authority, tls, name)
    assert exchange.outcome is Outcome.TLS_FAILED
    assert sentence in exchange.error
    assert not exchange.request_was_sent
    assert exchange.status_code is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_before_1_2_is_refused(make_transport: MakesTransport, authority: Authority) -> None:
    tls = authority.server_context("receiver.test")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")  # or the server's OpenSSL would not speak it
    exchange = _send_over_tls(make_transport, authority, tls, "receiver.test")
    assert exchange.outcome is Outcome.TLS_FAILED
    assert "TLS 1.2 or later" in exchange.error


def test_a_tls_receiver_that_is_asked_in_plain_http_fails_as_a_connection(
    transport: Transport, authority: Authority
) -> None:
    with HostileReceiver(tls=authority.server_context("127.0.0.1")) as receiver:
        exchange = send_one(transport, request_to(f"http://127.0.0.1:{receiver.port}/ok"))
    assert exchange.outcome is Outcome.CONNECTION_FAILED
