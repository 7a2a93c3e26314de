"""Looks host names up for the way out: bounded, fairly among tenants, remembering for seconds.

`door` asks, and collects answers when it is woken; it judges the addresses. Nothing waits here,
and nothing raises: a look-up always ends, at its deadline at the latest. An error of the name is
told apart from a failure of our own resolver, which must not be charged to a customer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, zip_longest
from typing import Any, Final

from deliveries.sending.dns_queries import FAMILIES, Answer, DnsQueries, Reply
from deliveries.sending.resolver_health import ResolverHealth
from deliveries.sending.turns import Turns
from subscriptions.guard.address_guard import IPAddress

LONGEST_MEMORY_SECONDS: Final = 30.0
"""A receiver that moves shall be found soon, whatever its records' time to live says."""

SHORTEST_MEMORY_SECONDS: Final = 1.0
"""Errors are remembered as long, and records that ask not to be: so that thousands of deliveries
to one name do not become as many queries."""

OTHER_FAMILY_SECONDS: Final = 0.3
"""How long addresses of one family wait for the other's. (RFC 8305 gives it 0.05, but here all
addresses are to be judged.)"""

SUSPICIOUS_AFTER_SECONDS: Final = 0.25
"""Silence for longer makes us ask whether our own resolver is there at all."""

BEGIN_SHARE: Final = 0.8
"""Of the time that a look-up has: its turn must come before, or silence says nothing."""

TICK_SECONDS: Final = 0.1
"""How often pending look-ups are looked through."""

REMEMBERED_AT_MOST: Final = 10_000


class LookupFailure(StrEnum):
    """Why there are no addresses."""

    NAME_NOT_FOUND = "name_not_found"
    NO_ADDRESS = "no_address"
    """The name exists, but has neither an IPv4 nor an IPv6 address."""
    SERVER_FAILURE = "server_failure"
    """The name's servers answer with an error."""
    TIMEOUT = "timeout"
    """No answer in time, while other names are answered; or no turn among the tenant's own."""
    RESOLVER_UNREACHABLE = "resolver_unreachable"
    """Our own resolver answers nothing: not the name's fault."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a name came to: addresses of both families, IPv4 and IPv6 in turn, or a failure."""

    addresses: tuple[IPAddress, ...] = ()
    failure: LookupFailure | None = None
    milliseconds: int = 0
    """From the first request for it to its end."""
    detail: str = ""
    """For the operator."""


_FAILURES: Final = {
    Reply.NAME_NOT_FOUND: LookupFailure.NAME_NOT_FOUND,
    Reply.SERVER_FAILURE: LookupFailure.SERVER_FAILURE,
    Reply.SILENCE: LookupFailure.TIMEOUT,
    Reply.NO_SERVER: LookupFailure.RESOLVER_UNREACHABLE,
    Reply.NO_ADDRESS: LookupFailure.NO_ADDRESS,
}
"""Where the two families' answers differ, the first of these stands for the name."""

_MAY_BE_OUR_FAULT: Final = frozenset({LookupFailure.SERVER_FAILURE, LookupFailure.TIMEOUT})


@dataclass(slots=True, eq=False)
class _Pending:
    """A name that is being looked up, or waits for its turn."""

    host: str
    asked_at: float
    begin_before: float
    deadline_at: float
    waiters: list[Any] = field(default_factory=list)
    tenants: set[str] = field(default_factory=set)
    """In whose lines it stands."""
    tenant_of_turn: str = ""
    began_at: float = 0.0
    answers: dict[int, Answer] = field(default_factory=dict)
    """What came so far, by address family."""
    first_addresses_at: float | None = None

    @property
    def is_under_way(self) -> bool:
        return self.began_at > 0

    @property
    def silent_since(self) -> float:
        """Since when an answer, or at least a turn, is waited for."""
        return self.began_at or self.asked_at

    @property
    def is_answered(self) -> bool:
        return len(self.answers) == len(FAMILIES)

    @property
    def has_addresses(self) -> bool:
        return self.first_addresses_at is not None

    def has_waited_enough(self, now: float) -> bool:
        """Tell whether addresses of one family need not wait for the other's any more."""
        patience_ends_at = (self.first_addresses_at or now) + OTHER_FAMILY_SECONDS
        return self.is_answered or now >= min(patience_ends_at, self.deadline_at)

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """All addresses, the families in turn: if one has no route from here, the other may."""
        of_each = [self.answers[family].addresses for family in FAMILIES if family in self.answers]
        in_turn = chain.from_iterable(zip_longest(*of_each))
        return tuple([address for address in in_turn if address is not None])

    @property
    def memory_seconds(self) -> float:
        ttl_seconds = min([each.ttl_seconds for each in self.answers.values() if each.addresses])
        return min(max(ttl_seconds, SHORTEST_MEMORY_SECONDS), LONGEST_MEMORY_SECONDS)

    @property
    def failure(self) -> LookupFailure:
        """What the answers say where none has addresses; an answer that lacks is silence."""
        replies = {answer.reply for answer in self.answers.values()}
        if not self.is_answered:
            replies.add(Reply.SILENCE)
        return next(failure for reply, failure in _FAILURES.items() if reply in replies)

    @property
    def detail(self) -> str:
        if not self.is_under_way:
            return "waited for a turn among the tenant's other names"
        told = [f"{answer.reply.name}: {answer.detail}" for answer in self.answers.values()]
        return "; ".join(told) or "no answer"


class Resolver:
    """Look-ups under way and waiting; its methods are called from one thread.

    `servers` are `address` or `address:port`; without, the machine's own. At most `max_lookups`
    are under way, and `max_lookups_per_tenant` of them for one tenant: more wait, in turn.
    """

    def __init__(
        self,
        *,
        servers: Iterable[str] | None = None,
        max_lookups: int = 400,
        max_lookups_per_tenant: int = 40,
    ) -> None:
        self._wake: Callable[[], None] | None = None
        self._queries = DnsQueries(servers=servers or (), wake=self._on_answer)
        self._health = ResolverHealth()
        self._pending: dict[str, _Pending] = {}
        self._turns: Turns[_Pending] = Turns(
            places=max_lookups, places_per_tenant=max_lookups_per_tenant
        )
        self._ended: list[tuple[Any, Lookup]] = []
        self._remembered: dict[str, tuple[float, Lookup]] = {}
        self._check_at = 0.0
        self._forgot_at = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether look-ups are pending: then `collect` is to be called every 0.1 seconds."""
        return bool(self._pending)

    def call_when_answered(self, wake: Callable[[], None]) -> None:
        """Set what is called, from another thread, when `collect` may have something to return."""
        self._wake = wake

    def _on_answer(self) -> None:
        if self._wake is not None:
            self._wake()

    def lookup(
        self, host: str, *, tenant: str, waiter: Any, deadline_seconds: float
    ) -> Lookup | None:
        """Return what is remembered of a host; else begin a look-up, which `collect` will return.

        A host that is being looked up already is joined, with the time that is left there.
        """
        now = time.monotonic()
        remembered = self._remembered.get(host)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        pending = self._pending.get(host)
        if pending is None:
            pending = _Pending(
                host,
                asked_at=now,
                begin_before=now + deadline_seconds * BEGIN_SHARE,
                deadline_at=now + deadline_seconds,
            )
            self._pending[host] = pending
        pending.waiters.append(waiter)
        if not pending.is_under_way and tenant not in pending.tenants:
            pending.tenants.add(tenant)  # whoever's turn comes first begins it for all
            self._turns.wait(tenant, pending)
            self._begin_next()
        return None

    def collect(self) -> list[tuple[Any, Lookup]]:
        """Return each waiter whose look-up has ended since, with what it came to."""
        now = time.monotonic()
        self._take_answers(now)
        if now >= self._check_at:
            self._check_at = now + TICK_SECONDS
            for pending in list(self._pending.values()):
                self._check(pending, now)
        ended, self._ended = self._ended, []
        return ended

    def probe_and_tell(self) -> bool:
        """Ask our own resolver whether it works, unless that was done just now; tell if it does.

        For an outage in which nothing is looked up that could tell: call it again and again.
        """
        now = time.monotonic()
        self._take_answers(now)
        self._probe(since=now, now=now)
        return self._health.works(now=now)

    def close(self) -> None:
        """Drop all look-ups."""
        self._queries.close()

    def _begin_next(self) -> None:
        now = time.monotonic()
        while (turn := self._turns.take()) is not None:
            tenant, pending = turn
            if pending.is_under_way or now >= pending.begin_before:
                self._turns.give_back(tenant)  # begun in another tenant's turn, or too late
            else:
                self._begin(pending, tenant, now)

    def _begin(self, pending: _Pending, tenant: str, now: float) -> None:
        if now - self._forgot_at > LONGEST_MEMORY_SECONDS:
            self._forgot_at = now
            self._queries.forget_answers()
        pending.began_at = now
        pending.tenant_of_turn = tenant
        for family in FAMILIES:
            self._queries.start(pending.host, family)

    def _take_answers(self, now: float) -> None:
        for answer in self._queries.answers():
            self._take(answer, now)

    def _take(self, answer: Answer, now: float) -> None:
        if self._health.is_probe(answer.host):
            self._health.note(answer, now=answer.ended_at)
            self._check_at = now  # others have waited for this
            return
        pending = self._pending.get(answer.host)
        if pending is None:
            return  # it came after the deadline, or after the other family's 0.3 seconds
        pending.answers[answer.family] = answer
        if answer.addresses and pending.first_addresses_at is None:
            pending.first_addresses_at = now
        self._check(pending, now)

    def _check(self, pending: _Pending, now: float) -> None:
        """End a look-up if that can be done now, or find out whose fault its failure is."""
        if pending.has_addresses:
            if pending.has_waited_enough(now):
                self._end(pending, now, failure=None)
        elif pending.is_answered or now >= pending.deadline_at:
            self._check_failure(pending, now)
        elif now > pending.silent_since + SUSPICIOUS_AFTER_SECONDS:
            self._probe(since=pending.silent_since, now=now)

    def _check_failure(self, pending: _Pending, now: float) -> None:
        failure = pending.failure
        if failure not in _MAY_BE_OUR_FAULT:
            self._end(pending, now, failure)
        elif self._health.was_broken(since=pending.asked_at, now=now):
            self._end(pending, now, LookupFailure.RESOLVER_UNREACHABLE)
        elif self._health.is_proven(since=pending.silent_since, now=now):
            self._end(pending, now, failure)
        elif now >= pending.deadline_at:
            self._end(pending, now, LookupFailure.RESOLVER_UNREACHABLE)
        else:
            self._probe(since=pending.silent_since, now=now)

    def _probe(self, *, since: float, now: float) -> None:
        name = self._health.next_probe(since=since, now=now)
        if name is not None:
            self._queries.start(name, FAMILIES[0])

    def _end(self, pending: _Pending, now: float, failure: LookupFailure | None) -> None:
        del self._pending[pending.host]
        lookup = Lookup(
            addresses=() if failure else pending.addresses,
            failure=failure,
            milliseconds=round((now - pending.asked_at) * 1000),
            detail=pending.detail if failure else "",
        )
        self._ended += [(waiter, lookup) for waiter in pending.waiters]
        seconds = SHORTEST_MEMORY_SECONDS if failure else pending.memory_seconds
        self._remember(pending.host, lookup, until=now + seconds)
        if pending.is_under_way:
            self._turns.give_back(pending.tenant_of_turn)
            self._begin_next()

    def _remember(self, host: str, lookup: Lookup, *, until: float) -> None:
        self._remembered.pop(host, None)  # so that the order is that of their coming
        if len(self._remembered) >= REMEMBERED_AT_MOST:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[host] = (until, lookup)
