"""Builds that are broken on purpose: what the rig must catch, or its zeros mean nothing.

Each replaces one thing that keeps deliveries safe. `tests.faults.worker` applies them;
`test_broken_builds` shows that the rig reports the loss or the duplicates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.failpoints import patch


def claim_without_lock() -> None:
    """Claim without FOR UPDATE SKIP LOCKED: two workers take the same delivery."""
    from deliveries.sending import claim

    statement = _without(claim._PICK_POSTGRES, "FOR UPDATE SKIP LOCKED")
    patch(claim, "_PICK_POSTGRES", statement)


def mark_before_sending() -> None:
    """Mark as succeeded what was only claimed: a worker that dies takes it along."""
    from deliveries.models import Delivery
    from deliveries.sending import ledger
    from deliveries.sending.claim import claim_due

    def claim_and_mark(**asked: Any) -> Any:
        claim = claim_due(**asked)
        ids = [delivery.id for delivery in claim.deliveries]
        Delivery.objects.filter(id__in=ids).update(status="succeeded", next_attempt_at=None)
        return claim

    patch(ledger, "claim_due", claim_and_mark)


def record_without_fence() -> None:
    """Record whatever comes in: a worker that overran its lease overwrites its successor."""
    from deliveries.sending import record

    fence = "AND delivery.attempt_count = change.attempt_count AND delivery.status = 'sending'"
    patch(record, "_MOVE_POSTGRES", _without(record._MOVE_POSTGRES, fence))


def _without(statement: str, part: str) -> str:
    assert part in statement, f"the product no longer says {part!r}: break it elsewhere"
    return statement.replace(part, "")


BROKEN_BUILDS: dict[str, Callable[[], None]] = {
    "claim-without-lock": claim_without_lock,
    "mark-before-sending": mark_before_sending,
    "record-without-fence": record_without_fence,
}
