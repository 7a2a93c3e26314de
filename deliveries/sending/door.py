"""The way out: resolve, judge every address, hand over, and see each request through to its end.

The pump submits requests and collects exchanges. This is the only place where outbound requests
begin, tests and redeliveries included; it knows neither the database nor an HTTP library.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from deliveries.sending.egress_watch import EgressWatch
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.resolve import TICK_SECONDS, Lookup, LookupFailure, Resolver
from deliveries.sending.transport import (
    BLOCKED_ADDRESS_ERROR,
    Exchange,
    OutboundRequest,
    Outcome,
    Transport,
)
from deliveries.sending.verdicts import OUR_RESOURCES
from subscriptions.guard.address_guard import AddressPolicy, IPAddress, UrlRefused

logger = logging.getLogger(__name__)

LOOKUP_SHARE: Final = 0.8
"""Of the deadline: a name that takes longer leaves no time for an answer."""

ADDRESSES_TRIED_AT_MOST: Final = 4

ADDRESSES_JUDGED_AT_MOST: Final = 100
"""Of one name. Judging one that is not remembered takes some 50 µs, and an answer over TCP has room
for thousands, new ones each second: everybody's deliveries would wait for that."""

_TOO_MANY_ADDRESSES: Final = "The host name has too many addresses."

CONNECT_SECONDS: Final = 1.5
"""Given to an address while others wait their turn; and never more than half of what is left."""

WORTH_TRYING_SECONDS: Final = 0.05

OVERDUE_SECONDS: Final = 1.0
"""After the deadline, until a transport is taken to have lost a request."""

_SENTENCES: Final = {
    LookupFailure.NAME_NOT_FOUND: "The host name does not exist.",
    LookupFailure.NO_ADDRESS: "The host name has no IPv4 or IPv6 address.",
    LookupFailure.SERVER_FAILURE: "The name servers of the host name answered with an error.",
    LookupFailure.TIMEOUT: "The host name could not be resolved in time.",
    LookupFailure.RESOLVER_UNREACHABLE: (
        "The sending machine could not resolve any host name; this is not your fault."
    ),
}

_TRY_NEXT_AFTER: Final = frozenset({Outcome.CONNECTION_FAILED, Outcome.TIMEOUT, Outcome.OWN_OUTAGE})


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A request between `submit` and its exchange."""

    request: OutboundRequest
    began_at: float
    dns_ms: int | None = None
    addresses_left: tuple[IPAddress, ...] = ()
    tries: int = 0
    """How many addresses it was handed over for."""


class Door:
    """Requests under way; all methods but `wake` are called from one thread.

    `deadline_seconds` counts from `submit` and covers everything. How many requests are under way
    is the caller's to bound.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        resolver: Resolver,
        policy: AddressPolicy,
        deadline_seconds: float = 5.0,
        proxy: LocatedProxy | None = None,
    ) -> None:
        self._transport = transport
        self._resolver = resolver
        self._policy = policy
        self._deadline_seconds = deadline_seconds
        self._under_way: dict[int, _UnderWay] = {}
        """By the identity of the request, which comes back with the exchange; the oldest first."""
        self._ended: list[Exchange] = []
        self._egress = EgressWatch(on_news=transport.wake, policy=policy, proxy=proxy)
        self._is_woken = False
        resolver.call_when_answered(transport.wake)

    @property
    def in_flight(self) -> int:
        """How many requests were submitted and not yet returned."""
        return len(self._under_way) + len(self._egress) + len(self._ended)

    def submit(self, request: OutboundRequest) -> None:
        """Begin a request; `collect` returns its exchange, however it ends."""
        under_way = _UnderWay(request, began_at=time.monotonic())
        self._under_way[id(request)] = under_way
        url = request.url
        try:
            self._policy.check_destination(url)
        except UrlRefused as refusal:
            self._end_blocked(under_way, refusal.operator_detail or refusal.code)
            return
        except OSError as error:
            self._end_unjudged(under_way, error)
            return
        if url.address is not None:
            self._send_to(under_way, (url.address,))
            return
        lookup = self._resolver.lookup(
            url.host,
            tenant=request.tenant,
            waiter=under_way,
            deadline_seconds=self._deadline_seconds * LOOKUP_SHARE,
        )
        if lookup is not None:
            under_way.dns_ms = 0
            self._judge(under_way, lookup)

    def collect(self, timeout_seconds: float) -> list[Exchange]:
        """Drive what is under way, and return what ended; wait at most this long for the first."""
        until = time.monotonic() + timeout_seconds
        while True:
            self._take_lookups()
            patience = 0.0 if self._ended else until - time.monotonic()
            if self._resolver.is_busy or self._egress:
                patience = min(patience, TICK_SECONDS)
            for exchange in self._transport.collect(max(0.0, patience)):
                self._settle(exchange)
            self._take_lookups()
            self._ended += self._egress.judged()
            self._end_overdue()
            if self._ended or self._is_woken or time.monotonic() >= until:
                break
        self._is_woken = False
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """End a `collect` that is waiting, or the next one; from any thread."""
        self._is_woken = True
        self._transport.wake()

    def probe_resolver(self) -> bool:
        """Ask our own resolver, though nobody needs it now, and tell whether it works."""
        return self._resolver.probe_and_tell()

    def take_back_unsent(self) -> list[OutboundRequest]:
        """Withdraw the requests whose names are still being resolved; they get no exchange."""
        withdrawn = [
            under_way.request for under_way in self._under_way.values() if under_way.tries == 0
        ]
        for request in withdrawn:
            del self._under_way[id(request)]
        return withdrawn

    def close(self) -> None:
        """Drop everything that is under way."""
        self._resolver.close()
        self._transport.close()

    # ---- The way of one request ----------------------------------------------------------------

    def _take_lookups(self) -> None:
        for under_way, lookup in self._resolver.collect():
            if self._is_current(under_way):
                # At least 1: 0 tells a name that was remembered.
                under_way.dns_ms = max(1, _ms_since(under_way.began_at))
                self._judge(under_way, lookup)

    def _is_current(self, under_way: _UnderWay) -> bool:
        return self._under_way.get(id(under_way.request)) is under_way

    def _judge(self, under_way: _UnderWay, lookup: Lookup) -> None:
        """Let a request on if all of its name's addresses may be contacted."""
        if lookup.failure is not None:
            self._end_unresolved(under_way, lookup.failure, lookup.detail)
            return
        if len(lookup.addresses) > ADDRESSES_JUDGED_AT_MOST:
            count = f"{len(lookup.addresses)} addresses"
            self._end(under_way, Outcome.DNS_FAILED, _TOO_MANY_ADDRESSES, count)
            return
        is_internal_name = under_way.request.url.is_internal_name
        try:
            reason = self._policy.first_refusal(lookup.addresses, is_internal_name=is_internal_name)
        except OSError as error:
            self._end_unjudged(under_way, error)
            return
        if reason is not None:
            self._end_blocked(under_way, reason)
        else:
            self._send_to(under_way, lookup.addresses[:ADDRESSES_TRIED_AT_MOST])

    def _send_to(self, under_way: _UnderWay, addresses: tuple[IPAddress, ...]) -> None:
        """Hand a request over for the first of its addresses."""
        left = self._seconds_left(under_way)
        is_last = len(addresses) == 1
        under_way.addresses_left = addresses[1:]
        under_way.tries += 1
        try:
            self._transport.submit(
                under_way.request,
                address=addresses[0],
                deadline_seconds=left,
                connect_seconds=None if is_last else min(CONNECT_SECONDS, left / 2),
                dns_ms=under_way.dns_ms,
            )
        except Exception as error:  # one request's trouble shall stay its own
            logger.exception("a transport could not take a request")
            sentence = "The request could not be sent."
            self._end(under_way, Outcome.NOT_SENDABLE, sentence, repr(error))

    def _seconds_left(self, under_way: _UnderWay) -> float:
        return under_way.began_at + self._deadline_seconds - time.monotonic()

    def _settle(self, exchange: Exchange) -> None:
        """Take an exchange for the request's end, or go on to the next address."""
        under_way = self._under_way.get(id(exchange.request))
        if under_way is None:
            return  # overdue, and ended long ago
        is_unsent = not exchange.request_was_sent and exchange.outcome in _TRY_NEXT_AFTER
        has_time = self._seconds_left(under_way) > WORTH_TRYING_SECONDS
        if is_unsent and under_way.addresses_left and has_time:
            self._send_to(under_way, under_way.addresses_left)
            return
        del self._under_way[id(exchange.request)]
        if under_way.tries > 1:
            exchange = replace(exchange, duration_ms=_ms_since(under_way.began_at))
        if not self._egress.holds_back(exchange):
            self._ended.append(exchange)

    # ---- Ends without the transport ------------------------------------------------------------

    def _end_blocked(self, under_way: _UnderWay, reason: str) -> None:
        self._end(under_way, Outcome.BLOCKED_ADDRESS, BLOCKED_ADDRESS_ERROR, reason)

    def _end_unjudged(self, under_way: _UnderWay, error: OSError) -> None:
        """End a request whose addresses cannot be judged now: nothing is contacted on a guess."""
        outcome, sentence = OUR_RESOURCES.outcome, OUR_RESOURCES.error
        self._end(under_way, outcome, sentence, f"judging addresses: {error}")

    def _end_unresolved(self, under_way: _UnderWay, failure: LookupFailure, detail: str) -> None:
        is_ours = failure is LookupFailure.RESOLVER_UNREACHABLE
        outcome = Outcome.OWN_OUTAGE if is_ours else Outcome.DNS_FAILED
        self._end(under_way, outcome, _SENTENCES[failure], f"{failure}: {detail}")

    def _end_overdue(self) -> None:
        """End what the transport should have ended, so that no request is lost with it."""
        limit = time.monotonic() - self._deadline_seconds - OVERDUE_SECONDS
        while self._under_way:
            oldest = next(iter(self._under_way.values()))
            if oldest.began_at > limit:
                return
            logger.error("the transport lost a request to %s", oldest.request.url.host)
            self._end(oldest, Outcome.INTERRUPTED, "The attempt was interrupted.", "overdue")

    def _end(self, under_way: _UnderWay, outcome: Outcome, error: str, detail: str) -> None:
        del self._under_way[id(under_way.request)]
        self._ended.append(
            Exchange(
                request=under_way.request,
                outcome=outcome,
                error=error,
                operator_detail=detail,
                duration_ms=_ms_since(under_way.began_at),
                dns_ms=under_way.dns_ms,
                # Unless it was never handed over, nobody knows.
                request_was_sent=outcome is Outcome.INTERRUPTED and under_way.tries > 0,
            )
        )


def _ms_since(moment: float) -> int:
    return round((time.monotonic() - moment) * 1000)
