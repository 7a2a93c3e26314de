"""Connections, whichever transport opens them: used again, never twice for one request, closed."""

from __future__ import annotations

import os
import resource
import ssl
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from deliveries.sending.transport import Excuse, Outcome, Transport
from dispatcher.chaos.certificates import Authority
from dispatcher.chaos.threaded_server import Connection, ThreadedServer
from subscriptions.guard.address_guard import AddressPolicy
from tests.deliveries.sending.transports import TRANSPORTS, MakesTransport
from tests.hostile_receiver import HostileReceiver, refusing_port
from tests.outbound import collect_all, request_to, send_one, submit
from tests.workers import eventually


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


# ---- Used again ----------------------------------------------------------------------------------


def test_a_connection_is_used_again(transport: Transport, receiver: HostileReceiver) -> None:
    exchanges = [send_one(transport, request_to(f"{receiver.origin}/ok")) for _ in range(3)]
    assert receiver.connections == 1
    assert [exchange.connect_ms is None for exchange in exchanges] == [False, True, True]
    assert {exchange.remote_address for exchange in exchanges} == {"127.0.0.1"}


def test_requests_to_one_receiver_do_not_wait_for_its_first_answer(
    transport: Transport, receiver: HostileReceiver
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
    transport: Transport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/dies-when-reused"
    assert send_one(transport, request_to(url)).outcome is Outcome.SUCCEEDED
    exchange = send_one(transport, request_to(url))
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert exchange.request_was_sent
    assert "kept-alive" in exchange.error
    assert [received.connection for received in receiver.requests] == [1, 1]


def test_the_next_request_after_a_dying_connection_gets_one_of_its_own(
    transport: Transport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/dies-when-reused"
    outcomes = [send_one(transport, request_to(url)).outcome for _ in range(5)]
    assert outcomes.count(Outcome.CONNECTION_FAILED) == 1
    assert outcomes[2:] == [Outcome.SUCCEEDED] * 3


def test_a_connection_that_ended_instead_of_answering_is_an_excuse(
    transport: Transport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/dies-when-reused"
    excuses = [send_one(transport, request_to(url)).excuse for _ in range(3)]
    assert excuses == [None, Excuse.STALE_CONNECTION, None]


@pytest.mark.parametrize("path", ["close-at-once", "reset", "hang", "cut-in-headers"])
def test_silence_on_a_new_connection_has_no_excuse(
    transport: Transport, receiver: HostileReceiver, path: str
) -> None:
    assert send_one(transport, request_to(f"{receiver.origin}/{path}")).excuse is None


def test_a_receiver_that_closes_without_saying_so_loses_nothing(
    transport: Transport, receiver: HostileReceiver
) -> None:
    url = f"{receiver.origin}/closes-silently"
    for _ in range(5):
        assert send_one(transport, request_to(url)).outcome is Outcome.SUCCEEDED
        time.sleep(0.2)  # its FIN is here by now
    assert [received.connection for received in receiver.requests] == [1, 2, 3, 4, 5]


def test_the_guard_against_repetition_works_for_each_request(
    transport: Transport, receiver: HostileReceiver
) -> None:
    for _ in range(3):
        assert send_one(transport, request_to(f"{receiver.origin}/ok")).outcome is Outcome.SUCCEEDED
    send_one(transport, request_to(f"{receiver.origin}/dies-when-reused"))
    lost = send_one(transport, request_to(f"{receiver.origin}/ok/lost"))
    assert lost.outcome is Outcome.CONNECTION_FAILED
    assert len(receiver.requests_for("/ok/lost")) == 1


def test_a_connection_that_was_idle_for_too_long_is_not_used_again(
    make_transport: MakesTransport, receiver: HostileReceiver
) -> None:
    transport = make_transport(max_idle_seconds=1)
    send_one(transport, request_to(f"{receiver.origin}/ok"))
    time.sleep(1.1)
    exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.connect_ms is not None
    assert receiver.connections == 2


def test_nothing_is_carried_over_from_the_former_request(
    transport: Transport, receiver: HostileReceiver
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


def test_each_request_has_its_own_deadline_whatever_went_before(
    transport: Transport, receiver: HostileReceiver
) -> None:
    send_one(transport, request_to(f"{receiver.origin}/ok"), deadline_seconds=5.0)
    exchange = send_one(transport, request_to(f"{receiver.origin}/hang"), deadline_seconds=0.3)
    assert exchange.outcome is Outcome.TIMEOUT
    assert exchange.duration_ms < 1000


# ---- Idle ----------------------------------------------------------------------------------------


class CountingReceiver:
    """Answers 200, at `/late` after three seconds; knows which connections are open."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.open: set[Connection] = set()
        self._server = ThreadedServer({}, tls=tls, on_connect=self._serve)
        self.origin = self._server.origin

    def close(self) -> None:
        self._server.close()

    def _serve(self, connection: Connection) -> None:
        self.open.add(connection)
        try:
            while True:  # until its end of stream
                if connection.read_request().path == "/late":
                    connection.pause(3.0)
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        finally:
            self.open.remove(connection)


def open_after(
    transport: Transport, receiver: CountingReceiver, *, is_enough: Callable[[int], bool]
) -> int:
    """Collect as the pump does while nothing is sent; return how many are open at last."""
    until = time.monotonic() + 4.0
    while not is_enough(len(receiver.open)) and time.monotonic() < until:
        assert transport.collect(0.2) == []
    return len(receiver.open)


def test_idle_connections_are_closed_while_nothing_is_sent(
    make_transport: MakesTransport, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    receiver = CountingReceiver(tls=authority.server_context("127.0.0.1"))
    transport = make_transport(max_idle_seconds=1, ca_file=str(authority.file))
    try:
        for _ in range(2):  # it works again afterwards
            for _ in range(5):
                submit(transport, request_to(f"{receiver.origin}/at-once"))
            exchanges = collect_all(transport, 5)
            assert {exchange.outcome for exchange in exchanges} == {Outcome.SUCCEEDED}
            transport.collect(0.2)
            assert len(receiver.open) > 0
            assert open_after(transport, receiver, is_enough=lambda count: count == 0) == 0
    finally:
        transport.close()
        receiver.close()


def test_what_is_under_way_stays_open_while_others_are_closed(
    make_transport: MakesTransport,
) -> None:
    receiver = CountingReceiver()
    transport = make_transport(max_idle_seconds=1)
    try:
        submit(transport, request_to(f"{receiver.origin}/late"), deadline_seconds=5.0)
        for _ in range(5):
            submit(transport, request_to(f"{receiver.origin}/at-once"))
        collect_all(transport, 5)
        assert len(receiver.open) > 1
        assert open_after(transport, receiver, is_enough=lambda count: count <= 1) == 1
        (late,) = collect_all(transport, 1)
    finally:
        transport.close()
        receiver.close()
    assert late.outcome is Outcome.SUCCEEDED


# ---- Sockets -------------------------------------------------------------------------------------


def test_descriptors_above_1023_are_served(transport: Transport, receiver: HostileReceiver) -> None:
    taken = [os.dup(0) for _ in range(1100)]
    try:
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    finally:
        for descriptor in taken:
            os.close(descriptor)
    assert exchange.outcome is Outcome.SUCCEEDED


def test_running_out_of_descriptors_is_not_the_receivers_fault(transport: Transport) -> None:
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


def test_an_address_that_cannot_be_judged_leaves_its_reason_with_the_operator(
    make_transport: MakesTransport,
) -> None:
    def broken(_address: object) -> bool:
        raise OSError(5, "the kernel\nwould not say")

    transport = make_transport(policy=AddressPolicy(is_own=broken))
    request = request_to("http://public.test/")
    transport.submit(request, address=ip_address("8.8.8.8"), deadline_seconds=1.0)
    (exchange,) = collect_all(transport, 1)
    transport.close()
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert "the kernel\\nwould not say" in exchange.operator_detail  # and still one line


def test_an_ipv6_address_is_reached(transport: Transport) -> None:
    with HostileReceiver(host="::1") as receiver:
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.remote_address == "::1"


def test_connections_do_not_outlive_the_transport(
    make_transport: MakesTransport, receiver: HostileReceiver
) -> None:
    before = len(os.listdir("/dev/fd"))
    transport = make_transport()
    for _ in range(3):
        send_one(transport, request_to(f"{receiver.origin}/ok"))
    with refusing_port() as port:
        send_one(transport, request_to(f"http://127.0.0.1:{port}/"))
    transport.close()
    eventually(lambda: len(os.listdir("/dev/fd")) <= before)  # the receiver closes its ends


def test_a_missing_list_of_authorities_is_not_the_receivers_fault(
    make_transport: MakesTransport, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    transport = make_transport(ca_file=str(tmp_path / "missing.pem"))
    with HostileReceiver(tls=authority.server_context("127.0.0.1")) as receiver:
        exchange = send_one(transport, request_to(f"{receiver.origin}/ok"))
    transport.close()
    assert exchange.outcome is Outcome.OWN_OUTAGE


# ---- TLS -----------------------------------------------------------------------------------------


def test_a_secure_connection_is_used_again_and_named_in_its_handshake(
    make_transport: MakesTransport, tmp_path: Path
) -> None:
    """The name is told where it is one (RFC 6066, section 3): an address is not."""
    authority = Authority(tmp_path)
    tls = authority.server_context("receiver.test", "127.0.0.1")
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    transport = make_transport(ca_file=str(authority.file))
    with HostileReceiver(tls=tls) as receiver:
        for host in ("receiver.test", "receiver.test", "127.0.0.1"):
            exchange = send_one(transport, request_to(f"https://{host}:{receiver.port}/ok"))
            assert exchange.outcome is Outcome.SUCCEEDED
        assert receiver.connections == 2
    transport.close()
    assert names == ["receiver.test", None]
