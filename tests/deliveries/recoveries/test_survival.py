"""A recovery outlives its workers: killed twice half-way, nothing is lost and nothing is doubled.

Two thousand deliveries here. The long run prints its figures:
`RECOVERY_DELIVERIES=100000 python -m tests.servers pytest -s -o faulthandler_timeout=3600 FILE`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from deliveries.auditing.audit import audit
from deliveries.models import Delivery, Recovery
from dispatcher.chaos.threaded_server import KEEP, Connection, Received, ThreadedServer
from subscriptions.ids import from_public, new_id
from subscriptions.models import Subscription
from tests.deliveries.recoveries.samples import ask
from tests.factories import make_project, make_subscription
from tests.workers import eventually, worker_process

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

DELIVERIES = int(os.environ.get("RECOVERY_DELIVERIES", "2000"))
IS_LONG_RUN = DELIVERIES > 10_000

PATIENCE_SECONDS = 1800 if IS_LONG_RUN else 90


class CountingReceiver(ThreadedServer):
    """Accepts everything and counts each event, without keeping the requests."""

    def __init__(self) -> None:
        super().__init__({"accept": accept})
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, received: Received) -> None:
        with self._lock:
            self.counts[received.headers["webhook-id"]] += 1


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    return KEEP


def fail_many(subscription: Subscription, count: int) -> None:
    """Store events whose delivery failed with one attempt."""
    ids = [(new_id(), new_id(), new_id()) for _ in range(count)]
    own = (subscription.project_id, subscription.id)
    at = timezone.now()
    data = json.dumps({"text": "x" * 200})
    copy_into(
        "deliveries_event",
        "id, project_id, type, data, idempotency_key, matched_count, is_test, created_at",
        ((event, own[0], "a.b", data, "", 1, False, at) for event, *_ in ids),
    )
    copy_into(
        "deliveries_delivery",
        "id, event_id, project_id, subscription_id, event_type, is_test, status, attempt_count, "
        "tries_used, interruptions, last_outcome, end_reason, created_at, finished_at",
        (
            (delivery, event, *own, "a.b", False, "failed", 1, 1, 0, "timeout", "", at, at)
            for event, delivery, _ in ids
        ),
    )
    copy_into(
        "deliveries_attempt",
        "id, delivery_id, number, started_at, outcome, error, duration_ms, wire_format, "
        "request_url, request_headers, response_headers, response_body, is_truncated",
        (
            (attempt, delivery, 1, at, "timeout", "", 5000, "standard", "", "", b"", b"", False)
            for _, delivery, attempt in ids
        ),
    )


def copy_into(table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


@contextmanager
def worker_until(recovery: Recovery, recovered: int) -> Iterator[None]:
    """Kill a worker once the recovery has come so far."""
    with worker_process(DISPATCHER_LOG_LEVEL="WARNING") as worker:
        eventually(lambda: recovered_count(recovery) >= recovered, within_seconds=PATIENCE_SECONDS)
        yield
        say(f"killed at {recovered_count(recovery)}, peak memory {peak_memory_mb(worker.pid)} MB")
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)


def recovered_count(recovery: Recovery) -> int:
    recovery.refresh_from_db()
    return recovery.recovered_count


def peak_memory_mb(pid: int) -> int:
    """Return the most that a process ever held; 0 where the system does not say it like Linux."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if "VmHWM" in line), 0)


def say(text: str) -> None:
    if IS_LONG_RUN:
        sys.stderr.write(f"{text}\n")


def unfinished() -> bool:
    return Delivery.objects.filter(next_attempt_at__isnull=False).exists()


def test_workers_that_are_killed_half_way_lose_and_double_nothing() -> None:
    with CountingReceiver() as receiver:
        project = make_project()
        subscription = make_subscription(project=project, url=f"{receiver.origin}/accept")
        fail_many(subscription, DELIVERIES)
        began_at = time.monotonic()
        recovery = ask(
            project, subscription=subscription, rate_per_second=None if IS_LONG_RUN else 300
        )
        say(f"asked for and counted in {time.monotonic() - began_at:.2f} s")
        for part in (1, 2):
            with worker_until(recovery, part * DELIVERIES // 3):
                assert recovery.status == Recovery.Status.RUNNING, "it must be half-way"
        with worker_process(DISPATCHER_LOG_LEVEL="WARNING") as worker:
            eventually(lambda: is_completed(recovery), within_seconds=PATIENCE_SECONDS)
            say(f"all were due after {time.monotonic() - began_at:.1f} s")
            eventually(lambda: not unfinished(), within_seconds=PATIENCE_SECONDS)
            say(f"all were sent after {time.monotonic() - began_at:.1f} s")
            say(f"peak memory of the last worker {peak_memory_mb(worker.pid)} MB")
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0
        counts = receiver.counts

    assert (recovery.recovered_count, recovery.skipped_count) == (DELIVERIES, 0)
    check_attempts(counts)
    assert audit().is_balanced


def is_completed(recovery: Recovery) -> bool:
    recovery.refresh_from_db()
    return recovery.status == Recovery.Status.COMPLETED


def check_attempts(counts: Counter[str]) -> None:
    """Each has its old attempt and one new one; a receiver saw more only where a worker died."""
    assert not Delivery.objects.exclude(status=Delivery.Status.SUCCEEDED).exists()
    again = Q(attempts__number__gt=1)
    rows = Delivery.objects.annotate(
        old=Count("attempts", filter=Q(attempts__number=1)),
        sent=Count("attempts", filter=again & ~Q(attempts__outcome="interrupted")),
        interrupted=Count("attempts", filter=again & Q(attempts__outcome="interrupted")),
    ).values_list("event_id", "old", "sent", "interrupted")
    tallies = {event_id: rest for event_id, *rest in rows}
    assert {(old, sent) for old, sent, _ in tallies.values()} == {(1, 1)}
    received = {from_public("evt", name): count for name, count in counts.items()}
    assert received.keys() == tallies.keys(), "nothing is lost"
    doubled = {
        event_id
        for event_id, count in received.items()
        if event_id and not 1 <= count <= 1 + tallies[event_id][2]
    }
    assert not doubled
    say(
        f"{len(received)} received, {sum(counts.values()) - len(received)} of them twice, "
        f"{sum(interrupted for *_, interrupted in tallies.values())} attempts interrupted"
    )
