"""Asks for recoveries, counts beforehand what they would send, pauses and ends them.

Called by the API. Workers do the work (`recovery_run`), from what the row says: nothing of it is in
a process that could die.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from deliveries.models import Recovery
from deliveries.recoveries.walk import Criteria, Found, bounds_of, next_page
from subscriptions.access.audit_log import Action, Target, record
from subscriptions.ids import new_id, time_of, to_public
from subscriptions.models import Project, Subscription

UNFINISHED_AT_MOST: Final = 10
"""Recoveries of one project that run or are paused."""

COUNTED_AT_MOST: Final = 100_000
COUNTING_SECONDS: Final = 1.0
"""Beyond either, the rest is estimated: as much per hour as in what was counted."""

SAMPLE: Final = 5

EXPECTED_PER_SECOND: Final = 500
"""Where no rate is asked for: what one receiver that answers in 50 ms takes. A guess."""

SETTLING: Final = timedelta(seconds=5)
"""Before the search for missed events begins: who is publishing has not seen yet that the
subscription is active, and ends its transaction meanwhile."""

_COUNTED_AT_ONCE: Final = 1000
_COUNT_LIMIT: Final = 2**31 - 1
"""What the database's column holds."""


class NotPossible(Exception):
    """The recovery cannot be made, or not be changed like that; `str()` is a sentence for the
    customer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be recovered, checked."""

    kind: str
    criteria: Criteria
    subscription: Subscription | None = None
    """`None`: failed deliveries of all subscriptions."""
    rate_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a recovery would send."""

    count: int
    is_exact: bool
    skipped: int
    """Of those counted: wanted as well, but cannot be sent now."""
    seconds: int
    sample: tuple[Found, ...]
    """The oldest."""


def estimate(project: Project, wanted: Wanted) -> Estimate:
    """Count what a recovery would send, without doing it; takes `COUNTING_SECONDS` at most."""
    return _estimate(_new(project, wanted), wanted.rate_per_second)


def create(project: Project, wanted: Wanted) -> Recovery:
    """Store a recovery that workers begin at once; raises `NotPossible`."""
    subscription = wanted.subscription
    if subscription is not None and not subscription.is_active:
        raise NotPossible("The subscription is inactive: reactivate it first.")
    _check_count(project)  # once more below: here it saves an estimate in vain
    recovery = _new(project, wanted)
    recovery.estimated_count = _estimate(recovery, wanted.rate_per_second).count
    recovery.next_batch_at = Now() + _settling(wanted.kind)  # by the database's clock
    with transaction.atomic():
        # Of those that are asked for at once, one is looked at a time.
        Project.objects.select_for_update(no_key=True).get(id=project.pk)
        _check_count(project)
        recovery.save(force_insert=True)
        record(Action.RECOVERY_CREATED, target_of(recovery), after=_audited(recovery))
    recovery.refresh_from_db()
    return recovery


def pause(recovery: Recovery) -> None:
    """Stop a running recovery until it is resumed; raises `NotPossible`."""
    _move(recovery, Action.RECOVERY_PAUSED, from_=[Status.RUNNING], to=Status.PAUSED)


def resume(recovery: Recovery) -> None:
    """Let a paused recovery go on; raises `NotPossible`."""
    _move(
        recovery,
        Action.RECOVERY_RESUMED,
        from_=[Status.PAUSED],
        to=Status.RUNNING,
        next_batch_at=Greatest(Now(), recovery.created_at + _settling(recovery.kind)),
    )


def cancel(recovery: Recovery) -> None:
    """End a recovery; what it has sent again stays. Raises `NotPossible`."""
    _move(
        recovery,
        Action.RECOVERY_CANCELLED,
        from_=[Status.RUNNING, Status.PAUSED],
        to=Status.CANCELLED,
        finished_at=timezone.now(),
    )


def target_of(recovery: Recovery) -> Target:
    """Return the recovery as the audit log names it."""
    return Target("recovery", to_public("rcv", recovery.id), recovery.project_id)


Status = Recovery.Status


def _move(
    recovery: Recovery, action: Action, *, from_: Iterable[str], to: str, **columns: Any
) -> None:
    """Change the status, and refresh `recovery`; waits for a batch that is under way."""
    with transaction.atomic():
        rows = Recovery.objects.filter(id=recovery.id, status__in=from_)
        is_done = rows.update(**{"status": to, "next_batch_at": None, **columns})
        before = recovery.status
        recovery.refresh_from_db()
        if not is_done:
            raise NotPossible(f"The recovery is {recovery.status}.")
        record(action, target_of(recovery), before={"status": before}, after={"status": to})


def _new(project: Project, wanted: Wanted) -> Recovery:
    floor, ceiling = bounds_of(wanted.kind, wanted.criteria)
    return Recovery(
        id=new_id(),
        project=project,
        kind=wanted.kind,
        subscription=wanted.subscription,
        criteria=wanted.criteria.as_json(),
        rate_per_second=wanted.rate_per_second,
        floor=floor,
        ceiling=ceiling,
    )


def _settling(kind: str) -> timedelta:
    return SETTLING if kind == Recovery.Kind.MISSED else timedelta()


def _check_count(project: Project) -> None:
    """Refuse one too many."""
    unfinished = Recovery.objects.filter(
        project=project, status__in=[Status.RUNNING, Status.PAUSED]
    )
    if unfinished.count() >= UNFINISHED_AT_MOST:
        raise NotPossible(
            f"{UNFINISHED_AT_MOST} recoveries of the project are under way: wait until one has "
            "ended, or cancel one."
        )


def _estimate(recovery: Recovery, rate_per_second: int | None) -> Estimate:
    give_up_at = time.monotonic() + COUNTING_SECONDS
    count = skipped = 0
    sample: list[Found] = []
    after, is_exact = None, False
    while not is_exact and count < COUNTED_AT_MOST and time.monotonic() < give_up_at:
        page = next_page(recovery, after=after, limit=_COUNTED_AT_ONCE)
        count += len(page.found)
        skipped += page.skipped
        sample += page.found[: SAMPLE - len(sample)]
        after, is_exact = page.last or after, page.is_last
    if not is_exact and after is not None and sample:
        count = _extrapolated(count, recovery, since=sample[0].created_at, until=time_of(after))
    seconds = math.ceil(count / (rate_per_second or EXPECTED_PER_SECOND))
    return Estimate(count, is_exact, skipped, seconds, tuple(sample))


def _extrapolated(count: int, recovery: Recovery, *, since: datetime, until: datetime) -> int:
    """Return how many there are until the recovery's end, if it goes on as in this part of it."""
    whole = time_of(recovery.ceiling) - since
    counted = max(until - since, timedelta(milliseconds=1))
    return min(round(count * max(1.0, whole / counted)), _COUNT_LIMIT)


def _audited(recovery: Recovery) -> dict[str, Any]:
    subscription_id = recovery.subscription_id
    return {
        "kind": recovery.kind,
        "subscription": None if subscription_id is None else to_public("sub", subscription_id),
        **recovery.criteria,
        "rate_per_second": recovery.rate_per_second,
    }
