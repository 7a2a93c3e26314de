"""How often each event type was published, by day."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.figures import type_usage
from deliveries.figures.grouped_counts import Group, GroupedCounts
from deliveries.figures.type_usage import usage_of
from tests.deliveries.history_rows import add_event, id_at, prepare_days
from tests.factories import make_project

pytestmark = pytest.mark.django_db


def test_events_are_counted_by_type_and_day_without_tests() -> None:
    now = timezone.now()
    prepare_days(now - timedelta(days=8))
    project = make_project()
    for made_at in (now, now, now - timedelta(days=2), now - timedelta(days=8)):
        add_event(project, made_at, "order.paid")
    add_event(project, now, "order.paid", is_test=True)
    usage = usage_of(project)
    assert usage.types["order.paid"].count == 3
    assert usage.types["order.paid"].by_day[-1] == 2
    assert usage.types["order.paid"].by_day[-3] == 1
    assert not usage.is_sampled


def test_days_that_were_not_read_count_in_the_sum_and_on_no_other_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 8 days, 2 were read: each is shown as it was, the sum stands for all."""
    now = timezone.now()
    key = ("order.paid", False)
    groups = {(day, key): Group(10.0, 0.0, id_at(now)) for day in (6, 7)}
    counted = GroupedCounts(groups, is_sampled=True, unread=frozenset(range(6)), scale=4.0)
    monkeypatch.setattr(type_usage, "count_groups", lambda *_given, **_more: counted)
    usage = usage_of(make_project())
    assert usage.types["order.paid"].by_day[6:] == [10.0, 10.0]
    assert usage.types["order.paid"].count == 80
