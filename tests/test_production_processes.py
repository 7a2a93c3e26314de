"""Production's processes, started by the commands that docker-compose.yml names."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from tests.production_run import Production, Running, production, run, wait_until
from tests.workers import worker_environment

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def database_url() -> str:
    return worker_environment()["DATABASE_URL"]


def test_what_is_published_over_rest_arrives_though_a_worker_is_replaced() -> None:
    report = run(300, database_url=database_url(), redis_url=settings.REDIS_URL)

    assert (report.lost, report.duplicates) == (0, 0)
    assert report.exit_statuses == {
        "1-migrate": 0,
        "2-web": 0,
        "3-worker": 0,
        "4-worker": 0,
        "5-beat": 0,
        "6-worker": 0,
    }


def test_a_worker_or_beat_that_hangs_is_told_from_one_that_works() -> None:
    with production(database_url(), settings.REDIS_URL) as site:
        processes = [site.start("worker"), site.start("beat")]
        site.wait_until_healthy(*processes)
        for running in processes:
            assert_its_sign_of_life_ends_with_it(site, running)


def assert_its_sign_of_life_ends_with_it(site: Production, running: Running) -> None:
    file = running.place.folder / "heartbeat"
    running.process.send_signal(signal.SIGSTOP)
    backdate(file)
    time.sleep(1.5)
    assert not running.service.is_healthy(running.place)
    running.process.send_signal(signal.SIGCONT)
    wait_until(lambda: running.service.is_healthy(running.place), within_seconds=40)
    site.stop(running)
    assert running.process.returncode == 0
    backdate(file)
    assert not running.service.is_healthy(running.place)


def backdate(file: Path) -> None:
    """Let five minutes pass, as far as the file knows."""
    long_ago = time.time() - 300
    os.utime(file, (long_ago, long_ago))


def somebody_waits_for_deliveries() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND relation = 'deliveries_delivery'::regclass"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


def test_a_worker_whose_database_hangs_gives_no_sign_of_life() -> None:
    """The pump turns, but its database thread waits: behind a lock on what it claims from."""
    with production(database_url(), settings.REDIS_URL) as site:
        worker = site.start("worker")
        site.wait_until_healthy(worker)
        file = worker.place.folder / "heartbeat"
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE deliveries_delivery IN ACCESS EXCLUSIVE MODE")
            wait_until(somebody_waits_for_deliveries, within_seconds=20)
            time.sleep(0.5)
            before = file.stat().st_mtime
            time.sleep(2)  # the claim gives up after five
            assert file.stat().st_mtime == before
        wait_until(lambda: file.stat().st_mtime > before, within_seconds=20)
        site.stop(worker)
        assert worker.process.returncode == 0
