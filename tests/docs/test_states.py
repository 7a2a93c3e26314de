"""The page of states lists exactly what the code has, and says of outcomes what the code does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deliveries.models import Delivery
from deliveries.sending.request_head import NO_HEAD
from deliveries.sending.transitions import Transition, next_state
from deliveries.sending.transport import Exchange, OutboundRequest, Outcome
from subscriptions.guard.address_guard import parse_destination
from subscriptions.models import Project, Subscription
from tests.docs.pages import rows_of, section_of, text_of

PAGE = "docs/reference/states.md"
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_every_status_outcome_and_reason_is_described_and_nothing_else() -> None:
    reasons = [row[0] for row in rows_of(section_of(PAGE, "Reasons"))]
    assert _names("Statuses") == Delivery.Status.values
    assert sorted(_names("Outcomes")) == sorted(Outcome)
    assert reasons == [*Delivery.EndReason.values, *Subscription.DeactivationReason.values]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome != "interrupted"])
def test_what_an_outcome_leads_to_is_what_the_code_does(outcome: Outcome) -> None:
    """`interrupted` is written by a claim and not decided here."""
    row = next(row for row in rows_of(section_of(PAGE, "Outcomes")) if row[0] == outcome)
    first = _after(outcome, tries_used=0)
    last = _after(outcome, tries_used=1)

    retried = "–" if first.status == "succeeded" else _yes(first.status == "pending")
    streak = "–"
    if last.counts:
        streak = "back to 0" if last.status == "succeeded" else "+ 1"
    assert row[2:] == [retried, _yes(first.uses_try), streak]


def test_numbers_in_the_prose_are_those_of_the_code() -> None:
    text = text_of(PAGE)
    assert Project().failure_limit == 10
    assert "At ten (the project's `failure_limit`)" in text
    own_outage = _after(Outcome.OWN_OUTAGE, tries_used=0)
    assert f"due in {own_outage.delay_seconds:.0f} seconds" in text


def _after(outcome: Outcome, *, tries_used: int) -> Transition:
    """Decide about an attempt that ended so, with a schedule of one retry."""
    request = OutboundRequest(
        ticket=None,
        tenant="",
        url=parse_destination("https://example.com/"),
        head=NO_HEAD,
        body=b"",
    )
    return next_state(
        Exchange(request=request, outcome=outcome),
        is_test=False,
        is_redelivery=False,
        tries_used=tries_used,
        retry_schedule=(60,),
        now=NOW,
        jitter=lambda: 0.5,
    )


def _names(section: str) -> list[str]:
    return [row[0] for row in rows_of(section_of(PAGE, section))]


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
