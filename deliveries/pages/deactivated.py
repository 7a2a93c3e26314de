"""What the banner of a subscription that is off says: since when, why, and what went wrong last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deliveries.history.deliveries import deliveries_of
from deliveries.models import Attempt, Delivery
from deliveries.pages.attempt_view import host_of
from deliveries.pages.delivery_rows import DeliveryRow, rows_of
from deliveries.pages.words import Words, explain
from subscriptions.ids import CLOCKS_APART, first_id_of
from subscriptions.models import Subscription

_LOOKED_AT: Final = 500
"""The latest deliveries: behind what was cancelled when the subscription was switched off."""

_OF_SIGNATURES: Final = frozenset({400, 401, 403})
"""Statuses that servers answer with when their check of the signature fails."""

_REASONS: Final[dict[str, Promise]] = {
    "failures": _("Too many deliveries failed in a row."),
    "gone": _("The receiver answered 410 Gone: it wants nothing more."),
    "by_hand": _("It was switched off by a member or over the API."),
}


@dataclass(frozen=True, slots=True)
class Deactivated:
    """Why nothing is sent."""

    reason: str
    """A sentence."""
    words: Words | None
    """Of the last failure; `None` where none is kept."""
    failures: list[DeliveryRow]
    """That led to it, the latest first."""
    may_be_signature: bool
    """The signature debugger may help."""


def deactivated(subscription: Subscription) -> Deactivated:
    """Read what led to it, from a bounded part of the history."""
    failures = _failures(subscription)
    latest = failures[0] if failures else None
    return Deactivated(
        reason=str(_REASONS.get(subscription.deactivation_reason, "")),
        words=None if latest is None else _words(latest, failures),
        failures=rows_of(failures),
        may_be_signature=latest is not None and latest.last_status_code in _OF_SIGNATURES,
    )


def _failures(subscription: Subscription) -> list[Delivery]:
    if subscription.deactivation_reason == Subscription.DeactivationReason.BY_HAND:
        return []
    rows = deliveries_of(subscription.project).filter(subscription_id=subscription.id)
    latest = rows.order_by("-id")[:_LOOKED_AT]
    failed = [row for row in latest if row.status == Delivery.Status.FAILED and not row.is_test]
    return failed[: subscription.project.failure_limit]


def _words(latest: Delivery, failures: Sequence[Delivery]) -> Words:
    how = (latest.last_outcome, latest.last_status_code)
    alike = takewhile(lambda row: (row.last_outcome, row.last_status_code) == how, failures)
    attempts = Attempt.objects.filter(
        delivery_id=latest.id, id__gte=first_id_of(latest.created_at - CLOCKS_APART)
    )
    error, url = attempts.order_by("-number", "-id").values_list(
        "error", "request_url"
    ).first() or (
        "",
        "",
    )
    return explain(
        outcome=latest.last_outcome,
        status_code=latest.last_status_code,
        error=error,
        host=host_of(url),
        in_a_row=len(list(alike)),
    )
