"""What a worker does beside sending."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.upkeep import partitions
from deliveries.upkeep.partitions import DAYS_AHEAD, Partition, days_covered_ahead
from dispatcher import celery

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def whole_again() -> Iterator[None]:
    """All partitions, before and afterwards."""
    partitions.make_partitions()
    yield
    partitions.make_partitions()


def drop_the_last_day() -> None:
    day = timezone.now().date() + timedelta(days=DAYS_AHEAD)
    for table in partitions.PARTITIONED_TABLES:
        partitions.drop(Partition(day, table))


def test_a_worker_s_timer_makes_partitions_unless_somebody_did_so_lately() -> None:
    drop_the_last_day()
    celery._keep_partitions()
    assert days_covered_ahead() == DAYS_AHEAD
    drop_the_last_day()
    celery._keep_partitions()
    assert days_covered_ahead() == DAYS_AHEAD - 1
