"""What workers write down about themselves."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries import clock
from deliveries.models import Worker
from deliveries.workers import LIVING_SECONDS, Reporter, living_workers
from tests.workers import eventually, sending_in_this_process

pytestmark = pytest.mark.django_db


def report(reporter: Reporter, *, in_flight: int = 0) -> None:
    reporter.report(in_flight=in_flight, own_outage_since=None)


def test_a_worker_has_one_row_however_often_it_reports() -> None:
    reporter = Reporter()
    report(reporter)
    first_seen_at = Worker.objects.get().seen_at
    report(reporter, in_flight=7)
    row = living_workers().get()
    assert row.in_flight == 7
    assert row.seen_at > first_seen_at


def test_a_worker_that_went_silent_does_not_count_as_living() -> None:
    report(Reporter())
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=LIVING_SECONDS + 1))
    assert not living_workers().exists()


def test_a_worker_that_ends_in_order_takes_its_row_with_it() -> None:
    mine, other = Reporter(), Reporter()
    report(mine)
    report(other)
    mine.leave()
    assert Worker.objects.count() == 1


def test_the_rows_of_killed_workers_are_removed_after_a_day() -> None:
    report(Reporter())
    Worker.objects.update(seen_at=timezone.now() - timedelta(days=2))
    report(Reporter())
    assert Worker.objects.count() == 1


@pytest.mark.postgres
def test_a_wrong_clock_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_now = timezone.now

    class AheadClock:
        """This machine's clock, ten minutes ahead."""

        now = staticmethod(lambda: real_now() + timedelta(minutes=10))

    reporter = Reporter()
    report(reporter)
    assert "clock" not in caplog.text
    monkeypatch.setattr(clock, "timezone", AheadClock)
    with caplog.at_level(logging.WARNING):
        report(reporter)
        report(reporter)
    assert caplog.text.count("600 s ahead") == 1


@pytest.mark.django_db(transaction=True)
def test_a_pump_reports_while_it_runs_and_leaves_at_the_end() -> None:
    with sending_in_this_process():
        eventually(lambda: living_workers().count() == 1)
    assert not Worker.objects.exists()
