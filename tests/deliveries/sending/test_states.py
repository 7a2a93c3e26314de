"""The table of a delivery's states, walked at random against a model of it kept in memory.

What `claim`, `record`, redelivery, cancellation and deactivation do together is compared with a
plain restatement of the table after every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from deliveries.lifecycle import cancellation
from deliveries.lifecycle.redelivery import NotRedeliverable, redeliver
from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import publish, publish_test
from deliveries.sending.claim import ClaimedDelivery
from deliveries.sending.record import hand_back, record_results
from deliveries.sending.snapshot import SubscriptionSnapshot
from deliveries.sending.transport import Outcome
from subscriptions import deactivation
from subscriptions.models import Subscription
from tests.deliveries.sending.results import claim_all, make_exchange, make_result
from tests.factories import make_project, make_subscription

SCHEDULE = [60, 600]
FAILURE_LIMIT = 3

ENDS = st.sampled_from(
    [
        (Outcome.SUCCEEDED, 204),
        (Outcome.HTTP_ERROR, 500),
        (Outcome.HTTP_ERROR, 410),
        (Outcome.TIMEOUT, None),
        (Outcome.BLOCKED_ADDRESS, None),
        (Outcome.NOT_SENDABLE, None),
        (Outcome.OWN_OUTAGE, None),
    ]
)


@dataclass(slots=True)
class Expected:
    """A delivery as the table says it must be."""

    is_test: bool
    status: str = "pending"
    is_due: bool = True
    attempt_count: int = 0
    tries_used: int = 0
    interruptions: int = 0
    is_redelivery: bool = False
    attempts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A claim that some worker holds or held."""

    delivery: ClaimedDelivery
    subscription: SubscriptionSnapshot


class StateTable(RuleBasedStateMachine):
    """One project, one subscription with two retries, any number of deliveries and workers."""

    @initialize()
    def begin(self) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.subscription = make_subscription(
            project=make_project(failure_limit=FAILURE_LIMIT), retry_schedule=SCHEDULE
        )
        self.deliveries: dict[UUID, Expected] = {}
        self.held: list[Held] = []
        self.streak, self.is_active, self.generation = 0, True, 1

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    # ---- What may happen --------------------------------------------------------------------

    @rule()
    def an_event_is_published(self) -> None:
        published = publish(project=self.subscription.project, event_type="a.b", data={"n": 1})
        assert len(published.delivery_ids) == (1 if self.is_active else 0)
        self.deliveries |= {key: Expected(is_test=False) for key in published.delivery_ids}

    @rule()
    def a_test_is_sent(self) -> None:
        self.subscription.refresh_from_db()
        (key,) = publish_test(self.subscription).delivery_ids
        self.deliveries[key] = Expected(is_test=True)

    @precondition(lambda self: self.deliveries)
    @rule()
    def time_passes_until_all_is_due(self) -> None:
        past = timezone.now() - timedelta(minutes=1)
        Delivery.objects.filter(status="pending").update(next_attempt_at=past)
        for expected in self.deliveries.values():
            expected.is_due = expected.is_due or expected.status == "pending"

    @precondition(lambda self: any(e.status == "sending" for e in self.deliveries.values()))
    @rule()
    def leases_lapse(self) -> None:
        past = timezone.now() - timedelta(minutes=1)
        Delivery.objects.filter(status="sending").update(next_attempt_at=past)
        for expected in self.deliveries.values():
            expected.is_due = expected.is_due or expected.status == "sending"

    @rule()
    def a_worker_claims(self) -> None:
        claimed = claim_all()
        for delivery in claimed.deliveries:
            self.held.append(Held(delivery, claimed.snapshots[delivery.subscription_id]))
        expected = {key for key, e in self.deliveries.items() if e.is_due and self._claimed(e)}
        assert {delivery.id for delivery in claimed.deliveries} == expected

    @precondition(lambda self: self.held)
    @rule()
    def another_worker_takes_over(self) -> None:
        self.leases_lapse()
        self.a_worker_claims()
        self.time_passes_until_all_is_due()  # what was interrupted often rests first
        self.a_worker_claims()

    @rule()
    def the_subscription_is_switched_off_and_on(self) -> None:
        self.somebody_deactivates()
        self.somebody_reactivates()

    def _claimed(self, expected: Expected) -> bool:
        """Move one due delivery on; return whether a worker has it now."""
        expected.is_due = False
        is_lapsed = expected.status == "sending"
        if is_lapsed:
            expected.attempts[expected.attempt_count] = "interrupted"
        expected.interruptions += 1 if is_lapsed else 0
        if expected.interruptions == 10:
            expected.status = "failed"
        elif not (self.is_active or expected.is_test):
            expected.status = "cancelled"
        elif is_lapsed and expected.interruptions > 2:
            expected.status = "pending"  # it rests
        else:
            expected.status = "sending"
            expected.attempt_count += 1
        return expected.status == "sending"

    @precondition(lambda self: self.held)
    @rule(data=st.data(), end=ENDS)
    def an_attempt_ends(self, data: st.DataObject, end: tuple[Outcome, int | None]) -> None:
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        outcome, status_code = end
        exchange = make_exchange(outcome, status_code=status_code)
        result = make_result(held.delivery, held.subscription, exchange)
        deactivated = record_results([result], jitter=lambda: 0.5)
        was_active = self.is_active
        self._ended(held, outcome, is_gone=status_code == 410)
        assert deactivated == ([self.subscription.id] if was_active and not self.is_active else [])

    def _ended(self, held: Held, outcome: Outcome, *, is_gone: bool) -> None:
        expected = self.deliveries[held.delivery.id]
        expected.attempts[held.delivery.attempt_count] = outcome.value
        is_fenced_off = (
            expected.status != "sending" or expected.attempt_count != held.delivery.attempt_count
        )
        if is_fenced_off:
            if outcome is Outcome.SUCCEEDED and expected.status in ("pending", "sending"):
                expected.status, expected.is_due = "succeeded", False
                self._count(held, expected, has_succeeded=True)
            return
        expected.is_due, expected.interruptions = False, 0
        if outcome is Outcome.OWN_OUTAGE:
            expected.status = "pending"
            return
        never_again = is_gone or outcome in (Outcome.BLOCKED_ADDRESS, Outcome.NOT_SENDABLE)
        expected.tries_used += 0 if never_again else 1
        has_one_try = expected.is_test or held.delivery.is_redelivery
        is_final = has_one_try or expected.tries_used > len(SCHEDULE)
        if outcome is Outcome.SUCCEEDED:
            expected.status = "succeeded"
            self._count(held, expected, has_succeeded=True)
        elif is_final or never_again:
            expected.status = "failed"
            if is_gone or not held.delivery.is_redelivery:
                self._count(held, expected, has_succeeded=False, is_gone=is_gone)
        else:
            expected.status = "pending"

    def _count(
        self, held: Held, expected: Expected, *, has_succeeded: bool, is_gone: bool = False
    ) -> None:
        is_current = held.subscription.generation == self.generation
        if expected.is_test or not self.is_active or not is_current:
            return
        if not is_gone:
            self.streak = 0 if has_succeeded else self.streak + 1
        if self.streak == FAILURE_LIMIT or is_gone:
            self.is_active = False

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_worker_hands_back(self, data: st.DataObject) -> None:
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        hand_back([held.delivery])
        expected = self.deliveries[held.delivery.id]
        number = held.delivery.attempt_count
        if expected.status == "sending" and expected.attempt_count == number:
            expected.status, expected.is_due = "pending", True
            expected.attempt_count -= 1

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data())
    def somebody_redelivers(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.deliveries)))
        expected = self.deliveries[key]
        is_finished = expected.status in ("succeeded", "failed", "cancelled")
        try:
            redeliver(Delivery.objects.get(id=key))
        except NotRedeliverable:
            assert not (self.is_active and is_finished)
            return
        assert self.is_active
        assert is_finished
        self.deliveries[key] = replace(
            expected,
            status="pending",
            is_due=True,
            tries_used=0,
            interruptions=0,
            is_redelivery=True,
        )

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.deliveries)))
        expected = self.deliveries[key]
        assert cancellation.cancel(Delivery.objects.get(id=key)) == (expected.status == "pending")
        if expected.status == "pending":
            expected.status, expected.is_due = "cancelled", False

    @rule()
    def somebody_deactivates(self) -> None:
        assert deactivation.deactivate(self.subscription) == self.is_active
        self.is_active = False

    @precondition(lambda self: not self.is_active)
    @rule()
    def waiting_deliveries_are_cancelled(self) -> None:
        reason = Delivery.EndReason.DEACTIVATED
        waiting = [e for e in self.deliveries.values() if e.status == "pending" and not e.is_test]
        assert cancellation.cancel_waiting(self.subscription.id, reason=reason) == len(waiting)
        for expected in waiting:
            expected.status, expected.is_due = "cancelled", False

    @rule()
    def somebody_reactivates(self) -> None:
        assert deactivation.reactivate(self.subscription) == (not self.is_active)
        if not self.is_active:
            self.is_active, self.streak, self.generation = True, 0, self.generation + 1

    # ---- What must hold ---------------------------------------------------------------------

    @invariant()
    def deliveries_are_as_the_table_says(self) -> None:
        rows = {row.id: row for row in Delivery.objects.all()}
        assert {
            key: (row.status, row.attempt_count, row.tries_used, row.interruptions)
            for key, row in rows.items()
        } == {
            key: (e.status, e.attempt_count, e.tries_used, e.interruptions)
            for key, e in self.deliveries.items()
        }
        for row in rows.values():
            is_unfinished = row.status in ("pending", "sending")
            assert (row.next_attempt_at is not None) == is_unfinished
            assert (row.finished_at is None) == is_unfinished

    @invariant()
    def history_holds_each_attempt_once(self) -> None:
        stored = sorted(Attempt.objects.values_list("delivery_id", "number", "outcome"))
        expected = [
            (key, number, outcome)
            for key, e in self.deliveries.items()
            for number, outcome in e.attempts.items()
        ]
        assert stored == sorted(expected)

    @invariant()
    def the_streak_is_exact(self) -> None:
        row = Subscription.objects.get(id=self.subscription.id)
        assert (row.failure_streak, row.is_active) == (self.streak, self.is_active)


@pytest.mark.django_db
def test_deliveries_move_as_the_table_of_states_says() -> None:
    run_state_machine_as_test(
        StateTable,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
