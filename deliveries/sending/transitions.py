"""Decides what an attempt's outcome makes of its delivery: the table of states, as a function.

Called by `record`. Pure. What claiming decides (leases, interruptions) is in `claim`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from deliveries.sending.retry_policy import NEVER_RETRIED, Retry, decide, parse_retry_after
from deliveries.sending.transport import Exchange, Outcome


class Transition(msgspec.Struct, frozen=True, gc=False):
    """Where a delivery goes after an attempt."""

    status: str
    """`succeeded`, `failed` or `pending`."""
    delay_seconds: float | None
    """Until the next attempt; `None` unless pending."""
    uses_try: bool
    """The attempt used up one of the schedule's tries."""
    counts: bool
    """The failure streak hears of it: as a success, or as a delivery that ended failed."""
    is_gone: bool = False
    """The receiver wants nothing more (410): the subscription is deactivated at once."""


def next_state(
    exchange: Exchange,
    *,
    is_test: bool,
    is_redelivery: bool,
    tries_used: int,
    retry_schedule: tuple[int, ...],
    now: datetime,
    jitter: Callable[[], float],
) -> Transition:
    """Return the delivery's next state; `tries_used` does not count this attempt yet.

    Tests and redeliveries have one try. Tests never count; a redelivery counts as a success,
    or when the receiver is gone.
    """
    if exchange.outcome is Outcome.SUCCEEDED:
        return Transition("succeeded", None, uses_try=True, counts=not is_test)
    decision = decide(
        outcome=exchange.outcome,
        status_code=exchange.status_code,
        tries_used=tries_used + 1,
        schedule=() if is_test else retry_schedule,
        retry_after_seconds=parse_retry_after(exchange.response_headers, now),
        is_redelivery=is_redelivery,
        excuse=exchange.excuse,
        jitter=jitter,
    )
    if isinstance(decision, Retry):
        return Transition(
            "pending", decision.delay_seconds, uses_try=decision.uses_up_try, counts=False
        )
    is_gone = decision.deactivate_reason is not None
    return Transition(
        "failed",
        None,
        uses_try=not is_gone and exchange.outcome not in NEVER_RETRIED,
        counts=not is_test and (is_gone or not is_redelivery),
        is_gone=is_gone,
    )
