"""Celery tasks: a wake-up, and the periodic work that beat starts. None carries a delivery."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from deliveries import partitions, pruning
from deliveries.periodic import run_once
from deliveries.sending import engine

HOURLY = timedelta(hours=1)


@shared_task(name="deliveries.send_due")
def send_due() -> None:
    """Make this worker's pump look for due deliveries now."""
    engine.wake_pump()


@shared_task(name="deliveries.prune")
def prune() -> None:
    """Drop history that is older than the retention time."""
    run_once("prune", pruning.prune, every=HOURLY)


@shared_task(name="deliveries.make_partitions")
def make_partitions() -> None:
    """Keep the next two weeks' partitions ready."""
    run_once("make_partitions", partitions.make_partitions, every=HOURLY)
