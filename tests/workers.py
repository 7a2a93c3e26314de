"""Starts what sends, for tests: real worker processes on PostgreSQL and Redis, and on SQLite, whose
in-memory broker has one process, this process's own pump.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection
from redis import Redis

from deliveries.sending.engine import start_pump, stop_pump

ROOT = Path(__file__).parent.parent
LOOPBACK = "127.0.0.0/8"


def allow_loopback(settings: Any) -> None:
    """Let this process's pump contact receivers on loopback; `settings` is pytest-django's."""
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network(LOOPBACK),)


def eventually(condition: Callable[[], bool], *, within_seconds: float = 20.0) -> None:
    """Wait until `condition` holds; fail when it does not in time."""
    until = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def sending() -> Iterator[None]:
    """Send what is due while the context lasts, by whatever sends in this home."""
    if settings.DISPATCHER_EMBEDDED:
        with sending_in_this_process():
            yield
        return
    with worker_process() as worker:
        eventually(lambda: is_ready(worker), within_seconds=60)
        yield
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0


@contextmanager
def sending_in_this_process() -> Iterator[None]:
    """Send what is due while the context lasts, by a pump of this process."""
    pump = start_pump()
    try:
        yield
    finally:
        assert stop_pump(pump, timeout_seconds=20)


@contextmanager
def worker_process(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Celery worker on the test's own database; killed at the end if it still runs."""
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "dispatcher", "worker"),
            *("-P", "threads", "-c", "1"),
        ],
        cwd=ROOT,
        env=worker_environment() | environment,
    )
    try:
        yield worker
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait(10)


def is_ready(worker: subprocess.Popen[bytes]) -> bool:
    """Ask the broker, which it consumes from once all its parts have started."""
    assert worker.poll() is None, "the worker ended"
    with Redis.from_url(settings.REDIS_URL) as broker:
        number = str(broker.get_connection_kwargs()["db"])
        clients = [client for client in broker.client_list() if client["db"] == number]
    return any(client["cmd"] == "brpop" for client in clients)


def worker_environment() -> dict[str, str]:
    """The environment of a process that works on this test's database."""
    return dict(os.environ) | {
        "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
        "DATABASE_URL": _database_url(connection.settings_dict),
        "REDIS_URL": settings.REDIS_URL,
        "DISPATCHER_ALLOWED_NETWORKS": LOOPBACK,
        "DISPATCHER_LEASE_SECONDS": "10",
    }


def _database_url(database: Mapping[str, object]) -> str:
    """Name the test database as `DATABASE_URL` does; the host may be a socket's folder."""
    user = quote(str(database["USER"]), safe="")
    password = quote(str(database["PASSWORD"]), safe="")
    options: Mapping[str, object] = database["OPTIONS"]  # type: ignore[assignment]  # a dict
    host = str(options.get("host") or database["HOST"])
    port = str(options.get("port") or database["PORT"])
    query = urlencode({key: value for key, value in (("host", host), ("port", port)) if value})
    return f"postgresql://{user}:{password}@/{database['NAME']}?{query}"
