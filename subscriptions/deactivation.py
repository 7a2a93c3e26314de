"""Counts failures in a row, deactivates a subscription, reactivates it.

Called by `deliveries.sending.record` for every batch of outcomes, and by API, pages and admin for
switching by hand. Whose deliveries are to be cancelled is returned; cancelling is not done here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from subscriptions.access.acting import SYSTEM, Actor
from subscriptions.access.audit_log import Action, record, target_of
from subscriptions.models import Subscription

Reason = Subscription.DeactivationReason


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """How one delivery ended, as far as its subscription's health is concerned."""

    subscription_id: UUID
    generation: int
    """The subscription's when the attempt began: results of an older one count for nothing."""
    has_succeeded: bool
    error: str = ""
    is_gone: bool = False
    """The receiver answered 410: it wants nothing more, at once."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a sequence of verdicts does to a streak, whatever the streak was before."""

    leading_failures: int
    """Failures before the first success (all, if there was none)."""
    longest_later_run: int
    """The longest run of failures that begins after a success."""
    trailing_failures: int
    """Failures after the last success; meaningful only with `has_success`."""
    has_success: bool
    is_gone: bool
    last_error: str


def summarise(verdicts: Sequence[Verdict]) -> Run:
    """Fold verdicts, in the order in which they are recorded, into a `Run`."""
    leading: int | None = None
    current = longest = 0
    for verdict in verdicts:
        if verdict.has_succeeded:
            leading = current if leading is None else leading
            current = 0
        elif not verdict.is_gone:  # deactivates by itself, and leaves the streak as it is
            current += 1
            longest = longest if leading is None else max(longest, current)
    errors = [verdict.error for verdict in verdicts if not verdict.has_succeeded]
    return Run(
        leading_failures=current if leading is None else leading,
        longest_later_run=longest,
        trailing_failures=current,
        has_success=leading is not None,
        is_gone=any(verdict.is_gone for verdict in verdicts),
        last_error=errors[-1] if errors else "",
    )


def count(verdicts: Iterable[Verdict]) -> list[UUID]:
    """Add verdicts to their subscriptions' streaks; return the subscriptions this deactivated.

    Exact with any number of processes: each streak moves in one conditional UPDATE, which does not
    touch a subscription that is inactive or of another generation. Call it in a transaction.
    """
    groups: defaultdict[tuple[UUID, int], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.subscription_id, verdict.generation].append(verdict)
    limits = _lock_concerned(groups)
    order = {subscription_id: place for place, subscription_id in enumerate(limits)}
    concerned = [group for group in groups if group[0] in limits]
    deactivated = [
        subscription_id
        for subscription_id, generation in sorted(concerned, key=lambda group: order[group[0]])
        if _apply(
            summarise(groups[subscription_id, generation]),
            subscription_id,
            generation,
            limits[subscription_id],
        )
    ]
    for subscription in Subscription.objects.filter(id__in=deactivated) if deactivated else ():
        _note_deactivation(subscription, actor=SYSTEM)
    return deactivated


def _lock_concerned(groups: dict[tuple[UUID, int], list[Verdict]]) -> dict[UUID, int]:
    """Find the subscriptions whose streak changes, with their project's failure limit.

    They are locked in one order for everybody, by project: a deactivation locks its project's
    revision too. A success on a streak of zero changes nothing, so healthy traffic locks no row.
    """
    everyone = {subscription_id for subscription_id, _ in groups}
    failing = {
        verdict.subscription_id
        for group in groups.values()
        for verdict in group
        if not verdict.has_succeeded
    }
    concerned = Subscription.objects.filter(
        Q(id__among=failing) | Q(id__among=everyone, failure_streak__gt=0)
    ).order_by("project_id", "id")
    if connection.features.has_select_for_update:  # SQLite's transaction is exclusive as it is
        concerned = concerned.select_for_update(of=("self",), no_key=True)
    return dict(concerned.values_list("id", "project__failure_limit"))


def _apply(run: Run, subscription_id: UUID, generation: int, limit: int) -> bool:
    """Move one streak; return whether that deactivated the subscription."""
    now = timezone.now()
    current = Subscription.objects.filter(id=subscription_id, generation=generation, is_active=True)
    error = {"last_error": run.last_error[:500], "last_error_at": now} if run.last_error else {}
    off = {"is_active": False, "deactivated_at": now, "updated_at": now, **error}
    # `leading` continues the streak that was there, a later run stands alone: whichever reaches the
    # limit first deactivates, and then the streak is exactly the limit.
    continued = Q(failure_streak__gte=limit - run.leading_failures)
    reaching = current if run.longest_later_run >= limit else current.filter(continued)
    has_failed = bool(run.leading_failures or run.longest_later_run)
    if has_failed and reaching.update(
        failure_streak=limit, deactivation_reason=Reason.FAILURES, **off
    ):
        return True
    streak = (
        run.trailing_failures if run.has_success else F("failure_streak") + run.leading_failures
    )
    if run.is_gone:
        return bool(current.update(failure_streak=streak, deactivation_reason=Reason.GONE, **off))
    current.update(failure_streak=streak, **error)
    return False


def deactivate(subscription: Subscription, *, reason: Reason = Reason.BY_HAND) -> bool:
    """Switch an active subscription off; return whether this call did it.

    Its pending deliveries are then to be cancelled (`deliveries.lifecycle.cancellation`).
    """
    now = timezone.now()
    with transaction.atomic():
        active = Subscription.objects.filter(id=subscription.id, is_active=True)
        is_done = bool(
            active.update(
                is_active=False, deactivated_at=now, deactivation_reason=reason, updated_at=now
            )
        )
        if is_done:
            _note_deactivation(Subscription.objects.get(id=subscription.id))
    return is_done


def reactivate(subscription: Subscription) -> bool:
    """Switch an inactive subscription on, with a streak of zero; return whether this call did it.

    A new generation begins: what was under way counts neither for nor against it.
    """
    with transaction.atomic():
        inactive = Subscription.objects.filter(id=subscription.id, is_active=False, deleted_at=None)
        is_done = bool(
            inactive.update(
                is_active=True,
                deactivated_at=None,
                deactivation_reason="",
                failure_streak=0,
                generation=F("generation") + 1,
                updated_at=timezone.now(),
            )
        )
        if is_done:
            record(
                Action.SUBSCRIPTION_REACTIVATED,
                target_of(subscription),
                before={"active": False},
                after={"active": True},
            )
    return is_done


def _note_deactivation(subscription: Subscription, *, actor: Actor | None = None) -> None:
    after: dict[str, object] = {"active": False, "reason": subscription.deactivation_reason}
    if subscription.deactivation_reason != Reason.BY_HAND:
        after |= {
            "failure_streak": subscription.failure_streak,
            "last_error": subscription.last_error,
        }
    record(
        Action.SUBSCRIPTION_DEACTIVATED,
        target_of(subscription),
        before={"active": True},
        after=after,
        actor=actor,
    )
