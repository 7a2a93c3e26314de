"""Periodic work happens once per period, whoever asks and however often."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from deliveries import tasks
from deliveries.models import IdempotencyKey, PeriodicRun
from deliveries.upkeep.periodic import run_once
from tests.factories import make_project

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def let_pass(period: timedelta) -> None:
    row = PeriodicRun.objects.get()
    PeriodicRun.objects.update(began_at=row.began_at - period)


def test_it_runs_again_when_the_period_is_over() -> None:
    runs: list[int] = []

    def run() -> bool:
        return run_once("tidy", lambda: runs.append(1), every=HOUR)

    assert run()
    assert not run()
    let_pass(timedelta(minutes=50))
    assert not run()
    let_pass(timedelta(minutes=5))  # a beat may come a little early
    assert run()
    assert len(runs) == 2


def test_different_work_has_different_periods() -> None:
    assert run_once("tidy", list, every=HOUR)
    assert run_once("sweep", list, every=HOUR)


def test_what_failed_is_due_again_at_once() -> None:
    def fail() -> None:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        run_once("tidy", fail, every=HOUR)
    assert run_once("tidy", list, every=HOUR)


@pytest.mark.django_db(transaction=True)
def test_of_three_beats_at_the_same_time_one_has_an_effect() -> None:
    runs: list[int] = []
    barrier = Barrier(3)

    def beat() -> None:
        barrier.wait()
        try:
            run_once("tidy", lambda: runs.append(1), every=HOUR)
        finally:
            connection.close()

    beats = [Thread(target=beat) for _ in range(3)]
    for thread in beats:
        thread.start()
    for thread in beats:
        thread.join()
    assert len(runs) == 1


def test_pruning_is_such_work() -> None:
    old = timezone.now() - timedelta(days=31)
    key = {"project": make_project(), "content_digest": "", "event_id": "0" * 32}
    IdempotencyKey.objects.create(key="first", created_at=old, **key)
    tasks.prune()
    IdempotencyKey.objects.create(key="second", created_at=old, **key)
    tasks.prune()
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["second"]
