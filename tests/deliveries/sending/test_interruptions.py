"""Workers that stop under a delivery: soon sent again, then spaced out, in the end given up."""

from __future__ import annotations

from collections import Counter

import pytest
from django.utils import timezone

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.sending.claim import INTERRUPTIONS_LIMIT, Claim
from deliveries.sending.record import hand_back, record_results
from deliveries.sending.transport import Outcome
from subscriptions.models import Subscription
from tests.deliveries.sending.results import claim_all, results_of
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db


def publish_events(count: int) -> None:
    project = make_subscription(retry_schedule=(60,)).project
    publish_many(project=project, events=[NewEvent("a.b", {"n": n}) for n in range(count)])


def let_workers_die() -> Claim:
    """Let the leases lapse; return what is sent again at once."""
    Delivery.objects.filter(status="sending").update(next_attempt_at=timezone.now())
    return claim_all()


def let_pauses_pass() -> Claim:
    Delivery.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    return claim_all()


def seconds_until_due() -> float:
    due_at = Delivery.objects.get().next_attempt_at
    assert due_at is not None
    return (due_at - timezone.now()).total_seconds()


def test_two_interruptions_are_made_good_at_once_and_the_third_after_a_pause() -> None:
    publish_events(1)
    claim_all()
    assert let_workers_die().deliveries
    assert let_workers_die().deliveries
    assert let_workers_die().deliveries == ()
    row = Delivery.objects.get()
    assert (row.status, row.finished_at, row.attempt_count) == ("pending", None, 3)
    assert 5 < seconds_until_due() <= 15
    assert claim_all().deliveries == ()
    (delivery,) = let_pauses_pass().deliveries
    assert delivery.attempt_count == 4


def test_workers_that_die_every_minute_end_nothing_within_ten_hours() -> None:
    publish_events(1)
    claim_all()
    paused_seconds = 0.0
    for _ in range(INTERRUPTIONS_LIMIT - 1):
        if not let_workers_die().deliveries:
            paused_seconds += seconds_until_due()
            claim = let_pauses_pass()
    assert paused_seconds > 10 * 3600
    record_results(results_of(claim, Outcome.SUCCEEDED, status_code=200))
    row = Delivery.objects.get()
    assert (row.status, row.interruptions) == ("succeeded", 0)


def test_ten_interruptions_in_a_row_end_a_delivery_as_failed() -> None:
    publish_events(1)
    claim_all()
    for _ in range(10):
        assert Delivery.objects.get().status == "sending"
        let_workers_die()
        let_pauses_pass()
    row = Delivery.objects.get()
    assert (row.status, row.end_reason, row.next_attempt_at) == ("failed", "interrupted", None)
    assert (row.last_outcome, row.last_status_code) == ("interrupted", None)
    assert Attempt.objects.filter(outcome="interrupted").count() == 10
    assert Subscription.objects.get().failure_streak == 0


def test_an_attempt_that_ends_begins_the_row_anew() -> None:
    publish_events(1)
    claim_all()
    for _ in range(3):
        let_workers_die()
    claim = let_pauses_pass()
    record_results(results_of(claim, Outcome.TIMEOUT))
    assert Delivery.objects.get().interruptions == 0
    let_pauses_pass()
    assert let_workers_die().deliveries


def test_a_delivery_that_was_handed_back_keeps_its_interruptions() -> None:
    publish_events(1)
    claim_all()
    hand_back(let_workers_die().deliveries)
    assert claim_all().deliveries
    assert Delivery.objects.get().interruptions == 1


def test_a_pause_ends_with_a_success_that_is_reported_late() -> None:
    publish_events(1)
    claim_all()
    let_workers_die()
    frozen = let_workers_die()
    assert let_workers_die().deliveries == ()
    record_results(results_of(frozen, Outcome.SUCCEEDED, status_code=200))
    row = Delivery.objects.get()
    assert (row.status, row.next_attempt_at) == ("succeeded", None)


def test_what_was_interrupted_together_comes_back_apart() -> None:
    """One that kills its worker must not take the same neighbours along each time."""
    publish_events(80)
    claim_all()
    for _ in range(3):
        let_workers_die()
    assert set(Delivery.objects.values_list("status", "interruptions")) == {("pending", 3)}
    seconds = Counter(
        round(due_at.timestamp())
        for due_at in Delivery.objects.values_list("next_attempt_at", flat=True)
        if due_at
    )
    assert len(seconds) > 4
    assert max(seconds.values()) < 40
