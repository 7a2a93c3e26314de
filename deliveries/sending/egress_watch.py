"""Holds back what got no answer until it is known whose fault that is: theirs, or our network's.

`door` passes every exchange through here. Answers go straight on; silence, and what an egress proxy
refused, waits for the next answer of anybody, or for a probe: milliseconds while there is traffic,
seconds in an outage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from msgspec.structs import replace

from deliveries.sending.egress_health import EgressHealth, Fault, Witness
from deliveries.sending.egress_probe import EgressProbe
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.transport import Exchange, Excuse, Outcome
from subscriptions.guard.address_guard import AddressPolicy

OUR_NETWORK: Final = "The sending machine could not reach anybody; this is not your fault."

_WITHOUT_ANSWER: Final = frozenset({Outcome.CONNECTION_FAILED, Outcome.TIMEOUT})


@dataclass(frozen=True, slots=True)
class _Unanswered:
    exchange: Exchange
    address: str
    failed_at: float


class EgressWatch:
    """What is held back at present; used from one thread."""

    def __init__(
        self,
        *,
        on_news: Callable[[], None],
        policy: AddressPolicy,
        proxy: LocatedProxy | None = None,
    ) -> None:
        """`on_news` is called, from another thread, when `judged` may have something to return."""
        self._policy = policy
        self._health = EgressHealth(now=time.monotonic())
        self._probe = EgressProbe(on_done=on_news, proxy=proxy)
        self._unanswered: list[_Unanswered] = []

    def __len__(self) -> int:
        """Return how many exchanges are held back."""
        return len(self._unanswered)

    def holds_back(self, exchange: Exchange) -> bool:
        """Take note of an exchange; tell whether it is kept, to be returned by `judged`."""
        address = exchange.remote_address
        if address is None:
            return False
        if exchange.outcome in _WITHOUT_ANSWER or exchange.ended_at_proxy:
            self._health.note_silence(address)
            self._unanswered.append(_Unanswered(exchange, address, failed_at=time.monotonic()))
            return True
        if exchange.status_code is not None:
            self._health.note_answer(address, exchange.request.url.port, now=time.monotonic())
        return False

    def judged(self) -> list[Exchange]:
        """Return what need not be held back any more, our own outages marked as such."""
        if not self._unanswered:
            return []
        now = time.monotonic()
        for reached in self._probe.take_results():
            self._health.note_probe(reached, now=now)
        ended, undecided = [], []
        for silent in self._unanswered:
            fault = self._health.judge(
                silent.address,
                failed_at=silent.failed_at,
                now=now,
                is_proxys_word=silent.exchange.ended_at_proxy,
            )
            if fault is Fault.UNDECIDED:
                undecided.append(silent)
            else:
                ended.append(_excused(silent.exchange) if fault is Fault.OURS else silent.exchange)
        self._unanswered = undecided
        if undecided and (witnesses := self._health.next_probe(now=now)):
            self._probe.begin([witness for witness in witnesses if self._may_contact(witness)])
        return ended

    def _may_contact(self, witness: Witness) -> bool:
        """Judge again: it was judged when it answered, which may be hours ago."""
        try:
            return self._policy.refusal(ip_address(witness[0])) is None
        except OSError:  # it cannot be judged now
            return False


def _excused(exchange: Exchange) -> Exchange:
    if exchange.request_was_sent:  # the receiver may have seen it: its history says how it ended
        return replace(exchange, excuse=Excuse.OWN_OUTAGE)
    return replace(exchange, outcome=Outcome.OWN_OUTAGE, error=OUR_NETWORK)
