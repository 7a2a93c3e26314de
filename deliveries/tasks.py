"""Celery tasks: a wake-up, and the periodic work that beat starts. None carries a delivery."""

from __future__ import annotations

from collections.abc import Callable

from celery import shared_task
from django.conf import settings

from deliveries.sending import engine
from deliveries.upkeep import partitions, pruning
from deliveries.upkeep.periodic import run_once


@shared_task(name="deliveries.send_due")
def send_due() -> None:
    """Make this worker's pump look for due deliveries now."""
    engine.wake_pump()


@shared_task(name="deliveries.prune")
def prune() -> None:
    """Drop history that is older than the retention time."""
    _housekeep("prune", pruning.prune)


@shared_task(name="deliveries.make_partitions")
def make_partitions() -> None:
    """Keep the next two weeks' partitions ready."""
    _housekeep("make_partitions", partitions.make_partitions)


def _housekeep(name: str, action: Callable[[], object]) -> None:
    run_once(name, action, every=settings.DISPATCHER_HOUSEKEEPING_EVERY)
