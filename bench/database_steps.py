"""Claims and records what is due, step by step: `python -m bench.database_steps 10`.

The product's own `claim_due` and `record_results`, 500 at a time as its workers do, with nothing
sent in between. In the environment of a stack; prints what each step took, in ms, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django

if TYPE_CHECKING:
    from deliveries.sending.claim import Claim, ClaimedDelivery
    from deliveries.sending.record import AttemptResult

AT_ONCE = 500


def run(steps: int) -> dict[str, Any]:
    """Take so many steps, fewer where nothing is left; the first, which plans, is not timed."""
    from deliveries.queue_walk import KnownFloor
    from deliveries.sending.claim import claim_due
    from deliveries.sending.record import record_results

    known_floor = KnownFloor()
    claims, recordings = [], []
    count, after = 0, UUID(int=0)
    for _ in range(steps):
        began = time.perf_counter()
        claim = claim_due(
            limit=AT_ONCE,
            per_subscription=50,
            lease_seconds=30,
            after=after,
            known_floor=known_floor,
        )
        claims.append(1000 * (time.perf_counter() - began))
        if not claim.deliveries:
            break
        after = claim.last_subscription
        results = [_succeeded(delivery, claim) for delivery in claim.deliveries]
        began = time.perf_counter()
        record_results(results)
        recordings.append(1000 * (time.perf_counter() - began))
        count += len(results)
    return {"claim": claims[1:], "record": recordings[1:], "deliveries": count}


def _succeeded(delivery: ClaimedDelivery, claim: Claim) -> AttemptResult:
    """Make what a receiver's 204 would have made of it."""
    from deliveries.sending.preparation import prepare
    from deliveries.sending.record import AttemptResult
    from deliveries.sending.transport import Exchange, OutboundRequest, Outcome

    snapshot = claim.snapshots[delivery.subscription_id]
    request = prepare(delivery, snapshot, description="")
    assert isinstance(request, OutboundRequest)
    exchange = Exchange(request, Outcome.SUCCEEDED, status_code=204, request_was_sent=True)
    return AttemptResult(delivery, snapshot, exchange, datetime.now(UTC), request_body=None)


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(run(int(sys.argv[1]))))
