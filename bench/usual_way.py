"""Runs the yardstick "a Celery task for each delivery" on a stack's PostgreSQL and Redis.

Its worker is started as Celery's own guide says: prefork, a process per core, a log of each task.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import psycopg

from bench.cpu import CpuMeter
from bench.due import Sent
from bench.environment import unwatched
from bench.stack import COMMAND_SECONDS, Stack
from tests.compose_file import ROOT
from tests.faults.processes import DidNotHappen, Program
from tests.faults.stack import eventually

_PACKAGE: Final = "bench.yardsticks.celery_task"
_DATABASE: Final = "usual_way"
_CELERY: Final = (sys.executable, "-m", "celery")


class UsualWay:
    """The yardstick's database and worker; made once for a stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        with stack.postgres.superuser() as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE} OWNER dispatcher")
        self._url = stack.postgres.url.rpartition("/")[0] + f"/{_DATABASE}"
        self._environment = {
            **{name: value for name, value in unwatched().items() if "DJANGO" not in name},
            "DJANGO_SETTINGS_MODULE": f"{_PACKAGE}.settings",
            "DATABASE_URL": self._url,
            "REDIS_URL": stack.redis.url.rpartition("/")[0] + "/1",
        }

    def send(self, count: int) -> tuple[Sent, float]:
        """Send so many deliveries; return what was recorded, and its worker's CPU seconds.

        What starting costs is not counted: the queue is filled while the worker stands still.
        """
        worker = Program(
            "usual-way",
            [*_CELERY, "-A", f"{_PACKAGE}.celery", "worker", "--loglevel", "INFO"],
            environment=self._environment,
            folder=self._stack.folder,
        )
        self._fill(0)  # the tables
        worker.start()
        try:
            self._wait_until_consuming(worker)
            self._fill(200)
            self._wait_until_sent()
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute("TRUNCATE celery_task_delivery, celery_task_attempt")
            worker.freeze()
            self._fill(count)
            meter = CpuMeter({"worker": [worker.pid]})
            worker.thaw()
            self._wait_until_sent()
            return self._sent(count), meter.seconds()["worker"]
        finally:
            worker.kill()

    def _fill(self, count: int) -> None:
        subprocess.run(
            [sys.executable, "-m", f"{_PACKAGE}.fill", self._stack.url("/"), str(count)],
            cwd=ROOT,
            env=self._environment,
            check=True,
            timeout=COMMAND_SECONDS,
        )

    def _wait_until_consuming(self, worker: Program) -> None:
        def is_ready() -> bool:
            if not worker.is_running:
                raise DidNotHappen(f"the usual worker ended:\n{worker.said()[-2000:]}")
            return b" ready." in worker.log.read_bytes()

        eventually(is_ready, "the usual worker consumes", within_seconds=60)

    def _wait_until_sent(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            eventually(
                lambda: (
                    connection.execute(
                        "SELECT FROM celery_task_delivery WHERE status = 'pending' LIMIT 1"
                    ).fetchone()
                    is None
                ),
                "the usual worker has sent all",
                within_seconds=COMMAND_SECONDS,
                every_seconds=0.25,
            )

    def _sent(self, expected: int) -> Sent:
        with psycopg.connect(self._url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(*), extract(epoch FROM max(ended_at) - min(started_at))::float8 "
                "FROM celery_task_attempt WHERE status_code = 204"
            ).fetchone()
        assert row is not None
        count, seconds = row
        if count != expected:
            raise RuntimeError(f"the usual way sent {count} of {expected}")
        return Sent(count, seconds)
