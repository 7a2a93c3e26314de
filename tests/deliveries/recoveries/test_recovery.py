"""Recoveries: what is found, sent again once, made up for, skipped and counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.auditing.audit import audit
from deliveries.lifecycle.redelivery import redeliver
from deliveries.models import Delivery, Event, Recovery
from deliveries.publishing.ingest import NewEvent, publish_many, publish_test
from deliveries.recoveries import recovery as recoveries
from deliveries.recoveries import run as recovery_run
from deliveries.recoveries.recovery import NotPossible, Wanted, estimate
from subscriptions.models import AuditEntry, Project, Subscription
from tests.deliveries.recoveries.samples import (
    all_since_yesterday,
    ask,
    end,
    publish_some,
    run,
    statuses,
    switch_off,
)
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

Status = Delivery.Status


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def subscription(project: Project) -> Subscription:
    return make_subscription(project=project)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_run, "BATCH", 2)


# ---- Failed ---------------------------------------------------------------------------------


def test_what_failed_is_sent_again_as_by_hand(project: Project, subscription: Subscription) -> None:
    failed, by_hand = publish_some(project, ["a.b", "a.c"])
    end(failed, by_hand, tries_used=3, interruptions=2, end_reason="interrupted")
    redeliver(by_hand)

    recovery = run(ask(project, subscription=subscription))

    assert recovery.status == Recovery.Status.COMPLETED
    assert (recovery.estimated_count, recovery.recovered_count, recovery.skipped_count) == (1, 1, 0)
    assert recovery.finished_at is not None
    failed.refresh_from_db()
    by_hand.refresh_from_db()
    for name in ("status", "tries_used", "interruptions", "end_reason", "finished_at"):
        assert getattr(failed, name) == getattr(by_hand, name), name
    assert failed.redelivered_at is not None
    assert failed.next_attempt_at is not None
    assert failed.attempt_count == 1


def test_only_failures_and_what_a_deactivation_cancelled_are_found(
    project: Project, subscription: Subscription
) -> None:
    rows = publish_some(project, ["a.b"] * 7)
    failed, off, deleted, by_hand, succeeded, _pending, sending = rows
    end(failed)
    end(off, status=Status.CANCELLED, end_reason="deactivated")
    end(deleted, status=Status.CANCELLED, end_reason="deleted")
    end(by_hand, status=Status.CANCELLED, end_reason="by_hand")
    end(succeeded, status=Status.SUCCEEDED)
    Delivery.objects.filter(id=sending.id).update(status=Status.SENDING)
    test = Delivery.objects.get(id=publish_test(subscription).delivery_ids[0])
    end(test)
    before = statuses(*rows, test)

    recovery = run(ask(project))

    assert recovery.recovered_count == recovery.estimated_count == 2
    assert statuses(*rows, test) == ["pending", "pending", *before[2:]]


def test_each_criterion_leaves_out_what_is_not_wanted(project: Project) -> None:
    wanted, other_type, other_outcome, other_status, old = publish_some_failed(project)
    other = publish_some_failed(make_project())

    run(
        ask(
            project,
            event_types=("Task.*",),
            outcomes=("http_error", "dns_failed"),
            status_class="5xx",
        )
    )

    assert statuses(wanted) == ["pending"]
    assert set(statuses(other_type, other_outcome, other_status, old, *other)) == {"failed"}


def publish_some_failed(project: Project) -> list[Delivery]:
    make_subscription(project=project)
    rows = publish_some(project, ["Task.update", "Note.update", *["Task.update"] * 3])
    end(*rows, last_status_code=503)
    end(rows[2], last_outcome="timeout", last_status_code=None)
    end(rows[3], last_status_code=404)
    two_days_ago = timezone.now() - timedelta(days=2)
    Delivery.objects.filter(id=rows[4].id).update(created_at=two_days_ago)
    return rows


def test_without_a_subscription_what_belongs_to_inactive_ones_is_skipped(project: Project) -> None:
    subscriptions = [make_subscription(project=project) for _ in range(3)]
    rows = publish_some(project, ["a.b"] * 3)
    end(*rows)
    switch_off(subscriptions[0])
    switch_off(subscriptions[1], deleted_at=timezone.now())

    recovery = run(ask(project))

    assert (recovery.recovered_count, recovery.skipped_count) == (3, 6)
    assert recovery.estimated_count == 3
    again = Delivery.objects.filter(status=Status.PENDING)
    assert {row.subscription_id for row in again} == {subscriptions[2].id}


def test_a_delivery_whose_event_is_gone_is_skipped(
    project: Project, subscription: Subscription
) -> None:
    (delivery,) = publish_some(project)
    end(delivery)
    Event.objects.all().delete()

    recovery = run(ask(project, subscription=subscription))

    assert (recovery.recovered_count, recovery.skipped_count) == (0, 1)
    assert statuses(delivery) == ["failed"]


@pytest.mark.usefixtures("subscription")
def test_of_two_recoveries_of_the_same_one_sends_it(project: Project) -> None:
    rows = publish_some(project, ["a.b"] * 5)
    end(*rows)
    first, second = ask(project), ask(project)

    run(first)
    end(*rows)  # they failed again, before the other came to them
    run(second)

    assert (first.recovered_count, first.skipped_count) == (5, 0)
    assert (second.recovered_count, second.skipped_count) == (0, 5)
    assert run(ask(project)).recovered_count == 5, "asked for afterwards, it is wanted again"


@pytest.mark.usefixtures("subscription")
def test_the_walk_is_from_old_to_new_and_moves_with_each_batch(project: Project) -> None:
    rows = publish_some(project, ["a.b"] * 5)
    end(*rows)
    recovery = ask(project)

    run(recovery, batches=1)

    assert recovery.position == rows[1].id
    assert recovery.recovered_count == 2
    assert statuses(*rows) == ["pending"] * 2 + ["failed"] * 3
    assert run(recovery).position == rows[4].id
    assert recovery.recovered_count == 5


def test_a_batch_that_fails_half_way_has_done_nothing(
    project: Project, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = publish_some(project, ["a.b"] * 3)
    end(*rows)
    recovery = ask(project, subscription=subscription)

    def fail() -> None:
        raise RuntimeError("in the midst of it")

    monkeypatch.setattr("deliveries.wake.wake_on_commit", fail)
    run(recovery, batches=1)

    assert recovery.status == Recovery.Status.FAILED
    assert recovery.error == "It met an error of ours; tell the operator."
    assert (recovery.position, recovery.recovered_count) == (None, 0)
    assert statuses(*rows) == ["failed"] * 3


# ---- Missed ---------------------------------------------------------------------------------


def test_what_was_missed_gets_a_delivery_and_the_audit_agrees(project: Project) -> None:
    early = make_subscription(project=project)
    publish_some(project, ["Task.update", "Note.update", "Task.done"])
    late = make_subscription(project=project, event_types=["Task.*"])
    publish_some(project, ["Task.late"])
    publish_test(early, event_type="Task.test")

    recovery = run(ask(project, kind="missed", subscription=late))

    assert recovery.status == Recovery.Status.COMPLETED
    assert recovery.recovered_count == recovery.estimated_count == 2
    made = Delivery.objects.filter(subscription=late).order_by("id")
    assert [row.event_type for row in made] == ["Task.late", "Task.update", "Task.done"]
    assert {row.status for row in made} == {"pending"}
    assert all(row.next_attempt_at and not row.redelivered_at for row in made)
    matched = dict(Event.objects.values_list("type", "matched_count"))
    assert matched == {
        "Task.update": 2, "Note.update": 1, "Task.done": 2, "Task.late": 2, "Task.test": 1,
    }  # fmt: skip
    assert audit().is_balanced
    assert audit(project=project).is_balanced


def test_what_was_missed_is_made_up_for_once(project: Project) -> None:
    make_subscription(project=project)
    publish_some(project, ["a.b"] * 5)
    late = make_subscription(project=project)

    first, second = (ask(project, kind="missed", subscription=late) for _ in range(2))
    for _ in range(4):  # turn by turn
        run(first, batches=1)
        run(second, batches=1)

    assert first.recovered_count + second.recovered_count == 5
    assert first.skipped_count == second.skipped_count == 0
    assert Delivery.objects.filter(subscription=late).count() == 5
    assert audit().is_balanced


def test_missed_events_of_other_types_times_and_projects_stay_missed(project: Project) -> None:
    for each in (project, make_project()):
        make_subscription(project=each)
        publish_some(each, ["Task.update", "Note.update"])
    late = make_subscription(project=project)

    ask_for_notes = ask(project, kind="missed", subscription=late, event_types=("Note.*",))
    before_all = timezone.now() - timedelta(hours=1)
    of_before = ask(project, kind="missed", subscription=late, until=before_all)

    assert run(of_before).recovered_count == 0
    assert run(ask_for_notes).recovered_count == 1
    assert [row.event_type for row in Delivery.objects.filter(subscription=late)] == ["Note.update"]


def test_an_event_that_the_wire_format_cannot_carry_is_skipped(project: Project) -> None:
    make_subscription(project=project)
    publish_many(project=project, events=[NewEvent("a.b", {"n": 1}), NewEvent("a.b", [1])])
    late = make_subscription(project=project, wire_format="phrase")

    recovery = run(ask(project, kind="missed", subscription=late))

    assert (recovery.recovered_count, recovery.skipped_count) == (1, 1)


def test_who_is_publishing_just_now_is_waited_for(project: Project) -> None:
    late = make_subscription(project=project)
    recovery = ask(project, kind="missed", subscription=late)

    assert recovery.next_batch_at is not None
    assert recovery.next_batch_at - recovery.created_at > timedelta(seconds=4)
    assert not recovery_run.run_next_batch()

    recoveries.pause(recovery)
    recoveries.resume(recovery)
    assert recovery.next_batch_at - recovery.created_at > timedelta(seconds=4)
    assert not recovery_run.run_next_batch(), "nor does pausing make it shorter"


# ---- Subscriptions that go ------------------------------------------------------------------


@pytest.mark.parametrize("kind", Recovery.Kind.values)
def test_an_inactive_subscription_recovers_nothing(
    project: Project, subscription: Subscription, kind: str
) -> None:
    switch_off(subscription)
    subscription.refresh_from_db()

    with pytest.raises(NotPossible, match="inactive"):
        ask(project, kind=kind, subscription=subscription)
    assert not Recovery.objects.exists()
    wanted = Wanted(kind, all_since_yesterday(), subscription)
    assert estimate(project, wanted).count == 0, "but what would be can be asked"


@pytest.mark.parametrize("kind", Recovery.Kind.values)
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_recovery_ends_when_its_subscription_goes(
    project: Project, kind: str, is_deleted: bool
) -> None:
    make_subscription(project=project)
    rows = publish_some(project, ["a.b"] * 3)
    subscription = make_subscription(project=project)
    if kind == Recovery.Kind.FAILED:
        subscription = Subscription.objects.get(id=rows[0].subscription_id)
        end(*rows)
    recovery = run(ask(project, kind=kind, subscription=subscription), batches=1)
    switch_off(subscription, deleted_at=timezone.now() if is_deleted else None)

    run(recovery)

    assert recovery.status == Recovery.Status.FAILED
    assert recovery.recovered_count == 2
    assert ("deleted" if is_deleted else "switched off: reactivate") in recovery.error


# ---- Pausing and ending ---------------------------------------------------------------------


@pytest.mark.usefixtures("subscription")
def test_a_paused_recovery_goes_on_where_it_stopped(project: Project) -> None:
    rows = publish_some(project, ["a.b"] * 5)
    end(*rows)
    recovery = run(ask(project), batches=1)

    recoveries.pause(recovery)
    run(recovery)
    assert (recovery.status, recovery.recovered_count) == ("paused", 2)
    recoveries.resume(recovery)

    assert run(recovery).recovered_count == 5
    actions = AuditEntry.objects.order_by("id").values_list("action", "target_id")
    own = f"rcv_{recovery.id.hex}"
    assert [action for action, target in actions if target == own] == [
        "recovery.created", "recovery.paused", "recovery.resumed",
    ]  # fmt: skip


@pytest.mark.usefixtures("subscription")
def test_a_cancelled_recovery_ends_and_what_it_sent_stays(project: Project) -> None:
    rows = publish_some(project, ["a.b"] * 5)
    end(*rows)
    recovery = run(ask(project), batches=1)

    recoveries.cancel(recovery)
    run(recovery)

    assert (recovery.status, recovery.recovered_count) == ("cancelled", 2)
    assert recovery.finished_at is not None
    assert statuses(*rows) == ["pending"] * 2 + ["failed"] * 3
    for change in (recoveries.pause, recoveries.resume, recoveries.cancel):
        with pytest.raises(NotPossible, match="cancelled"):
            change(recovery)


def test_a_project_has_so_many_recoveries_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoveries, "UNFINISHED_AT_MOST", 2)
    ask(make_project())
    first = ask(project)
    recoveries.pause(first)
    ask(project)

    with monkeypatch.context() as patch:
        patch.setattr(recoveries, "COUNTING_SECONDS", "not even estimated")
        with pytest.raises(NotPossible, match="2 recoveries"):
            ask(project)
    recoveries.cancel(first)
    ask(project)
