"""How fast recoveries go: by their rate, behind what waits, within the project's limit; races."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.utils import timezone

from deliveries.auditing.audit import audit
from deliveries.lifecycle.redelivery import NotRedeliverable, redeliver
from deliveries.models import Delivery, Recovery
from deliveries.publishing import backlog_limit
from deliveries.publishing.backlog_limit import BacklogFigures
from deliveries.recoveries import recovery as recoveries
from deliveries.recoveries import run as recovery_run
from deliveries.recoveries import walk as recovery_walk
from deliveries.recoveries.recovery import NotPossible
from deliveries.recoveries.run import run_next_batch
from deliveries.recoveries.thread import RecoveryThread
from subscriptions.models import Project
from tests.at_once import at_once
from tests.deliveries.recoveries.samples import ask, end, make_due, publish_some, run, statuses
from tests.factories import make_project, make_subscription
from tests.workers import eventually

pytestmark = pytest.mark.django_db

Status = Delivery.Status


def some_seconds_pass() -> None:
    """Let what is unfinished be counted anew."""
    backlog_limit.figures = BacklogFigures()
    cache.clear()


@pytest.fixture
def project() -> Project:
    """A project with five deliveries that failed."""
    project = make_project()
    make_subscription(project=project)
    end(*publish_some(project, ["a.b"] * 5))
    return project


def send_all() -> None:
    Delivery.objects.filter(status=Status.PENDING).update(
        status=Status.SUCCEEDED, next_attempt_at=None
    )


# ---- Pace -----------------------------------------------------------------------------------


def test_a_rate_spaces_the_batches(project: Project) -> None:
    recovery = ask(project, rate_per_second=2)
    due_at = recovery.next_batch_at

    run_next_batch()
    recovery.refresh_from_db()

    assert recovery.recovered_count == 2
    assert due_at is not None
    assert recovery.next_batch_at == due_at + timedelta(seconds=1), "not later by the look's delay"
    assert not run_next_batch()


def test_a_rate_that_was_held_up_is_made_good_for_two_seconds(project: Project) -> None:
    recovery = ask(project, rate_per_second=1)
    Recovery.objects.update(next_batch_at=timezone.now() - timedelta(hours=1))

    run_next_batch()

    recovery.refresh_from_db()
    assert recovery.next_batch_at is not None
    late = timezone.now() - recovery.next_batch_at
    assert timedelta(seconds=0.5) < late < timedelta(seconds=2)


def test_a_recovery_waits_while_enough_is_due(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_run, "AHEAD_AT_MOST", 3)
    monkeypatch.setattr(recovery_run, "BATCH", 2)
    recovery = ask(project)

    run(recovery, batches=5)
    assert recovery.recovered_count == 4, "two batches, and then enough is waiting"
    Delivery.objects.filter(status=Status.PENDING).update(
        next_attempt_at=timezone.now() + timedelta(hours=1)
    )

    assert run(recovery).recovered_count == 5, "what is due later does not count"


def test_a_recovery_leaves_half_of_the_room_to_what_is_published(
    project: Project, settings: Any
) -> None:
    settings.DISPATCHER_UNFINISHED_LIMIT = 6
    some_seconds_pass()
    recovery = ask(project)

    run(recovery, batches=5)
    assert recovery.recovered_count == 3
    assert recovery.status == Recovery.Status.RUNNING
    publish_some(project, ["a.b"] * 3)
    send_all()
    some_seconds_pass()

    assert run(recovery).recovered_count == 5


def test_recoveries_take_turns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_run, "BATCH", 2)
    other = make_project()
    make_subscription(project=other)
    end(*publish_some(other, ["a.b"] * 5))
    both = [ask(project), ask(other)]
    for _ in range(4):
        time.sleep(0.002)  # SQLite's clock has milliseconds
        assert run_next_batch()

    assert [Recovery.objects.get(id=one.id).recovered_count for one in both] == [4, 4]


# ---- The thread -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_thread_finds_recoveries_by_itself_and_stops_at_once(project: Project) -> None:
    thread = RecoveryThread()
    thread.start()
    recovery = ask(project)
    try:
        eventually(lambda: Recovery.objects.filter(id=recovery.id, status="completed").exists())
    finally:
        began_at = time.monotonic()
        thread.stop()
        thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - began_at < 1
    assert Delivery.objects.filter(status=Status.PENDING).count() == 5


@pytest.mark.django_db(transaction=True)
def test_a_thread_outlives_what_goes_wrong(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deliveries.recoveries.thread.AWAY_SECONDS", 0.01)
    table = Recovery._meta.db_table
    thread = RecoveryThread()
    with connection.schema_editor() as editor:
        editor.alter_db_table(Recovery, table, "away")
    try:
        thread.start()
        time.sleep(0.2)
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Recovery, "away", table)
    recovery = ask(project)
    try:
        eventually(lambda: Recovery.objects.filter(id=recovery.id, status="completed").exists())
    finally:
        thread.stop()
        thread.join(5)


# ---- Races ----------------------------------------------------------------------------------


def until_all_have_ended() -> None:
    """Do what is due, as every worker does."""
    give_up_at = time.monotonic() + 30
    while Recovery.objects.filter(status="running").exists():
        assert time.monotonic() < give_up_at
        if not run_next_batch():
            time.sleep(0.001)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_at_once_and_hands_on_the_same_deliveries_send_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery_run, "BATCH", 7)
    project = make_project()
    subscription = make_subscription(project=project)
    rows = publish_some(project, ["a.b"] * 300)
    end(*rows)
    mine = [ask(project), ask(project, subscription=subscription), ask(project)]
    by_hand = 0

    def redeliver_some() -> None:
        nonlocal by_hand
        for row in rows[::3]:
            try:
                redeliver(row)
                by_hand += 1
            except NotRedeliverable:
                pass

    at_once(*[until_all_have_ended] * 4, redeliver_some)

    ended = Recovery.objects.filter(id__in=[one.id for one in mine])
    assert {one.status for one in ended} == {"completed"}
    recovered = sum(one.recovered_count for one in ended)
    assert recovered + by_hand == 300
    assert Delivery.objects.filter(status=Status.PENDING, attempt_count=1).count() == 300


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_at_once_make_up_for_what_was_missed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery_run, "BATCH", 7)
    project = make_project()
    make_subscription(project=project)
    publish_some(project, ["a.b"] * 100)
    late = make_subscription(project=project)
    for _ in range(3):
        ask(project, kind="missed", subscription=late)
    Recovery.objects.update(next_batch_at=timezone.now())

    at_once(*[until_all_have_ended] * 4)

    assert sum(one.recovered_count for one in Recovery.objects.all()) == 100
    assert Delivery.objects.filter(subscription=late).count() == 100
    assert audit().is_balanced


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_pause_waits_for_the_batch_and_nothing_follows_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_run, "BATCH", 1)
    recovery = ask(project)
    counts: list[int] = []

    def pause_and_look() -> None:
        try:
            recoveries.pause(recovery)
        except NotPossible:
            return  # it was faster
        counts.append(recovery.recovered_count)
        time.sleep(0.1)
        recovery.refresh_from_db()
        counts.append(recovery.recovered_count)

    make_due(recovery)
    at_once(until_all_have_ended, until_all_have_ended, pause_and_look)

    assert counts == counts[:1] * len(counts)


# ---- Statements that take long ---------------------------------------------------------------


def test_what_is_rare_is_looked_for_in_short_pages(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_walk, "LOOKED_AT", 3)
    rows = list(Delivery.objects.order_by("id"))
    end(rows[4], last_outcome="timeout")
    recovery = ask(project, outcomes=("timeout",))

    run(recovery, batches=1)

    assert (recovery.position, recovery.status) == (rows[2].id, "running")
    run(recovery)
    assert (recovery.recovered_count, recovery.status) == (1, "completed")
    assert statuses(*rows) == ["failed"] * 4 + ["pending"]


def test_a_recovery_whose_statement_is_cancelled_lets_the_others_go_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky, other = ask(project), ask(project, event_types=("none.such",))

    def fail() -> None:
        raise OperationalError("canceling statement due to statement timeout")

    with monkeypatch.context() as patch:
        patch.setattr("deliveries.wake.wake_on_commit", fail)
        assert [recovery_run.run_next_batch() for _ in range(3)] == [True, True, False]

    unlucky.refresh_from_db()
    other.refresh_from_db()
    assert (unlucky.status, unlucky.recovered_count) == ("running", 0)
    assert other.status == "completed"
    assert not Delivery.objects.exclude(status=Status.FAILED).exists()
    assert run(unlucky).recovered_count == 5, "and it goes on itself, later"
