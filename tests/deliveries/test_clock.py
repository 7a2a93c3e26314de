"""How wrong this machine's clock is, by the database's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries import clock
from deliveries.clock import ahead_of_database

pytestmark = pytest.mark.django_db


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    real_now = timezone.now

    class WrongClock:
        """This machine's clock."""

        now = staticmethod(lambda: real_now() + ahead)

    monkeypatch.setattr(clock, "timezone", WrongClock)


@pytest.mark.postgres
@pytest.mark.parametrize("minutes", [10, -10])
def test_it_tells_how_far_the_clock_is_ahead_or_behind(
    monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    set_clock(monkeypatch, timedelta(minutes=minutes))
    assert abs(ahead_of_database() - timedelta(minutes=minutes)) < timedelta(seconds=5)


def test_a_clock_that_is_about_right_counts_as_right(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, timedelta(milliseconds=100))
    assert ahead_of_database() == timedelta()


@pytest.mark.sqlite
def test_a_database_in_this_process_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    set_clock(monkeypatch, timedelta(minutes=10))
    with django_assert_num_queries(0):
        assert ahead_of_database() == timedelta()
