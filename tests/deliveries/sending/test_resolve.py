"""Look-ups: errors told apart, bounded, fair among tenants, remembered for seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from deliveries.sending import resolve
from deliveries.sending.resolve import Lookup, LookupFailure, Resolver
from deliveries.sending.resolver_health import ANSWERED_WITHIN_SECONDS, PAUSE_SECONDS
from tests.dns_stub import NO_ADDRESS, NXDOMAIN, REFUSED, SERVFAIL, SILENT, Answer, DnsStub
from tests.workers import eventually

DEADLINE_SECONDS = 1.0

HEALTHY = Answer(("127.0.0.1",), ttl_seconds=60)
SLOW = Answer(delay_seconds=SILENT)


@pytest.fixture
def dns() -> Iterator[DnsStub]:
    """Start a name server."""
    with DnsStub() as dns:
        yield dns


@pytest.fixture
def resolver(dns: DnsStub) -> Iterator[Resolver]:
    """Make a resolver that asks it."""
    resolver = Resolver(servers=[dns.server], max_lookups=20, max_lookups_per_tenant=5)
    yield resolver
    resolver.close()


def ask(resolver: Resolver, host: str, *, tenant: str = "a", waiter: Any = None) -> Lookup | None:
    """Ask for a host; `waiter` is its name unless given."""
    return resolver.lookup(
        host, tenant=tenant, waiter=waiter or host, deadline_seconds=DEADLINE_SECONDS
    )


def collect(resolver: Resolver, count: int, *, within_seconds: float = 5.0) -> dict[Any, Lookup]:
    """Wait for so many waiters to be answered."""
    ended: dict[Any, Lookup] = {}
    until = time.monotonic() + within_seconds
    while len(ended) < count:
        assert time.monotonic() < until, f"only {ended}"
        ended |= dict(resolver.collect())
        time.sleep(0.002)
    return ended


def resolve_one(resolver: Resolver, host: str) -> Lookup:
    """Ask for a host and wait for its end."""
    return ask(resolver, host) or collect(resolver, 1)[host]


def test_a_name_has_the_addresses_of_both_families_in_turn(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.set("both.test", Answer(("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1")))
    lookup = resolve_one(resolver, "both.test")
    assert lookup.failure is None
    families = [address.version for address in lookup.addresses]
    assert families == [4, 6, 4, 4]
    assert set(lookup.addresses) == {
        ip_address(text) for text in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1")
    }


def test_an_alias_leads_to_its_addresses(dns: DnsStub, resolver: Resolver) -> None:
    dns.set("www.test", Answer(("192.0.2.1",), alias="elsewhere.test"))
    assert resolve_one(resolver, "www.test").addresses == (ip_address("192.0.2.1"),)


def test_all_of_many_addresses_are_returned(dns: DnsStub, resolver: Resolver) -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 51)]
    dns.set("many.test", Answer(tuple(addresses)))
    lookup = resolve_one(resolver, "many.test")
    assert {str(address) for address in lookup.addresses} == set(addresses)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (NXDOMAIN, LookupFailure.NAME_NOT_FOUND),
        (NO_ADDRESS, LookupFailure.NO_ADDRESS),
        (SERVFAIL, LookupFailure.SERVER_FAILURE),
        (REFUSED, LookupFailure.SERVER_FAILURE),
        (SLOW, LookupFailure.TIMEOUT),
    ],
)
def test_errors_of_a_name_are_told_apart(
    dns: DnsStub, resolver: Resolver, answer: Answer, failure: LookupFailure
) -> None:
    dns.set("broken.test", answer)
    began_at = time.monotonic()
    lookup = resolve_one(resolver, "broken.test")
    assert lookup.failure is failure, lookup
    assert lookup.addresses == ()
    assert lookup.detail
    assert time.monotonic() - began_at <= DEADLINE_SECONDS + 0.9


def test_a_dead_resolver_is_not_the_names_fault(dns: DnsStub, resolver: Resolver) -> None:
    dns.set("healthy.test", HEALTHY)
    dns.is_dead = True
    began_at = time.monotonic()
    assert resolve_one(resolver, "healthy.test").failure is LookupFailure.RESOLVER_UNREACHABLE
    assert time.monotonic() - began_at <= DEADLINE_SECONDS + 0.9


def test_a_resolver_that_fails_for_every_name_is_not_the_names_fault(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.unknown = SERVFAIL
    assert resolve_one(resolver, "any.test").failure is LookupFailure.RESOLVER_UNREACHABLE


def test_nothing_listening_for_queries_is_not_the_names_fault(dns: DnsStub) -> None:
    dns.close()
    resolver = Resolver(servers=[dns.server])
    assert resolve_one(resolver, "any.test").failure is LookupFailure.RESOLVER_UNREACHABLE
    resolver.close()


def test_a_resolver_that_has_recovered_is_trusted_again(dns: DnsStub, resolver: Resolver) -> None:
    dns.is_dead = True
    assert resolve_one(resolver, "a.test").failure is LookupFailure.RESOLVER_UNREACHABLE
    dns.is_dead = False
    time.sleep(ANSWERED_WITHIN_SECONDS)  # the last probe may have been out still
    dns.set("slow.test", SLOW)
    assert resolve_one(resolver, "slow.test").failure is LookupFailure.TIMEOUT


def test_no_name_is_blamed_at_either_edge_of_our_resolvers_outage(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.unknown = HEALTHY
    outage_from, outage_to, asked_until = 0.5, 3.0, 4.0
    deadline_seconds = 1.5  # c-ares asks again after 0.25, 0.75 and 1.75 s: time for a probe after
    began_at = time.monotonic()
    ended: dict[str, Lookup] = {}
    asked = 0
    while (at := time.monotonic() - began_at) < asked_until + deadline_seconds + 0.5:
        dns.is_dead = outage_from <= at < outage_to
        if asked * 0.1 <= at < asked_until:  # also just before and after both edges
            host = f"healthy{asked}.test"
            resolver.lookup(host, tenant=host, waiter=host, deadline_seconds=deadline_seconds)
            asked += 1
        ended |= dict(resolver.collect())
        time.sleep(0.005)
    assert len(ended) == asked
    failures = {lookup.failure for lookup in ended.values()}
    assert failures == {None, LookupFailure.RESOLVER_UNREACHABLE}, ended


def test_a_name_that_answers_with_an_error_as_our_resolver_falls_silent_is_not_blamed(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.set("before.test", SERVFAIL)
    assert resolve_one(resolver, "before.test").failure is LookupFailure.SERVER_FAILURE
    dns.set("after.test", SERVFAIL)
    ask(resolver, "after.test")
    while not dns.count("after.test", "AAAA"):
        time.sleep(0.001)
    time.sleep(0.01)
    dns.is_dead = True
    assert collect(resolver, 1)["after.test"].failure is LookupFailure.RESOLVER_UNREACHABLE


def test_a_look_up_that_got_no_turn_in_our_resolvers_outage_is_not_the_names_fault(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.is_dead = True
    for number in range(60):
        ask(resolver, f"healthy{number}.test", tenant="crowded")
    ended = collect(resolver, 60)
    assert {lookup.failure for lookup in ended.values()} == {LookupFailure.RESOLVER_UNREACHABLE}
    assert any("turn" in lookup.detail for lookup in ended.values())


def test_a_look_up_whose_turn_comes_at_its_end_does_not_pass_for_our_outage(
    dns: DnsStub, resolver: Resolver
) -> None:
    for number in range(5):
        ask(resolver, dns.set(f"slow{number}.test", SLOW), tenant="slow")
    time.sleep(0.1)
    ask(resolver, dns.set("last.test", SLOW), tenant="slow")
    assert collect(resolver, 6)["last.test"].failure is LookupFailure.TIMEOUT


def test_slow_names_are_to_blame_while_our_resolver_answers_others(
    dns: DnsStub, resolver: Resolver
) -> None:
    began_at = time.monotonic()
    ended: dict[str, Lookup] = {}
    asked = 0
    while (at := time.monotonic() - began_at) < 3.0:
        if asked * 0.1 <= at < 1.5:
            ask(resolver, dns.set(f"slow{asked}.test", SLOW), tenant=str(asked % 2))
            asked += 1
        ended |= dict(resolver.collect())
        time.sleep(0.005)
    assert len(ended) == asked
    assert {lookup.failure for lookup in ended.values()} == {LookupFailure.TIMEOUT}
    slowest_ms = max(lookup.milliseconds for lookup in ended.values())
    assert slowest_ms <= 1000 * DEADLINE_SECONDS + 900
    probes = [name for name, kind in dns.queries if name.endswith(".invalid")]
    assert len(probes) <= 3.0 / PAUSE_SECONDS


def test_a_name_is_resolved_although_its_first_query_is_lost(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.set("lossy.test", SLOW, HEALTHY)
    assert resolve_one(resolver, "lossy.test").addresses == (ip_address("127.0.0.1"),)


def test_servers_that_are_silent_about_ipv6_do_not_keep_a_name_waiting(
    dns: DnsStub, resolver: Resolver
) -> None:
    dns.set("four.test", HEALTHY)
    dns.set_kind("four.test", "AAAA", SLOW)
    lookup = resolve_one(resolver, "four.test")
    assert lookup.addresses == (ip_address("127.0.0.1"),)
    assert lookup.milliseconds < 1000 * DEADLINE_SECONDS


def test_the_hosts_file_is_read(resolver: Resolver, dns: DnsStub) -> None:
    assert ip_address("127.0.0.1") in resolve_one(resolver, "localhost").addresses
    assert dns.count("localhost") == 0


def test_a_name_is_not_completed_with_a_search_domain(
    dns: DnsStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALDOMAIN", "inside.test")  # what `search` is in resolv.conf
    resolver = Resolver(servers=[dns.server])
    dns.set("gone.test.inside.test", HEALTHY)
    assert resolve_one(resolver, "gone.test").failure is LookupFailure.NAME_NOT_FOUND
    resolver.close()
    assert {name for name, _ in dns.queries} == {"gone.test"}


# ---- Sharing -------------------------------------------------------------------------------------


def test_look_ups_of_one_name_at_a_time_are_one_query(dns: DnsStub, resolver: Resolver) -> None:
    dns.set("shared.test", Answer(("192.0.2.1",), delay_seconds=0.1))
    for number in range(50):
        assert ask(resolver, "shared.test", tenant=str(number % 3), waiter=number) is None
    ended = collect(resolver, 50)
    assert len(set(map(id, ended.values()))) == 1
    assert dns.count("shared.test") == 1


def test_slow_names_of_one_tenant_do_not_delay_another_tenants_names(
    dns: DnsStub, resolver: Resolver
) -> None:
    for number in range(60):
        ask(resolver, dns.set(f"slow{number}.test", SLOW), tenant="slow")
    began_at = time.monotonic()
    for number in range(10):
        ask(resolver, dns.set(f"healthy{number}.test", HEALTHY), tenant="healthy")
    ended = collect(resolver, 10)
    assert time.monotonic() - began_at < 0.9  # slow names end after a second
    assert {lookup.failure for lookup in ended.values()} == {None}


def test_a_tenant_has_no_more_look_ups_under_way_than_its_share(
    dns: DnsStub, resolver: Resolver
) -> None:
    for number in range(60):
        ask(resolver, dns.set(f"slow{number}.test", SLOW), tenant="slow")

    def asked() -> set[str]:
        return {name for name, kind in dns.queries if name.startswith("slow")}

    eventually(lambda: len(asked()) >= 5)
    time.sleep(0.1)
    assert len(asked()) == 5


def test_a_name_that_waits_in_one_tenants_line_can_be_begun_by_another(
    dns: DnsStub, resolver: Resolver
) -> None:
    for number in range(6):
        ask(resolver, dns.set(f"slow{number}.test", SLOW), tenant="slow")
    dns.set("shared.test", HEALTHY)
    ask(resolver, "shared.test", tenant="slow", waiter="slow tenant")
    ask(resolver, "shared.test", tenant="healthy", waiter="healthy tenant")
    ended = collect(resolver, 2, within_seconds=0.9)
    assert ended["slow tenant"].failure is None
    assert ended["healthy tenant"].failure is None


def test_every_look_up_ends_also_one_that_never_had_its_turn(
    dns: DnsStub, resolver: Resolver
) -> None:
    for number in range(60):
        ask(resolver, dns.set(f"slow{number}.test", SLOW), tenant="slow")
    began_at = time.monotonic()
    ended = collect(resolver, 60)
    assert time.monotonic() - began_at <= DEADLINE_SECONDS + 0.9
    assert {lookup.failure for lookup in ended.values()} == {LookupFailure.TIMEOUT}
    assert any("turn" in lookup.detail for lookup in ended.values())
    assert not resolver.is_busy


# ---- Remembering ---------------------------------------------------------------------------------


def test_addresses_are_remembered(dns: DnsStub, resolver: Resolver) -> None:
    dns.set("kept.test", HEALTHY)
    first = resolve_one(resolver, "kept.test")
    assert ask(resolver, "kept.test") is first
    assert dns.count("kept.test") == 1


def test_addresses_are_forgotten_with_their_time_to_live(dns: DnsStub, resolver: Resolver) -> None:
    dns.set("moves.test", Answer(("192.0.2.1",)), Answer(("192.0.2.2",)))
    first = resolve_one(resolver, "moves.test")
    time.sleep(resolve.SHORTEST_MEMORY_SECONDS)
    second = resolve_one(resolver, "moves.test")
    assert (first.addresses, second.addresses) == (
        (ip_address("192.0.2.1"),),
        (ip_address("192.0.2.2"),),
    )


def test_addresses_are_forgotten_after_half_a_minute_whatever_their_time_to_live(
    dns: DnsStub, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "LONGEST_MEMORY_SECONDS", 0.2)
    dns.set("moves.test", Answer(("192.0.2.1",), ttl_seconds=86400), HEALTHY)
    resolve_one(resolver, "moves.test")
    time.sleep(0.25)
    resolve_one(resolver, "other.test")  # c-ares forgets in a thread of its own
    time.sleep(0.3)
    assert resolve_one(resolver, "moves.test").addresses == (ip_address("127.0.0.1"),)


def test_an_error_is_remembered_for_a_second(dns: DnsStub, resolver: Resolver) -> None:
    dns.set("new.test", NXDOMAIN, HEALTHY)
    assert resolve_one(resolver, "new.test").failure is LookupFailure.NAME_NOT_FOUND
    assert resolve_one(resolver, "new.test").failure is LookupFailure.NAME_NOT_FOUND
    time.sleep(resolve.SHORTEST_MEMORY_SECONDS)
    assert resolve_one(resolver, "new.test").failure is None


def test_what_is_remembered_is_bounded(
    dns: DnsStub, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "REMEMBERED_AT_MOST", 3)
    for number in range(5):
        resolve_one(resolver, dns.set(f"name{number}.test", HEALTHY))
    assert [ask(resolver, f"name{number}.test") is None for number in range(5)] == [
        True,
        True,
        False,
        False,
        False,
    ]
