"""The way out as a whole: names resolved, all addresses judged, one deadline over everything."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from deliveries.sending import door as door_module
from deliveries.sending.curl_transport import CurlTransport
from deliveries.sending.door import Door
from deliveries.sending.resolve import Resolver
from deliveries.sending.transport import (
    BLOCKED_ADDRESS_ERROR,
    Exchange,
    OutboundRequest,
    Outcome,
    Transport,
)
from subscriptions.guard.address_guard import AddressPolicy, IPAddress
from tests.dns_stub import NO_ADDRESS, NXDOMAIN, SERVFAIL, SILENT, Answer, DnsStub
from tests.hostile_receiver import HostileReceiver, black_hole, refusing_port
from tests.outbound import LOOPBACK_ALLOWED, collect_all, request_to

DEADLINE_SECONDS = 1.5
GRACE_SECONDS = 1.0

SLOW = Answer(delay_seconds=SILENT)


@pytest.fixture
def dns() -> Iterator[DnsStub]:
    """Start a name server."""
    with DnsStub() as dns:
        yield dns


@pytest.fixture
def receiver() -> Iterator[HostileReceiver]:
    """Start a receiver of the test's own."""
    with HostileReceiver() as receiver:
        yield receiver


@pytest.fixture
def door(dns: DnsStub) -> Iterator[Door]:
    """Make a door on libcurl that asks the name server."""
    door = make_door(dns)
    yield door
    door.close()


def make_door(
    dns: DnsStub, *, policy: AddressPolicy = LOOPBACK_ALLOWED, transport: Transport | None = None
) -> Door:
    """Make a door; on libcurl, unless a transport is given."""
    return Door(
        transport=transport or CurlTransport(policy=policy, max_connections=100),
        resolver=Resolver(servers=[dns.server], max_lookups_per_tenant=10),
        policy=policy,
        deadline_seconds=DEADLINE_SECONDS,
    )


def send_one(door: Door, request: OutboundRequest) -> Exchange:
    """Send one request and wait for its end."""
    door.submit(request)
    return collect_all(door, 1)[0]


def test_a_request_goes_to_the_address_of_its_name(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    dns.set("receiver.test", Answer(("127.0.0.1",), ttl_seconds=60, delay_seconds=0.1))
    request = request_to(f"http://receiver.test:{receiver.port}/ok", ticket=object())
    exchange = send_one(door, request)
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.request is request
    assert exchange.remote_address == "127.0.0.1"
    assert exchange.dns_ms is not None
    assert 90 <= exchange.dns_ms <= exchange.duration_ms <= 1000 * DEADLINE_SECONDS
    assert receiver.requests[0].head.startswith(b"POST /ok HTTP/1.1\r\nHost: receiver.test:")


def test_a_name_that_is_remembered_is_asked_for_once(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    dns.set("receiver.test", Answer(("127.0.0.1",), ttl_seconds=60))
    request_url = f"http://receiver.test:{receiver.port}/ok"
    exchanges = [send_one(door, request_to(request_url)) for _ in range(3)]
    assert [exchange.dns_ms for exchange in exchanges][1:] == [0, 0]
    assert dns.count("receiver.test") == 1


def test_an_address_in_the_url_needs_no_look_up(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    exchange = send_one(door, request_to(f"{receiver.origin}/ok"))
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.dns_ms is None
    assert dns.queries == []


# ---- The guard -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("addresses", "bad"),
    [
        (("127.0.0.1", "10.0.0.1"), "10.0.0.1"),
        (("10.0.0.1", "127.0.0.1"), "10.0.0.1"),
        (("127.0.0.1", "169.254.169.254"), "169.254.169.254"),
        (("127.0.0.1", "fd00::1"), "fd00::1"),
        (("127.0.0.1", "::ffff:10.0.0.1"), "10.0.0.0/8"),
        (("0.0.0.0",), "0.0.0.0"),
    ],
)
def test_one_bad_address_among_good_ones_blocks_the_request(
    door: Door, dns: DnsStub, receiver: HostileReceiver, addresses: tuple[str, ...], bad: str
) -> None:
    dns.set("mixed.test", Answer(addresses))
    exchange = send_one(door, request_to(f"http://mixed.test:{receiver.port}/ok"))
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert exchange.error == BLOCKED_ADDRESS_ERROR
    assert not exchange.request_was_sent
    assert receiver.connections == 0
    # The operator is told which; the customer must not learn what our network looks like.
    assert bad in exchange.operator_detail


@pytest.mark.parametrize("host", ["10.0.0.1", "[::1]", "127.0.0.1", "[64:ff9b::7f00:1]"])
def test_a_bad_address_in_the_url_is_blocked(dns: DnsStub, host: str) -> None:
    # The transport would let it pass: the door is to stop it by itself.
    permissive = CurlTransport(policy=LOOPBACK_ALLOWED, max_connections=1)
    door = make_door(dns, policy=AddressPolicy(), transport=permissive)
    exchange = send_one(door, request_to(f"http://{host}:8080/"))
    door.close()
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert exchange.error == BLOCKED_ADDRESS_ERROR


def test_an_internal_name_is_blocked_without_a_look_up(dns: DnsStub) -> None:
    door = make_door(dns, policy=AddressPolicy())
    exchange = send_one(door, request_to("http://receiver.internal:8080/"))
    door.close()
    assert exchange.outcome is Outcome.BLOCKED_ADDRESS
    assert dns.queries == []


def test_a_name_with_too_many_addresses_is_not_judged_one_by_one(
    door: Door, dns: DnsStub, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "ADDRESSES_JUDGED_AT_MOST", 20)  # more need TCP
    many = tuple(f"127.0.0.{number}" for number in range(1, 22))
    dns.set("many.test", Answer(many, ttl_seconds=60))
    exchange = send_one(door, request_to(f"http://many.test:{receiver.port}/ok"))
    assert exchange.outcome is Outcome.DNS_FAILED
    assert exchange.error == "The host name has too many addresses."
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["93.184.215.14", "receiver.test"])
def test_nothing_is_contacted_while_nobody_can_tell_whose_address_it_is(
    dns: DnsStub, host: str
) -> None:
    def out_of_descriptors(_address: IPAddress) -> bool:
        raise OSError(errno.EMFILE, "Too many open files")

    dns.set("receiver.test", Answer(("93.184.215.14",)))
    door = make_door(dns, policy=AddressPolicy(is_own=out_of_descriptors))
    exchange = send_one(door, request_to(f"http://{host}:8080/ok"))
    door.close()
    assert exchange.outcome is Outcome.OWN_OUTAGE
    assert "Too many open files" in exchange.operator_detail
    assert not exchange.request_was_sent


def test_a_name_that_changes_between_judging_and_connecting_gains_nothing(
    dns: DnsStub, receiver: HostileReceiver
) -> None:
    policy = AddressPolicy(allowed_networks=(ip_network("127.0.0.1/32"),))
    door = make_door(dns, policy=policy)
    dns.set("rebinds.test", Answer(("127.0.0.1",)), Answer(("127.0.0.2",)))
    outcomes = [
        send_one(door, request_to(f"http://rebinds.test:{receiver.port}/closes-silently"))
        for _ in range(3)
    ]
    time.sleep(1.0)  # until the first answer is forgotten
    later = send_one(door, request_to(f"http://rebinds.test:{receiver.port}/ok"))
    door.close()
    assert {exchange.remote_address for exchange in outcomes} == {"127.0.0.1"}
    assert later.outcome is Outcome.BLOCKED_ADDRESS


# ---- DNS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome", "sentence"),
    [
        (NXDOMAIN, Outcome.DNS_FAILED, "does not exist"),
        (NO_ADDRESS, Outcome.DNS_FAILED, "no IPv4 or IPv6 address"),
        (SERVFAIL, Outcome.DNS_FAILED, "answered with an error"),
        (SLOW, Outcome.DNS_FAILED, "could not be resolved in time"),
    ],
)
def test_a_name_that_cannot_be_resolved_ends_within_the_deadline(
    door: Door, dns: DnsStub, answer: Answer, outcome: Outcome, sentence: str
) -> None:
    dns.set("broken.test", answer)
    began_at = time.monotonic()
    exchange = send_one(door, request_to("http://broken.test:8080/"))
    assert time.monotonic() - began_at <= DEADLINE_SECONDS + GRACE_SECONDS
    assert exchange.outcome is outcome
    assert sentence in exchange.error
    assert not exchange.request_was_sent
    assert exchange.dns_ms is not None
    assert exchange.operator_detail


def test_our_own_resolvers_failure_is_not_charged_to_the_subscription(
    door: Door, dns: DnsStub
) -> None:
    dns.is_dead = True
    exchange = send_one(door, request_to("http://healthy.test:8080/"))
    assert exchange.outcome is Outcome.OWN_OUTAGE
    assert not exchange.request_was_sent
    assert exchange.duration_ms <= 1000 * (DEADLINE_SECONDS + GRACE_SECONDS)


def test_slow_names_do_not_delay_requests_to_other_names(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    for number in range(60):
        name = dns.set(f"slow{number}.test", SLOW)
        door.submit(request_to(f"http://{name}:8080/", tenant="slow"))
    dns.set("healthy.test", Answer(("127.0.0.1",)))
    for _ in range(10):
        door.submit(request_to(f"http://healthy.test:{receiver.port}/ok", tenant="healthy"))
    exchanges = collect_all(door, 70)
    healthy = [each for each in exchanges if each.request.tenant == "healthy"]
    assert {exchange.outcome for exchange in healthy} == {Outcome.SUCCEEDED}
    assert max(exchange.duration_ms for exchange in healthy) < 1000
    assert max(exchange.duration_ms for exchange in exchanges) < 1000 * (
        DEADLINE_SECONDS + GRACE_SECONDS
    )


def test_a_slow_look_up_leaves_the_rest_of_the_deadline_only(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    dns.set("slow.test", Answer(("127.0.0.1",), delay_seconds=0.75))
    exchange = send_one(door, request_to(f"http://slow.test:{receiver.port}/hang"))
    assert exchange.outcome is Outcome.TIMEOUT
    assert exchange.dns_ms is not None
    assert exchange.dns_ms >= 650
    assert 1400 <= exchange.duration_ms <= 1000 * (DEADLINE_SECONDS + 0.6)
    assert exchange.error == "No answer arrived within 1.5 seconds."


# ---- Several addresses ---------------------------------------------------------------------------


def test_a_dead_address_gives_way_to_the_next(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    dns.set("two.test", Answer(("127.0.0.2", "127.0.0.3", "127.0.0.1"), ttl_seconds=60))
    exchange = send_one(door, request_to(f"http://two.test:{receiver.port}/ok"))
    assert exchange.outcome is Outcome.SUCCEEDED
    assert exchange.remote_address == "127.0.0.1"
    assert len(receiver.requests) == 1


def test_a_silent_address_gives_way_to_the_next(dns: DnsStub) -> None:
    with black_hole() as port, HostileReceiver(host="::1", port=port) as receiver:
        door = make_door(dns)
        dns.set("two.test", Answer(("127.0.0.1", "::1")))
        exchange = send_one(door, request_to(f"http://two.test:{port}/ok"))
        door.close()
        assert exchange.outcome is Outcome.SUCCEEDED
        assert exchange.remote_address == "::1"
        assert 500 <= exchange.duration_ms <= 1000 * DEADLINE_SECONDS
        assert len(receiver.requests) == 1


def test_a_request_that_was_sent_is_not_sent_to_another_address(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    with HostileReceiver(host="127.0.0.2", port=receiver.port) as other:
        dns.set("two.test", Answer(("127.0.0.1", "127.0.0.2")))
        exchange = send_one(door, request_to(f"http://two.test:{receiver.port}/close-at-once"))
        assert exchange.outcome is Outcome.CONNECTION_FAILED
        assert exchange.request_was_sent
        assert len(receiver.requests) + len(other.requests) == 1


def test_fifty_dead_addresses_end_within_the_deadline(door: Door, dns: DnsStub) -> None:
    dns.set("many.test", Answer(tuple(f"127.9.0.{number}" for number in range(1, 51))))
    with refusing_port() as port:
        exchange = send_one(door, request_to(f"http://many.test:{port}/"))
    assert exchange.outcome is Outcome.CONNECTION_FAILED
    assert exchange.duration_ms <= 1000 * (DEADLINE_SECONDS + GRACE_SECONDS)


# ---- Order and end -------------------------------------------------------------------------------


def test_requests_that_are_still_being_resolved_can_be_taken_back(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    dns.set("slow.test", SLOW)
    waiting = [request_to("http://slow.test:8080/") for _ in range(3)]
    under_way = request_to(f"{receiver.origin}/slow")
    for request in (*waiting, under_way):
        door.submit(request)
    assert door.in_flight == 4
    assert door.take_back_unsent() == waiting
    assert door.in_flight == 1
    (exchange,) = collect_all(door, 1)
    assert exchange.request is under_way
    assert door.collect(DEADLINE_SECONDS) == []
    assert door.in_flight == 0


def test_another_thread_can_wake_a_waiting_collect(door: Door) -> None:
    threading.Timer(0.1, door.wake).start()
    began_at = time.monotonic()
    assert door.collect(5.0) == []
    assert 0.05 < time.monotonic() - began_at < 1.0


def test_an_answer_to_a_look_up_does_not_end_a_collect(
    door: Door, dns: DnsStub, receiver: HostileReceiver
) -> None:
    dns.set("receiver.test", Answer(("127.0.0.1",)))
    door.submit(request_to(f"http://receiver.test:{receiver.port}/slow"))
    (exchange,) = door.collect(5.0)
    assert exchange.outcome is Outcome.SUCCEEDED


class _ForgetfulTransport(CurlTransport):
    """Loses what goes to `/lost`, and breaks on `/broken`."""

    def submit(
        self,
        request: OutboundRequest,
        *,
        address: IPAddress,
        deadline_seconds: float,
        connect_seconds: float | None = None,
        dns_ms: int | None = None,
    ) -> None:
        if request.url.target == "/broken":
            raise RuntimeError("a bug")
        if request.url.target != "/lost":
            super().submit(
                request,
                address=address,
                deadline_seconds=deadline_seconds,
                connect_seconds=connect_seconds,
                dns_ms=dns_ms,
            )


def test_a_request_that_its_transport_loses_still_ends(
    dns: DnsStub,
    receiver: HostileReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(door_module, "OVERDUE_SECONDS", 0.2)
    transport = _ForgetfulTransport(policy=LOOPBACK_ALLOWED, max_connections=10)
    door = make_door(dns, transport=transport)
    for path in ("lost", "broken", "ok"):
        door.submit(request_to(f"{receiver.origin}/{path}"))
    ended = {each.request.url.target: each for each in collect_all(door, 3)}
    door.close()
    assert ended["/ok"].outcome is Outcome.SUCCEEDED
    assert ended["/ok"].duration_ms < 1000
    assert ended["/broken"].outcome is Outcome.NOT_SENDABLE
    assert not ended["/broken"].request_was_sent
    assert ended["/lost"].outcome is Outcome.INTERRUPTED
    assert ended["/lost"].request_was_sent  # nobody knows, so it may have been
    assert "lost a request" in caplog.text


def test_closing_drops_everything(dns: DnsStub, receiver: HostileReceiver) -> None:
    door = make_door(dns)
    dns.set("slow.test", SLOW)
    door.submit(request_to("http://slow.test:8080/"))
    door.submit(request_to(f"{receiver.origin}/hang"))
    door.collect(0.1)
    began_at = time.monotonic()
    door.close()
    assert time.monotonic() - began_at < 1.0
