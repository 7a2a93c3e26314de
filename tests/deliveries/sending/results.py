"""Makes claims and results for tests of the engine: what the pump would hand to `record`."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from deliveries.sending.claim import Claim, ClaimedDelivery, claim_due
from deliveries.sending.record import AttemptResult
from deliveries.sending.request_head import RequestHead
from deliveries.sending.snapshot import SubscriptionSnapshot
from deliveries.sending.transport import Exchange, OutboundRequest, Outcome
from subscriptions.guard.address_guard import parse_destination

LEASE_SECONDS = 30


def claim_all(*, limit: int = 1000, per_subscription: int = 1000, **options: Any) -> Claim:
    """Claim everything that is due."""
    return claim_due(
        limit=limit, per_subscription=per_subscription, lease_seconds=LEASE_SECONDS, **options
    )


def make_exchange(
    outcome: Outcome,
    *,
    status_code: int | None = None,
    response_headers: bytes = b"",
    response_body: bytes = b"",
) -> Exchange:
    """What came back, as the door would say it."""
    return Exchange(
        request=OutboundRequest(
            ticket=None,
            tenant="1",
            url=parse_destination("http://receiver.test/inbox"),
            head=RequestHead("Host: receiver.test\nwebhook-id: evt_1"),
            body=b"{}",
        ),
        outcome=outcome,
        error="" if outcome is Outcome.SUCCEEDED else f"It ended as {outcome}.",
        status_code=status_code,
        duration_ms=12,
        first_byte_ms=10,
        response_headers=response_headers,
        response_body=response_body,
        request_was_sent=True,
    )


def make_result(
    delivery: ClaimedDelivery, subscription: SubscriptionSnapshot, exchange: Exchange
) -> AttemptResult:
    """One attempt that ended."""
    return AttemptResult(
        delivery=delivery,
        subscription=subscription,
        exchange=exchange,
        started_at=timezone.now(),
        request_body=None,
    )


def results_of(
    claim: Claim, outcome: Outcome, *, status_code: int | None = None
) -> list[AttemptResult]:
    """All of a claim's deliveries ended alike."""
    exchange = make_exchange(outcome, status_code=status_code)
    return [
        make_result(delivery, claim.snapshots[delivery.subscription_id], exchange)
        for delivery in claim.deliveries
    ]
